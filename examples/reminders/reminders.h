// Reminders: an actor for each person, with timers, a daily job, a queue and key-value pairs.

#pragma once

#include <skep/skep.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

struct Mail {
  std::string text;
};

struct Reminders : skep::Actor {
  static void define(skep::Definition<Reminders>& d) {
    d.migration(1, "CREATE TABLE mail(id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
    d.action("remindMe", &Reminders::remindMe).action("remind", &Reminders::remind);
    d.action("forget", &Reminders::forget).action("digest", &Reminders::digest);
    d.action("setZone", &Reminders::setZone).action("mails", &Reminders::mails);
    d.queue("outbox", &Reminders::deliver);
    d.onWake(&Reminders::onWake);
  }

  void onWake(skep::Context& c) { planDigest(c); }

  /// Gives an id to forget it by.
  std::int64_t remindMe(skep::Context& c, std::string what, std::int64_t minutes) {
    return c.schedule().after(std::chrono::minutes(minutes), "remind", what);
  }
  bool forget(skep::Context& c, std::int64_t id) { return c.schedule().cancel(id); }

  void remind(skep::Context& c, std::string what) {
    c.queue<Mail>("outbox").send({"Remember: " + what});
  }
  void digest(skep::Context& c) {
    const auto open = c.schedule().list().size();
    c.queue<Mail>("outbox").send({std::to_string(open) + " reminders are to come"});
  }

  void setZone(skep::Context& c, std::string zone) {
    c.kv().put("zone", zone);
    planDigest(c);
  }

  /// Mail goes out here; when that throws, it is tried again.
  void deliver(skep::Context& c, Mail mail) {
    c.execute("INSERT INTO mail(text) VALUES (?)", mail.text);
  }
  std::vector<std::string> mails(skep::Context& c) {
    return c.query<std::string>("SELECT text FROM mail ORDER BY id");
  }

 private:
  void planDigest(skep::Context& c) {
    c.cron().set({.name = "digest",
                  .expression = "0 8 * * mon-fri",
                  .action = "digest",
                  .timeZone = c.kv().get<std::string>("zone").value_or("UTC")});
  }
};
