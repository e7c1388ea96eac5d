// Loop: one thread's event loop (Boost.Asio) and the fibers that run on it.
//
// Threading: post(), spawn(), trySpawn() and stop() may be called from any thread; everything else from the
// loop's thread, which is the one that calls run(), runUntilIdle(), runUntil() or poll(). Lifetime:
// a Loop outlives its fibers; its destructor checks that none is left (close your Gates first) and
// drops posted functions that have not run. Stacks are pooled, mmap-ed with a guard page; how many
// there may be is said by a StackBudget, which all loops of a process share. A fiber that finds none
// free waits for one.
//
// Order: woken fibers and posted functions run first in, first out. A turn is a round of what is
// ready (small rounds are taken together, up to 64 fibers or 20 µs), then due timers, other
// threads' wakes and I/O.
//
//   Loop loop(clock);
//   loop.spawn("greeter", [] { fiber::sleepFor(1s); greet(); });
//   loop.runUntilIdle();

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "skep/base/clock.h"
#include "skep/fiber/fiber.h"
#include "skep/fiber/stack_budget.h"

namespace boost::asio {
class io_context;
}

namespace skep::fiber {

namespace detail {
class LoopCore;
}

struct LoopOptions {
  std::size_t stackBytes =
      512 * 1024;  // reserved address space a fiber; only touched pages cost memory
  std::size_t pooledStacksMax = 512;  // finished fibers' stacks kept for reuse, some 12 KiB each
  StackBudget* budget = nullptr;      // null: the process's
};

class Loop {
 public:
  explicit Loop(Clock& clock, LoopOptions options = {});
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Starts a fiber; it first runs at the loop's next round. `name` is for logs and must outlive
  /// the fiber. An exception that leaves `body` is a bug and aborts the process.
  void spawn(std::string_view name, std::function<void()> body,
             Priority priority = Priority::Internal);
  /// The same, for what can be refused: false when the budget has no stack left for its priority.
  [[nodiscard]] bool trySpawn(std::string_view name, std::function<void()> body, Priority priority);
  /// Whether trySpawn() would, now. Any thread.
  bool hasRoom(Priority priority) const;

  /// Runs `function` on the loop's thread, outside any fiber: it must not suspend.
  void post(std::function<void()> function);

  /// Runs until stop(). Blocks the thread while there is nothing to do.
  void run();
  /// Makes run() return, or the next run() if none is running. Any thread.
  void stop();
  /// Runs until no fiber is ready, no timer is due and nothing is posted. With a ManualClock:
  /// advance the clock, call this, look at the result. Does not wait for other threads' wakes.
  void runUntilIdle();
  /// Runs until `done()` is true, waiting for other threads and timers as needed. done() is asked
  /// after each turn: who makes it true from another thread also posts or wakes something.
  void runUntil(const std::function<bool()>& done);

  /// For a loop inside a foreign event loop (libuv): runs one turn of what is ready and never
  /// blocks. Call it after each call of the notifier and after untilNextTimer().
  void poll();
  /// `notify` is called, on any thread, when the loop has got work while nobody runs it: it must
  /// make the foreign loop call poll() soon, and must not call it itself. Once per gap between two
  /// polls, and by poll() itself when it leaves work behind. Set it before other threads know the
  /// loop. A foreign loop does not see the sockets of context(): keep those on a loop of its own.
  void setNotifier(std::function<void()> notify);
  /// Time until the earliest timer is due (0: it is), or nullopt without any timer.
  std::optional<Duration> untilNextTimer() const;

  Clock& clock() { return clock_; }
  boost::asio::io_context& context();
  /// Fibers that have started and not finished.
  std::size_t fiberCount() const;

 private:
  friend class Timer;
  friend class LoopWatch;
  friend class detail::LoopCore;
  Clock& clock_;
  std::unique_ptr<detail::LoopCore> core_;
};

/// Runs `body` as a fiber of a private loop on the calling thread until it returns: for
/// command-line tools and tests. Other fibers that it spawned must have ended by then, or be about
/// to without waiting.
void runOnFreshLoop(Clock& clock, const std::function<void(Loop&)>& body);

}  // namespace skep::fiber
