// Timers: when they run, what commits with them, and what becomes of those that fail.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

/// What the actors of a test did, in order.
std::vector<std::string> trail;
/// How often `flaky` fails before it succeeds.
int failuresLeft = 0;

struct Reminder : Actor {
  static void define(Definition<Reminder>& d) {
    d.migration(1, "CREATE TABLE done(what TEXT NOT NULL)");
    d.action("after", &Reminder::after).action("named", &Reminder::named);
    d.action("remind", &Reminder::remind).action("done", &Reminder::done);
    d.action("cancel", &Reminder::cancel).action("list", &Reminder::list);
    d.action("cancelNamed", &Reminder::cancelNamed).action("setAndThrow", &Reminder::setAndThrow);
    d.action("flaky", &Reminder::flaky).action("slow", &Reminder::slow);
    d.action("chain", &Reminder::chain).action("many", &Reminder::many);
    d.action("failure", &Reminder::failure).action("unknown", &Reminder::unknown);
    d.action("callOther", &Reminder::callOther).action("forever", &Reminder::forever);
    d.action("sleepAndCallSelf", &Reminder::sleepAndCallSelf);
    d.onWake(&Reminder::onWake);
    d.options().schedule.retry = {.triesMax = 3, .first = 1s, .longest = 10s};
    d.options().schedule.timersMax = 5;
    d.options().schedule.argumentBytesMax = 1000;
  }
  void onWake(Context&) { trail.push_back("wake"); }

  std::int64_t after(Context& c, std::int64_t ms, std::string action, std::string what) {
    return c.schedule().after(std::chrono::milliseconds(ms), std::move(action), what);
  }
  std::int64_t named(Context& c, std::string name, std::int64_t ms, std::string what) {
    return c.schedule().named(std::move(name)).after(std::chrono::milliseconds(ms), "remind", what);
  }
  void remind(Context& c, std::string what) {
    trail.push_back(what);
    c.execute("INSERT INTO done VALUES (?)", what);
  }
  std::vector<std::string> done(Context& c) {
    return c.query<std::string>("SELECT what FROM done ORDER BY rowid");
  }
  bool cancel(Context& c, std::int64_t id) { return c.schedule().cancel(id); }
  bool cancelNamed(Context& c, std::string name) { return c.schedule().cancel(name); }
  std::vector<std::string> list(Context& c) {
    std::vector<std::string> names;
    for (const TimerInfo& timer : c.schedule().list()) {
      names.push_back(timer.name + ":" + timer.action + timer.arguments.dump());
    }
    return names;
  }
  void setAndThrow(Context& c) {
    c.schedule().after(1s, "remind", "never");
    throw UserError("no", "not at all");
  }
  void flaky(Context& c, std::string what) {
    c.execute("INSERT INTO done VALUES ('attempt')");
    trail.push_back("attempt");
    if (failuresLeft-- > 0) throw UserError("flaky", "not this time");
    remind(c, what);
  }
  void slow(Context& c, std::string what) {
    c.execute("INSERT INTO done VALUES (?)", what + " begins");
    c.sleepFor(10s);
    remind(c, what + " ends");
  }
  void chain(Context& c, std::string what) {
    trail.push_back(what);
    if (what.size() < 4) c.schedule().named("chain").after(1s, "chain", what + "*");
  }
  void many(Context& c, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) c.schedule().after(1s, "remind", std::to_string(i));
  }
  std::optional<std::string> failure(Context& c, std::int64_t id) {
    const auto timer = c.schedule().get(id);
    if (!timer) return std::nullopt;
    return std::to_string(timer->tries) + (timer->nextTry ? " again: " : " given up: ") +
           timer->error;
  }
  void unknown(Context& c) { c.schedule().after(1s, "nothing"); }
  void callOther(Context& c, std::string) {
    c.call<>("reminder", {"other"}, "remind", std::string("called"));
  }
  void sleepAndCallSelf(Context& c) {
    c.sleep();
    c.sleepFor(1s);
    c.call("reminder", {"a"}, "done");
  }
  void forever(Context& c, std::string) {
    while (true) c.sleepFor(10s);
  }
};

