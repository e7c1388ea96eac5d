// The test kit itself: its clock, sleep, failures, and that a run is the same each time.

#include <gmock/gmock.h>
#include <skep/testing.h>

namespace skep {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> trail;

struct Probe : Actor {
  static void define(Definition<Probe>& d) {
    d.action("tick", &Probe::tick).action("wait", &Probe::wait).action("fail", &Probe::fail);
    d.action("plan", &Probe::plan).action("never", &Probe::never).action("calls", &Probe::calls);
    d.queue("echo", &Probe::echo);
    d.onCreate(&Probe::onCreate);
    d.options().actionTimeout = std::chrono::hours(2);
  }
  std::int64_t callCount = 0;
  void onCreate(Context&, std::optional<std::string> input) {
    if (input) trail.push_back("create " + *input);
  }
  std::int64_t calls(Context&) { return ++callCount; }
  void tick(Context& c, std::string name) {
    trail.push_back(name + std::to_string((c.now().time_since_epoch() / 1s) - 1'700'000'000));
  }
  std::int64_t wait(Context& c, std::int64_t seconds) {
    c.sleepFor(std::chrono::seconds(seconds));
    return seconds;
  }
  void fail(Context&) { throw UserError("no", "not at all"); }
  void plan(Context& c) {
    c.cron().set({.name = "daily", .expression = "@daily", .action = "tick"}, "day ");
    c.cron().every({.name = "weekly", .interval = 24h * 7, .action = "tick"}, "week ");
    c.schedule().after(36h, "tick", "once ");
  }
  void never(Context& c) { c.sleepFor(90min); }
  std::string echo(Context&, std::string text) { return text + "!"; }
};

class TestHostTest : public ::testing::Test {
 protected:
  TestHostTest() { trail.clear(); }
  TestHost host_{registry<Probe>("probe")};
};

TEST_F(TestHostTest, time_stands_still_until_the_test_moves_it) {
  const Time start = host_.now();
  EXPECT_EQ(host_.call<std::int64_t>("probe", {"a"}, "calls"), 1);
  EXPECT_EQ(host_.now(), start);
  host_.advance(90s);
  EXPECT_EQ(host_.now(), start + 90s);
  host_.advanceTo(start + 10min);
  EXPECT_EQ(host_.now(), start + 10min);
}

TEST_F(TestHostTest, what_is_due_happens_at_its_time_and_in_order) {
  host_.call("probe", {"a"}, "plan");
  host_.advance(24h * 8);
  // The clock starts at 22:13:20.
  EXPECT_THAT(trail,
              ElementsAre("day 6400", "day 92800", "once 129600", "day 179200", "day 265600",
                          "day 352000", "day 438400", "day 524800", "week 604800", "day 611200"));
}

TEST_F(TestHostTest, a_year_passes_quickly_and_the_same_way_each_time) {
  std::vector<std::string> first;
  for (int round = 0; round < 2; ++round) {
    trail.clear();
    TestHost host(registry<Probe>("probe"));
    for (const char* key : {"a", "b", "c"}) host.call("probe", {key}, "plan");
    host.advance(24h * 365);
    EXPECT_EQ(trail.size(), 3u * (365 + 52 + 1));
    if (round == 0) first = trail;
  }
  EXPECT_EQ(trail, first);
}

TEST_F(TestHostTest, a_call_that_waits_moves_the_clock) {
  const Time start = host_.now();
  EXPECT_EQ(host_.call<std::int64_t>("probe", {"a"}, "wait", 90), 90);
  EXPECT_EQ(host_.now(), start + 90s);
}

TEST_F(TestHostTest, actors_fall_asleep_and_wake) {
  host_.call("probe", {"a"}, "calls");
  EXPECT_TRUE(host_.isAwake("probe", {"a"}));
  host_.advance(31s);
  EXPECT_FALSE(host_.isAwake("probe", {"a"}));
  EXPECT_EQ(host_.call<std::int64_t>("probe", {"a"}, "calls"), 1);
  host_.sleep("probe", {"a"});
  EXPECT_FALSE(host_.isAwake("probe", {"a"}));
}

TEST_F(TestHostTest, what_is_stored_outlives_a_restart) {
  host_.call("probe", {"a"}, "plan");
  host_.restart();
  EXPECT_FALSE(host_.isAwake("probe", {"a"}));
  host_.advance(2h);
  EXPECT_THAT(trail, ElementsAre("day 6400"));
}

TEST_F(TestHostTest, failures_are_exceptions) {
  try {
    host_.call("probe", {"a"}, "fail");
    FAIL() << "it did not throw";
  } catch (const ActorError& error) {
    EXPECT_EQ(error.failure().toString(), "user.no: not at all");
  }
  EXPECT_THROW(host_.call("probe", {"a"}, "nothing"), ActorError);
  EXPECT_THROW(host_.call("nobody", {"a"}, "tick"), ActorError);
  EXPECT_THROW(host_.call("probe", {}, "tick"), ActorError);
  EXPECT_THROW(host_.call<std::string>("probe", {"a"}, "calls"), InvalidValue);
}

TEST_F(TestHostTest, a_call_that_takes_too_long_is_given_up) {
  EXPECT_THROW(host_.call("probe", {"a"}, "never"), std::runtime_error);
  host_.advance(2h);
}

TEST_F(TestHostTest, messages_and_existence) {
  EXPECT_EQ(host_.sendAndWait<std::string>("probe", {"a"}, "echo", "hello"), "hello!");
  EXPECT_EQ(host_.send("probe", {"a"}, "echo", "again"), 2);
  EXPECT_THROW(host_.create("probe", {"a"}, "input"), ActorError);
  host_.destroy("probe", {"a"});
  host_.create("probe", {"a"}, "input");
  EXPECT_THAT(trail, ElementsAre("create input"));
}

}  // namespace
}  // namespace skep
