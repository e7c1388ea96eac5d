// LoopClock: the clock of a JavaScript thread's actors: the system's, or for tests one that moves only
// when it is told to.
//
// Read from any thread; switched and moved by its JavaScript thread, and switched only while no timer
// is set. The monotonic time never goes back, neither when it is switched.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "skep/base/clock.h"

namespace skep::node {

class LoopClock final : public Clock {
 public:
  std::int64_t wallMs() const override {
    if (!isVirtual_) return system_.wallMs();
    return startMs_ + (ns_ - startNs_) / 1'000'000;
  }
  std::int64_t wallMsAfter(Duration delay) const override {
    if (!isVirtual_) return system_.wallMsAfter(delay);
    const Duration end = Duration(ns_ - startNs_) + delay;
    return startMs_ + std::chrono::ceil<std::chrono::milliseconds>(end).count();
  }
  MonotonicTime monotonic() const override {
    return {isVirtual_ ? ns_.load() : system_.monotonic().ns + aheadNs_};
  }

  bool isVirtual() const { return isVirtual_; }
  /// From now on time stands still, at `wallMs`.
  void makeVirtual(std::int64_t wallMs) {
    startNs_ = monotonic().ns;
    ns_ = startNs_.load();
    startMs_ = wallMs;
    isVirtual_ = true;
  }
  void makeReal() {
    if (!isVirtual_) return;
    aheadNs_ = std::max<std::int64_t>(0, ns_ - system_.monotonic().ns);
    isVirtual_ = false;
  }
  void advance(Duration duration) { ns_ += std::max<std::int64_t>(0, duration.count()); }

 private:
  const SystemClock system_;
  std::atomic<bool> isVirtual_{false};
  std::atomic<std::int64_t> ns_{0};
  std::atomic<std::int64_t> startNs_{0};
  std::atomic<std::int64_t> startMs_{0};
  std::atomic<std::int64_t> aheadNs_{0};  // of the system's monotonic clock
};

}  // namespace skep::node
