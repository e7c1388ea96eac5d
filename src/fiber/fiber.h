// Fibers: stackful coroutines that let code wait without holding its thread.
//
// A fiber runs on one Loop (loop.h), which is one thread. Code that "suspends" gives the thread to
// the loop's other fibers and goes on later, on the same thread. The functions here also work on a
// thread that runs no loop (a test's main thread, a thread of a pool): there they block the thread
// instead.
//
// Rules (style.md): no suspension in a catch block, in a destructor, or with a mutex held.
// suspend() checks the first. State may have changed after each suspension.
//
//   fiber::suspend([&](fiber::Waker waker) {
//     store.readLater(id, [waker]() mutable { waker.wake(); });
//   });

#pragma once

#include <cstdint>

#include "skep/base/clock.h"
#include "skep/base/function_ref.h"

namespace skep::fiber {

class Loop;
class Waker;
class ThreadParker;
namespace detail {
class Fiber;
}

/// Suspends. Calls `arm` with the Waker of the caller (on the caller's stack), then waits for
/// wake(). `arm` must neither throw nor suspend. Aborts the process in a catch block, and on a
/// loop's thread outside a fiber (in a posted function or a timer's): there nobody could ever run
/// what it waits for.
void suspend(FunctionRef<void(Waker)> arm);

/// Resumes one suspended fiber (or blocked thread), once. Copyable, so that it fits a std::function
/// (16 bytes: without an allocation), but exactly one wake() per suspension is allowed; a second
/// one aborts. wake() may be called from any thread, also before the suspension has finished: the
/// fiber then continues at the loop's next round. wake() never runs the fiber itself.
class Waker {
 public:
  Waker() = default;
  void wake();
  /// As wake(), and runs the fiber at once, on the caller's stack's time, until it suspends or ends. For
  /// a loop inside a foreign event loop: on the fiber's loop's thread, outside any fiber.
  void wakeAndRun();
  explicit operator bool() const { return target_ != 0; }

 private:
  friend void suspend(FunctionRef<void(Waker)> arm);
  Waker(detail::Fiber* fiber, std::uint64_t suspension);
  detail::Fiber& claim(std::uintptr_t target) const;
  explicit Waker(ThreadParker* parker);

  std::uintptr_t target_ = 0;  // a Fiber*, or a ThreadParker* with the lowest bit set
  std::uint64_t suspension_ =
      0;  // which suspension of that fiber: a late second wake() is recognised
};

/// Suspends until the loop has run what else was ready. On a plain thread: yields the thread.
void yield();

/// Suspends for at least `duration` by the loop's clock (by the system's clock on a plain thread).
void sleepFor(Duration duration);

/// Whether the caller runs on a fiber.
bool onFiber();

/// The loop that runs on this thread, or null.
Loop* currentLoop();

}  // namespace skep::fiber
