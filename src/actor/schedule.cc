#include "skep/actor/schedule.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "skep/actor/cron.h"
#include "skep/actor/outcome.h"
#include "skep/actor/row_values.h"

namespace skep::actor {
namespace {

using call::Failure;
using call::FailureCode;

constexpr std::size_t kNameBytesMax = 256;
constexpr std::int64_t kIntervalMsMax = 100LL * 365 * 24 * 60 * 60 * 1000;  // 100 years
// A try that was none of the handler's: the store or another actor did not answer.
constexpr std::int64_t kPostponeMs = 5000;

constexpr const char* kTimerColumns =
    "SELECT id, name, action, arguments, slot_ms, due_ms, tries, error FROM _skep_timer ";
constexpr const char* kJobColumns =
    "SELECT name, action, arguments, expression, time_zone, interval_ms, due_ms, tries "
    "FROM _skep_timer ";

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

Job jobOf(const std::vector<sql::Value>& row) {
  return {.spec = {.name = row[0].text(),
                   .call = {.action = row[1].text(), .arguments = row[2].blob()},
                   .expression = textOr(row[3]),
                   .timeZone = textOr(row[4]),
                   .intervalMs = row[5].isNull() ? 0 : row[5].integer()},
          .nextMs = row[6].isNull() ? 0 : row[6].integer(),
          .tries = static_cast<int>(row[7].integer())};
}

bool isSame(const JobSpec& a, const JobSpec& b) {
  return a.call.action == b.call.action && a.call.arguments == b.call.arguments &&
         a.expression == b.expression && a.timeZone == b.timeZone && a.intervalMs == b.intervalMs;
}

bool hasSameSlots(const JobSpec& a, const JobSpec& b) {
  return a.expression == b.expression && a.timeZone == b.timeZone && a.intervalMs == b.intervalMs;
}

/// The first slot of a job behind `nowMs`.
Result<std::int64_t> firstSlot(const JobSpec& spec, std::int64_t nowMs) {
  if (spec.intervalMs > 0) return nowMs + spec.intervalMs;
  SKEP_TRY(const CronExpression cron, CronExpression::parse(spec.expression, spec.timeZone));
  const std::optional<std::int64_t> next = cron.nextAfter(nowMs);
  if (!next) return Error{ErrorCode::InvalidArgument, "cron: there is no such time ahead"};
  return *next;
}

Result<std::optional<std::int64_t>> integerOrNone(sql::Database& database, std::string_view query,
                                                  std::initializer_list<sql::Value> parameters) {
  SKEP_TRY(const sql::Rows rows, database.execute(query, parameters));
  if (rows.rows.empty() || rows.rows[0][0].isNull()) return std::optional<std::int64_t>();
  return std::optional<std::int64_t>(rows.rows[0][0].integer());
}

}  // namespace

std::int64_t nextIntervalSlot(std::int64_t slotMs, std::int64_t intervalMs, std::int64_t nowMs) {
  if (nowMs < slotMs) return slotMs;
  return slotMs + ((nowMs - slotMs) / intervalMs + 1) * intervalMs;
}

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

// ---- Timers

call::Outcome<std::int64_t> Schedule::set(const std::string& name, ScheduledCall call,
                                          std::int64_t dueMs) {
  if (auto bad = check(call, name)) return *bad;
  if (!name.empty()) {
    const call::Outcome<bool> replaced = cancel(name);
    if (const auto* failed = std::get_if<Failure>(&replaced)) return *failed;
  }
  const Result<bool> full = isFull();
  if (!full) return call::failureOf(full.error(), database_.name());
  if (*full) {
    return Failure(
        FailureCode::TooManyTimers,
        "an actor has at most " + std::to_string(limits_.timersMax) + " timers and jobs");
  }
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

// ---- Jobs

call::Outcome<std::monostate> Schedule::setJob(const JobSpec& spec, std::int64_t nowMs) {
  if (auto bad = check(spec.call, spec.name)) return *bad;
  if (spec.name.empty()) return Failure(FailureCode::InvalidSchedule, "a job has a name");
  if (spec.intervalMs < 0 || spec.intervalMs > kIntervalMsMax ||
      (spec.intervalMs == 0) == spec.expression.empty()) {
    return Failure(FailureCode::InvalidSchedule,
                   "a job has a cron expression, or an interval of 1 ms to 100 years");
  }
  const Result<std::int64_t> slot = firstSlot(spec, nowMs);
  if (!slot) return Failure(FailureCode::InvalidSchedule, slot.error().message);
  const auto found = job(spec.name);
  if (const auto* failed = std::get_if<Failure>(&found)) return *failed;
  const auto& before = std::get<std::optional<Job>>(found);
  if (before && isSame(before->spec, spec)) return std::monostate{};
  if (!before) {
    const Result<bool> full = isFull();
    if (!full) return call::failureOf(full.error(), database_.name());
    if (*full) {
      return Failure(
          FailureCode::TooManyTimers,
          "an actor has at most " + std::to_string(limits_.timersMax) + " timers and jobs");
    }
  }
  const bool keepsSlot = before && hasSameSlots(before->spec, spec);
  return outcomeOf(
      write([&]() -> Status {
        if (keepsSlot) {
          SKEP_CHECK_OK(
              database_.execute("UPDATE _skep_timer SET action = ?, arguments = ? "
                                "WHERE is_job = 1 AND name = ?",
                                {spec.call.action, spec.call.arguments, spec.name}));
          return {};
        }
        SKEP_CHECK_OK(database_.execute(
            "INSERT INTO _skep_timer(is_job, name, action, arguments, slot_ms, due_ms, "
            "expression, time_zone, interval_ms) "
            "VALUES (1, ?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7) ON CONFLICT (is_job, name) DO "
            "UPDATE SET action = ?2, arguments = ?3, slot_ms = ?4, due_ms = ?4, "
            "tries = 0, error = NULL, expression = ?5, time_zone = ?6, "
            "interval_ms = ?7",
            {spec.name, spec.call.action, spec.call.arguments, *slot, nullIfEmpty(spec.expression),
             nullIfEmpty(spec.timeZone),
             spec.intervalMs > 0 ? sql::Value(spec.intervalMs) : sql::Value()}));
        if (!before && count_) ++*count_;
        return {};
      }),
      database_);
}

call::Outcome<std::optional<Job>> Schedule::job(const std::string& name) {
  if (!tables_.has(LazyTable::Timer)) return std::optional<Job>();
  Result<sql::Rows> rows =
      database_.execute(kJobColumns + std::string("WHERE is_job = 1 AND name = ?"), {name});
  if (!rows) return call::failureOf(rows.error(), database_.name());
  if (rows->rows.empty()) return std::optional<Job>();
  return std::optional<Job>(jobOf(rows->rows[0]));
}

call::Outcome<std::vector<Job>> Schedule::jobs() {
  std::vector<Job> jobs;
  if (!tables_.has(LazyTable::Timer)) return jobs;
  Result<sql::Rows> rows =
      database_.execute(kJobColumns + std::string("WHERE is_job = 1 ORDER BY name"), {});
  if (!rows) return call::failureOf(rows.error(), database_.name());
  for (const auto& row : rows->rows) jobs.push_back(jobOf(row));
  return jobs;
}

call::Outcome<bool> Schedule::removeJob(const std::string& name) {
  if (!tables_.has(LazyTable::Timer)) return false;
  bool wasThere = false;
  Status written = write([&]() -> Status {
    SKEP_CHECK_OK(
        database_.execute("DELETE FROM _skep_timer WHERE is_job = 1 AND name = ?", {name}));
    wasThere = database_.changes() != 0;
    if (wasThere && count_) --*count_;
    if (!tables_.has(LazyTable::JobRun)) return {};
    SKEP_CHECK_OK(database_.execute("DELETE FROM _skep_job_run WHERE job = ?", {name}));
    return {};
  });
  if (!written) return call::failureOf(written.error(), database_.name());
  return wasThere;
}

call::Outcome<std::vector<JobRun>> Schedule::history(const std::string& name,
                                                     std::size_t countMax) {
  std::vector<JobRun> runs;
  if (!tables_.has(LazyTable::JobRun)) return runs;
  Result<sql::Rows> rows = database_.execute(
      "SELECT slot_ms, started_ms, ended_ms, error FROM _skep_job_run "
      "WHERE job = ? ORDER BY number DESC LIMIT ?",
      {name, countOf(countMax)});
  if (!rows) return call::failureOf(rows.error(), database_.name());
  for (const auto& row : rows->rows) {
    JobRun& run = runs.emplace_back(JobRun{
        .slotMs = row[0].integer(), .startedMs = row[1].integer(), .endedMs = row[2].integer()});
    if (!row[3].isNull()) run.error = row[3].text();
  }
  return runs;
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

Result<std::optional<std::int64_t>> Schedule::nextSlot(const DueCall& ran, std::int64_t nowMs) {
  call::Outcome<std::optional<Job>> found = job(ran.name);
  if (auto* failed = std::get_if<Failure>(&found)) {
    return Error{ErrorCode::Internal, failed->message};
  }
  const auto& now = std::get<std::optional<Job>>(found);
  if (!now) return std::optional<std::int64_t>();
  if (now->spec.intervalMs > 0) {
    return std::optional<std::int64_t>(nextIntervalSlot(ran.slotMs, now->spec.intervalMs, nowMs));
  }
  SKEP_TRY(const CronExpression cron,
           CronExpression::parse(now->spec.expression, now->spec.timeZone));
  return cron.nextAfter(std::max(nowMs, ran.slotMs));
}

/// The slot is over. What else was missed meanwhile is not made up for: the next one lies ahead.
Status Schedule::finishJob(const DueCall& ran, const std::optional<std::string>& error,
                           std::int64_t startedMs, std::int64_t nowMs) {
  SKEP_CHECK_OK(record(ran, error, startedMs, nowMs));
  SKEP_TRY(const std::optional<std::int64_t> next, nextSlot(ran, nowMs));
  const sql::Value slot = next ? sql::Value(*next) : sql::Value();
  return write([&]() -> Status {
    SKEP_CHECK_OK(database_.execute(
        "UPDATE _skep_timer SET slot_ms = coalesce(?1, slot_ms), due_ms = ?1, tries = 0, error = "
        "?2 "
        "WHERE id = ?3 AND slot_ms = ?4",
        {slot, error ? sql::Value(shortened(*error)) : sql::Value(), ran.id, ran.slotMs}));
    return {};
  });
}

Status Schedule::record(const DueCall& ran, const std::optional<std::string>& error,
                        std::int64_t startedMs, std::int64_t nowMs) {
  return write([&]() -> Status {
    SKEP_CHECK_OK(tables_.ensure(database_, LazyTable::JobRun));
    // A job that removed itself has no history.
    SKEP_CHECK_OK(
        database_.execute("INSERT INTO _skep_job_run SELECT ?1, coalesce((SELECT max(number) FROM "
                          "_skep_job_run WHERE "
                          "job = ?1), 0) + 1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM "
                          "_skep_timer WHERE is_job = 1 "
                          "AND name = ?1)",
                          {ran.name, ran.slotMs, startedMs, nowMs,
                           error ? sql::Value(shortened(*error)) : sql::Value()}));
    SKEP_CHECK_OK(database_.execute(
        "DELETE FROM _skep_job_run WHERE job = ?1 AND number <= (SELECT max(number) FROM "
        "_skep_job_run WHERE job = ?1) - ?2",
        {ran.name, countOf(limits_.runsKept)}));
    return {};
  });
}

}  // namespace skep::actor
