// Interrupts: what Ctrl-C (SIGINT) does.
//
// Main makes one Interrupts before any other thread starts: it blocks SIGINT for the process and
// receives it on a thread of its own, where any code may run (a signal handler may do almost
// nothing). While an InterruptScope is alive, a first Ctrl-C calls its function; another one while
// that has not helped (unless the scope says OnRepeat::Ignore), or one without a scope, ends the
// process with status 130. That is always safe: what was acknowledged is durable, what was not is
// not there.
//
//   InterruptScope scope(interrupts, [&] { database.interrupt(); });

#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace skep::server {

inline constexpr int kExitInterrupted = 130;

class InterruptScope;

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
  bool isPending();
  void repeat();

  std::mutex mutex_;
  InterruptScope* innermost_ = nullptr;
  int stopEvent_;
  std::thread thread_;
};

/// Scopes nest: the innermost one receives the interrupt.
class InterruptScope {
 public:
  enum class OnRepeat : std::uint8_t { Exit, Ignore };

  /// `function` must be quick, and may be called again and again: from the interrupt on it is called
  /// on the signal thread, every 50 ms, until the scope ends.
  InterruptScope(Interrupts& interrupts, std::function<void()> function,
                 OnRepeat onRepeat = OnRepeat::Exit);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  /// Whether Ctrl-C was pressed within the scope.
  bool wasInterrupted() const;

 private:
  friend class Interrupts;
  Interrupts& interrupts_;
  std::function<void()> function_;
  OnRepeat onRepeat_;
  bool wasInterrupted_ = false;
  InterruptScope* outer_ = nullptr;
};

}  // namespace skep::server
