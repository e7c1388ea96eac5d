// RetryOptions: how often, and how long after a failure, something is tried again.
//
// The wait doubles with each try up to a bound, with up to a quarter of it taken off, so that what failed
// together does not come back together. What is taken off follows from the seed: a test sees the same.

#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "skep/base/clock.h"

namespace skep::actor {

struct RetryOptions {
  int triesMax = 8;  // the first one included
  Duration first = std::chrono::seconds(1);
  Duration longest = std::chrono::minutes(5);

  /// Before the try that follows `tries` failures (1 or more).
  std::int64_t delayMs(int tries, std::uint64_t seed) const {
    const std::int64_t longestMs = longest / std::chrono::milliseconds(1);
    std::int64_t delay = first / std::chrono::milliseconds(1);
    for (int i = 1; i < tries && delay < longestMs; ++i) delay *= 2;
    delay = std::clamp<std::int64_t>(delay, 1, std::max<std::int64_t>(longestMs, 1));
    return delay - static_cast<std::int64_t>(mix(seed + static_cast<std::uint64_t>(tries)) %
                                             static_cast<std::uint64_t>(delay / 4 + 1));
  }

 private:
  /// SplitMix64's finalizer (Steele, Lea, Flood 2014).
  static std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
  }
};

}  // namespace skep::actor
