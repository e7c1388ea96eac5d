// Schedule: an actor's timers and jobs, in the tables _skep_timer and _skep_job_run of its database.
//
// A timer runs an action once; a job runs one again and again, by a cron expression or an interval. Both
// are rows: what sets, cancels or ends them belongs to a turn, like SQL (I3). Each has a slot (the time
// that it was set for) and a time at which it is tried next, which lies behind the slot after a failure.
// This class knows the rows; when they run is the Dispatcher's business.
//
// Called on the actor's fiber inside a turn. Lives as long as the database.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "skep/actor/lazy_tables.h"
#include "skep/actor/retry.h"
#include "skep/base/clock.h"
#include "skep/call/router.h"
#include "skep/sql/database.h"

namespace skep::actor {

struct ScheduleLimits {
  std::size_t timersMax = 10'000;  // timers and jobs of one actor
  std::size_t argumentBytesMax = 64 * 1024;
  std::size_t failedKept = 100;  // timers that were given up
  std::size_t runsKept = 20;     // of each job's history
  RetryOptions retry;
};

/// Which action, with which arguments (an encoded array, CBOR).
struct ScheduledCall {
  std::string action;
  Bytes arguments;
};

struct Timer {
  std::int64_t id = 0;
  std::string name;  // empty: none
  ScheduledCall call;
  std::int64_t slotMs = 0;            // when it shall run, Unix ms
  std::optional<std::int64_t> dueMs;  // when it is tried next; absent: given up
  int tries = 0;                      // that failed
  std::string error;                  // of the newest one
};

struct JobSpec {
  std::string name;
  ScheduledCall call;
  // One of these:
  std::string expression;  // cron.h
  std::string timeZone;
  std::int64_t intervalMs = 0;
};

struct Job {
  JobSpec spec;
  std::int64_t nextMs = 0;  // when it is tried next
  int tries = 0;            // of this slot, that failed
};

struct JobRun {
  std::int64_t slotMs = 0;
  std::int64_t startedMs = 0;
  std::int64_t endedMs = 0;
  std::optional<std::string> error;  // absent: it succeeded
};

/// A row that is due, as the dispatcher runs it.
struct DueCall {
  std::int64_t id = 0;
  bool isJob = false;
  std::string name;
  ScheduledCall call;
  std::int64_t slotMs = 0;
  int tries = 0;
};

class Schedule {
 public:
  Schedule(sql::Database& database, LazyTables& tables, const ScheduleLimits& limits)
      : database_(database), tables_(tables), limits_(limits) {}

  // --- Timers. ---

  /// Sets one and gives its id, which is never used again. One of the same name is replaced.
  call::Outcome<std::int64_t> set(const std::string& name, ScheduledCall call, std::int64_t dueMs);
  call::Outcome<std::optional<Timer>> timer(std::int64_t id);
  call::Outcome<std::optional<Timer>> timer(const std::string& name);
  /// Those with a greater id than `after`, by id; the given-up ones too.
  call::Outcome<std::vector<Timer>> timers(std::int64_t after, std::size_t countMax);
  /// Whether there was one.
  call::Outcome<bool> cancel(std::int64_t id);
  call::Outcome<bool> cancel(const std::string& name);

  // --- Jobs. ---

  /// Sets one, or changes the one of that name. Nothing happens when it is the same already: so an actor
  /// may say it each time it wakes.
  call::Outcome<std::monostate> setJob(const JobSpec& spec, std::int64_t nowMs);
  call::Outcome<std::optional<Job>> job(const std::string& name);
  call::Outcome<std::vector<Job>> jobs();
  /// Whether there was one. Its history goes with it.
  call::Outcome<bool> removeJob(const std::string& name);
  /// The newest runs first.
  call::Outcome<std::vector<JobRun>> history(const std::string& name, std::size_t countMax);

  // --- For the dispatcher. ---

  /// When the next one is due.
  Result<std::optional<std::int64_t>> earliest();
  /// When the next one behind `afterMs` is due.
  Result<std::optional<std::int64_t>> earliestAfter(std::int64_t afterMs);
  /// The ids of those that are due, earliest first.
  Result<std::vector<std::int64_t>> due(std::int64_t nowMs, std::size_t countMax);
  /// The row if it is still there and due.
  Result<std::optional<DueCall>> take(std::int64_t id, std::int64_t nowMs);
  /// The call succeeded: a timer goes, a job gets its next slot.
  Status finish(const DueCall& ran, std::int64_t startedMs, std::int64_t nowMs);
  /// It failed: tried again later, or given up. A job goes on with its next slot then, and also when that
  /// comes before the next try.
  Status fail(const DueCall& ran, const std::string& error, std::int64_t startedMs,
              std::int64_t nowMs);
  /// It could not run for a reason that is not its own: later, and this was no try.
  Status postpone(const DueCall& ran, std::int64_t nowMs);

  /// Whether rows changed since the last call of this.
  bool takeChanged() { return std::exchange(changed_, false); }
  void forgetCount() { count_.reset(); }

 private:
  Status write(FunctionRef<Status()> body);
  std::optional<call::Failure> check(const ScheduledCall& call, const std::string& name) const;
  Result<bool> isFull();
  /// Why one more timer or job is not taken, if it is not.
  std::optional<call::Failure> refuseMore();
  call::Outcome<std::optional<Timer>> timerWhere(const std::string& condition, sql::Value value);
  call::Outcome<bool> cancelWhere(const std::string& condition, sql::Value value);
  Status finishJob(const DueCall& ran, const std::optional<std::string>& error,
                   std::int64_t startedMs, std::int64_t nowMs);
  Status record(const DueCall& ran, const std::optional<std::string>& error, std::int64_t startedMs,
                std::int64_t nowMs);
  Status giveUp(const DueCall& ran, const std::string& error);
  Result<std::optional<std::int64_t>> nextSlot(const DueCall& ran, std::int64_t nowMs);

  sql::Database& database_;
  LazyTables& tables_;
  const ScheduleLimits& limits_;
  bool changed_ = false;
  std::optional<std::size_t> count_;  // rows; absent: not known
};

/// The first slot of an interval behind `nowMs`: slots keep their distance from `slotMs`.
std::int64_t nextIntervalSlot(std::int64_t slotMs, std::int64_t intervalMs, std::int64_t nowMs);

}  // namespace skep::actor
