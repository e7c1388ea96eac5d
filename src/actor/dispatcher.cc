#include "skep/actor/dispatcher.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "skep/actor/actor_instance.h"
#include "skep/actor/background.h"

namespace skep::actor {
namespace {

using End = Attempt::End;

// Of one actor at once; the others wait for one of these to end.
constexpr std::size_t kRunningMax = 16;
// The loop's clock and the wall's may drift apart, or the wall's be set: look again after so long.
constexpr std::int64_t kLookAgainMs = 60'000;
// After what is due could not be read.
constexpr std::int64_t kRetryMs = 5'000;

std::optional<std::int64_t> earlier(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

}  // namespace

Dispatcher::Dispatcher(ActorInstance& instance, Schedule& schedule, Queues& queues,
                       Background& background)
    : instance_(instance),
      schedule_(schedule),
      queues_(queues),
      background_(background),
      timer_(instance.loop()),
      alarmMs_(instance.database().head().alarmMs) {}

void Dispatcher::start() {
  isStarted_ = true;
  arm(alarmMs_);
}

void Dispatcher::stop() {
  isStopped_ = true;
  dropsUnread_ = !background_.isBusy();
  // The last turn, that of the hook, may find another alarm.
  alarmIsNew_ = true;
  timer_.cancel();
  stopReplyWaiters();
}

bool Dispatcher::spawn(std::string_view name, std::function<void()> body) {
  if (isStopped_ || !instance_.loop().hasRoom(fiber::Priority::Inside) ||
      !instance_.calls().tryEnter()) {
    return false;
  }
  const auto run = [this, body = std::move(body)] {
    body();
    instance_.noteUse();
    instance_.calls().leave();
  };
  instance_.loop().spawn(name, run, fiber::Priority::Inside);
  return true;
}

// ---- The alarm

/// Whether a message of this queue is worth waking the actor.
bool Dispatcher::wakesFor(const QueueType& queue) const {
  return queue.hasHandler || instance_.type().hasRun;
}

Result<std::optional<std::int64_t>> Dispatcher::earliest() {
  SKEP_TRY(std::optional<std::int64_t> first, schedule_.earliest());
  for (const auto& [name, queue] : queues_.types()) {
    if (!wakesFor(queue)) continue;
    // What run() left lying when it had nothing else to do wakes nobody; what comes due later does.
    const bool onlyLater = dropsUnread_ && !queue.hasHandler;
    const std::int64_t after =
        onlyLater ? queues_.nowMs() : std::numeric_limits<std::int64_t>::min();
    SKEP_TRY(const std::optional<std::int64_t> due, queues_.earliest(name, after));
    first = earlier(first, due);
  }
  return first;
}

Status Dispatcher::beforeCommit() {
  const bool scheduleChanged = schedule_.takeChanged();
  changedQueues_ = queues_.takeChanged();
  nextAlarmMs_ = alarmMs_;
  isTouched_ = scheduleChanged || !changedQueues_.empty();
  if (!isTouched_ && !alarmIsNew_) return {};
  SKEP_TRY(nextAlarmMs_, earliest());
  if (nextAlarmMs_ == alarmMs_) return {};
  return instance_.database().setAlarm(nextAlarmMs_);
}

void Dispatcher::committed() {
  alarmIsNew_ = false;
  alarmMs_ = nextAlarmMs_;
  for (Settled& settled : std::exchange(settled_, {})) {
    taken_.erase(settled.message.id);
    if (settled.reply) reply(settled.message.id, std::move(*settled.reply));
  }
  if (!std::exchange(isTouched_, false) || !isStarted_) return;
  for (const std::string& queue : std::exchange(changedQueues_, {})) {
    if (queues_.types().find(queue)->second.hasHandler) {
      startHandler(queue);
    } else {
      ring(queue);
    }
  }
  arm(alarmMs_);
}

void Dispatcher::rolledBack() {
  (void)schedule_.takeChanged();
  (void)queues_.takeChanged();
  schedule_.forgetCount();
  queues_.forgetCounts();
  isTouched_ = false;
  changedQueues_.clear();
  // What was settled in this turn was not, and its holder does not know.
  for (Settled& settled : std::exchange(settled_, {})) {
    abandon(settled.queue, settled.message);
  }
}

/// One timer of the loop for the earliest of all.
void Dispatcher::arm(std::optional<std::int64_t> dueMs) {
  timer_.cancel();
  if (!dueMs || isStopped_) return;
  const std::int64_t waitMs = *dueMs - instance_.clock().wallMs();
  if (waitMs <= 0) return look();
  timer_.callAfter(std::chrono::milliseconds(std::min(waitMs, kLookAgainMs)), [this] { look(); });
}

// ---- What is due

/// Starts what is due, on a fiber: reading the tables may suspend.
void Dispatcher::look() {
  looksAgain_ = true;
  if (isLooking_ || !isStarted_) return;
  isLooking_ = spawn("look for due calls", [this] {
    std::optional<std::int64_t> next;
    while (std::exchange(looksAgain_, false)) {
      next.reset();
      if (inOwnTurn(instance_, [&] { return startDue(next); })) continue;
      next = instance_.clock().wallMs() + kRetryMs;
    }
    isLooking_ = false;
    if (!timer_.isPending()) arm(next);
  });
  if (!isLooking_) lookLater();
}

/// What could not begin now, for want of a stack say.
void Dispatcher::lookLater() {
  if (isStopped_ || timer_.isPending()) return;
  timer_.callAfter(std::chrono::milliseconds(kRetryMs), [this] { look(); });
}

/// `next`: when something else will be due.
Status Dispatcher::startDue(std::optional<std::int64_t>& next) {
  const std::int64_t nowMs = instance_.clock().wallMs();
  // Those that run already are among the rows that are due.
  SKEP_TRY(const std::vector<std::int64_t> due, schedule_.due(nowMs, kRunningMax));
  for (std::int64_t id : due) {
    if (running_.size() >= kRunningMax) break;
    if (running_.contains(id)) continue;
    running_.insert(id);
    if (!spawn("scheduled call", [this, id] { runCall(id); })) {
      running_.erase(id);
      lookLater();
    }
  }
  SKEP_TRY(next, schedule_.earliestAfter(nowMs));
  for (const auto& [name, queue] : queues_.types()) {
    SKEP_TRY(const std::optional<std::int64_t> first,
             queues_.earliest(name, std::numeric_limits<std::int64_t>::min()));
    if (!first) continue;
    if (*first > nowMs) {
      next = earlier(next, first);
      continue;
    }
    if (queue.hasHandler) {
      startHandler(name);
      if (handlers_[name] == 0) lookLater();
    } else {
      ring(name);
    }
    SKEP_TRY(const std::optional<std::int64_t> later, queues_.earliest(name, nowMs));
    next = earlier(next, later);
  }
  return {};
}

void Dispatcher::runCall(std::int64_t id) {
  DueCall ran;
  const std::int64_t startedMs = instance_.clock().wallMs();
  bool isAlone = true;
  const Attempt made = attempt(
      instance_,
      {.take = [&]() -> Result<bool> {
         SKEP_TRY(std::optional<DueCall> due, schedule_.take(id, instance_.clock().wallMs()));
         if (!due) return false;
         ran = std::move(*due);
         // One that was removed and set again while it runs is another row.
         isAlone = !ran.isJob || runningJobs_.insert(ran.name).second;
         return isAlone;
       },
       .handle =
           [&](Invocation& invocation) {
             return instance_.behavior().action(
                 invocation, {.actor = instance_.address(),
                              .action = ran.call.action,
                              .arguments = {.encoding = call::Encoding::Cbor,
                                            .bytes = std::string(asText(ran.call.arguments))},
                              .replyEncoding = call::Encoding::Cbor});
           },
       .finish = [&] { return schedule_.finish(ran, startedMs, instance_.clock().wallMs()); }});
  const bool isSettled = settleCall(ran, made, startedMs);
  const bool wasFull = running_.size() >= kRunningMax;
  running_.erase(id);
  if (ran.isJob && isAlone) runningJobs_.erase(ran.name);
  if (!isSettled) {
    // What is wrong may pass.
    arm(instance_.clock().wallMs() + kRetryMs);
  } else if (wasFull) {
    look();
  }
  (void)instance_.waitDurable(instance_.database().committedTxid());
}

bool Dispatcher::settleCall(const DueCall& ran, const Attempt& made, std::int64_t startedMs) {
  const std::int64_t nowMs = instance_.clock().wallMs();
  switch (made.end) {
    case End::Failed:
      return inOwnTurn(instance_, [&] {
        return schedule_.fail(ran, made.failure->toString(), startedMs, nowMs);
      });
    case End::Prevented:
      return inOwnTurn(instance_, [&] { return schedule_.postpone(ran, nowMs); });
    default:
      return made.end != End::Unreadable;
  }
}

// ---- Messages that have a handler

void Dispatcher::startHandler(const std::string& queue) {
  std::size_t& count = handlers_[queue];
  if (count >= queues_.types().find(queue)->second.options.concurrency) return;
  if (spawn("messages", [this, queue] { handleMessages(queue); })) ++count;
}

void Dispatcher::handleMessages(const std::string& queue) {
  while (!isStopped_ && handleMessage(queue)) {
  }
  --handlers_[queue];
  // Whoever breaks notices: nobody else waits for what was committed here.
  (void)instance_.waitDurable(instance_.database().committedTxid());
}

/// Whether there was one.
bool Dispatcher::handleMessage(const std::string& queue) {
  QueuedMessage message;
  const Attempt made = attempt(
      instance_, {.take = [&]() -> Result<bool> {
                    SKEP_TRY(std::optional<QueuedMessage> next, queues_.next(queue, taken_));
                    if (!next) return false;
                    message = std::move(*next);
                    taken_.insert(message.id);
                    startHandler(queue);  // for the one behind it
                    return true;
                  },
                  .handle =
                      [&](Invocation& invocation) {
                        return instance_.behavior().message(invocation, queue, message.body,
                                                            replyEncoding(message.id));
                      },
                  .finish = [&]() -> Status {
                    SKEP_TRY([[maybe_unused]] const bool wasThere,
                             queues_.acknowledge(queue, message.id));
                    return {};
                  }});
  const bool isSettled = settleMessage(queue, message, made);
  taken_.erase(message.id);
  if (!isSettled) arm(instance_.clock().wallMs() + kRetryMs);
  return isSettled &&
         (made.end == End::Handled || made.end == End::Failed || made.end == End::Prevented);
}

bool Dispatcher::settleMessage(const std::string& queue, const QueuedMessage& message,
                               const Attempt& made) {
  switch (made.end) {
    case End::Handled:
      reply(message.id, *made.reply);
      return true;
    case End::Failed: {
      bool isDead = false;
      const bool recorded = inOwnTurn(instance_, [&]() -> Status {
        SKEP_TRY(isDead, queues_.fail(queue, message, made.failure->toString()));
        return {};
      });
      if (isDead) reply(message.id, *made.failure);
      return recorded;
    }
    case End::Prevented:
      return inOwnTurn(instance_, [&] { return queues_.postpone(queue, message.id); });
    default:
      return made.end != End::Unreadable;
  }
}

}  // namespace skep::actor
