// run(): the actor's own code in the background, the messages that it takes, and what keeps an actor awake.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::StartsWith;

std::vector<std::string> trail;
int failuresLeft = 0;

struct Task {
  std::string name;
};

/// What the three types have in common.
struct Base : Actor {
  template <class T>
  static void defineBase(Definition<T>& d) {
    d.migration(1, "CREATE TABLE done(what TEXT NOT NULL)");
    d.action("done", &T::done).action("send", &T::send).action("dead", &T::dead);
    d.template queue<Task>("tasks", {.retry = {.triesMax = 3, .first = 1s, .longest = 10s}});
    d.run(&T::run);
    d.onSleep(&T::onSleep);
  }
  std::vector<std::string> done(Context& c) {
    return c.query<std::string>("SELECT what FROM done ORDER BY rowid");
  }
  std::int64_t send(Context& c, std::string name, std::int64_t delayMs) {
    return c.queue<Task>("tasks").send({name}, {.delay = std::chrono::milliseconds(delayMs)});
  }
  std::size_t dead(Context& c) { return c.queue<Task>("tasks").dead().size(); }
  void onSleep(Context&) { trail.push_back("sleep"); }
};

/// Takes tasks, and handles them.
struct Taker : Base {
  static void define(Definition<Taker>& d) { defineBase(d); }
  void run(Context& c) {
    trail.push_back("run");
    while (auto message = c.queue<Task>("tasks").next()) {
      const std::string name = message->body().name;
      trail.push_back(name);
      c.execute("INSERT INTO done VALUES (?)", name);
      if (name == "drop") continue;
      if (name == "fail") {
        message->fail("as asked");
        continue;
      }
      if (name == "slow") c.sleepFor(10s);
      if (name == "throw" && failuresLeft-- > 0) throw UserError("flaky", "not this time");
      if (name == "completeThenThrow" && failuresLeft-- > 0) {
        message->complete();
        throw UserError("flaky", "not this time");
      }
      message->complete("did " + name);
    }
  }
};

/// Works all the time, or fails.
struct Busy : Base {
  static void define(Definition<Busy>& d) { defineBase(d); }
  void run(Context& c) {
    trail.push_back("run");
    if (failuresLeft-- > 0) throw std::runtime_error("not this time");
    for (int i = 0; i < 100; ++i) {
      c.execute("INSERT INTO done VALUES ('tick')");
      c.sleepFor(1s);
    }
    trail.push_back("ran");
  }
};

/// Waits without need to be awake.
struct Idler : Base {
  static void define(Definition<Idler>& d) {
    defineBase(d);
    d.action("hold", &Idler::hold).action("letGo", &Idler::letGo);
  }
  void run(Context& c) {
    trail.push_back("run");
    c.idleFor(1h);
    trail.push_back("ran");
  }
  void hold(Context& c) { held = c.keepAwake(); }
  void letGo(Context&) { held = {}; }
  KeepAwake held;
};

/// Takes no notice of being told to stop.
struct Stubborn : Base {
  static void define(Definition<Stubborn>& d) { defineBase(d); }
  void run(Context& c) {
    for (int i = 0; i < 3; ++i) {
      try {
        c.sleepFor(1h);
      } catch (const ActorError&) {
        trail.push_back("told");
      }
    }
    EXPECT_THROW(c.execute("INSERT INTO done VALUES ('late')"), ActorError);
    EXPECT_THROW(c.kv().put("late", 1), ActorError);
    EXPECT_THROW(c.schedule().after(1s, "done"), ActorError);
    EXPECT_THROW(c.queue<Task>("tasks").send({"late"}), ActorError);
  }
};

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    trail.clear();
    failuresLeft = 0;
    world_.add<Taker>("taker");
    world_.add<Busy>("busy");
    world_.add<Idler>("idler");
    world_.add<Stubborn>("stubborn");
  }
  std::string call(const std::string& type, const std::string& action,
                   const std::string& arguments = "[]") {
    return world_.call(type, "a", action, arguments);
  }
  void send(const std::string& name, std::int64_t delayMs = 0) {
    call("taker", "send", R"([")" + name + R"(", )" + std::to_string(delayMs) + "]");
  }
  std::string reply(const std::string& name) {
    std::string text;
    world_.run([&] {
      const auto sent = world_.host().send({.actor = {.type = "taker", .key = {"a"}},
                                            .queue = "tasks",
                                            .body = {.bytes = R"({"name":")" + name + R"("})"},
                                            .replyTimeout = 10s});
      const auto* failed = std::get_if<call::Failure>(&sent);
      text = failed != nullptr ? failed->toString() : std::get<call::QueueSent>(sent).reply->bytes;
    });
    return text;
  }
  void pass(std::chrono::seconds time) {
    for (; time > 0s; time -= 1s) world_.advance(1s);
  }
  bool isAwake() { return world_.host().stats().actorsAwake != 0; }

  ActorWorld world_;
};

TEST_F(RunTest, run_takes_messages_in_order_and_answers_them) {
  send("a");
  send("b");
  EXPECT_EQ(reply("c"), "\"did c\"");
  EXPECT_EQ(call("taker", "done"), R"(["a","b","c"])");
  EXPECT_THAT(trail, ElementsAre("run", "a", "b", "c"));
}

