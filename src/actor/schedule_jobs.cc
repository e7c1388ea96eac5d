// The jobs of a Schedule.

#include <algorithm>
#include <utility>

#include "skep/actor/cron.h"
#include "skep/actor/outcome.h"
#include "skep/actor/row_values.h"
#include "skep/actor/schedule.h"

namespace skep::actor {
namespace {

using call::Failure;
using call::FailureCode;

constexpr std::int64_t kIntervalMsMax = 100LL * 365 * 24 * 60 * 60 * 1000;  // 100 years

constexpr const char* kJobColumns =
    "SELECT name, action, arguments, expression, time_zone, interval_ms, due_ms, tries "
    "FROM _skep_timer ";

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

}  // namespace

std::int64_t nextIntervalSlot(std::int64_t slotMs, std::int64_t intervalMs, std::int64_t nowMs) {
  if (nowMs < slotMs) return slotMs;
  return slotMs + ((nowMs - slotMs) / intervalMs + 1) * intervalMs;
}

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
    if (auto full = refuseMore()) return *std::move(full);
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
