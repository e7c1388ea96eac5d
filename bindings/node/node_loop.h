// NodeLoop: a fiber loop that runs on a JavaScript thread, inside libuv's.
//
// The fibers' work and JavaScript take turns: no fiber ever calls into JavaScript (V8 knows one stack
// only), and JavaScript never waits for a fiber. drive() lets the fibers run until nothing is ready,
// then runs what they want of JavaScript, each in a callback scope of its own, so that its microtasks
// have run when it ends. libuv calls drive() when other threads or a timer have given the loop work.
//
// Belongs to its JavaScript thread, but for what fiber::Loop offers to others.

#pragma once

#include <node_api.h>
#include <uv.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "loop_clock.h"
#include "skep/fiber/loop.h"
#include "watchdog.h"

namespace skep::node {

class NodeLoop {
 public:
  explicit NodeLoop(napi_env env);
  NodeLoop(const NodeLoop&) = delete;
  NodeLoop& operator=(const NodeLoop&) = delete;

  fiber::Loop& loop() { return loop_; }
  LoopClock& clock() { return clock_; }
  napi_env env() const { return env_; }

  /// Runs `function` on this thread outside any fiber, in a handle scope and a callback scope, in the order
  /// of the calls. Also from a fiber.
  void call(std::function<void()> function);
  /// Whether such a function runs now.
  bool isCalling() const { return isCalling_; }
  /// Whose code such a function runs: that is so until its microtasks have run.
  void setCurrent(std::string actor);
  const CurrentActor& current() const { return current_; }
  /// Grows whenever fibers or such functions have run.
  std::uint64_t rounds() const { return rounds_; }
  /// Has the fibers run soon, as when the clock has moved.
  void wake() { uv_async_send(&async_); }
  /// Called after each such function, when its microtasks have run.
  void setScopeEnd(std::function<void()> ended) { scopeEnded_ = std::move(ended); }

  /// Runs fibers until `done()`; blocks this thread, JavaScript too. Outside any fiber.
  void block(const std::function<bool()>& done) { loop_.runUntil(done); }

  /// An idle loop keeps no process alive; one with ref() does.
  void ref();
  void unref();
  /// The thread's JavaScript ends: from now on functions given to call() run without it, and must not touch
  /// it.
  void end() { isEnded_ = true; }
  bool isEnded() const { return isEnded_; }
  /// Deletes this when libuv has let go of it, and calls `whenClosed`. No fiber and no timer is left by then.
  void close(std::function<void()> whenClosed);

 private:
  ~NodeLoop();
  void drive();
  void runCalls();
  void armTimer();

  const napi_env env_;
  LoopClock clock_;
  fiber::Loop loop_;
  napi_async_context context_ = nullptr;
  napi_ref resource_ = nullptr;
  uv_async_t async_;
  uv_timer_t timer_;
  std::deque<std::function<void()>> calls_;
  std::function<void()> scopeEnded_;
  CurrentActor current_;
  bool hasCurrent_ = false;
  std::uint64_t rounds_ = 0;
  std::function<void()> closed_;
  bool isEnded_ = false;
  bool isCalling_ = false;
  bool isDriving_ = false;
  int openHandles_ = 2;
};

}  // namespace skep::node
