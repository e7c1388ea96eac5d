// A server whose actor writes down whatever reaches it: server_kill_test.cc kills it.

#include <skep/skep.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace {

struct Entry {
  std::string kind;  // "add", "order", "timer", "raw", "pair", "state"
  std::int64_t number = 0;
  std::int64_t atMs = 0;
  std::int64_t dueMs = 0;
};

std::int64_t ms(skep::Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

struct Ledger : skep::Actor {
  static void define(skep::Definition<Ledger>& d) {
    d.migration(1,
                "CREATE TABLE entry(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, "
                "number INTEGER NOT NULL, atMs INTEGER NOT NULL, dueMs INTEGER NOT NULL)");
    d.action("add", &Ledger::add).action("plan", &Ledger::plan).action("fire", &Ledger::fire);
    d.action("entries", &Ledger::entries).action("put", &Ledger::put);
    d.action("keep", &Ledger::keep);
    d.onRequest(&Ledger::answer);
    d.state(&Ledger::kept_);
    d.event<std::int64_t>("added");
    d.queue("orders", &Ledger::take);
  }

  void add(skep::Context& c, std::int64_t number) {
    note(c, "add", number, 0);
    c.broadcast("added", number);
  }
  void plan(skep::Context& c, std::int64_t number, std::int64_t delayMs) {
    const auto delay = std::chrono::milliseconds(delayMs);
    c.schedule().after(delay, "fire", number, ms(c.now() + delay));
  }
  void fire(skep::Context& c, std::int64_t number, std::int64_t dueMs) {
    note(c, "timer", number, dueMs);
  }
  void take(skep::Context& c, std::int64_t number) { note(c, "order", number, 0); }
  void put(skep::Context& c, std::int64_t number) { c.kv().put(std::to_string(number), true); }
  void keep(skep::Context&, std::int64_t number) { kept_.push_back(number); }
  skep::HttpResponse answer(skep::Context& c, const skep::HttpRequest& request) {
    note(c, "raw", request.bodyAs<std::int64_t>(), 0);
    return {.status = 201};
  }
  std::vector<Entry> entries(skep::Context& c) {
    auto all = c.query<Entry>("SELECT kind, number, atMs, dueMs FROM entry ORDER BY id");
    for (const auto& [key, value] : c.kv().list<bool>()) {
      all.push_back({.kind = "pair", .number = std::stoll(key)});
    }
    for (const std::int64_t number : kept_) all.push_back({.kind = "state", .number = number});
    return all;
  }

 private:
  std::vector<std::int64_t> kept_;

  static void note(skep::Context& c, const std::string& kind, std::int64_t number,
                   std::int64_t dueMs) {
    c.execute("INSERT INTO entry(kind, number, atMs, dueMs) VALUES (?, ?, ?, ?)", kind, number,
              ms(c.now()), dueMs);
  }
};

}  // namespace

int main(int argc, char** argv) {
  return skep::serve(argc, argv, skep::registry<Ledger>("ledger"));
}
