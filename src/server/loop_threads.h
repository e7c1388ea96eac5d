// LoopThreads: event loops on threads of their own, beside the one that starts them.
//
//   LoopThreads others(clock, 3);
//   others.onEach([&](fiber::Loop& loop, std::size_t i) { … });   // on a fiber of each

#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "skep/base/clock.h"
#include "skep/fiber/loop.h"

namespace skep::server {

class LoopThreads {
 public:
  /// The clock outlives it.
  LoopThreads(Clock& clock, std::size_t count);
  /// Waits for the threads; what runs on their loops must have ended. Does not suspend.
  ~LoopThreads();
  LoopThreads(const LoopThreads&) = delete;
  LoopThreads& operator=(const LoopThreads&) = delete;

  std::size_t size() const { return threads_.size(); }
  /// Runs `body(loop, i)` on a fiber of each loop, all at once, and waits for them. Suspends.
  void onEach(const std::function<void(fiber::Loop&, std::size_t)>& body);

 private:
  class Thread;
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace skep::server
