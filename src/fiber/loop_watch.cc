#include "skep/fiber/loop_watch.h"

#include <utility>

#include "skep/fiber/loop_core.h"

namespace skep::fiber {

using detail::LoopCore;

ActivityScope::ActivityScope(const Activity& activity)
    : outer_(LoopCore::current()->setActivity(&activity)) {}

ActivityScope::~ActivityScope() {
  LoopCore::current()->setActivity(outer_);
}

LoopWatch::LoopWatch(std::vector<Loop*> loops, LoopWatchOptions options,
                     std::function<void(const HeldLoop&)> tell)
    : options_(options), tell_(std::move(tell)) {
  for (Loop* loop : loops) loops_.push_back({.loop = loop});
  thread_ = std::thread([this] { watch(); });
}

LoopWatch::~LoopWatch() {
  {
    const std::lock_guard lock(mutex_);
    isStopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void LoopWatch::watch() {
  const Duration pause = options_.limit / 4;
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, pause, [this] { return isStopping_; })) {
    for (Watched& watched : loops_) look(watched, pause);
  }
}

void LoopWatch::look(Watched& watched, Duration sinceLast) {
  LoopCore& core = LoopCore::of(*watched.loop);
  const std::uint64_t beat = core.beat();
  const bool isSame = beat % 2 == 1 && beat == watched.beat;
  if (!isSame) {
    watched = {.loop = watched.loop, .beat = beat};
    return;
  }
  watched.held += sinceLast;
  if (watched.held < options_.limit || std::exchange(watched.isTold, true)) return;
  HeldLoop held = core.look();
  if (core.beat() != beat) return;  // it has come back: what we saw may be another's
  held.time = watched.held;
  tell_(held);
}

}  // namespace skep::fiber