class ScheduleTest : public ::testing::Test {
 protected:
  ScheduleTest() {
    trail.clear();
    failuresLeft = 0;
    world_.add<Reminder>("reminder");
  }
  std::string call(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("reminder", "a", action, arguments);
  }
  void sleepNow() {
    world_.run([&] { world_.host().sleep({.type = "reminder", .key = {"a"}}); });
    ASSERT_EQ(world_.host().stats().actorsAwake, 0u);
  }
  std::optional<std::int64_t> storedAlarm() {
    std::optional<std::int64_t> alarm;
    world_.run([&] { alarm = world_.store().info("reminder/a")->head.alarmMs; });
    return alarm;
  }

  ActorWorld world_;
};

TEST_F(ScheduleTest, a_timer_runs_when_it_is_due_and_never_early) {
  call("after", R"([1000, "remind", "milk"])");
  world_.advance(999ms);
  EXPECT_THAT(trail, ElementsAre("wake"));
  world_.advance(1ms);
  EXPECT_THAT(trail, ElementsAre("wake", "milk"));
  EXPECT_EQ(call("done"), R"(["milk"])");
  EXPECT_EQ(call("list"), "[]");
  world_.advance(1h);
  EXPECT_EQ(call("done"), R"(["milk"])");
}

TEST_F(ScheduleTest, timers_run_in_the_order_in_which_they_are_due) {
  call("after", R"([2000, "remind", "second"])");
  call("after", R"([1000, "remind", "first"])");
  call("after", R"([2000, "remind", "third"])");
  world_.advance(5s);
  EXPECT_EQ(call("done"), R"(["first","second","third"])");
}

TEST_F(ScheduleTest, a_timer_wakes_a_sleeping_actor) {
  call("after", R"([3600000, "remind", "milk"])");
  sleepNow();
  world_.advance(3599s);
  EXPECT_THAT(trail, ElementsAre("wake"));
  world_.advance(1s);
  EXPECT_THAT(trail, ElementsAre("wake", "wake", "milk"));
}

TEST_F(ScheduleTest, a_timer_survives_restarts_and_runs_at_once_when_it_was_due_meanwhile) {
  call("after", R"([1000, "remind", "milk"])");
  world_.restart();
  world_.clock().advance(1h);
  world_.settle();  // nobody calls the actor
  EXPECT_THAT(trail, ElementsAre("wake", "wake", "milk"));
  EXPECT_EQ(call("done"), R"(["milk"])");
}

TEST_F(ScheduleTest, a_timer_survives_a_crash) {
  call("after", R"([1000, "remind", "milk"])");
  world_.crash();
  world_.clock().advance(1h);
  world_.settle();
  EXPECT_EQ(call("done"), R"(["milk"])");
}

TEST_F(ScheduleTest, a_timer_that_ran_when_the_process_died_runs_again) {
  call("after", R"([1000, "slow", "work"])");
  world_.advance(2s);
  EXPECT_EQ(call("done"), R"(["work begins"])");
  world_.crash();
  world_.settle();
  EXPECT_EQ(call("done"), R"(["work begins","work begins"])");
  world_.advance(10s);
  EXPECT_EQ(call("done"), R"(["work begins","work begins","work ends"])");
  world_.crash();
  world_.advance(1min);
  EXPECT_EQ(call("done"), R"(["work begins","work begins","work ends"])");
}

TEST_F(ScheduleTest, what_an_action_wrote_and_the_end_of_its_timer_commit_together) {
  call("after", R"([1000, "remind", "milk"])");
  // At every store write there is either the timer or what it wrote.
  int writes = 0;
  world_.store().beforeWrite = [&](const store::DatabaseWrite& write) -> Status {
    if (write.commit) ++writes;
    return {};
  };
  world_.advance(1s);
  EXPECT_EQ(writes, 1);
  EXPECT_EQ(storedAlarm(), std::nullopt);
}

TEST_F(ScheduleTest, the_alarm_goes_into_the_store_with_the_commit_that_sets_the_timer) {
  call("done");
  const std::int64_t now = world_.clock().wallMs();
  std::vector<std::optional<std::int64_t>> alarms;
  world_.store().beforeWrite = [&](const store::DatabaseWrite& write) -> Status {
    if (write.commit) alarms.push_back(write.alarmChanged ? write.alarmMs : std::nullopt);
    return {};
  };
  call("after", R"([5000, "remind", "later"])");
  call("after", R"([1000, "remind", "sooner"])");
  call("after", R"([9000, "remind", "last"])");
  EXPECT_THAT(alarms, ElementsAre(now + 5000, now + 1000, std::nullopt));
  EXPECT_EQ(storedAlarm(), now + 1000);
}

