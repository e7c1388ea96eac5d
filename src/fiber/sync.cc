#include "skep/fiber/sync.h"

namespace skep::fiber {

void Event::wait() {
  Waiter waiter;
  suspend([&](Waker waker) {
    waiter.waker = waker;
    waiters_.append(waiter);
  });
}

bool Event::waitFor(Duration duration) {
  if (duration <= Duration::zero()) return false;
  Waiter waiter;
  bool isTooLate = false;
  Timer timer(*currentLoop());
  suspend([&](Waker waker) {
    waiter.waker = waker;
    waiters_.append(waiter);
    timer.callAfter(duration, [&] {
      isTooLate = waiters_.remove(waiter);
      if (isTooLate) waiter.waker.wake();
    });
  });
  return !isTooLate;
}

void Event::notifyAll() {
  // A woken fiber first runs later, so nobody joins the list in between.
  while (!waiters_.isEmpty()) waiters_.takeFirst().waker.wake();
}

void Event::notifyOne() {
  if (!waiters_.isEmpty()) waiters_.takeFirst().waker.wake();
}

bool Gate::tryEnter() {
  if (closed_) return false;
  ++count_;
  return true;
}

void Gate::leave() {
  SKEP_CHECK(count_ > 0, "a gate is left more often than entered");
  if (--count_ == 0 && emptied_.hasWaiters()) emptied_.notifyAll();
}

void Gate::close() {
  closed_ = true;
  waitUntil(emptied_, [this] { return count_ == 0; });
}

void Mutex::lock() {
  if (try_lock()) return;
  Waiter waiter;
  suspend([&](Waker waker) {
    waiter.waker = waker;
    waiters_.append(waiter);
  });
}

void Gate::waitForEmpty() {
  if (count_ != 0) emptied_.wait();
}

bool Mutex::lock(AbortToken token) {
  if (token.isAborted()) return false;
  if (try_lock()) return true;
  Waiter waiter;
  bool isAborted = false;
  std::uint64_t id = 0;
  suspend([&](Waker waker) {
    waiter.waker = waker;
    waiters_.append(waiter);
    id = token.onAbort([&] {
      isAborted = waiters_.remove(waiter);  // else it has the mutex already
      if (isAborted) waiter.waker.wake();
    });
  });
  token.remove(id);
  return !isAborted;
}

bool Mutex::try_lock() {
  if (locked_) return false;
  locked_ = true;
  return true;
}

void Mutex::unlock() {
  SKEP_CHECK(locked_, "unlock() of a mutex that is not locked");
  if (waiters_.isEmpty()) {
    locked_ = false;
  } else {
    waiters_.takeFirst().waker.wake();
  }
}

void Semaphore::acquire(std::size_t count) {
  if (tryAcquire(count)) return;
  Request request{.count = count, .waker = {}};
  suspend([&](Waker waker) {
    request.waker = waker;
    queue_.append(request);
  });
}

bool Semaphore::tryAcquire(std::size_t count) {
  if (!queue_.isEmpty() || permits_ < count) return false;
  permits_ -= count;
  return true;
}

void Semaphore::release(std::size_t count) {
  permits_ += count;
  while (!queue_.isEmpty() && queue_.first().count <= permits_) {
    permits_ -= queue_.first().count;
    queue_.takeFirst().waker.wake();
  }
}

}  // namespace skep::fiber
