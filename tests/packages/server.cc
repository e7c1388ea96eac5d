// The server that the tests of packages/ talk to: a chat with and without a history of events, a
// counter, values that come back as they went, failures of each kind, and an actor that lets not
// everybody in.

#include <skep/skep.h>

#include <chrono>
#include <stdexcept>

namespace {

using skep::Context;

struct Message {
  std::int64_t id = 0;
  std::string sender;
  std::string text;
};

struct Chat : skep::Actor {
  static void define(skep::Definition<Chat>& d) {
    d.migration(1, "CREATE TABLE message(id INTEGER PRIMARY KEY, sender TEXT, text TEXT)");
    d.event<Message>("message").event<Message>("keptMessage", {.history = 1000});
    d.event<std::string>("noise");
    d.action("send", &Chat::send).action("history", &Chat::history).action("flood", &Chat::flood);
    d.action("endAll", &Chat::endAll).action("vanish", &Chat::vanish);
  }

  Message send(Context& c, std::string sender, std::string text) {
    c.execute("INSERT INTO message(sender, text) VALUES (?, ?)", sender, text);
    const Message message{c.lastInsertRowid(), sender, text};
    c.broadcast("message", message);
    c.broadcast("keptMessage", message);
    return message;
  }
  std::vector<Message> history(Context& c) {
    return c.query<Message>("SELECT id, sender, text FROM message ORDER BY id");
  }
  void flood(Context& c, std::int64_t count, std::int64_t bytes) {
    const std::string text(static_cast<std::size_t>(bytes), 'x');
    for (std::int64_t i = 0; i < count; ++i) c.broadcast("noise", text);
  }
  void endAll(Context& c, std::string reason) {
    for (skep::Connection& each : c.connections()) each.disconnect(reason);
  }
  void vanish(Context& c) { c.destroy(); }
};

struct CounterInput {
  std::int64_t start = 0;
};

struct Counter : skep::Actor {
  std::int64_t value_ = 0;

  static void define(skep::Definition<Counter>& d) {
    d.state(&Counter::value_);
    d.onCreate(&Counter::create);
    d.event<std::int64_t>("changed");
    d.action("increment", &Counter::increment).action("value", &Counter::value);
    d.queue("additions", &Counter::add);
    d.queue<std::int64_t>("unread");
  }

  void create(Context&, std::optional<CounterInput> input) { value_ = input ? input->start : 0; }
  std::int64_t increment(Context& c, std::int64_t by) {
    value_ += by;
    c.broadcast("changed", value_);
    return value_;
  }
  std::int64_t value(Context&) { return value_; }
  std::int64_t add(Context& c, std::int64_t by) {
    if (by == 0) throw skep::UserError("nothing", "there is nothing to add");
    return increment(c, by);
  }
};

struct Values : skep::Actor {
  static void define(skep::Definition<Values>& d) {
    d.event<skep::Value>("echoed");
    d.action("echo", &Values::echo).action("add", &Values::add).action("reverse", &Values::reverse);
    d.action("announce", &Values::announce).action("both", &Values::both);
    d.action("fail", &Values::fail).action("crash", &Values::crash).action("wait", &Values::wait);
  }

  skep::Value echo(Context&, skep::Value value) { return value; }
  std::int64_t add(Context&, std::int64_t a, std::int64_t b) { return a + b; }
  skep::Bytes reverse(Context&, skep::Bytes bytes) {
    return skep::Bytes(bytes.rbegin(), bytes.rend());
  }
  void announce(Context& c, skep::Value value) { c.broadcast("echoed", value); }
  std::string both(Context&, std::string a, std::optional<std::string> b) {
    return a + "/" + b.value_or("-");
  }
  void fail(Context&, std::string code) {
    throw skep::UserError(code, "as you asked", R"({"asked": true})");
  }
  void crash(Context&) { throw std::runtime_error("nobody's business"); }
  std::int64_t wait(Context& c, std::int64_t ms) {
    c.sleepFor(std::chrono::milliseconds(ms));
    return ms;
  }
};

struct Guest {
  std::optional<std::string> name;
};

struct Club : skep::Actor {
  static void define(skep::Definition<Club>& d) {
    d.onBeforeConnect(&Club::admit);
    d.createConnectionState(&Club::guestOf);
    d.event<std::string>("joined");
    d.onConnect(&Club::join);
    d.action("me", &Club::me);
  }

  void admit(Context&, const skep::Visitor& visitor) {
    const std::string name = visitor.parameters<Guest>().name.value_or("");
    if (name == "mallory") throw skep::Forbidden("you are banned");
    if (name == "bob") throw skep::UserError("name_taken", "bob is here already");
  }
  Guest guestOf(Context&, const skep::Visitor& visitor) { return visitor.parameters<Guest>(); }
  void join(Context& c, skep::Connection& connection) {
    c.broadcast("joined", connection.state<Guest>().name.value_or("somebody"));
  }
  std::string me(Context& c) {
    return c.connection() ? c.connection()->state<Guest>().name.value_or("somebody") : "nobody";
  }
};

}  // namespace

int main(int argc, char** argv) {
  return skep::serve(
      argc, argv, skep::registry<Chat, Counter, Values, Club>("chat", "counter", "values", "club"));
}
