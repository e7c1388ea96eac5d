// AlarmWatch: wakes sleeping actors whose next timer or message is due.
//
// Reads the store's alarm index, earliest first, in bounded batches: when the earliest alarm that it knows
// of is due, and every `poll`, as other nodes write alarms too. An actor that is awake looks after itself.
// Few actors are woken at once. One whose alarm stays where it is, as it cannot wake or breaks again and
// again, is woken at growing distances only.
//
// Threading: belongs to its loop; expect() from any thread. Lifetime: start(), later close(). Shared: what
// other loops tell it may arrive when it is gone.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "skep/base/clock.h"
#include "skep/call/address.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"
#include "skep/store/page_store.h"

namespace skep::actor {

struct AlarmWatchOptions {
  Duration poll = std::chrono::seconds(5);
  std::size_t batchMax = 256;
  std::size_t wakesAtOnce = 16;
  Duration retryFirst = std::chrono::seconds(1);
  Duration retryLongest = std::chrono::minutes(1);
  /// Whether this process is to wake that actor when it sleeps; null: all of them. Where it says no, another
  /// node does; that is asked anew every `othersRetry`, as nodes come and go. On the watch's loop.
  std::function<bool(const call::ActorAddress& actor)> isOurs = nullptr;
  Duration othersRetry = std::chrono::seconds(1);
};

class AlarmWatch : public std::enable_shared_from_this<AlarmWatch> {
 public:
  enum class Woken : std::uint8_t {
    Now,
    Before,
    NotHere,
    Elsewhere,  // another node owns it
    Failed
  };
  /// Wakes an actor that exists. Suspends.
  using Wake = std::function<Woken(const call::ActorAddress& actor)>;

  AlarmWatch(fiber::Loop& loop, store::PageStore& store, Wake wake, AlarmWatchOptions options);

  void start();
  /// Wakes nobody from now on. Suspends.
  void close();
  /// An actor that sleeps will be due then, Unix ms.
  void expect(std::int64_t alarmMs);

 private:
  /// An alarm for which the actor was woken and that has not moved since.
  struct Tried {
    std::int64_t alarmMs = 0;
    int count = 0;
    std::int64_t notBeforeMs = 0;
    std::uint64_t seenIn = 0;
  };

  void scanAt(std::int64_t timeMs);
  void scan();
  std::int64_t scanOnce();
  std::int64_t consider(const store::DueAlarm& due, std::int64_t nowMs);
  bool isOurs(const Result<call::ActorAddress>& actor) const {
    return !options_.isOurs || !actor || options_.isOurs(*actor);
  }
  void wake(const call::ActorAddress& actor, const std::string& name);

  fiber::Loop& loop_;
  store::PageStore& store_;
  const Wake wake_;
  const AlarmWatchOptions options_;
  fiber::Timer timer_;
  std::int64_t nextScanMs_ = 0;
  bool isScanning_ = false;
  bool isOpen_ = false;
  fiber::Gate work_;
  fiber::Semaphore wakes_;
  std::map<std::string, Tried> tried_;  // by database
  std::uint64_t scans_ = 0;
};

}  // namespace skep::actor
