// CronExpression: when a job runs, as crontab(5) writes it, in a time zone.
//
//   minute hour day-of-month month day-of-week     "30 9 * * mon-fri"
//
// Five fields of `*`, numbers, ranges `a-b`, steps `*/n` and `a-b/n`, and lists of those; months and days
// of the week also by their first three letters; 0 and 7 are Sunday. Also @yearly, @annually, @monthly,
// @weekly, @daily, @midnight and @hourly. When both day fields are restricted (do not begin with `*`),
// a day that fits either one fits, as in Vixie cron.
//
// Where a zone's clock is set forward or back, cron(8)'s rule holds. A job whose minute or hour field
// begins with `*` runs whenever the clock on the wall fits. Any other job runs once a slot: one that the
// clock skipped runs right after the change, one that the clock shows twice runs the first time.
//
// Plain values, any thread. Zones are read from the system's tzdata (cctz), once each.
//
//   SKEP_TRY(CronExpression daily, CronExpression::parse("30 2 * * *", "Europe/Berlin"));
//   std::optional<std::int64_t> next = daily.nextAfter(nowMs);

#pragma once

#include <cctz/time_zone.h>

#include <bitset>
#include <cstdint>
#include <optional>
#include <string_view>

#include "skep/base/result.h"

namespace skep::actor {

class CronExpression {
 public:
  /// InvalidArgument, with what is wrong and where: a field, a name, an unknown time zone, or an
  /// expression that never comes true (February 30). An empty zone is UTC.
  static Result<CronExpression> parse(std::string_view expression, std::string_view timeZone);

  /// The first time later than `afterMs` (Unix ms), a whole minute but for zones whose clock changes
  /// within one. Nothing when there is none within the next 40 years.
  std::optional<std::int64_t> nextAfter(std::int64_t afterMs) const;

  /// Whether the clock on the wall fits.
  bool matches(const cctz::civil_minute& minute) const;
  /// Runs whenever the clock fits, rather than once a slot: see above.
  bool isWildcard() const { return minuteStar_ || hourStar_; }
  const cctz::time_zone& timeZone() const { return zone_; }

 private:
  CronExpression() = default;
  bool matchesDay(const cctz::civil_day& day) const;
  std::optional<cctz::civil_minute> nextMatch(cctz::civil_minute from, int yearMax) const;
  std::optional<std::int64_t> nextSlot(std::int64_t afterSeconds) const;
  std::optional<std::int64_t> nextWildcard(std::int64_t afterSeconds) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;     // 1 to 31
  std::bitset<13> months_;   // 1 to 12
  std::bitset<7> weekdays_;  // 0 is Sunday
  bool minuteStar_ = false;
  bool hourStar_ = false;
  bool dayStar_ = false;
  bool weekdayStar_ = false;
  cctz::time_zone zone_;
};

/// InvalidArgument when the system knows no such zone. Empty: UTC.
Result<cctz::time_zone> findTimeZone(std::string_view name);

}  // namespace skep::actor
