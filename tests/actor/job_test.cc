// Jobs: what a cron expression or an interval runs again and again, and its history.

#include <gmock/gmock.h>

#include "skep/testing/actor_world.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::StartsWith;

std::vector<std::string> trail;
int failuresLeft = 0;

struct Station : Actor {
  static void define(Definition<Station>& d) {
    d.action("set", &Station::set).action("every", &Station::every).action("work", &Station::work);
    d.action("remove", &Station::remove)
        .action("list", &Station::list)
        .action("next", &Station::next);
    d.action("history", &Station::history).action("slow", &Station::slow);
    d.action("flaky", &Station::flaky).action("removeSelf", &Station::removeSelf);
    d.action("replaceSelf", &Station::replaceSelf);
    d.options().schedule.retry = {.triesMax = 3, .first = 1s, .longest = 10s};
    d.options().schedule.runsKept = 3;
  }
  void set(Context& c, std::string name, std::string expression, std::string action,
           std::optional<std::string> zone) {
    c.cron().set(
        {.name = name, .expression = expression, .action = action, .timeZone = zone.value_or("")},
        name);
  }
  void every(Context& c, std::string name, std::int64_t ms, std::string action) {
    c.cron().every({.name = name, .interval = std::chrono::milliseconds(ms), .action = action},
                   name);
  }
  void work(Context& c, std::string name) {
    // The test's clock starts at 2023-11-14 22:13:20 UTC.
    trail.push_back(name + "@" + std::to_string((c.now().time_since_epoch() / 1s) - 1'700'000'000));
  }
  bool remove(Context& c, std::string name) { return c.cron().remove(name); }
  std::vector<std::string> list(Context& c) {
    std::vector<std::string> names;
    for (const JobInfo& job : c.cron().list()) {
      names.push_back(job.name + " " + job.expression + job.timeZone +
                      std::to_string(job.interval.count()) + " " + job.action +
                      job.arguments.dump());
    }
    return names;
  }
  std::int64_t next(Context& c, std::string name) {
    return c.cron().get(name)->next.time_since_epoch() / 1s - 1'700'000'000;
  }
  std::vector<std::string> history(Context& c, std::string name) {
    std::vector<std::string> runs;
    for (const JobRunInfo& run : c.cron().history(name)) {
      const auto second = [](Time time) {
        return std::to_string(time.time_since_epoch() / 1s - 1'700'000'000);
      };
      runs.push_back(second(run.scheduled) + " " + second(run.started) + "-" + second(run.ended) +
                     " " + run.error.value_or("ok"));
    }
    return runs;
  }
  void slow(Context& c, std::string name) {
    work(c, name + " begins");
    c.sleepFor(25s);
    work(c, name + " ends");
  }
  void flaky(Context& c, std::string name) {
    work(c, name);
    if (failuresLeft-- > 0) throw UserError("flaky", "not this time");
  }
  void removeSelf(Context& c, std::string name) {
    work(c, name);
    c.cron().remove(name);
  }
  void replaceSelf(Context& c, std::string name) {
    work(c, name);
    every(c, name, 60'000, "work");
  }
};

class JobTest : public ::testing::Test {
 protected:
  JobTest() {
    trail.clear();
    failuresLeft = 0;
    world_.add<Station>("station");
  }
  std::string call(const std::string& action, const std::string& arguments = "[]") {
    return world_.call("station", "a", action, arguments);
  }
  void pass(std::chrono::seconds time) {
    for (; time > 0s; time -= 1s) world_.advance(1s);
  }

  ActorWorld world_;
};

TEST_F(JobTest, a_cron_job_runs_by_its_expression_asleep_or_not) {
  call("set", R"(["hourly", "0 * * * *", "work", null])");
  EXPECT_EQ(call("next", R"(["hourly"])"), "2800");  // 23:00
  pass(3h);
  EXPECT_THAT(trail, ElementsAre("hourly@2800", "hourly@6400", "hourly@10000"));
  EXPECT_EQ(world_.host().stats().actorsAwake, 0u);
}

TEST_F(JobTest, a_cron_job_knows_its_time_zone) {
  call("set", R"(["morning", "30 9 * * *", "work", "Asia/Tokyo"])");  // 00:30 UTC
  EXPECT_EQ(call("next", R"(["morning"])"), std::to_string(6400 + 1800 + 0));
  EXPECT_EQ(call("list"), R"(["morning 30 9 * * *Asia/Tokyo0 work[\"morning\"]"])");
}

TEST_F(JobTest, an_interval_keeps_its_distance_and_does_not_drift) {
  call("every", R"(["pulse", 10000, "slow"])");
  pass(71s);
  // A run of 25 s: those slots that it covers are passed over; it never runs twice at once.
  EXPECT_THAT(trail, ElementsAre("pulse begins@10", "pulse ends@35", "pulse begins@40",
                                 "pulse ends@65", "pulse begins@70"));
}

TEST_F(JobTest, after_downtime_a_job_runs_once_and_then_on_schedule) {
  call("every", R"(["pulse", 10000, "work"])");
  pass(20s);
  world_.crash();
  world_.clock().advance(1005s);
  world_.settle();
  EXPECT_THAT(trail, ElementsAre("pulse@10", "pulse@20", "pulse@1025"));
  pass(15s);
  EXPECT_THAT(trail, ElementsAre("pulse@10", "pulse@20", "pulse@1025", "pulse@1030", "pulse@1040"));
}

TEST_F(JobTest, setting_a_job_again_changes_nothing_unless_it_differs) {
  call("every", R"(["pulse", 10000, "work"])");
  pass(6s);
  call("every", R"(["pulse", 10000, "work"])");
  EXPECT_EQ(call("next", R"(["pulse"])"), "10");
  call("every", R"(["pulse", 10000, "flaky"])");  // another action, the same times
  EXPECT_EQ(call("next", R"(["pulse"])"), "10");
  call("every", R"(["pulse", 20000, "work"])");
  EXPECT_EQ(call("next", R"(["pulse"])"), "26");
  call("set", R"(["pulse", "0 * * * *", "work", null])");
  EXPECT_EQ(call("next", R"(["pulse"])"), "2800");
  EXPECT_EQ(call("list"), R"(["pulse 0 * * * *0 work[\"pulse\"]"])");
}

TEST_F(JobTest, a_removed_job_runs_no_more_and_has_no_history) {
  call("every", R"(["pulse", 10000, "work"])");
  pass(10s);
  EXPECT_EQ(call("remove", R"(["pulse"])"), "true");
  EXPECT_EQ(call("remove", R"(["pulse"])"), "false");
  EXPECT_EQ(call("history", R"(["pulse"])"), "[]");
  pass(30s);
  EXPECT_THAT(trail, ElementsAre("pulse@10"));
}

TEST_F(JobTest, a_job_may_remove_or_change_itself) {
  call("every", R"(["once", 10000, "removeSelf"])");
  call("every", R"(["slower", 10000, "replaceSelf"])");
  pass(75s);
  EXPECT_THAT(trail, ElementsAre("once@10", "slower@10", "slower@70"));
  EXPECT_EQ(call("history", R"(["once"])"), "[]");
}

TEST_F(JobTest, the_newest_runs_are_kept_with_what_became_of_them) {
  call("every", R"(["pulse", 60000, "flaky"])");
  pass(120s);
  failuresLeft = 1;
  pass(70s);
  EXPECT_EQ(call("history", R"(["pulse"])"),
            R"(["180 181-181 ok","180 180-180 user.flaky: not this time","120 120-120 ok"])");
}

TEST_F(JobTest, a_job_that_fails_too_often_goes_on_with_its_next_slot) {
  failuresLeft = 3;
  call("every", R"(["pulse", 60000, "flaky"])");
  pass(130s);
  EXPECT_THAT(trail, ElementsAre("pulse@60", "pulse@61", "pulse@63", "pulse@120"));
}

TEST_F(JobTest, a_next_slot_comes_before_another_try) {
  failuresLeft = 1;
  call("every", R"(["pulse", 500, "flaky"])");
  world_.advance(500ms);
  world_.advance(500ms);
  EXPECT_THAT(trail, ElementsAre("pulse@0", "pulse@1"));
  EXPECT_EQ(call("history", R"(["pulse"])"), R"(["1 1-1 ok","0 0-0 user.flaky: not this time"])");
}

TEST_F(JobTest, what_cannot_be_a_job_is_refused) {
  EXPECT_THAT(call("set", R"(["x", "61 * * * *", "work", null])"),
              StartsWith("actor.invalid_schedule: cron: minute '61'"));
  EXPECT_THAT(call("set", R"(["x", "0 * * * *", "work", "Nowhere"])"),
              StartsWith("actor.invalid_schedule: there is no time zone"));
  EXPECT_THAT(call("set", R"(["", "0 * * * *", "work", null])"),
              StartsWith("actor.invalid_schedule: a job has a name"));
  EXPECT_THAT(call("every", R"(["x", 0, "work"])"), StartsWith("actor.invalid_schedule: "));
  EXPECT_THAT(call("every", R"(["x", -5, "work"])"), StartsWith("actor.invalid_schedule: "));
  EXPECT_THAT(call("every", R"(["x", 5, "nothing"])"), StartsWith("actor.unknown_action: "));
  EXPECT_EQ(call("list"), "[]");
}

}  // namespace
}  // namespace skep::testing
