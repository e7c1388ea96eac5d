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

constexpr int kRepeatMs = 50;

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
    const int count = ::poll(ready, 2, isPending() ? kRepeatMs : -1);
    if (count == 0) repeat();
    if (count <= 0) continue;
    if (ready[0].revents != 0) break;
    signalfd_siginfo info;
    if (::read(signalDescriptor, &info, sizeof info) == sizeof info) interrupted();
  }
  ::close(signalDescriptor);
}

bool Interrupts::isPending() {
  std::lock_guard lock(mutex_);
  return innermost_ != nullptr && innermost_->wasInterrupted_ &&
         innermost_->onRepeat_ == InterruptScope::OnRepeat::Exit;
}

void Interrupts::repeat() {
  std::lock_guard lock(mutex_);
  if (innermost_ != nullptr && innermost_->wasInterrupted_) innermost_->function_();
}

void Interrupts::interrupted() {
  std::lock_guard lock(mutex_);
  if (innermost_ == nullptr) ::_exit(kExitInterrupted);
  const bool isRepeated = std::exchange(innermost_->wasInterrupted_, true);
  if (!isRepeated) {
    innermost_->function_();
  } else if (innermost_->onRepeat_ == InterruptScope::OnRepeat::Exit) {
    ::_exit(kExitInterrupted);
  }
}

InterruptScope::InterruptScope(Interrupts& interrupts, std::function<void()> function,
                               OnRepeat onRepeat)
    : interrupts_(interrupts), function_(std::move(function)), onRepeat_(onRepeat) {
  std::lock_guard lock(interrupts_.mutex_);
  outer_ = std::exchange(interrupts_.innermost_, this);
}

bool InterruptScope::wasInterrupted() const {
  std::lock_guard lock(interrupts_.mutex_);
  return wasInterrupted_;
}

InterruptScope::~InterruptScope() {
  std::lock_guard lock(interrupts_.mutex_);
  interrupts_.innermost_ = outer_;
}

}  // namespace skep::server
