#include "skep/fiber/timer_queue.h"

#include <algorithm>

#include "skep/base/check.h"

namespace skep::fiber::detail {
namespace {

constexpr std::size_t kChildren = 4;

}  // namespace

void TimerQueue::arm(TimerEntry& entry, MonotonicTime due) {
  SKEP_CHECK(!entry.isQueued(), "the timer is armed already");
  entry.due = due;
  entry.order = nextOrder_++;
  heap_.push_back(&entry);
  siftUp(heap_.size() - 1, entry);
}

void TimerQueue::cancel(TimerEntry& entry) {
  if (!entry.isQueued()) return;
  const std::size_t place = entry.place;
  entry.place = TimerEntry::kNotQueued;
  TimerEntry& last = *heap_.back();
  heap_.pop_back();
  if (&last == &entry) return;
  siftUp(place, last);
  siftDown(last.place, last);
}

std::size_t TimerQueue::fireDue(MonotonicTime now) {
  std::size_t fired = 0;
  // Without this bound a timer that arms itself again with no delay would keep the loop here
  // forever. An entry armed meanwhile can only hide older ones behind it when it is due earlier
  // than they are: those wait for the next turn.
  const std::uint64_t armedBefore = nextOrder_;
  while (!heap_.empty()) {
    TimerEntry& first = *heap_.front();
    if (first.due > now || first.order >= armedBefore) break;
    cancel(first);
    first.fire(first);
    ++fired;
  }
  return fired;
}

void TimerQueue::put(std::size_t place, TimerEntry& entry) {
  heap_[place] = &entry;
  entry.place = place;
}

void TimerQueue::siftUp(std::size_t place, TimerEntry& entry) {
  while (place > 0) {
    const std::size_t parent = (place - 1) / kChildren;
    if (!isBefore(entry, *heap_[parent])) break;
    put(place, *heap_[parent]);
    place = parent;
  }
  put(place, entry);
}

void TimerQueue::siftDown(std::size_t place, TimerEntry& entry) {
  for (;;) {
    const std::size_t first = place * kChildren + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = std::min(first + kChildren, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (isBefore(*heap_[child], *heap_[least])) least = child;
    }
    if (!isBefore(*heap_[least], entry)) break;
    put(place, *heap_[least]);
    place = least;
  }
  put(place, entry);
}

}  // namespace skep::fiber::detail
