// Loop: one thread's event loop (Boost.Asio) and the fibers that run on it.
//
// Threading: post() and spawn() may be called from any thread; everything else from the loop's thread, which
// is the one that calls run(), runUntilIdle() or runFor(). Lifetime: a Loop outlives its fibers; its destructor
// checks that none is left (close your Gates first). Stacks are pooled, mmap-ed with a guard page.
//
//   Loop loop(clock);
//   loop.spawn("greeter", [] { fiber::sleepFor(1s); greet(); });
//   loop.runUntilIdle();

#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "skep/base/clock.h"
#include "skep/fiber/fiber.h"

namespace skep::fiber {

struct LoopOptions {
  std::size_t stackBytes = 512 * 1024;  // reserved address space a fiber; only touched pages cost memory
  std::size_t pooledStacksMax = 64;     // finished fibers' stacks kept for reuse
};

class Loop {
 public:
  explicit Loop(Clock& clock, LoopOptions options = {});
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Starts a fiber; it first runs at the loop's next round. `name` is for logs and must outlive the fiber.
  /// An exception that leaves `body` is a bug and aborts the process.
  void spawn(std::string_view name, std::function<void()> body);

  /// Runs `function` on the loop's thread, outside any fiber: it must not suspend.
  void post(std::function<void()> function);

  /// Runs until stop(). Blocks the thread while there is nothing to do.
  void run();
  /// Makes run() return. Any thread.
  void stop();
  /// Runs until no fiber is ready, no timer is due and nothing is posted. With a ManualClock: advance the
  /// clock, call this, look at the result. Does not wait for other threads' wakes.
  void runUntilIdle();
  /// Runs until `done()` is true, waiting for other threads and timers as needed.
  void runUntil(const std::function<bool()>& done);

  Clock& clock() { return clock_; }
  boost::asio::io_context& context();
  /// Fibers that have started and not finished.
  std::size_t fiberCount() const;

 private:
  friend class Waker;
  friend class Timer;
  friend void suspend(const std::function<void(Waker)>& arm);
  friend void yield();
  friend Loop* currentLoop();
  struct Impl;
  Clock& clock_;
  std::unique_ptr<Impl> impl_;
};

/// Runs `body` as a fiber of a private loop on the calling thread until it returns: for command-line tools
/// and tests. Other fibers that it spawned must have ended by then.
void runOnFreshLoop(Clock& clock, const std::function<void(Loop&)>& body);

}  // namespace skep::fiber