TEST_F(RunTest, an_actor_whose_run_waits_for_messages_falls_asleep_and_a_message_wakes_it) {
  send("a");
  pass(32s);
  EXPECT_FALSE(isAwake());
  EXPECT_THAT(trail, ElementsAre("run", "a", "sleep"));
  send("b", 60'000);
  pass(40s);
  EXPECT_FALSE(isAwake());
  pass(20s);
  EXPECT_THAT(trail, ElementsAre("run", "a", "sleep", "run", "sleep", "run", "b"));
}

TEST_F(RunTest, a_message_that_was_taken_when_the_process_died_comes_again) {
  send("slow");
  send("b");
  EXPECT_THAT(trail, ElementsAre("run", "slow"));
  world_.crash();
  world_.settle();
  pass(10s);
  EXPECT_THAT(trail, ElementsAre("run", "slow", "run", "slow", "b"));
  world_.crash();
  pass(10s);
  EXPECT_EQ(call("taker", "done"), R"(["slow","slow","b"])");
}

TEST_F(RunTest, a_message_that_is_not_completed_failed) {
  send("drop");
  pass(30s);
  EXPECT_EQ(std::count(trail.begin(), trail.end(), "drop"), 3);
  EXPECT_EQ(call("taker", "dead"), "1");
}

TEST_F(RunTest, a_message_may_be_failed_with_words) {
  std::string text;
  world_.spawn([&] {
    const auto sent = world_.host().send({.actor = {.type = "taker", .key = {"a"}},
                                          .queue = "tasks",
                                          .body = {.bytes = R"({"name":"fail"})"},
                                          .replyTimeout = 1min});
    text = std::get<call::Failure>(sent).toString();
  });
  world_.settle();
  pass(30s);
  EXPECT_EQ(std::count(trail.begin(), trail.end(), "fail"), 3);
  EXPECT_EQ(text, "user.message_failed: as asked");
}

TEST_F(RunTest, a_run_that_throws_is_rolled_back_and_starts_again) {
  failuresLeft = 1;
  send("throw");
  EXPECT_EQ(call("taker", "done"), "[]");
  pass(3s);
  EXPECT_THAT(trail, ElementsAre("run", "throw", "run", "throw"));
  EXPECT_EQ(call("taker", "done"), R"(["throw"])");
}

TEST_F(RunTest, a_completion_that_is_rolled_back_is_none) {
  failuresLeft = 1;
  send("completeThenThrow");
  EXPECT_EQ(call("taker", "done"), "[]");
  pass(3s);
  EXPECT_EQ(call("taker", "done"), R"(["completeThenThrow"])");
}

TEST_F(RunTest, a_busy_run_keeps_the_actor_awake_until_it_ends) {
  call("busy", "done");
  pass(99s);
  EXPECT_TRUE(isAwake());
  EXPECT_THAT(trail, ElementsAre("run"));
  pass(40s);
  EXPECT_THAT(trail, ElementsAre("run", "ran", "sleep"));
  EXPECT_FALSE(isAwake());
}

TEST_F(RunTest, a_run_that_fails_starts_again_ever_later_and_the_actor_stays_awake) {
  failuresLeft = 6;
  call("busy", "done");
  EXPECT_THAT(trail, ElementsAre("run"));
  pass(1s);
  EXPECT_EQ(trail.size(), 2u);
  pass(2s);
  EXPECT_EQ(trail.size(), 3u);
  pass(60s);
  EXPECT_EQ(trail.size(), 7u);  // after 1, 2, 4, 8, 16, 32 seconds
  EXPECT_TRUE(isAwake());
}

TEST_F(RunTest, run_is_told_to_stop_before_the_actor_sleeps) {
  call("busy", "done");
  world_.run([&] { world_.host().sleep({.type = "busy", .key = {"a"}}); });
  EXPECT_THAT(trail, ElementsAre("run", "sleep"));
}

TEST_F(RunTest, code_that_goes_on_after_it_was_told_to_stop_writes_nothing) {
  call("stubborn", "done");
  world_.run([&] { world_.host().sleep({.type = "stubborn", .key = {"a"}}); });
  EXPECT_THAT(trail, ElementsAre("told", "told", "told", "sleep"));
  EXPECT_EQ(call("stubborn", "done"), "[]");
}

TEST_F(RunTest, an_idle_wait_does_not_keep_the_actor_awake) {
  call("idler", "done");
  pass(32s);
  EXPECT_THAT(trail, ElementsAre("run", "sleep"));
}

TEST_F(RunTest, keep_awake_holds_until_it_is_let_go) {
  call("idler", "hold");
  pass(120s);
  EXPECT_TRUE(isAwake());
  call("idler", "letGo");
  pass(32s);
  EXPECT_FALSE(isAwake());
}

TEST_F(RunTest, an_actor_that_is_destroyed_ends_its_run) {
  call("busy", "done");
  world_.run([&] { (void)world_.host().destroy({.type = "busy", .key = {"a"}}); });
  pass(10s);
  EXPECT_THAT(trail, ElementsAre("run"));
}

TEST_F(RunTest, a_commit_that_fails_breaks_the_actor_and_run_starts_with_the_next_one) {
  call("busy", "done");
  bool fails = true;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    if (std::exchange(fails, false)) return Error{ErrorCode::Fenced, "another owner"};
    return {};
  };
  pass(5s);
  EXPECT_FALSE(isAwake());
  EXPECT_EQ(call("busy", "done"), R"(["tick"])");
  EXPECT_THAT(trail, ElementsAre("run", "run"));
}

}  // namespace
}  // namespace skep::testing
