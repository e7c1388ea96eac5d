// Cron expressions: what they say, what is refused, and when they run where clocks are set forward and back.

#include "skep/actor/cron.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <random>

namespace skep::actor {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kMinuteMs = 60'000;

/// "2026-03-29 01:30:00" in the zone, as Unix ms; the first of two.
std::int64_t at(const std::string& text, const std::string& zone = "UTC") {
  cctz::time_point<cctz::seconds> time;
  EXPECT_TRUE(cctz::parse("%Y-%m-%d %H:%M:%S", text, *findTimeZone(zone), &time)) << text;
  return time.time_since_epoch().count() * 1000;
}

/// With the offset: the two 02:30 of the night in which clocks are set back differ by it.
std::string textOf(std::int64_t ms, const std::string& zone) {
  return cctz::format("%Y-%m-%d %H:%M %z",
                      cctz::time_point<cctz::seconds>(cctz::seconds(ms / 1000)),
                      *findTimeZone(zone));
}

/// The next `count` runs behind `after`.
std::vector<std::string> runs(const std::string& expression, const std::string& after, int count,
                              const std::string& zone = "UTC") {
  const auto cron = CronExpression::parse(expression, zone);
  if (!cron) return {cron.error().message};
  std::vector<std::string> texts;
  std::int64_t time = at(after, zone);
  for (int i = 0; i < count; ++i) {
    const std::optional<std::int64_t> next = cron->nextAfter(time);
    if (!next) break;
    texts.push_back(textOf(*next, zone));
    time = *next;
  }
  return texts;
}

std::string next(const std::string& expression, const std::string& after,
                 const std::string& zone = "UTC") {
  return runs(expression, after, 1, zone).at(0);
}

struct Case {
  const char* expression;
  const char* after;
  const char* expected;
};

TEST(CronTest, each_kind_of_field_is_understood) {
  const Case cases[] = {
      {"* * * * *", "2026-01-01 00:00:00", "2026-01-01 00:01 +0000"},
      {"* * * * *", "2026-01-01 00:00:59", "2026-01-01 00:01 +0000"},
      {"5 * * * *", "2026-01-01 00:05:00", "2026-01-01 01:05 +0000"},
      {"30 9 * * *", "2026-01-01 09:29:59", "2026-01-01 09:30 +0000"},
      {"30 9 * * *", "2026-01-01 09:30:00", "2026-01-02 09:30 +0000"},
      {"*/15 * * * *", "2026-01-01 00:16:00", "2026-01-01 00:30 +0000"},
      {"10-40/15 * * * *", "2026-01-01 00:11:00", "2026-01-01 00:25 +0000"},
      {"10-40/15 * * * *", "2026-01-01 00:40:00", "2026-01-01 01:10 +0000"},
      {"0 0,12 * * *", "2026-01-01 00:00:00", "2026-01-01 12:00 +0000"},
      {"0 1-3,20-22/2 * * *", "2026-01-01 03:00:00", "2026-01-01 20:00 +0000"},
      {"0 0 1 * *", "2026-01-31 10:00:00", "2026-02-01 00:00 +0000"},
      {"0 0 31 * *", "2026-01-31 10:00:00", "2026-03-31 00:00 +0000"},
      {"0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00 +0000"},
      {"0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00 +0000"},
      {"0 0 1 jan *", "2026-01-01 00:00:00", "2027-01-01 00:00 +0000"},
      {"0 0 1 MAR-May *", "2026-03-01 00:00:00", "2026-04-01 00:00 +0000"},
      {"0 0 * * mon", "2026-01-01 00:00:00", "2026-01-05 00:00 +0000"},
      {"0 0 * * 1-5", "2026-01-02 00:00:00", "2026-01-05 00:00 +0000"},
      {"0 0 * * 0", "2026-01-01 00:00:00", "2026-01-04 00:00 +0000"},
      {"0 0 * * 7", "2026-01-01 00:00:00", "2026-01-04 00:00 +0000"},
      {"0 0 * * Fri-Sun", "2026-01-03 00:00:00", "2026-01-04 00:00 +0000"},
      {"0 0 * * 5-7", "2026-01-03 00:00:00", "2026-01-04 00:00 +0000"},
      // Either day field, when both are restricted; both, when one begins with *.
      {"0 0 13 * fri", "2026-01-02 00:00:00", "2026-01-09 00:00 +0000"},
      {"0 0 13 * fri", "2026-01-09 00:00:00", "2026-01-13 00:00 +0000"},
      {"0 0 */2 * mon", "2026-01-01 00:00:00", "2026-01-05 00:00 +0000"},
      {"0 0 */2 * mon", "2026-01-05 00:00:00", "2026-01-19 00:00 +0000"},
      {"  0\t0  1 1 *  ", "2026-01-01 00:00:00", "2027-01-01 00:00 +0000"},
      {"@yearly", "2026-01-01 00:00:00", "2027-01-01 00:00 +0000"},
      {"@annually", "2026-05-01 00:00:00", "2027-01-01 00:00 +0000"},
      {"@monthly", "2026-01-01 00:00:00", "2026-02-01 00:00 +0000"},
      {"@weekly", "2026-01-01 00:00:00", "2026-01-04 00:00 +0000"},
      {"@daily", "2026-01-01 00:00:00", "2026-01-02 00:00 +0000"},
      {"@Midnight", "2026-01-01 00:00:00", "2026-01-02 00:00 +0000"},
      {"@hourly", "2026-01-01 00:00:00", "2026-01-01 01:00 +0000"},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(next(each.expression, each.after), each.expected)
        << each.expression << " after " << each.after;
  }
}

TEST(CronTest, what_is_wrong_is_said_with_its_place) {
  const auto refusal = [](const std::string& expression, const std::string& zone = "") {
    const auto parsed = CronExpression::parse(expression, zone);
    return parsed ? std::string("accepted") : parsed.error().message;
  };
  EXPECT_THAT(refusal(""), HasSubstr("five fields"));
  EXPECT_THAT(refusal("* * * *"), HasSubstr("has 4"));
  EXPECT_THAT(refusal("0 * * * * *"), HasSubstr("has 6"));
  EXPECT_THAT(refusal("60 * * * *"), HasSubstr("minute '60': 60 is outside of 0 to 59"));
  EXPECT_THAT(refusal("* 24 * * *"), HasSubstr("hour '24'"));
  EXPECT_THAT(refusal("* * 0 * *"), HasSubstr("day of month '0'"));
  EXPECT_THAT(refusal("* * 32 * *"), HasSubstr("day of month '32'"));
  EXPECT_THAT(refusal("* * * 13 *"), HasSubstr("month '13'"));
  EXPECT_THAT(refusal("* * * * 8"), HasSubstr("day of week '8'"));
  EXPECT_THAT(refusal("* * * foo *"), HasSubstr("'foo' is no number and no name"));
  EXPECT_THAT(refusal("mon * * * *"), HasSubstr("'mon' is no number"));
  EXPECT_THAT(refusal("5-1 * * * *"), HasSubstr("ends before it begins"));
  EXPECT_THAT(refusal("5/2 * * * *"), HasSubstr("a step follows"));
  EXPECT_THAT(refusal("*/0 * * * *"), HasSubstr("a step is 1 to 59"));
  EXPECT_THAT(refusal("*/99999999999 * * * *"), HasSubstr("is no number"));
  EXPECT_THAT(refusal("1,,2 * * * *"), HasSubstr("is empty"));
  EXPECT_THAT(refusal("-1 * * * *"), HasSubstr("minute '-1'"));
  EXPECT_THAT(refusal("1- * * * *"), HasSubstr("minute '1-'"));
  EXPECT_THAT(refusal("+1 * * * *"), HasSubstr("minute '+1'"));
  EXPECT_THAT(refusal("** * * * *"), HasSubstr("minute '**'"));
  EXPECT_THAT(refusal("@reboot"), HasSubstr("'@reboot' is not known"));
  EXPECT_THAT(refusal("0 0 30 2 *"), HasSubstr("fits no day"));
  EXPECT_THAT(refusal("0 0 31 4,6,9,11 *"), HasSubstr("fits no day"));
  EXPECT_THAT(refusal("* * * * *", "Mars/Olympus"), HasSubstr("no time zone named 'Mars/Olympus'"));
  EXPECT_THAT(refusal("* * * * *", "/etc/passwd"), HasSubstr("no time zone"));
  EXPECT_THAT(refusal("* * * * *", "../etc/localtime"), HasSubstr("no time zone"));
}

// In Berlin, 2026-03-29 02:00 became 03:00, and 2026-10-25 03:00 became 02:00 again.

TEST(CronTest, a_daily_job_in_the_hour_that_is_skipped_runs_right_after_it) {
  EXPECT_EQ(runs("30 2 * * *", "2026-03-27 12:00:00", 3, "Europe/Berlin"),
            (std::vector<std::string>{"2026-03-28 02:30 +0100", "2026-03-29 03:00 +0200",
                                      "2026-03-30 02:30 +0200"}));
  // Two slots that were skipped are one run.
  EXPECT_EQ(runs("0,30 2 * * *", "2026-03-28 12:00:00", 2, "Europe/Berlin"),
            (std::vector<std::string>{"2026-03-29 03:00 +0200", "2026-03-30 02:00 +0200"}));
}

TEST(CronTest, a_daily_job_in_the_hour_that_comes_twice_runs_the_first_time) {
  EXPECT_EQ(runs("30 2 * * *", "2026-10-24 12:00:00", 2, "Europe/Berlin"),
            (std::vector<std::string>{"2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"}));
}

TEST(CronTest, a_wildcard_job_runs_by_real_time) {
  EXPECT_EQ(runs("*/30 * * * *", "2026-10-25 01:30:00", 5, "Europe/Berlin"),
            (std::vector<std::string>{"2026-10-25 02:00 +0200", "2026-10-25 02:30 +0200",
                                      "2026-10-25 02:00 +0100", "2026-10-25 02:30 +0100",
                                      "2026-10-25 03:00 +0100"}));
  EXPECT_EQ(runs("*/30 * * * *", "2026-03-29 01:00:00", 3, "Europe/Berlin"),
            (std::vector<std::string>{"2026-03-29 01:30 +0100", "2026-03-29 03:00 +0200",
                                      "2026-03-29 03:30 +0200"}));
}

TEST(CronTest, other_changes_of_the_clock_hold_too) {
  // Lord Howe Island goes by half an hour.
  EXPECT_EQ(runs("15 2 * * *", "2026-10-03 12:00:00", 2, "Australia/Lord_Howe"),
            (std::vector<std::string>{"2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"}));
  // Samoa had no December 30 in 2011.
  EXPECT_EQ(runs("0 12 * * *", "2011-12-29 12:00:00", 2, "Pacific/Apia"),
            (std::vector<std::string>{"2011-12-31 00:00 +1400", "2011-12-31 12:00 +1400"}));
}

/// cron(8) as it goes: minute by minute of real time, with the clock on the wall beside it.
class SlowCron {
 public:
  SlowCron(const CronExpression& cron, std::int64_t startMs)
      : cron_(cron), seen_(wall(startMs)), timeMs_(startMs) {}

