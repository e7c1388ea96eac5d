// Timers, jobs and messages with a store that fails, or a process that dies, at the Nth write, for N = 1, 2,
// 3… until nothing fails any more. What was asked for happens exactly once, as each handler is one turn.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;

struct Task {
  std::string name;
};

struct Ledger : Actor {
  static void define(Definition<Ledger>& d) {
    d.migration(1, "CREATE TABLE done(what TEXT NOT NULL)");
    d.action("ask", &Ledger::ask).action("note", &Ledger::note).action("done", &Ledger::done);
    d.queue("pushed", &Ledger::handle);
    d.queue<Task>("pulled");
    d.run(&Ledger::run);
  }
  void ask(Context& c) {
    c.schedule().after(1s, "note", "timer");
    c.queue<Task>("pushed").send({"pushed"}, {.delay = 2s});
    c.queue<Task>("pulled").send({"pulled"}, {.delay = 3s});
    c.kv().put("asked", true);
    c.execute("INSERT INTO done VALUES ('asked')");
  }
  void note(Context& c, std::string what) {
    c.execute("INSERT INTO done VALUES (?)", what);
    c.kv().put(what, true);
  }
  void handle(Context& c, Task task) { note(c, task.name); }
  void run(Context& c) {
    while (auto message = c.queue<Task>("pulled").next()) {
      note(c, message->body().name);
      message->complete();
    }
  }
  std::vector<std::string> done(Context& c) {
    std::vector<std::string> rows = c.query<std::string>("SELECT what FROM done ORDER BY what");
    for (const auto& [key, value] : c.kv().list<bool>()) rows.push_back(key);
    return rows;
  }
};

enum class Fault {
  Fenced,
  Unavailable,
  UnknownAndApplied,
  UnknownAndNotApplied,
  CrashBefore,
  CrashAfter
};

const char* const kAll = R"(["asked","pulled","pushed","timer","asked","pulled","pushed","timer"])";

/// One run with the fault at write `nth`; whether it fired.
bool runWith(Fault fault, int nth) {
  ActorWorld world;
  world.add<Ledger>("ledger");
  int writes = 0;
  bool fired = false;
  bool isDead = false;
  fiber::Event never;
  const auto isIt = [&] { return ++writes == nth && (fired = true); };
  const auto die = [&]() -> Status {
    isDead = true;
    while (true) never.wait();
  };
  world.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    const bool isAfter = fault == Fault::UnknownAndApplied || fault == Fault::CrashAfter;
    if (isAfter || !isIt()) return {};
    switch (fault) {
      case Fault::Fenced:
        return Error{ErrorCode::Fenced, "another owner"};
      case Fault::Unavailable:
        return Error{ErrorCode::Unavailable, "away"};
      case Fault::UnknownAndNotApplied:
        return Error{ErrorCode::UnknownOutcome, "who knows"};
      default:
        return die();
    }
  };
  world.store().afterWrite = [&](const store::DatabaseWrite&) -> Status {
    if (fault == Fault::UnknownAndApplied && isIt()) {
      return Error{ErrorCode::UnknownOutcome, "who knows"};
    }
    if (fault == Fault::CrashAfter && isIt()) return die();
    return {};
  };

  std::string reply;
  world.spawn([&] {
    reply = ActorWorld::textOf(world.host().run(ActorWorld::request("ledger", "a", "ask")));
  });
  for (int second = 0; second < 100; ++second) {
    world.advance(1s);
    if (std::exchange(isDead, false)) world.crash();
  }
  const std::string done = world.call("ledger", "a", "done");
  if (reply == "null") {
    EXPECT_EQ(done, kAll);
  } else {
    EXPECT_THAT(done, ::testing::AnyOf("[]", kAll)) << reply;
  }
  EXPECT_EQ(world.call("ledger", "a", "done"), done);
  return fired;
}

class DispatchFaultTest : public ::testing::TestWithParam<Fault> {};

TEST_P(DispatchFaultTest, what_was_asked_for_happens_once_whichever_write_fails) {
  int nth = 1;
  while (runWith(GetParam(), nth) && !HasFailure()) ++nth;
  EXPECT_GT(nth, 4) << "each handler writes";
}

INSTANTIATE_TEST_SUITE_P(Faults, DispatchFaultTest,
                         ::testing::Values(Fault::Fenced, Fault::Unavailable,
                                           Fault::UnknownAndApplied, Fault::UnknownAndNotApplied,
                                           Fault::CrashBefore, Fault::CrashAfter));

}  // namespace
}  // namespace skep::testing
