// Interrupts: what Ctrl-C (SIGINT) does.
//
// Main makes one Interrupts before any other thread starts: it blocks SIGINT for the process and
// receives it on a thread of its own, where any code may run (a signal handler may do almost
// nothing). While an InterruptScope is alive, a first Ctrl-C calls its function; another one while
// that has not helped, or one without a scope, ends the process with status 130. That is always
// safe: what was acknowledged is durable, what was not is not there.
//
//   InterruptScope scope(interrupts, [&] { database.interrupt(); });   // `function` runs on the
//   signal thread

#pragma once

#include <functional>
#include <mutex>
#include <thread>

namespace skep::server {

inline constexpr int kExitInterrupted = 130;

class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  friend class InterruptScope;
  void run();
  void interrupted();
  bool isAsking();
  void askAgain();

  std::mutex mutex_;
  std::function<void()> function_;  // of the innermost scope
  int countInScope_ = 0;
  int stopEvent_;
  std::thread thread_;
};

/// Scopes nest: the innermost one receives the interrupt.
class InterruptScope {
 public:
  /// `function` must be quick, may run on another thread until the scope ends, and is called at
  /// most once.
  InterruptScope(Interrupts& interrupts, std::function<void()> function);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  /// Whether Ctrl-C was pressed within the scope.
  bool wasInterrupted() const;

 private:
  Interrupts& interrupts_;
  std::function<void()> outerFunction_;
  int outerCount_;
};

}  // namespace skep::server
