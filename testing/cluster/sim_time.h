// SimTime: the time of a simulation: events in their order, and clocks that run at different rates.
//
// Everything happens on one thread. True time moves only in advanceTo(); a SimClock shows it as one machine's
// clock does: from another start and a little faster or slower.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

#include "skep/base/clock.h"

namespace skep::testing {

class SimTime {
 public:
  MonotonicTime now() const { return now_; }
  /// `event` happens at now + delay; those of one moment in the order of the calls.
  void after(Duration delay, std::function<void()> event) {
    events_.push({now_ + delay, ++order_, std::move(event)});
  }
  std::optional<MonotonicTime> next() const {
    return events_.empty() ? std::nullopt : std::optional(events_.top().time);
  }
  /// Moves on, and runs the events that are due then.
  void advanceTo(MonotonicTime time) {
    now_ = time;
    while (!events_.empty() && events_.top().time <= now_) {
      const std::function<void()> run = events_.top().run;
      events_.pop();
      run();
    }
  }

 private:
  struct Event {
    MonotonicTime time;
    std::uint64_t order = 0;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return other.time < time || (other.time == time && other.order < order);
    }
  };

  MonotonicTime now_{1};
  std::uint64_t order_ = 0;
  std::priority_queue<Event> events_;
};

/// A machine's clock. `rate` 1.01: its monotonic time is one percent fast. Wall clocks are kept right.
class SimClock final : public Clock {
 public:
  SimClock(const SimTime& time, double rate) : time_(time), start_(time.now()), rate_(rate) {}

  std::int64_t wallMs() const override {
    return 1'700'000'000'000 + wallJumpMs_ + time_.now().ns / 1'000'000;
  }
  std::int64_t wallMsAfter(Duration delay) const override {
    return 1'700'000'000'000 + wallJumpMs_ +
           std::chrono::ceil<std::chrono::milliseconds>(Duration(time_.now().ns) + delay).count();
  }
  MonotonicTime monotonic() const override { return MonotonicTime{1} + elapsed(); }
  void jumpWall(std::int64_t ms) { wallJumpMs_ += ms; }

  /// When, in true time, so much will have passed here.
  MonotonicTime trueTimeAfter(Duration delay) const {
    const double ns = static_cast<double>(delay.count()) / rate_;
    return time_.now() + Duration(static_cast<std::int64_t>(ns) + 1);
  }

 private:
  Duration elapsed() const {
    return Duration(
        static_cast<std::int64_t>(static_cast<double>((time_.now() - start_).count()) * rate_));
  }

  const SimTime& time_;
  const MonotonicTime start_;
  const double rate_;
  std::int64_t wallJumpMs_ = 0;
};

}  // namespace skep::testing