TEST_F(ScheduleTest, a_turn_that_is_rolled_back_sets_no_timer) {
  EXPECT_THAT(call("setAndThrow"), StartsWith("user.no"));
  EXPECT_EQ(call("list"), "[]");
  world_.advance(1min);
  EXPECT_EQ(call("done"), "[]");
  EXPECT_EQ(call("after", R"([1000, "remind", "milk"])"), "1");
  world_.advance(1s);
  EXPECT_EQ(call("done"), R"(["milk"])");
}

TEST_F(ScheduleTest, a_cancelled_timer_does_not_run) {
  EXPECT_EQ(call("after", R"([1000, "remind", "milk"])"), "1");
  EXPECT_EQ(call("cancel", "[1]"), "true");
  EXPECT_EQ(call("cancel", "[1]"), "false");
  world_.advance(1min);
  EXPECT_EQ(call("done"), "[]");
  EXPECT_EQ(storedAlarm(), std::nullopt);
}

TEST_F(ScheduleTest, an_id_is_never_given_twice) {
  EXPECT_EQ(call("after", R"([1000, "remind", "milk"])"), "1");
  EXPECT_EQ(call("cancel", "[1]"), "true");
  EXPECT_EQ(call("after", R"([1000, "remind", "bread"])"), "2");
}

TEST_F(ScheduleTest, a_named_timer_takes_the_place_of_the_one_before) {
  call("named", R"(["shop", 1000, "milk"])");
  call("named", R"(["shop", 5000, "bread"])");
  EXPECT_EQ(call("list"), R"(["shop:remind[\"bread\"]"])");
  world_.advance(2s);
  EXPECT_EQ(call("done"), "[]");
  world_.advance(3s);
  EXPECT_EQ(call("done"), R"(["bread"])");
  call("named", R"(["shop", 1000, "milk"])");
  EXPECT_EQ(call("cancelNamed", R"(["shop"])"), "true");
  EXPECT_EQ(call("cancelNamed", R"(["shop"])"), "false");
}

TEST_F(ScheduleTest, an_action_may_set_its_own_timer_again_under_the_same_name) {
  call("after", R"([1000, "chain", "*"])");
  for (int i = 0; i < 6; ++i) world_.advance(1s);
  EXPECT_THAT(trail, ElementsAre("wake", "*", "**", "***", "****"));
}

TEST_F(ScheduleTest, an_action_that_throws_is_rolled_back_and_tried_again_ever_later) {
  failuresLeft = 2;
  call("after", R"([1000, "flaky", "milk"])");
  world_.advance(1s);
  EXPECT_THAT(trail, ElementsAre("wake", "attempt"));
  EXPECT_EQ(call("failure", "[1]"), R"("1 again: user.flaky: not this time")");
  world_.advance(700ms);  // a second, less up to a quarter
  EXPECT_THAT(trail, ElementsAre("wake", "attempt"));
  world_.advance(300ms);
  EXPECT_THAT(trail, ElementsAre("wake", "attempt", "attempt"));
  world_.advance(1400ms);
  EXPECT_THAT(trail, ElementsAre("wake", "attempt", "attempt"));
  world_.advance(600ms);
  EXPECT_THAT(trail, ElementsAre("wake", "attempt", "attempt", "attempt", "milk"));
  EXPECT_EQ(call("done"), R"(["attempt","milk"])");
}

TEST_F(ScheduleTest, after_the_last_try_a_timer_stays_as_failed) {
  failuresLeft = 100;
  call("after", R"([1000, "flaky", "milk"])");
  for (int i = 0; i < 60; ++i) world_.advance(1s);
  EXPECT_THAT(trail, ElementsAre("wake", "attempt", "attempt", "attempt"));
  EXPECT_EQ(call("failure", "[1]"), R"("3 given up: user.flaky: not this time")");
  EXPECT_EQ(call("done"), "[]");
  EXPECT_EQ(storedAlarm(), std::nullopt);
  EXPECT_EQ(call("cancel", "[1]"), "true");
}

TEST_F(ScheduleTest, an_action_that_takes_too_long_failed) {
  call("after", R"([1000, "forever", "x"])");
  for (int i = 0; i < 62; ++i) world_.advance(1s);
  EXPECT_EQ(call("failure", "[1]"),
            R"("1 again: actor.action_timed_out: the action took too long")");
}

