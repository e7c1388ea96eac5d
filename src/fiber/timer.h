// Timer and Abort: doing something later, and giving something up.
//
// A Timer runs a function on its loop at a time of the loop's clock, never early. An AbortSource is
// one request to stop, observed through its AbortTokens. Both belong to one loop.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "skep/base/clock.h"
#include "skep/fiber/fiber.h"
#include "skep/fiber/timer_queue.h"

namespace skep::fiber {

/// One pending call; destroying or cancel()ing it forgets the call.
class Timer {
 public:
  explicit Timer(Loop& loop) : loop_(loop), entry_(*this) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Replaces what was pending. `function` runs on the loop's thread outside any fiber: it must not
  /// suspend. It may call callAfter() again or destroy the Timer. Timers due at the same time run
  /// in the order of the calls.
  void callAfter(Duration delay, std::function<void()> function);
  void cancel();
  bool isPending() const { return entry_.isQueued(); }

 private:
  struct Entry : detail::TimerEntry {
    explicit Entry(Timer& timer) : TimerEntry(&Timer::fire), owner(timer) {}
    Timer& owner;
  };
  static void fire(detail::TimerEntry& entry);

  Loop& loop_;
  Entry entry_;
  std::function<void()> function_;
};

class AbortSource;

/// Observes an AbortSource. Cheap to copy; may outlive the source. A default-constructed one is
/// never aborted.
class AbortToken {
 public:
  AbortToken() = default;
  bool isAborted() const;
  /// Calls `function` when the abort is requested (at once if it already was). Returns an id for
  /// remove().
  std::uint64_t onAbort(std::function<void()> function);
  void remove(std::uint64_t id);

 private:
  friend class AbortSource;
  struct State;
  explicit AbortToken(std::shared_ptr<State> state) : state_(std::move(state)) {}
  // Shared: tokens may outlive the source.
  std::shared_ptr<State> state_;
};

class AbortSource {
 public:
  AbortSource();
  AbortToken token() const;
  /// Idempotent. Runs the callbacks, in the order of onAbort(), before it returns.
  void requestAbort();
  bool isAborted() const;

 private:
  std::shared_ptr<AbortToken::State> state_;
};

/// Suspends for `duration` or until the abort; false when aborted.
bool sleepFor(Duration duration, AbortToken token);

}  // namespace skep::fiber
