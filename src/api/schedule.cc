#include "skep/api/schedule.h"

#include <limits>

#include "skep/api/turn.h"

namespace skep {
namespace {

using std::chrono::milliseconds;

Time timeOf(std::int64_t unixMs) {
  return Time(milliseconds(unixMs));
}

void checkAction(const actor::Invocation& invocation, const std::string& action) {
  if (invocation.hasAction(action)) return;
  throw ActorError(
      {call::FailureCode::UnknownAction,
       "actor type '" + invocation.actor().type + "' has no action named '" + action + "'"});
}

TimerInfo infoOf(const actor::Timer& timer) {
  TimerInfo info{.id = timer.id,
                 .name = timer.name,
                 .action = timer.call.action,
                 .arguments = api::fromStored(timer.call.arguments),
                 .at = timeOf(timer.slotMs),
                 .tries = timer.tries,
                 .error = timer.error};
  if (timer.dueMs) info.nextTry = timeOf(*timer.dueMs);
  return info;
}

std::optional<TimerInfo> infoOf(const std::optional<actor::Timer>& timer) {
  return timer ? std::optional<TimerInfo>(infoOf(*timer)) : std::nullopt;
}

JobInfo infoOf(const actor::Job& job) {
  return {.name = job.spec.name,
          .action = job.spec.call.action,
          .arguments = api::fromStored(job.spec.call.arguments),
          .expression = job.spec.expression,
          .timeZone = job.spec.timeZone,
          .interval = milliseconds(job.spec.intervalMs),
          .next = timeOf(job.nextMs),
          .tries = job.tries};
}

}  // namespace

// ---- Schedule

actor::Schedule& Schedule::rows() {
  return api::servicesOf(invocation_).schedule();
}

std::int64_t Schedule::set(std::int64_t dueMs, std::string action, const Value& arguments) {
  checkAction(invocation_, action);
  return api::unwrap(rows().set(
      name_, {.action = std::move(action), .arguments = api::toStored(arguments)}, dueMs));
}

std::int64_t Schedule::setAfter(std::chrono::nanoseconds delay, std::string action,
                                Value arguments) {
  return set(invocation_.clock().wallMsAfter(delay), std::move(action), arguments);
}

std::int64_t Schedule::setAt(Time time, std::string action, Value arguments) {
  return set(std::chrono::ceil<milliseconds>(time).time_since_epoch().count(), std::move(action),
             arguments);
}

std::optional<TimerInfo> Schedule::get(std::int64_t id) {
  return infoOf(api::unwrap(rows().timer(id)));
}
std::optional<TimerInfo> Schedule::get(const std::string& name) {
  return infoOf(api::unwrap(rows().timer(name)));
}

std::vector<TimerInfo> Schedule::list(std::int64_t after, std::size_t countMax) {
  std::vector<TimerInfo> infos;
  for (const actor::Timer& timer : api::unwrap(rows().timers(after, countMax))) {
    infos.push_back(infoOf(timer));
  }
  return infos;
}

bool Schedule::cancel(std::int64_t id) {
  return api::unwrap(rows().cancel(id));
}
bool Schedule::cancel(const std::string& name) {
  return api::unwrap(rows().cancel(name));
}

// ---- Cron

actor::Schedule& Cron::rows() {
  return api::servicesOf(invocation_).schedule();
}

void Cron::setJob(actor::JobSpec spec, const Value& arguments) {
  checkAction(invocation_, spec.call.action);
  spec.call.arguments = api::toStored(arguments);
  api::unwrap(rows().setJob(spec, invocation_.clock().wallMsAfter({})));
}

std::optional<JobInfo> Cron::get(const std::string& name) {
  const std::optional<actor::Job> job = api::unwrap(rows().job(name));
  return job ? std::optional<JobInfo>(infoOf(*job)) : std::nullopt;
}

std::vector<JobInfo> Cron::list() {
  std::vector<JobInfo> infos;
  for (const actor::Job& job : api::unwrap(rows().jobs())) infos.push_back(infoOf(job));
  return infos;
}

bool Cron::remove(const std::string& name) {
  return api::unwrap(rows().removeJob(name));
}

std::vector<JobRunInfo> Cron::history(const std::string& name, std::size_t countMax) {
  std::vector<JobRunInfo> infos;
  for (const actor::JobRun& run : api::unwrap(rows().history(name, countMax))) {
    infos.push_back({.scheduled = timeOf(run.slotMs),
                     .started = timeOf(run.startedMs),
                     .ended = timeOf(run.endedMs),
                     .error = run.error});
  }
  return infos;
}

}  // namespace skep