  std::int64_t next(std::int64_t limitMs) {
    while (timeMs_ < limitMs) {
      timeMs_ += kMinuteMs;
      const cctz::civil_minute now = wall(timeMs_);
      if (cron_.isWildcard()) {
        if (cron_.matches(now)) return timeMs_;
        continue;
      }
      // Each minute of the wall clock that has not been looked at yet: those that it skipped, too.
      bool isDue = false;
      while (seen_ < now) isDue = cron_.matches(++seen_) || isDue;
      if (isDue) return timeMs_;
    }
    return limitMs;
  }

 private:
  cctz::civil_minute wall(std::int64_t ms) const {
    return cctz::civil_minute(
        cctz::convert(cctz::time_point<cctz::seconds>(cctz::seconds(ms / 1000)), cron_.timeZone()));
  }

  const CronExpression& cron_;
  cctz::civil_minute seen_;
  std::int64_t timeMs_;
};

std::string randomField(std::mt19937_64& random, int first, int last) {
  const auto number = [&](int from, int to) {
    return std::uniform_int_distribution<int>(from, to)(random);
  };
  const auto part = [&]() -> std::string {
    const int from = number(first, last);
    switch (number(0, 4)) {
      case 0:
        return "*/" + std::to_string(number(1, last));
      case 1:
        return std::to_string(from) + "-" + std::to_string(number(from, last));
      case 2:
        return std::to_string(from) + "-" + std::to_string(number(from, last)) + "/" +
               std::to_string(number(1, last));
      default:
        return std::to_string(from);
    }
  };
  if (number(0, 2) == 0) return "*";
  std::string field = part();
  while (number(0, 2) == 0) field += "," + part();
  return field;
}

TEST(CronTest, random_expressions_run_when_a_slow_model_says) {
  std::uint64_t seed = std::random_device()();
  if (const char* given = std::getenv("SKEP_TEST_SEED")) seed = std::strtoull(given, nullptr, 10);
  SCOPED_TRACE("SKEP_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::vector<std::string> zones = {"UTC",
                                          "Europe/Berlin",
                                          "America/New_York",
                                          "Australia/Lord_Howe",
                                          "America/St_Johns",
                                          "Asia/Kolkata",
                                          "Africa/Casablanca",
                                          "Pacific/Apia"};
  constexpr std::int64_t kDayMs = 24 * 60 * kMinuteMs;
  for (int round = 0; round < 300; ++round) {
    const std::string& zone = zones[random() % zones.size()];
    const std::string expression = randomField(random, 0, 59) + " " + randomField(random, 0, 23) +
                                   " " + randomField(random, 1, 31) + " " +
                                   randomField(random, 1, 12) + " " + randomField(random, 0, 7);
    SCOPED_TRACE(expression + " in " + zone);
    const auto cron = CronExpression::parse(expression, zone);
    if (!cron) {
      ASSERT_THAT(cron.error().message, HasSubstr("fits no day"));
      continue;
    }
    // Mostly around a change of the clock; else any time from 2005 to 2035.
    std::int64_t start = at("2005-01-01 00:00:00") +
                         static_cast<std::int64_t>(random() % (30 * 365 * 24 * 60)) * kMinuteMs;
    cctz::time_zone::civil_transition change;
    const auto from = cctz::time_point<cctz::seconds>(cctz::seconds(start / 1000));
    if (round % 4 != 0 && cron->timeZone().next_transition(from, &change)) {
      const auto changes = cron->timeZone().lookup(change.to).trans;
      start = changes.time_since_epoch().count() * 1000 - kDayMs;
    }
    const std::int64_t end = start + 3 * kDayMs;
    SlowCron model(*cron, start);
    for (std::int64_t time = start; time < end;) {
      const std::int64_t expected = model.next(end);
      const std::int64_t got = cron->nextAfter(time).value_or(end);
      if (expected >= end) {
        ASSERT_GE(got, end) << textOf(got, zone) << " behind " << textOf(time, zone);
        break;
      }
      ASSERT_EQ(textOf(got, zone), textOf(expected, zone)) << "behind " << textOf(time, zone);
      time = got;
    }
  }
}

}  // namespace
}  // namespace skep::actor
