#include "skep/actor/cron.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

namespace skep::actor {
namespace {

using cctz::civil_day;
using cctz::civil_hour;
using cctz::civil_minute;
using cctz::civil_month;
using cctz::civil_second;

constexpr int kYearsAhead = 40;
constexpr std::int64_t kMinuteSeconds = 60;

constexpr std::array kMonthNames = {"jan", "feb", "mar", "apr", "may", "jun",
                                    "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array kWeekdayNames = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Nickname {
  std::string_view name;
  std::string_view expression;
};
constexpr std::array kNicknames = {
    Nickname{"@yearly", "0 0 1 1 *"},  Nickname{"@annually", "0 0 1 1 *"},
    Nickname{"@monthly", "0 0 1 * *"}, Nickname{"@weekly", "0 0 * * 0"},
    Nickname{"@daily", "0 0 * * *"},   Nickname{"@midnight", "0 0 * * *"},
    Nickname{"@hourly", "0 * * * *"}};

/// One of the five fields: what it may hold.
struct Field {
  std::string_view name;
  int first;
  int last;
  int firstNamed;  // the value of names[0]
  const char* const* names = nullptr;
  int nameCount = 0;
};
constexpr std::array kFields = {
    Field{"minute", 0, 59, 0}, Field{"hour", 0, 23, 0}, Field{"day of month", 1, 31, 0},
    Field{"month", 1, 12, 1, kMonthNames.data(), static_cast<int>(kMonthNames.size())},
    Field{"day of week", 0, 7, 0, kWeekdayNames.data(), static_cast<int>(kWeekdayNames.size())}};

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = text.find_first_of(separators, start);
    parts.push_back(text.substr(start, end - start));
    if (end == text.npos) return parts;
    start = end + 1;
  }
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found = split(text, " \t");
  std::erase_if(found, [](std::string_view word) { return word.empty(); });
  return found;
}

std::string lower(std::string_view text) {
  std::string copy(text);
  for (char& c : copy) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return copy;
}

Error wrong(const Field& field, std::string_view text, const std::string& what) {
  return {ErrorCode::InvalidArgument,
          "cron: " + std::string(field.name) + " '" + std::string(text) + "': " + what};
}

Result<int> number(const Field& field, std::string_view text, std::string_view whole) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.front() == '-' || error != std::errc() ||
      end != text.data() + text.size()) {
    return wrong(field, whole,
                 "'" + std::string(text) + "' is no number" +
                     (field.names == nullptr ? "" : " and no name"));
  }
  return value;
}

Result<int> valueOf(const Field& field, std::string_view text, std::string_view whole) {
  const std::string name = lower(text);
  for (int i = 0; i < field.nameCount; ++i) {
    if (name == field.names[i]) return field.firstNamed + i;
  }
  SKEP_TRY(const int value, number(field, text, whole));
  if (value < field.first || value > field.last) {
    return wrong(field, whole,
                 std::to_string(value) + " is outside of " + std::to_string(field.first) + " to " +
                     std::to_string(field.last));
  }
  return value;
}

/// One part of a list: `*`, a value, a range, and a step behind the first and the last of these.
template <std::size_t size>
Status addPart(const Field& field, std::string_view part, std::bitset<size>& values) {
  const std::size_t slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  int first = field.first;
  int last = field.last;
  const std::size_t dash = range.find('-');
  if (range != "*") {
    SKEP_TRY(first, valueOf(field, range.substr(0, dash), part));
    last = first;
    if (dash != range.npos) {
      SKEP_TRY(last, valueOf(field, range.substr(dash + 1), part));
      const bool isWeek = field.last == 7;
      if (isWeek && last == 0 && first > 0) last = 7;  // fri-sun
      if (last < first) return wrong(field, part, "the range ends before it begins");
    } else if (slash != part.npos) {
      return wrong(field, part, "a step follows * or a range");
    }
  }
  int step = 1;
  if (slash != part.npos) {
    SKEP_TRY(step, number(field, part.substr(slash + 1), part));
    if (step < 1 || step > field.last) {
      return wrong(field, part, "a step is 1 to " + std::to_string(field.last));
    }
  }
  for (int value = first; value <= last; value += step) {
    values.set(static_cast<std::size_t>(value));
  }
  return {};
}