TEST_F(ScheduleTest, a_store_that_does_not_answer_is_no_try) {
  call("after", R"([1000, "remind", "milk"])");
  bool isAway = true;
  world_.store().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    if (isAway) return Error{ErrorCode::Fenced, "another owner"};
    return {};
  };
  for (int i = 0; i < 200; ++i) world_.advance(1s);
  EXPECT_GT(trail.size(), 4u);
  const auto wakes = std::count(trail.begin(), trail.end(), "wake");
  EXPECT_LT(wakes, 12) << "an actor that breaks again and again is woken at growing distances";
  isAway = false;
  for (int i = 0; i < 61; ++i) world_.advance(1s);
  EXPECT_EQ(call("done"), R"(["milk"])");
  EXPECT_EQ(call("list"), "[]");
}

TEST_F(ScheduleTest, another_actor_that_does_not_answer_is_no_try) {
  call("after", R"([1000, "callOther", "x"])");
  bool isAway = true;
  world_.store().beforeOpen = [&](const store::OpenRequest& request) -> Status {
    if (isAway && request.name == "reminder/other") return Error{ErrorCode::Unavailable, "away"};
    return {};
  };
  for (int i = 0; i < 60; ++i) world_.advance(1s);
  EXPECT_EQ(call("failure", "[1]"), R"("0 again: ")");
  isAway = false;
  for (int i = 0; i < 6; ++i) world_.advance(1s);
  EXPECT_EQ(world_.call("reminder", "other", "done"), R"(["called"])");
}

TEST_F(ScheduleTest, a_store_whose_alarms_cannot_be_read_is_asked_again) {
  call("after", R"([10000, "remind", "milk"])");
  sleepNow();
  int asked = 0;
  bool isAway = true;
  world_.store().beforeDueAlarms = [&](std::int64_t, std::size_t) -> Status {
    ++asked;
    if (isAway) return Error{ErrorCode::Unavailable, "away"};
    return {};
  };
  for (int i = 0; i < 20; ++i) world_.advance(1s);
  EXPECT_THAT(asked, ::testing::AllOf(::testing::Gt(5), ::testing::Lt(25)));
  EXPECT_THAT(trail, ElementsAre("wake"));
  isAway = false;
  for (int i = 0; i < 2; ++i) world_.advance(1s);
  EXPECT_THAT(trail, ElementsAre("wake", "wake", "milk"));
}

TEST_F(ScheduleTest, an_alarm_that_another_node_set_is_found) {
  call("done");
  sleepNow();
  world_.run([&] {
    // Another process, with a loop of its own, has the actor for a while.
    auto opened = world_.store().open(
        {.name = "reminder/b", .create = store::Create::IfMissing, .claim = store::Claim::Take});
    const store::DatabaseWrite write{.id = opened->id,
                                     .epoch = opened->head.epoch,
                                     .alarmChanged = true,
                                     .alarmMs = world_.clock().wallMs() + 1000};
    ASSERT_TRUE(world_.store().write({&write, 1}).front().ok());
  });
  int opens = 0;
  world_.store().beforeOpen = [&](const store::OpenRequest& request) -> Status {
    if (request.name == "reminder/b") ++opens;
    return {};
  };
  for (int i = 0; i < 7; ++i) world_.advance(1s);
  EXPECT_GE(opens, 1);
}

TEST_F(ScheduleTest, many_wakes_are_spread) {
  for (int i = 0; i < 100; ++i) {
    world_.call("reminder", std::to_string(i), "after", R"([60000, "remind", "x"])");
  }
  for (int i = 0; i < 35; ++i) world_.advance(1s);
  int opening = 0;
  int most = 0;
  world_.store().beforeOpen = [&](const store::OpenRequest&) -> Status {
    most = std::max(most, ++opening);
    fiber::sleepFor(100ms);
    --opening;
    return {};
  };
  for (int i = 0; i < 300; ++i) world_.advance(100ms);
  EXPECT_EQ(std::count(trail.begin(), trail.end(), "x"), 100);
  EXPECT_EQ(most, 16);
}

