#include "skep/actor/schedule.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "skep/actor/outcome.h"
#include "skep/actor/row_values.h"

namespace skep::actor {
namespace {

using call::Failure;
using call::FailureCode;

constexpr std::size_t kNameBytesMax = 256;
// A try that was none of the handler's: the store or another actor did not answer.
constexpr std::int64_t kPostponeMs = 5000;

constexpr const char* kTimerColumns =
    "SELECT id, name, action, arguments, slot_ms, due_ms, tries, error FROM _skep_timer ";
Timer timerOf(const std::vector<sql::Value>& row) {
  Timer timer{.id = row[0].integer(),
              .name = textOr(row[1]),
              .call = {.action = row[2].text(), .arguments = row[3].blob()},
              .slotMs = row[4].integer(),
              .tries = static_cast<int>(row[6].integer()),
              .error = textOr(row[7])};
  if (!row[5].isNull()) timer.dueMs = row[5].integer();
  return timer;
}

Result<std::optional<std::int64_t>> integerOrNone(sql::Database& database, std::string_view query,
                                                  std::initializer_list<sql::Value> parameters) {
  SKEP_TRY(const sql::Rows rows, database.execute(query, parameters));
  if (rows.rows.empty() || rows.rows[0][0].isNull()) return std::optional<std::int64_t>();
  return std::optional<std::int64_t>(rows.rows[0][0].integer());
}

}  // namespace

Status Schedule::write(FunctionRef<Status()> body) {
  changed_ = true;
  return database_.asSystem([&]() -> Status {
    SKEP_CHECK_OK(tables_.ensure(database_, LazyTable::Timer));
    return body();
  });
}

std::optional<Failure> Schedule::check(const ScheduledCall& call, const std::string& name) const {
  if (name.size() > kNameBytesMax) {
    return Failure(FailureCode::InvalidSchedule, "the name of a timer or job has at most " +
                                                     std::to_string(kNameBytesMax) + " bytes");
  }
  if (call.arguments.size() > limits_.argumentBytesMax) {
    return Failure(FailureCode::ValueTooLarge, "the arguments of a timer or job have at most " +
                                                   std::to_string(limits_.argumentBytesMax) +
                                                   " bytes, these " +
                                                   std::to_string(call.arguments.size()));
  }
  return std::nullopt;
}

Result<bool> Schedule::isFull() {
  if (!count_) {
    count_ = 0;
    if (tables_.has(LazyTable::Timer)) {
      SKEP_TRY(const auto counted,
               integerOrNone(database_, "SELECT count(*) FROM _skep_timer", {}));
      count_ = static_cast<std::size_t>(counted.value_or(0));
    }
  }
  return *count_ >= limits_.timersMax;
}

std::optional<Failure> Schedule::refuseMore() {
  const Result<bool> full = isFull();
  if (!full) return call::failureOf(full.error(), database_.name());
  if (!*full) return std::nullopt;
  return Failure(FailureCode::TooManyTimers,
                 "an actor has at most " + std::to_string(limits_.timersMax) + " timers and jobs");
}

// ---- Timers

call::Outcome<std::int64_t> Schedule::set(const std::string& name, ScheduledCall call,
                                          std::int64_t dueMs) {
  if (auto bad = check(call, name)) return *bad;
  if (!name.empty()) {
    const call::Outcome<bool> replaced = cancel(name);
    if (const auto* failed = std::get_if<Failure>(&replaced)) return *failed;
  }
  if (auto full = refuseMore()) return *std::move(full);
  std::int64_t id = 0;
  Status written = write([&]() -> Status {
    SKEP_CHECK_OK(database_.execute(
        "INSERT INTO _skep_timer(is_job, name, action, arguments, slot_ms, due_ms) "
        "VALUES (0, ?1, ?2, ?3, ?4, ?4)",
        {nullIfEmpty(name), call.action, call.arguments, dueMs}));
    id = database_.lastInsertRowid();
    ++*count_;
    return {};
  });
  if (!written) return call::failureOf(written.error(), database_.name());
  return id;
}

call::Outcome<std::optional<Timer>> Schedule::timerWhere(const std::string& condition,
                                                         sql::Value value) {
  if (!tables_.has(LazyTable::Timer)) return std::optional<Timer>();
  Result<sql::Rows> rows =
      database_.execute(kTimerColumns + ("WHERE is_job = 0 AND " + condition), {value});
  if (!rows) return call::failureOf(rows.error(), database_.name());
  if (rows->rows.empty()) return std::optional<Timer>();
  return std::optional<Timer>(timerOf(rows->rows[0]));
}

call::Outcome<std::optional<Timer>> Schedule::timer(std::int64_t id) {
  return timerWhere("id = ?", id);
}
call::Outcome<std::optional<Timer>> Schedule::timer(const std::string& name) {
  return timerWhere("name = ?", name);
}

call::Outcome<std::vector<Timer>> Schedule::timers(std::int64_t after, std::size_t countMax) {
  std::vector<Timer> timers;
  if (!tables_.has(LazyTable::Timer)) return timers;
  Result<sql::Rows> rows = database_.execute(
      kTimerColumns + std::string("WHERE is_job = 0 AND id > ? ORDER BY id LIMIT ?"),
      {after, countOf(countMax)});
  if (!rows) return call::failureOf(rows.error(), database_.name());
  for (const auto& row : rows->rows) timers.push_back(timerOf(row));
  return timers;
}

call::Outcome<bool> Schedule::cancelWhere(const std::string& condition, sql::Value value) {
  if (!tables_.has(LazyTable::Timer)) return false;
  bool wasThere = false;
  Status written = write([&]() -> Status {
    SKEP_CHECK_OK(
        database_.execute("DELETE FROM _skep_timer WHERE is_job = 0 AND " + condition, {value}));
    wasThere = database_.changes() != 0;
    if (wasThere && count_) --*count_;
    return {};
  });
  if (!written) return call::failureOf(written.error(), database_.name());
  return wasThere;
}

call::Outcome<bool> Schedule::cancel(std::int64_t id) {
  return cancelWhere("id = ?", id);
}
call::Outcome<bool> Schedule::cancel(const std::string& name) {
  return cancelWhere("name = ?", name);
}

// ---- For the dispatcher

Result<std::optional<std::int64_t>> Schedule::earliest() {
  return earliestAfter(std::numeric_limits<std::int64_t>::min());
}

Result<std::optional<std::int64_t>> Schedule::earliestAfter(std::int64_t afterMs) {
  if (!tables_.has(LazyTable::Timer)) return std::optional<std::int64_t>();
  return integerOrNone(database_, "SELECT min(due_ms) FROM _skep_timer WHERE due_ms > ?",
                       {afterMs});
}

Result<std::vector<std::int64_t>> Schedule::due(std::int64_t nowMs, std::size_t countMax) {
  std::vector<std::int64_t> ids;
  if (!tables_.has(LazyTable::Timer)) return ids;
  SKEP_TRY(
      const sql::Rows rows,
      database_.execute("SELECT id FROM _skep_timer WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?",
                        {nowMs, countOf(countMax)}));
  for (const auto& row : rows.rows) ids.push_back(row[0].integer());
  return ids;
}

Result<std::optional<DueCall>> Schedule::take(std::int64_t id, std::int64_t nowMs) {
  SKEP_TRY(const sql::Rows rows,
           database_.execute("SELECT is_job, name, action, arguments, slot_ms, tries "
                             "FROM _skep_timer WHERE id = ? AND due_ms <= ?",
                             {id, nowMs}));
  if (rows.rows.empty()) return std::optional<DueCall>();
  const auto& row = rows.rows[0];
  return std::optional<DueCall>(
      DueCall{.id = id,
              .isJob = row[0].integer() != 0,
              .name = textOr(row[1]),
              .call = {.action = row[2].text(), .arguments = row[3].blob()},
              .slotMs = row[4].integer(),
              .tries = static_cast<int>(row[5].integer())});
}

Status Schedule::finish(const DueCall& ran, std::int64_t startedMs, std::int64_t nowMs) {
  if (ran.isJob) return finishJob(ran, std::nullopt, startedMs, nowMs);
  return write([&]() -> Status {
    SKEP_CHECK_OK(database_.execute("DELETE FROM _skep_timer WHERE id = ?", {ran.id}));
    if (count_ && database_.changes() != 0) --*count_;
    return {};
  });
}

Status Schedule::fail(const DueCall& ran, const std::string& error, std::int64_t startedMs,
                      std::int64_t nowMs) {
  const int tries = ran.tries + 1;
  const std::uint64_t seed =
      std::hash<std::string>{}(database_.name()) + static_cast<std::uint64_t>(ran.id) * 1000;
  const std::int64_t againMs = nowMs + limits_.retry.delayMs(tries, seed);
  const bool isLast = tries >= limits_.retry.triesMax;
  if (ran.isJob) {
    SKEP_TRY(const std::optional<std::int64_t> next, nextSlot(ran, nowMs));
    if (isLast || (next && *next <= againMs)) {
      return finishJob(ran, error, startedMs, nowMs);
    }
    SKEP_CHECK_OK(record(ran, error, startedMs, nowMs));
  } else if (isLast) {
    return giveUp(ran, error);
  }
  // One that was set anew meanwhile has another slot: it is left as it is.
  return write([&]() -> Status {
    SKEP_CHECK_OK(
        database_.execute("UPDATE _skep_timer SET due_ms = ?, tries = ?, error = ? "
                          "WHERE id = ? AND slot_ms = ?",
                          {againMs, tries, shortened(error), ran.id, ran.slotMs}));
    return {};
  });
}

Status Schedule::postpone(const DueCall& ran, std::int64_t nowMs) {
  return write([&]() -> Status {
    SKEP_CHECK_OK(
        database_.execute("UPDATE _skep_timer SET due_ms = ? WHERE id = ? AND slot_ms = ?",
                          {nowMs + kPostponeMs, ran.id, ran.slotMs}));
    return {};
  });
}

/// What was given up stays readable, up to a number; then the oldest goes.
Status Schedule::giveUp(const DueCall& ran, const std::string& error) {
  return write([&]() -> Status {
    SKEP_CHECK_OK(database_.execute(
        "UPDATE _skep_timer SET due_ms = NULL, tries = tries + 1, error = ? WHERE id = ?",
        {shortened(error), ran.id}));
    SKEP_CHECK_OK(database_.execute(
        "DELETE FROM _skep_timer WHERE id IN (SELECT id FROM _skep_timer WHERE due_ms IS NULL "
        "AND is_job = 0 ORDER BY id DESC LIMIT -1 OFFSET ?)",
        {countOf(limits_.failedKept)}));
    count_.reset();
    return {};
  });
}

}  // namespace skep::actor
