// Fibers: stackful coroutines that let code wait without holding its thread.
//
// A fiber runs on one Loop (loop.h), which is one thread. Code that "suspends" gives the thread to the
// loop's other fibers and goes on later, on the same thread. The functions here also work on a thread that
// runs no loop (a test's main thread, a thread of a pool): there they block the thread instead.
//
// Rules (style.md): no suspension in a catch block, in a destructor, or with a mutex held. suspend() checks
// the first. State may have changed after each suspension.
//
//   fiber::suspend([&](fiber::Waker waker) { store.readLater(id, [waker]() mutable { waker.wake(); }); });

#pragma once

#include <functional>
#include <memory>

#include "skep/base/clock.h"

namespace skep::fiber {

class Loop;
class Fiber;
struct ThreadParker;

/// Resumes one suspended fiber (or blocked thread), once. Copyable, so that it fits a std::function, but
/// exactly one wake() per suspension is allowed. wake() may be called from any thread, also before the
/// suspension has finished: the fiber then continues at the loop's next round.
class Waker {
 public:
  Waker() = default;
  void wake();
  explicit operator bool() const { return fiber_ != nullptr || parker_ != nullptr; }

 private:
  friend void suspend(const std::function<void(Waker)>& arm);
  Fiber* fiber_ = nullptr;
  ThreadParker* parker_ = nullptr;
};

/// Suspends. Calls `arm` with the Waker of the caller (on the caller's stack), then waits for wake().
void suspend(const std::function<void(Waker)>& arm);

/// Suspends until the loop has run what else was ready. On a plain thread: yields the thread.
void yield();

/// Suspends for at least `duration` by the loop's clock (by the system's clock on a plain thread).
void sleepFor(Duration duration);

/// Whether the caller runs on a fiber.
bool onFiber();

/// The loop that runs on this thread, or null.
Loop* currentLoop();

}  // namespace skep::fiber
