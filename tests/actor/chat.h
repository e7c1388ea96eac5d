// Chat: the actor of the tests of connections and events.

#pragma once

#include <string>
#include <vector>

#include "skep/api/definition.h"

namespace skep::testing {

struct Message {
  std::string sender;
  std::string text;
};

struct Guest {
  std::string name;
};

struct Member {
  std::string name;
  std::int64_t said = 0;
};

/// What the hooks did, in order.
inline std::vector<std::string> hooks;

struct Chat : Actor {
  static void define(Definition<Chat>& d) {
    d.migration(1, "CREATE TABLE message(id INTEGER PRIMARY KEY, sender TEXT, text TEXT)");
    d.event<Message>("message").event<std::int64_t>("count").event<std::string>("whisper");
    d.action("say", &Chat::say).action("sayAndThrow", &Chat::sayAndThrow);
    d.action("sayThenWait", &Chat::sayThenWait).action("whisper", &Chat::whisper);
    d.action("who", &Chat::who).action("tag", &Chat::tag).action("sendTagged", &Chat::sendTagged);
    d.action("kick", &Chat::kick).action("rename", &Chat::rename).action("me", &Chat::me);
    d.action("count", &Chat::count).action("undeclared", &Chat::undeclared);
    d.action("wrongType", &Chat::wrongType).action("sayToOthers", &Chat::sayToOthers);
    d.action("flood", &Chat::flood).action("readOnly", &Chat::readOnly);
    d.action("texts", &Chat::texts).action("kickAll", &Chat::kickAll);
    d.action("kept", &Chat::kept).action("floodAndGoOn", &Chat::floodAndGoOn);
    d.action("leave", &Chat::leave).action("vanish", &Chat::vanish);
    d.onBeforeConnect(&Chat::admit);
    d.createConnectionState(&Chat::newMember);
    d.onConnect(&Chat::joined);
    d.onDisconnect(&Chat::left);
    d.onWake(&Chat::woke).onSleep(&Chat::slept);
  }

  void admit(Context&, const Visitor& visitor) {
    hooks.push_back("admit " + visitor.parameters<Guest>().name);
    if (visitor.header("x-banned")) throw Forbidden("you are banned");
    if (visitor.parameters<Guest>().name == "bob") throw UserError("name_taken", "bob is here");
  }
  Member newMember(Context&, const Visitor& visitor) {
    hooks.push_back("state");
    return {.name = visitor.parameters<Guest>().name};
  }
  void joined(Context& c, Connection& connection) {
    hooks.push_back("connect " + connection.state<Member>().name);
    if (connection.state<Member>().name == "late") throw UserError("late", "too late");
    if (connection.state<Member>().name == "loud") c.broadcast("count", c.connections().size());
  }
  void left(Context& c, Connection& connection) {
    const auto name = connection.state<Member>().name;
    hooks.push_back("disconnect " + name);
    c.execute("INSERT INTO message(sender, text) VALUES (?, 'left')", name);
  }
  void woke(Context& c) { hooks.push_back("wake " + std::to_string(c.connections().size())); }
  void slept(Context&) { hooks.push_back("sleep"); }

  void say(Context& c, std::string sender, std::string text) {
    c.execute("INSERT INTO message(sender, text) VALUES (?, ?)", sender, text);
    c.broadcast("message", Message{sender, text});
  }
  void readOnly(Context& c) { c.broadcast("count", count(c)); }
  void sayAndThrow(Context& c, std::string sender) {
    say(c, sender, "never");
    c.connection()->send("whisper", "never");
    c.connection()->setState(Member{.name = "never"});
    c.connection()->addTag("never");
    c.connection()->disconnect("never");
    throw UserError("thrown", "as asked");
  }
  void sayThenWait(Context& c, std::string sender, std::int64_t ms) {
    say(c, sender, "before");
    c.sleepFor(std::chrono::milliseconds(ms));
    say(c, sender, "after");
  }
  void sayToOthers(Context& c, std::string text) {
    c.broadcastExcept(*c.connection(), "message", Message{"other", text});
  }
  void whisper(Context& c, std::string name, std::string text) {
    for (Connection& other : c.connections()) {
      if (other.state<Member>().name == name) other.send("whisper", text);
    }
  }
  std::vector<std::string> who(Context& c) {
    std::vector<std::string> names;
    for (const Connection& each : c.connections()) names.push_back(each.state<Member>().name);
    return names;
  }
  std::optional<std::string> me(Context& c) {
    if (!c.connection()) return std::nullopt;
    return c.connection()->state<Member>().name + "/" + c.connection()->parameters<Guest>().name;
  }
  void rename(Context& c, std::string name) { c.connection()->setState(Member{.name = name}); }
  void tag(Context& c, std::string tag) { c.connection()->addTag(tag); }
  void sendTagged(Context& c, std::string tag, std::string text) {
    c.sendTagged(tag, "whisper", text);
  }
  void kick(Context& c, std::string name, std::string reason) {
    for (Connection& other : c.connections()) {
      if (other.state<Member>().name == name) other.disconnect(reason);
    }
  }
  void kickAll(Context& c) {
    for (Connection& each : c.connections()) each.disconnect("out");
  }
  void leave(Context& c) { c.connection()->disconnect("bye"); }
  void vanish(Context& c) { c.destroy(); }
  std::int64_t count(Context& c) {
    return c.queryOne<std::int64_t>("SELECT count(*) FROM message");
  }
  /// Rows of the history of events.
  std::int64_t kept(Context& c) {
    return c.queryOne<std::int64_t>("SELECT count(*) FROM _skep_event");
  }
  void floodAndGoOn(Context& c, std::int64_t count, std::int64_t bytes) {
    try {
      flood(c, count, bytes);
    } catch (const ActorError&) {
      hooks.push_back("full");
    }
  }
  std::vector<std::string> texts(Context& c) {
    return c.query<std::string>("SELECT text FROM message ORDER BY id");
  }
  void undeclared(Context& c) { c.broadcast("mesage", 1); }
  void wrongType(Context& c) { c.broadcast("message", 7); }
  void flood(Context& c, std::int64_t count, std::int64_t bytes) {
    const std::string text(static_cast<std::size_t>(bytes), 'x');
    for (std::int64_t i = 0; i < count; ++i) c.broadcast("message", Message{"flood", text});
  }
};

}  // namespace skep::testing
