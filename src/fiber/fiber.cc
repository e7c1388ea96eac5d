#include "skep/fiber/fiber.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "skep/base/check.h"
#include "skep/fiber/loop_core.h"

namespace skep::fiber {

using detail::Fiber;
using detail::LoopCore;

/// Blocks a plain thread. Lives on the stack of suspend().
class ThreadParker {
 public:
  void wake() {
    std::lock_guard lock(mutex_);
    SKEP_CHECK(!woken_, "a suspended thread is woken twice");
    woken_ = true;
    // Notified with the mutex held: wait() cannot return and destroy this before we let go of it.
    condition_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [this] { return woken_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool woken_ = false;
};

namespace {

constexpr std::uintptr_t kParkerBit = 1;

/// The running fiber; null on a plain thread. Dies where nothing could resume the caller.
Fiber* suspendingFiber() {
  LoopCore::checkMaySuspend();
  Fiber* fiber = LoopCore::currentFiber();
  SKEP_CHECK(fiber != nullptr || LoopCore::current() == nullptr,
             "suspended on a loop's thread outside a fiber: in a posted function or a timer");
  return fiber;
}

}  // namespace

Waker::Waker(Fiber* fiber, std::uint64_t suspension)
    : target_(reinterpret_cast<std::uintptr_t>(fiber)), suspension_(suspension) {}
Waker::Waker(ThreadParker* parker)
    : target_(reinterpret_cast<std::uintptr_t>(parker) | kParkerBit) {}

void Waker::wake() {
  SKEP_CHECK(target_ != 0, "a waker wakes once");
  const std::uintptr_t target = std::exchange(target_, 0);
  if ((target & kParkerBit) != 0)
    return reinterpret_cast<ThreadParker*>(target & ~kParkerBit)->wake();
  Fiber& fiber = claim(target);
  fiber.core_.makeReady(fiber);
}

void Waker::wakeAndRun() {
  SKEP_CHECK(target_ != 0, "a waker wakes once");
  SKEP_CHECK((target_ & kParkerBit) == 0, "only a fiber can be run at once");
  SKEP_CHECK(!onFiber(), "a fiber does not run another one");
  Fiber& fiber = claim(std::exchange(target_, 0));
  fiber.core_.runNow(fiber);
}

/// Marks the suspension as over: nobody else can wake it any more.
Fiber& Waker::claim(std::uintptr_t target) const {
  Fiber& fiber = *reinterpret_cast<Fiber*>(target);
  if (LoopCore::current() == &fiber.core_) {
    SKEP_CHECK(fiber.suspension_.load(std::memory_order_relaxed) == suspension_,
               "a fiber is woken twice");
    fiber.suspension_.store(suspension_ + 1, std::memory_order_relaxed);
  } else {
    std::uint64_t expected = suspension_;
    SKEP_CHECK(fiber.suspension_.compare_exchange_strong(expected, suspension_ + 1,
                                                         std::memory_order_relaxed),
               "a fiber is woken twice");
  }
  return fiber;
}

void suspend(FunctionRef<void(Waker)> arm) {
  if (Fiber* fiber = suspendingFiber()) {
    arm(Waker(fiber, LoopCore::beginSuspension(*fiber)));
    LoopCore::current()->leave(*fiber);
  } else {
    ThreadParker parker;
    arm(Waker(&parker));
    parker.wait();
  }
}

void yield() {
  if (Fiber* fiber = suspendingFiber()) {
    LoopCore& core = *LoopCore::current();
    core.makeReady(*fiber);
    core.leave(*fiber);
  } else {
    std::this_thread::yield();
  }
}

void sleepFor(Duration duration) {
  if (suspendingFiber() == nullptr) return std::this_thread::sleep_for(duration);
  detail::Sleeper sleeper;
  suspend([&](Waker waker) {
    sleeper.waker = waker;
    LoopCore::current()->armTimer(sleeper, duration);
  });
}

bool onFiber() {
  return LoopCore::currentFiber() != nullptr;
}

Loop* currentLoop() {
  LoopCore* core = LoopCore::current();
  return core == nullptr ? nullptr : &core->loop();
}

}  // namespace skep::fiber
