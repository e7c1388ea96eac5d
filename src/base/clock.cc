#include "skep/base/clock.h"

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
  return {std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())
              .count()};
}

}  // namespace skep
