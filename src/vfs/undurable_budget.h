// UndurableBudget: how many bytes of committed pages may wait for the store, of all databases of
// the process together.
//
// Such pages can't be evicted. Each database has a bound of its own (undurableBytesMax), which is
// none for a process with thousands of them while the store stalls. So a commit takes its bytes here
// before it is made, and they are given back when it is durable. Who finds no room waits, first come,
// first served; a request larger than all of the budget is granted when nobody else holds any.
//
//   if (!budget.acquire(loop, {.bytes = n, .limitBytes = all}, patience)) return overloaded;
//   …
//   budget.release(n);
//
// Any thread. Waits on fibers: nothing blocks a loop.

#pragma once

#include <cstddef>
#include <list>
#include <mutex>

#include "skep/base/clock.h"
#include "skep/fiber/fiber.h"
#include "skep/fiber/loop.h"

namespace skep::vfs {

class UndurableBudget {
 public:
  struct Request {
    std::size_t bytes = 0;
    std::size_t limitBytes = 0;  // that all together may hold
  };

  UndurableBudget() = default;
  /// Everything was given back, and nobody waits.
  ~UndurableBudget();
  UndurableBudget(const UndurableBudget&) = delete;
  UndurableBudget& operator=(const UndurableBudget&) = delete;

  /// Suspends until there is room, on a fiber of `loop`; false when there was none for `patience`.
  bool acquire(fiber::Loop& loop, Request request, Duration patience);
  void release(std::size_t bytes);

  std::size_t bytes() const;
  std::size_t waiting() const;

 private:
  struct Waiter {
    Request request;
    fiber::Waker waker;
    bool isGranted = false;
    std::list<Waiter*>::iterator place;
  };

  bool hasRoomFor(const Request& request) const {
    return bytes_ == 0 || bytes_ + request.bytes <= request.limitBytes;
  }
  void giveUp(Waiter& waiter);
  void grant(std::unique_lock<std::mutex> lock);

  mutable std::mutex mutex_;  // guards everything below
  std::size_t bytes_ = 0;
  std::list<Waiter*> waiters_;
};

}  // namespace skep::vfs