template <std::size_t size>
Status addField(const Field& field, std::string_view text, std::bitset<size>& values) {
  for (std::string_view part : split(text, ",")) {
    if (part.empty()) return wrong(field, text, "a part of the list is empty");
    SKEP_CHECK_OK(addPart(field, part, values));
  }
  return {};
}

std::int64_t toSeconds(const cctz::time_point<cctz::seconds>& time) {
  return time.time_since_epoch().count();
}
cctz::time_point<cctz::seconds> fromSeconds(std::int64_t seconds) {
  return cctz::time_point<cctz::seconds>(cctz::seconds(seconds));
}

/// Rounds down, also before 1970.
std::int64_t floorDivide(std::int64_t value, std::int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

}  // namespace

Result<cctz::time_zone> findTimeZone(std::string_view name) {
  cctz::time_zone zone = cctz::utc_time_zone();
  if (name.empty()) return zone;
  // A name that begins with ':' or '/' would be a file's.
  const bool isFile = name.front() == '/' || name.front() == ':' || name.find("..") != name.npos;
  if (isFile || !cctz::load_time_zone(std::string(name), &zone)) {
    return Error{ErrorCode::InvalidArgument, "there is no time zone named '" + std::string(name) +
                                                 "': write one such as Europe/Berlin, or UTC"};
  }
  return zone;
}

Result<CronExpression> CronExpression::parse(std::string_view expression,
                                             std::string_view timeZone) {
  std::vector<std::string_view> fields = words(expression);
  if (fields.size() == 1 && fields[0].front() == '@') {
    const std::string name = lower(fields[0]);
    const auto found = std::find_if(kNicknames.begin(), kNicknames.end(),
                                    [&](const Nickname& each) { return each.name == name; });
    if (found == kNicknames.end()) {
      return Error{ErrorCode::InvalidArgument, "cron: '" + name + "' is not known here"};
    }
    fields = words(found->expression);
  }
  if (fields.size() != kFields.size()) {
    return Error{ErrorCode::InvalidArgument,
                 "cron: an expression has five fields (minute hour day month weekday), '" +
                     std::string(expression) + "' has " + std::to_string(fields.size())};
  }
  CronExpression cron;
  std::bitset<8> weekdays;
  SKEP_CHECK_OK(addField(kFields[0], fields[0], cron.minutes_));
  SKEP_CHECK_OK(addField(kFields[1], fields[1], cron.hours_));
  SKEP_CHECK_OK(addField(kFields[2], fields[2], cron.days_));
  SKEP_CHECK_OK(addField(kFields[3], fields[3], cron.months_));
  SKEP_CHECK_OK(addField(kFields[4], fields[4], weekdays));
  for (std::size_t day = 0; day < 8; ++day) {
    if (weekdays[day]) cron.weekdays_.set(day % 7);
  }
  cron.minuteStar_ = fields[0].front() == '*';
  cron.hourStar_ = fields[1].front() == '*';
  cron.dayStar_ = fields[2].front() == '*';
  cron.weekdayStar_ = fields[4].front() == '*';
  SKEP_TRY(cron.zone_, findTimeZone(timeZone));
  // Whether a day ever fits does not depend on the year that one begins at, but for leap days.
  if (!cron.nextMatch(civil_minute(2000), 2000 + kYearsAhead)) {
    return Error{ErrorCode::InvalidArgument,
                 "cron: '" + std::string(expression) + "' fits no day of any year"};
  }
  return cron;
}

