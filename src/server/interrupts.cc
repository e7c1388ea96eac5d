#include "skep/server/interrupts.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

#include "skep/base/check.h"

namespace skep::server {
namespace {

// An interrupt that comes between two statements meets nobody: it is repeated until its scope ends.
constexpr int kAskAgainMs = 20;

sigset_t interruptSignal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

Interrupts::Interrupts() : stopEvent_(eventfd(0, EFD_CLOEXEC)) {
  SKEP_CHECK(stopEvent_ >= 0, "eventfd");
  const sigset_t signals = interruptSignal();
  SKEP_CHECK(pthread_sigmask(SIG_BLOCK, &signals, nullptr) == 0);
  thread_ = std::thread([this] { run(); });
}

Interrupts::~Interrupts() {
  SKEP_CHECK(eventfd_write(stopEvent_, 1) == 0);
  thread_.join();
  ::close(stopEvent_);
}

void Interrupts::run() {
  const sigset_t signals = interruptSignal();
  const int signalDescriptor = signalfd(-1, &signals, SFD_CLOEXEC);
  SKEP_CHECK(signalDescriptor >= 0, "signalfd");
  while (true) {
    pollfd ready[2] = {{.fd = stopEvent_, .events = POLLIN, .revents = 0},
                       {.fd = signalDescriptor, .events = POLLIN, .revents = 0}};
    const int readyCount = ::poll(ready, 2, isAsking() ? kAskAgainMs : -1);
    if (readyCount < 0) continue;
    if (ready[0].revents != 0) break;
    if (ready[1].revents == 0) {
      askAgain();
      continue;
    }
    signalfd_siginfo info;
    if (::read(signalDescriptor, &info, sizeof info) == sizeof info) interrupted();
  }
  ::close(signalDescriptor);
}

void Interrupts::interrupted() {
  std::lock_guard lock(mutex_);
  if (++countInScope_ > 1 || !function_) ::_exit(kExitInterrupted);
  function_();
}

bool Interrupts::isAsking() {
  std::lock_guard lock(mutex_);
  return function_ && countInScope_ > 0;
}

void Interrupts::askAgain() {
  std::lock_guard lock(mutex_);
  if (function_ && countInScope_ > 0) function_();
}

InterruptScope::InterruptScope(Interrupts& interrupts, std::function<void()> function)
    : interrupts_(interrupts) {
  std::lock_guard lock(interrupts_.mutex_);
  outerFunction_ = std::exchange(interrupts_.function_, std::move(function));
  outerCount_ = std::exchange(interrupts_.countInScope_, 0);
}

InterruptScope::~InterruptScope() {
  std::lock_guard lock(interrupts_.mutex_);
  interrupts_.function_ = std::move(outerFunction_);
  interrupts_.countInScope_ = outerCount_;
}

bool InterruptScope::wasInterrupted() const {
  std::lock_guard lock(interrupts_.mutex_);
  return interrupts_.countInScope_ > 0;
}

}  // namespace skep::server
