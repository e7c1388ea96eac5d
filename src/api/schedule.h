// Schedule: runs an action of this actor later, once. Cron: runs one again and again.
//
// Timers and jobs are stored with the actor; setting and cancelling them belongs to the turn, like SQL. A
// timer wakes a sleeping actor, is never early by the actor's clock (in milliseconds), and runs at least
// once: what the action writes and that the timer is gone commit together. An action that throws is rolled
// back and tried again, ever later, up to ActorOptions::schedule.retry.triesMax times; then the timer stays,
// as failed, until it is cancelled. From c.schedule() and c.cron(); valid as long as the Context.
//
//   c.schedule().after(24h, "remind", userId);
//   c.schedule().named("close").at(closingTime, "closeAuction");
//   c.cron().set({.name = "nightly", .expression = "30 2 * * *", .action = "tidy",
//                 .timeZone = "Europe/Berlin"});
//   c.cron().every({.name = "pulse", .interval = 10s, .action = "pulse"});
//
// ActorError: unknown_action, invalid_schedule, too_many_timers, value_too_large.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "skep/actor/invocation.h"
#include "skep/actor/schedule.h"
#include "skep/api/stored.h"

namespace skep {

using Time = std::chrono::system_clock::time_point;

struct TimerInfo {
  std::int64_t id = 0;
  std::string name;  // empty: none
  std::string action;
  Value arguments;
  Time at;
  std::optional<Time> nextTry;  // absent: it failed too often
  int tries = 0;                // that failed
  std::string error;            // of the newest one
};

class Schedule {
 public:
  explicit Schedule(actor::Invocation& invocation, std::string name = {})
      : invocation_(invocation), name_(std::move(name)) {}

  /// For setting a timer of that name: it takes the place of the one that has the name.
  Schedule named(std::string name) const { return Schedule(invocation_, std::move(name)); }

  /// The id of the new timer, which no other timer of this actor ever gets.
  template <class... Args>
  std::int64_t after(std::chrono::nanoseconds delay, std::string action, const Args&... args) {
    return setAfter(delay, std::move(action), Value::array({api::toValue(args)...}));
  }
  template <class... Args>
  std::int64_t at(Time time, std::string action, const Args&... args) {
    return setAt(time, std::move(action), Value::array({api::toValue(args)...}));
  }

  std::optional<TimerInfo> get(std::int64_t id);
  std::optional<TimerInfo> get(const std::string& name);
  /// By id, those with a greater one than `after`.
  std::vector<TimerInfo> list(std::int64_t after = 0, std::size_t countMax = 1000);
  /// Whether there was one. One that runs now goes on, and is not tried again when it fails.
  bool cancel(std::int64_t id);
  bool cancel(const std::string& name);

 private:
  std::int64_t setAfter(std::chrono::nanoseconds delay, std::string action, Value arguments);
  std::int64_t setAt(Time time, std::string action, Value arguments);
  std::int64_t set(std::int64_t dueMs, std::string action, const Value& arguments);
  actor::Schedule& rows();

  actor::Invocation& invocation_;
  std::string name_;
};

/// A job by a cron expression (actor/cron.h has the rules).
struct CronSpec {
  std::string name;
  std::string expression;
  std::string action;
  std::string timeZone;  // of the IANA database; empty: UTC
};

/// A job by an interval, from the time on at which it is set.
struct IntervalSpec {
  std::string name;
  std::chrono::milliseconds interval{};
  std::string action;
};

struct JobInfo {
  std::string name;
  std::string action;
  Value arguments;
  std::string expression;  // empty for one with an interval
  std::string timeZone;
  std::chrono::milliseconds interval{};
  Time next;
  int tries = 0;  // that failed since the job last succeeded or was given up
};

struct JobRunInfo {
  Time scheduled;
  Time started;
  Time ended;
  std::optional<std::string> error;  // absent: it succeeded
};

class Cron {
 public:
  explicit Cron(actor::Invocation& invocation) : invocation_(invocation) {}

  /// Sets a job, or changes the one of that name. Nothing happens when it is as it should be: say it in
  /// onWake, for all actors to have it.
  template <class... Args>
  void set(const CronSpec& spec, const Args&... args) {
    setJob({.name = spec.name,
            .call = {.action = spec.action, .arguments = {}},
            .expression = spec.expression,
            .timeZone = spec.timeZone},
           Value::array({api::toValue(args)...}));
  }
  template <class... Args>
  void every(const IntervalSpec& spec, const Args&... args) {
    setJob({.name = spec.name,
            .call = {.action = spec.action, .arguments = {}},
            .intervalMs = spec.interval.count()},
           Value::array({api::toValue(args)...}));
  }

  std::optional<JobInfo> get(const std::string& name);
  std::vector<JobInfo> list();
  /// Whether there was one. Its history goes with it.
  bool remove(const std::string& name);
  /// The newest runs first; as many as ActorOptions::schedule.runsKept are kept.
  std::vector<JobRunInfo> history(const std::string& name, std::size_t countMax = 20);

 private:
  void setJob(actor::JobSpec spec, const Value& arguments);
  actor::Schedule& rows();

  actor::Invocation& invocation_;
};

}  // namespace skep
