#include "skep/actor/alarm_watch.h"

#include <algorithm>
#include <utility>

#include "skep/actor/retry.h"
#include "skep/base/log.h"

namespace skep::actor {
namespace {

// Between two scans, however many actors fall asleep.
constexpr std::int64_t kScanDistanceMs = 1;
// What is remembered of actors that cannot be helped. Past this, they are tried at every scan.
constexpr std::size_t kTriedMax = 100'000;

std::int64_t msOf(Duration duration) {
  return duration / std::chrono::milliseconds(1);
}

}  // namespace

AlarmWatch::AlarmWatch(fiber::Loop& loop, store::PageStore& store, Wake wake,
                       AlarmWatchOptions options)
    : loop_(loop),
      store_(store),
      wake_(std::move(wake)),
      options_(options),
      timer_(loop),
      wakes_(options.wakesAtOnce) {}

void AlarmWatch::start() {
  isOpen_ = true;
  scanAt(loop_.clock().wallMs());
}

void AlarmWatch::close() {
  isOpen_ = false;
  timer_.cancel();
  work_.close();
}

void AlarmWatch::expect(std::int64_t alarmMs) {
  if (fiber::currentLoop() != &loop_) {
    loop_.post([weak = weak_from_this(), alarmMs] {
      if (const auto watch = weak.lock()) watch->expect(alarmMs);
    });
    return;
  }
  if (!isOpen_) return;
  const bool isSooner = isScanning_ || !timer_.isPending() || alarmMs < nextScanMs_;
  if (isSooner) scanAt(std::max(alarmMs, loop_.clock().wallMs() + kScanDistanceMs));
}

void AlarmWatch::scanAt(std::int64_t timeMs) {
  if (!isOpen_ || (isScanning_ && nextScanMs_ != 0 && nextScanMs_ <= timeMs)) return;
  nextScanMs_ = timeMs;
  if (isScanning_) return;  // it looks at nextScanMs_ when it has ended
  const std::int64_t waitMs = std::max<std::int64_t>(0, timeMs - loop_.clock().wallMs());
  timer_.callAfter(std::min<Duration>(std::chrono::milliseconds(waitMs), options_.poll),
                   [this] { scan(); });
}

void AlarmWatch::scan() {
  if (isScanning_ || !work_.tryEnter()) return;
  isScanning_ = true;
  nextScanMs_ = 0;
  loop_.spawn("alarm watch", [this] {
    const std::int64_t next = scanOnce();
    isScanning_ = false;
    const std::int64_t asked = std::exchange(nextScanMs_, 0);
    scanAt(asked == 0 ? next : std::min(asked, next));
    work_.leave();
  });
}

/// When to scan again.
std::int64_t AlarmWatch::scanOnce() {
  const std::int64_t nowMs = loop_.clock().wallMs();
  std::int64_t next = nowMs + msOf(options_.poll);
  const std::size_t countMax = options_.batchMax + tried_.size();
  const auto listed = store_.dueAlarms(next, countMax);
  if (!listed) {
    logWarn("actor", "the store's alarms cannot be read", {{"error", listed.error().toString()}});
    return nowMs + msOf(options_.retryFirst);
  }
  ++scans_;
  for (const store::DueAlarm& due : *listed) {
    if (!isOpen_) return next;
    if (due.alarmMs <= nowMs) {
      next = std::min(next, consider(due, nowMs));
    } else if (isOurs(call::ActorAddress::ofDatabase(due.name))) {
      next = std::min(next, due.alarmMs);
    }
  }
  const bool sawAll = listed->size() < countMax;
  if (!sawAll) next = loop_.clock().wallMs() + kScanDistanceMs;
  // What is not due any more is forgotten, and what fell out of a list that was cut.
  std::erase_if(tried_, [&](const auto& each) { return sawAll && each.second.seenIn != scans_; });
  return next;
}

/// Wakes an actor whose alarm is due, unless that was tried a short while ago. When to look again.
std::int64_t AlarmWatch::consider(const store::DueAlarm& due, std::int64_t nowMs) {
  const Result<call::ActorAddress> actor = call::ActorAddress::ofDatabase(due.name);
  Tried& tried = tried_[due.name];
  if (tried.alarmMs != due.alarmMs) tried = {.alarmMs = due.alarmMs};
  tried.seenIn = scans_;
  if (tried.notBeforeMs > nowMs) return tried.notBeforeMs;
  if (!isOurs(actor)) return tried.notBeforeMs = nowMs + msOf(options_.othersRetry);
  ++tried.count;
  const RetryOptions retry{.first = options_.retryFirst, .longest = options_.retryLongest};
  tried.notBeforeMs =
      nowMs + (actor ? retry.delayMs(tried.count, due.id.value) : msOf(options_.retryLongest));
  const std::int64_t again = tried.notBeforeMs;
  if (tried_.size() > kTriedMax) tried_.erase(due.name);
  if (!actor) return again;
  wakes_.acquire();
  if (!work_.tryEnter()) {
    wakes_.release();
    return again;
  }
  loop_.spawn("wake for alarm", [this, address = *actor, name = due.name] {
    wake(address, name);
    wakes_.release();
    work_.leave();
  });
  return again;
}

void AlarmWatch::wake(const call::ActorAddress& actor, const std::string& name) {
  const Woken woken = wake_(actor);
  const auto tried = tried_.find(name);
  if (tried == tried_.end()) return;
  const std::int64_t nowMs = loop_.clock().wallMs();
  // An actor that is awake moves its alarm itself; a type that nobody runs here may be another node's.
  if (woken == Woken::Before) tried->second.count = std::max(0, tried->second.count - 1);
  if (woken == Woken::NotHere) tried->second.notBeforeMs = nowMs + msOf(options_.retryLongest);
}

}  // namespace skep::actor