TEST_F(ScheduleTest, an_actor_that_is_to_sleep_may_still_call_itself) {
  std::string reply;
  world_.spawn([&] {
    reply = ActorWorld::textOf(
        world_.host().run(ActorWorld::request("reminder", "a", "sleepAndCallSelf")));
  });
  world_.settle();
  world_.advance(1s);
  EXPECT_EQ(reply, "null");
  world_.settle();
  EXPECT_FALSE(world_.host().isAwake({.type = "reminder", .key = {"a"}}));
}

TEST_F(ScheduleTest, bounds_have_names) {
  EXPECT_THAT(call("many", "[6]"), StartsWith("actor.too_many_timers: "));
  EXPECT_EQ(call("list"), "[]");
  EXPECT_EQ(call("many", "[5]"), "null");
  EXPECT_THAT(call("many", "[1]"), StartsWith("actor.too_many_timers: "));
  world_.advance(1s);
  EXPECT_EQ(call("many", "[5]"), "null");
  EXPECT_EQ(call("cancel", "[6]"), "true");
  const std::string large(2000, 'x');
  EXPECT_THAT(call("after", R"([1, "remind", ")" + large + R"("])"),
              StartsWith("actor.value_too_large: "));
  EXPECT_THAT(call("unknown"), StartsWith("actor.unknown_action: "));
}

TEST_F(ScheduleTest, timers_interleave_with_calls_and_each_other) {
  call("after", R"([1000, "slow", "a"])");
  call("after", R"([2000, "slow", "b"])");
  world_.advance(1s);
  world_.advance(1s);
  EXPECT_EQ(call("done"), R"(["a begins","b begins"])");
  world_.advance(10s);
  EXPECT_EQ(call("done"), R"(["a begins","b begins","a ends","b ends"])");
}

TEST_F(ScheduleTest, many_actors_wake_for_their_timers) {
  for (int i = 0; i < 1000; ++i) {
    world_.call("reminder", std::to_string(i), "after", R"([60000, "remind", "x"])");
  }
  for (int i = 0; i < 35; ++i) world_.advance(1s);
  EXPECT_EQ(world_.host().stats().actorsAwake, 0u);
  trail.clear();
  for (int i = 0; i < 30; ++i) world_.advance(1s);
  EXPECT_EQ(std::count(trail.begin(), trail.end(), "x"), 1000);
}

TEST_F(ScheduleTest, a_destroyed_actor_leaves_no_alarm) {
  call("after", R"([1000, "remind", "milk"])");
  world_.run([&] { (void)world_.host().destroy({.type = "reminder", .key = {"a"}}); });
  world_.advance(1min);
  EXPECT_THAT(trail, ElementsAre("wake"));
  world_.run([&] { EXPECT_THAT(*world_.store().dueAlarms(INT64_MAX, 10), IsEmpty()); });
}

TEST_F(ScheduleTest, a_type_that_nobody_runs_here_does_not_hold_up_the_others) {
  call("after", R"([1000, "remind", "milk"])");
  world_.call("reminder", "b", "after", R"([1000, "remind", "bread"])");
  world_.restart();
  world_.registry() = actor::Registry();
  world_.advance(10s);
  world_.restart();
  world_.add<Reminder>("reminder");
  for (int i = 0; i < 61; ++i) world_.advance(1s);
  EXPECT_EQ(call("done"), R"(["milk"])");
}

struct Careful : Reminder {
  static void define(Definition<Careful>& d) {
    d.action("start", &Careful::start).action("work", &Careful::work);
    d.options().concurrency = Concurrency::OneAtATime;
  }
  void start(Context& c) {
    c.schedule().after(1s, "work", "first");
    c.schedule().after(1s, "work", "second");
  }
  void work(Context& c, std::string name) {
    trail.push_back(name + " begins");
    c.sleepFor(1s);
    trail.push_back(name + " ends");
  }
};

TEST_F(ScheduleTest, one_at_a_time_holds_for_timers_too) {
  world_.add<Careful>("careful");
  world_.call("careful", "a", "start");
  std::string reply;
  world_.advance(1s);
  world_.spawn([&] {
    reply = ActorWorld::textOf(
        world_.host().run(ActorWorld::request("careful", "a", "work", R"(["call"])")));
  });
  for (int i = 0; i < 4; ++i) world_.advance(1s);
  EXPECT_THAT(trail, ElementsAre("first begins", "first ends", "second begins", "second ends",
                                 "call begins", "call ends"));
}

}  // namespace
}  // namespace skep::testing
