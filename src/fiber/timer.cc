#include "skep/fiber/timer.h"

#include <map>
#include <utility>

#include "skep/fiber/loop_core.h"

namespace skep::fiber {

using detail::LoopCore;

void Timer::callAfter(Duration delay, std::function<void()> function) {
  cancel();
  function_ = std::move(function);
  LoopCore::of(loop_).armTimer(entry_, delay);
}

void Timer::cancel() {
  if (!entry_.isQueued()) return;
  LoopCore::of(loop_).cancelTimer(entry_);
  function_ = nullptr;
}

void Timer::fire(detail::TimerEntry& entry) {
  // Moved out first: the function may replace itself or destroy its timer.
  const auto function = std::exchange(static_cast<Entry&>(entry).owner.function_, nullptr);
  function();
}

struct AbortToken::State {
  bool aborted = false;
  std::uint64_t nextId = 1;
  std::map<std::uint64_t, std::function<void()>> callbacks;
};

bool AbortToken::isAborted() const {
  return state_ != nullptr && state_->aborted;
}

std::uint64_t AbortToken::onAbort(std::function<void()> function) {
  if (state_ == nullptr) return 0;
  if (state_->aborted) {
    function();
    return 0;
  }
  const std::uint64_t id = state_->nextId++;
  state_->callbacks.emplace(id, std::move(function));
  return id;
}

void AbortToken::remove(std::uint64_t id) {
  if (state_ != nullptr) state_->callbacks.erase(id);
}

AbortSource::AbortSource() : state_(std::make_shared<AbortToken::State>()) {}

AbortToken AbortSource::token() const {
  return AbortToken(state_);
}

void AbortSource::requestAbort() {
  // A callback may remove others or destroy this source.
  const std::shared_ptr<AbortToken::State> state = state_;
  state->aborted = true;
  while (!state->callbacks.empty()) {
    const auto callback = state->callbacks.extract(state->callbacks.begin());
    callback.mapped()();
  }
}

bool AbortSource::isAborted() const {
  return state_->aborted;
}

bool sleepFor(Duration duration, AbortToken token) {
  if (token.isAborted()) return false;
  if (!onFiber()) {
    // A token belongs to a loop, so on a plain thread nothing can abort the sleep.
    sleepFor(duration);
    return !token.isAborted();
  }
  bool aborted = false;
  std::uint64_t abortId = 0;
  detail::Sleeper sleeper;
  suspend([&](Waker waker) {
    LoopCore& core = *LoopCore::current();
    sleeper.waker = waker;
    core.armTimer(sleeper, duration);
    abortId = token.onAbort([&sleeper, &aborted, &core] {
      if (!sleeper.isQueued()) return;  // its time had come first: it is awake already
      core.cancelTimer(sleeper);
      aborted = true;
      sleeper.waker.wake();
    });
  });
  token.remove(abortId);
  return !aborted;
}

}  // namespace skep::fiber
