// LoopWatch: tells when code does not give its loop back: a long computation, a loop without end, a
// call that blocks. Everything else on that loop waits meanwhile, and nothing on it could say so.
//
// One thread looks at all loops now and then. What a fiber is about is said by an ActivityScope, which
// costs a fiber two atomic exchanges and no lock.
//
// Threading: made and destroyed on any thread but those of the loops. Lifetime: the loops outlive it.
//
//   LoopWatch watch({&loop}, {}, [](const HeldLoop& held) { logWarn(…); });

#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "skep/base/clock.h"

namespace skep::fiber {

class Loop;

/// What a fiber is about. What it refers to stays as it is while the scope is.
struct Activity {
  std::string_view actor;
  std::string_view what;
};

/// On a fiber. Scopes nest.
class ActivityScope {
 public:
  explicit ActivityScope(const Activity& activity);
  ~ActivityScope();
  ActivityScope(const ActivityScope&) = delete;
  ActivityScope& operator=(const ActivityScope&) = delete;

 private:
  const Activity* const outer_;
};

struct HeldLoop {
  std::string actor;  // empty: none's
  std::string what;
  Duration time{};  // so far, at least
};

struct LoopWatchOptions {
  Duration limit = std::chrono::seconds(1);
};

class LoopWatch {
 public:
  /// `tell` is called on the watch's thread: once for each time that a loop is held for longer than the
  /// limit.
  LoopWatch(std::vector<Loop*> loops, LoopWatchOptions options,
            std::function<void(const HeldLoop&)> tell);
  ~LoopWatch();
  LoopWatch(const LoopWatch&) = delete;
  LoopWatch& operator=(const LoopWatch&) = delete;

 private:
  struct Watched {
    Loop* loop = nullptr;
    std::uint64_t beat = 0;
    Duration held{};
    bool isTold = false;
  };
  void watch();
  void look(Watched& watched, Duration sinceLast);

  std::vector<Watched> loops_;
  const LoopWatchOptions options_;
  const std::function<void(const HeldLoop&)> tell_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool isStopping_ = false;
  std::thread thread_;
};

}  // namespace skep::fiber
