// Timer and Abort: doing something later, and giving something up.
//
// A Timer runs a function on its loop at a time of the loop's clock, never early. An AbortSource is one
// request to stop, observed through its AbortTokens. Both belong to one loop.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "skep/base/clock.h"
#include "skep/fiber/fiber.h"

namespace skep::fiber {

/// One pending call; destroying or cancel()ing it forgets the call.
class Timer {
 public:
  explicit Timer(Loop& loop) : loop_(loop) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Replaces what was pending. `function` runs on the loop's thread outside any fiber: it must not suspend.
  void callAfter(Duration delay, std::function<void()> function);
  void cancel();
  bool isPending() const { return id_ != 0; }

 private:
  Loop& loop_;
  std::uint64_t id_ = 0;
};

class AbortSource;

/// Observes an AbortSource. Cheap to copy; may outlive the source.
class AbortToken {
 public:
  AbortToken() = default;
  bool isAborted() const;
  /// Calls `function` when the abort is requested (at once if it already was). Returns an id for remove().
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
  /// Idempotent. Runs the callbacks before it returns.
  void requestAbort();
  bool isAborted() const;

 private:
  std::shared_ptr<AbortToken::State> state_;
};

/// Suspends for `duration` or until the abort; false when aborted.
bool sleepFor(Duration duration, AbortToken token);

}  // namespace skep::fiber
