#include "skep/base/clock.h"

#include <time.h>

#include <algorithm>

namespace skep {

std::int64_t SystemClock::wallMs() const {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::int64_t SystemClock::wallMsAfter(Duration delay) const {
  using namespace std::chrono;
  const auto now = duration_cast<Duration>(system_clock::now().time_since_epoch());
  // A delay of centuries must not overflow.
  const Duration longest = Duration::max() - now;
  return ceil<milliseconds>(now + std::min(delay, longest)).count();
}

MonotonicTime SystemClock::monotonic() const {
  // Not CLOCK_MONOTONIC, which stands still while the machine is suspended: a lease runs out meanwhile.
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return {std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
}

}  // namespace skep