bool CronExpression::matchesDay(const civil_day& day) const {
  // cctz counts from Monday.
  const auto weekday = (static_cast<std::size_t>(cctz::get_weekday(day)) + 1) % 7;
  const bool byDay = days_[static_cast<std::size_t>(day.day())];
  const bool byWeekday = weekdays_[weekday];
  return dayStar_ || weekdayStar_ ? byDay && byWeekday : byDay || byWeekday;
}

bool CronExpression::matches(const civil_minute& minute) const {
  return minutes_[static_cast<std::size_t>(minute.minute())] &&
         hours_[static_cast<std::size_t>(minute.hour())] &&
         months_[static_cast<std::size_t>(minute.month())] && matchesDay(civil_day(minute));
}

/// The first minute at or behind `at` that fits, by fields: whole months, days and hours are passed
/// over.
std::optional<civil_minute> CronExpression::nextMatch(civil_minute at, int yearMax) const {
  while (at.year() <= yearMax) {
    if (!months_[static_cast<std::size_t>(at.month())]) {
      at = civil_minute(civil_month(at) + 1);
    } else if (!matchesDay(civil_day(at))) {
      at = civil_minute(civil_day(at) + 1);
    } else if (!hours_[static_cast<std::size_t>(at.hour())]) {
      at = civil_minute(civil_hour(at) + 1);
    } else if (!minutes_[static_cast<std::size_t>(at.minute())]) {
      ++at;
    } else {
      return at;
    }
  }
  return std::nullopt;
}

std::optional<std::int64_t> CronExpression::nextAfter(std::int64_t afterMs) const {
  const std::int64_t afterSeconds = floorDivide(afterMs, 1000);
  const std::optional<std::int64_t> next =
      isWildcard() ? nextWildcard(afterSeconds) : nextSlot(afterSeconds);
  if (!next) return std::nullopt;
  return *next * 1000;
}

/// Once a slot: the first time that the clock shows it, or the moment at which it was skipped.
std::optional<std::int64_t> CronExpression::nextSlot(std::int64_t afterSeconds) const {
  civil_minute at = civil_minute(cctz::convert(fromSeconds(afterSeconds), zone_));
  const int yearMax = static_cast<int>(at.year()) + kYearsAhead;
  while (const std::optional<civil_minute> slot = nextMatch(at, yearMax)) {
    const cctz::time_zone::civil_lookup found = zone_.lookup(civil_second(*slot));
    const bool isSkipped = found.kind == cctz::time_zone::civil_lookup::SKIPPED;
    const std::int64_t time = toSeconds(isSkipped ? found.trans : found.pre);
    if (time > afterSeconds) return time;
    at = *slot + 1;
  }
  return std::nullopt;
}

/// Whenever the clock fits: by real time, from one minute of the clock on the wall to the next.
std::optional<std::int64_t> CronExpression::nextWildcard(std::int64_t afterSeconds) const {
  std::int64_t time = afterSeconds + 1;
  civil_second wall = cctz::convert(fromSeconds(time), zone_);
  const int yearMax = static_cast<int>(wall.year()) + kYearsAhead;
  while (true) {
    // To the next full minute of the wall clock, which shows the same until the next change of it.
    if (wall.second() != 0) {
      time += kMinuteSeconds - wall.second();
      wall = cctz::convert(fromSeconds(time), zone_);
      if (wall.second() != 0) continue;
    }
    const std::optional<civil_minute> match = nextMatch(civil_minute(wall), yearMax);
    if (!match) return std::nullopt;
    if (civil_second(*match) == wall) return time;
    // There without passing a change of the clock? Else go on behind the change.
    const std::int64_t there = time + (civil_second(*match) - wall);
    cctz::time_zone::civil_transition change;
    if (!zone_.next_transition(fromSeconds(time), &change)) return there;
    const std::int64_t begins = toSeconds(zone_.lookup(change.to).trans);
    if (there < begins) return there;
    time = begins;
    wall = cctz::convert(fromSeconds(time), zone_);
  }
}

}  // namespace skep::actor
