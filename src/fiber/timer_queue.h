// TimerQueue: the pending timers of one loop, earliest first, equal times in the order of arming.
//
// A four-ary heap of borrowed entries that know their place in it: arming and cancelling cost O(log
// n), no allocation for each timer. An entry lives where its owner is (a Timer, a sleeping fiber's
// stack) and must be cancelled before it goes away. One thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "skep/base/clock.h"

namespace skep::fiber::detail {

struct TimerEntry {
  using Fire = void (*)(TimerEntry& entry);
  static constexpr std::size_t kNotQueued = ~std::size_t{0};

  explicit TimerEntry(Fire function) : fire(function) {}
  TimerEntry(const TimerEntry&) = delete;
  TimerEntry& operator=(const TimerEntry&) = delete;

  Fire fire;  // runs after the entry has left the queue; may arm it again or destroy it
  MonotonicTime due;
  std::uint64_t order = 0;
  std::size_t place = kNotQueued;

  bool isQueued() const { return place != kNotQueued; }
};

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  /// `entry` must not be queued.
  void arm(TimerEntry& entry, MonotonicTime due);
  /// Nothing happens when it is not queued.
  void cancel(TimerEntry& entry);
  /// Fires everything that was armed before this call and is due at `now`; returns how many.
  std::size_t fireDue(MonotonicTime now);

  bool isEmpty() const { return heap_.empty(); }
  MonotonicTime earliest() const { return heap_.front()->due; }

 private:
  static bool isBefore(const TimerEntry& a, const TimerEntry& b) {
    return a.due != b.due ? a.due < b.due : a.order < b.order;
  }
  void put(std::size_t place, TimerEntry& entry);
  void siftUp(std::size_t place, TimerEntry& entry);
  void siftDown(std::size_t place, TimerEntry& entry);

  std::vector<TimerEntry*> heap_;
  std::uint64_t nextOrder_ = 0;
};

}  // namespace skep::fiber::detail
