// LoopCore, detail::Fiber and Strand: the inside of Loop. Nothing outside src/fiber includes this.
//
// Switching: the loop's thread has a "home" context; each fiber runs on a strand, a stack with a
// context of its own, which serves one fiber after another. resume() jumps from home into a fiber,
// leave() jumps back. Each jump also exchanges the C++ runtime's record of caught and uncaught
// exceptions, which is kept for each thread and knows nothing of fibers: without that, two fibers
// that handle exceptions at once would pop each other's.

#pragma once

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/context/detail/fcontext.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "skep/fiber/inbox.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/loop_watch.h"
#include "skep/fiber/sanitizer.h"
#include "skep/fiber/stack.h"
#include "skep/fiber/timer_queue.h"

namespace skep::fiber::detail {

/// What __cxa_get_globals() points at; the layout is fixed by the Itanium C++ ABI, section 2.2.2.
struct ExceptionGlobals {
  void* caughtExceptions = nullptr;
  unsigned int uncaughtExceptions = 0;
};

struct ExecutionContext {
  boost::context::detail::fcontext_t handle = nullptr;
  ExceptionGlobals exceptions;
  SanitizerStack sanitizer;
};

/// The pending timer of one sleeping fiber, on that fiber's stack.
struct Sleeper : TimerEntry {
  Sleeper() : TimerEntry([](TimerEntry& entry) { static_cast<Sleeper&>(entry).waker.wake(); }) {}
  Waker waker;
};

class Fiber;
class LoopCore;

/// Kept for the next fiber when one has finished: its pages are warm, and the sanitizers' state of
/// a stack is expensive to make.
struct Strand {
  Strand(LoopCore& loopCore, std::unique_ptr<Stack> mapped);
  ~Strand();
  Strand(const Strand&) = delete;
  Strand& operator=(const Strand&) = delete;

  /// From within: jumps home; returns when the loop enters the strand again.
  void leave();

  LoopCore& core;
  const std::unique_ptr<Stack> stack;
  ExecutionContext context;
  Fiber* fiber = nullptr;  // that it runs; null: none, it is idle or about to end
};

class Fiber : public Task {
 public:
  Fiber(LoopCore& core, std::string_view name, std::function<void()> body, Priority priority)
      : Task(Kind::Fiber), core_(core), name_(name), priority_(priority), body_(std::move(body)) {}

 private:
  friend class LoopCore;
  friend class fiber::Waker;

  LoopCore& core_;
  std::string_view name_;
  const Priority priority_;
  std::function<void()> body_;
  const Activity* activity_ = nullptr;  // see LoopWatch
  // From the first run on: spawn() may be on another thread than the pool of strands.
  Strand* strand_ = nullptr;
  // Odd while suspended; each suspension and each wake adds one. A Waker remembers the odd number
  // that it is for. Atomic only so that a second wake on another thread is recognised reliably.
  std::atomic<std::uint64_t> suspension_ = 0;
};

class LoopCore {
 public:
  LoopCore(Loop& loop, Clock& clock, LoopOptions options);
  ~LoopCore();

  /// The core behind a Loop; the one that runs on this thread, and its running fiber, or null.
  static LoopCore& of(Loop& loop) { return *loop.core_; }
  static LoopCore* current();
  static Fiber* currentFiber();

  // Any thread.
  void spawn(std::string_view name, std::function<void()> body, Priority priority);
  bool hasRoom(Priority priority) const;
  void post(std::function<void()> function);
  void stop();
  void makeReady(Task& task);

  // The loop's thread.
  void run();
  void runUntilIdle();
  void runUntil(const std::function<bool()>& done);
  void poll();
  /// Runs a fiber that has just been claimed until it suspends or ends. Outside any fiber.
  void runNow(Fiber& fiber);
  void setNotifier(std::function<void()> notify);
  void armTimer(TimerEntry& entry, Duration delay);
  void cancelTimer(TimerEntry& entry) { timers_.cancel(entry); }
  std::optional<Duration> untilNextTimer() const;
  boost::asio::io_context& ioContext();
  std::size_t fiberCount() const { return fiberCount_; }
  Loop& loop() { return loop_; }

  // The running fiber.
  /// Jumps home; returns when somebody made the fiber ready.
  void leave(Fiber& fiber);
  /// Numbers a new suspension of the running fiber for its Waker.
  static std::uint64_t beginSuspension(Fiber& fiber);
  /// Dies when the running code is in a catch block.
  static void checkMaySuspend();
  /// What the running fiber is about from now on; gives what it was about before.
  const Activity* setActivity(const Activity* activity);

  // The watch's thread.
  /// Odd while a task runs; another number for each.
  std::uint64_t beat() const { return beat_.load(std::memory_order_relaxed); }
  HeldLoop look();

 private:
  class RunScope;

  bool takeTurn();
  std::size_t runReady();
  std::size_t runRound();
  std::size_t fireTimers();
  void runTask(Task& task);
  void resume(Fiber& fiber);
  bool start(Fiber& fiber);
  std::size_t stacksInUse() const;
  void waitForStack(Fiber& fiber);
  void stackIsFree();
  void wakeStarved();
  void finish(Strand& strand);
  void publishActivity(const Activity* activity);
  void enter(Strand& strand);
  void endStrand(Strand* strand);
  friend struct Strand;
  static void strandMain(boost::context::detail::transfer_t transfer);
  static void runBody(Fiber& fiber);
  void block();
  void armAlarm();
  void wakeUp(LoopState state);

  Loop& loop_;
  Clock& clock_;
  const LoopOptions options_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> keepIo_;
  boost::asio::steady_timer alarm_;  // wakes the thread for the earliest timer
  std::optional<MonotonicTime> alarmDue_;
  bool alarmWasEarly_ = false;
  bool ioUsed_ = false;               // somebody has the io_context: only then a turn polls it
  std::vector<Strand*> idleStrands_;  // owned; at most options_.pooledStacksMax
  TimerQueue timers_;
  TaskList ready_;
  Inbox inbox_;
  std::function<void()> notify_;
  ExecutionContext home_;
  StackBudget& budget_;
  std::atomic<std::size_t> idleCount_ = 0;       // of idleStrands_, for other threads
  std::atomic<std::size_t> unstartedCount_ = 0;  // fibers that have no stack yet
  // Fibers that found no stack free, by priority; and who tries again for them.
  std::array<TaskList, kPriorityCount> starved_;
  struct Retry : TimerEntry {
    explicit Retry(LoopCore& loopCore)
        : TimerEntry([](TimerEntry& entry) { static_cast<Retry&>(entry).core.wakeStarved(); }),
          core(loopCore) {}
    LoopCore& core;
  };
  Retry retry_{*this};
  // For the watch.
  std::atomic<std::uint64_t> beat_ = 0;
  std::atomic<const Activity*> activity_ = nullptr;
  std::atomic<bool> isLookedAt_ = false;
  std::size_t fiberCount_ = 0;
  bool running_ = false;
  bool stopping_ = false;
};

}  // namespace skep::fiber::detail
