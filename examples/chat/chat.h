// A chat room for each key: messages in its own SQLite database, everybody in it sees what is said at
// once, and who comes back reads what was said before.

#pragma once

#include <skep/skep.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

struct Message {
  std::int64_t id = 0;
  std::string sender;
  std::string text;
  std::int64_t at = 0;  // milliseconds since 1970
};

/// What a client says about itself when it connects.
struct Guest {
  std::string name;
};

struct ChatRoom : skep::Actor {
  static void define(skep::Definition<ChatRoom>& d) {
    d.migration(
        1,
        "CREATE TABLE message(id INTEGER PRIMARY KEY, sender TEXT NOT NULL, text TEXT NOT NULL, "
        "at INTEGER NOT NULL)");
    d.event<Message>("message").event<std::vector<std::string>>("present");
    d.event<std::string>("typing");
    d.action("send", &ChatRoom::send).action("history", &ChatRoom::history);
    d.action("present", &ChatRoom::present).action("type", &ChatRoom::type);
    d.onBeforeConnect(&ChatRoom::admit);
    d.createConnectionState(&ChatRoom::guest);
    d.onConnect(&ChatRoom::joined).onDisconnect(&ChatRoom::left);
  }

  Message send(skep::Context& c, std::string text) {
    if (text.empty() || text.size() > 4000) {
      throw skep::UserError("bad_text", "a message has 1 to 4000 bytes");
    }
    Message message = c.queryOne<Message>(
        "INSERT INTO message(sender, text, at) VALUES (?, ?, ?) RETURNING id, sender, text, at",
        sender(c), text, nowMs(c));
    c.broadcast("message", message);
    return message;
  }
  /// The newest messages before `before`, oldest first; before 0: the newest of all.
  std::vector<Message> history(skep::Context& c, std::int64_t limit, std::int64_t before) {
    return c.query<Message>(
        "SELECT * FROM (SELECT id, sender, text, at FROM message WHERE ?1 = 0 OR id < ?1 "
        "ORDER BY id DESC LIMIT min(max(?2, 1), 200)) ORDER BY id",
        before, limit);
  }
  std::vector<std::string> present(skep::Context& c) {
    std::vector<std::string> names;
    for (const skep::Connection& each : c.connections()) names.push_back(each.state<Guest>().name);
    return names;
  }
  void type(skep::Context& c) {
    if (c.connection()) c.broadcastExcept(*c.connection(), "typing", sender(c));
  }

  void admit(skep::Context&, const skep::Visitor& visitor) {
    if (!visitor.wantsConnection()) return;  // somebody with curl
    const std::string name = visitor.parameters<Guest>().name;
    if (name.empty() || name.size() > 40) {
      throw skep::UserError("bad_name", "a name has 1 to 40 bytes");
    }
  }
  Guest guest(skep::Context&, const skep::Visitor& visitor) { return visitor.parameters<Guest>(); }
  void joined(skep::Context& c, skep::Connection&) { c.broadcast("present", present(c)); }
  void left(skep::Context& c, skep::Connection&) { c.broadcast("present", present(c)); }

 private:
  static std::string sender(skep::Context& c) {
    return c.connection() ? c.connection()->state<Guest>().name : "somebody with curl";
  }
  static std::int64_t nowMs(skep::Context& c) {
    using std::chrono::milliseconds;
    return std::chrono::duration_cast<milliseconds>(c.now().time_since_epoch()).count();
  }
};
