// Time, as something that is handed in: nothing in Skep reads a system clock directly.
//
// Clock gives wall time (stored in records, shown to people) and monotonic time (timers, leases,
// limits). SystemClock is the real one. ManualClock moves only when a test says so. Both may be
// read from any thread.

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace skep {

using Duration = std::chrono::nanoseconds;

/// A point on a monotonic clock, in nanoseconds since an arbitrary start.
struct MonotonicTime {
  std::int64_t ns = 0;

  friend auto operator<=>(MonotonicTime, MonotonicTime) = default;
  friend MonotonicTime operator+(MonotonicTime time, Duration d) { return {time.ns + d.count()}; }
  friend Duration operator-(MonotonicTime a, MonotonicTime b) { return Duration(a.ns - b.ns); }
};

class Clock {
 public:
  virtual ~Clock() = default;
  /// Milliseconds since the Unix epoch, rounded down. May jump.
  virtual std::int64_t wallMs() const = 0;
  /// The first millisecond of wallMs() at which `delay` from now has passed: what is due then is not early.
  virtual std::int64_t wallMsAfter(Duration delay) const = 0;
  /// Never goes back.
  virtual MonotonicTime monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  std::int64_t wallMs() const override;
  std::int64_t wallMsAfter(Duration delay) const override;
  MonotonicTime monotonic() const override;
};

class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::int64_t wallMs = 1'700'000'000'000) : startMs_(wallMs) {}
  std::int64_t wallMs() const override { return startMs_ + (ns_.load() - kStartNs) / 1'000'000; }
  std::int64_t wallMsAfter(Duration delay) const override {
    const Duration end = Duration(ns_.load() - kStartNs) + delay;
    return startMs_ + std::chrono::ceil<std::chrono::milliseconds>(end).count();
  }
  MonotonicTime monotonic() const override { return {ns_.load()}; }
  /// Moves both clocks forward. Timers of a Loop fire when that loop is next asked to run.
  void advance(Duration d) { ns_ += d.count(); }

 private:
  static constexpr std::int64_t kStartNs = 1;
  std::int64_t startMs_;
  std::atomic<std::int64_t> ns_{kStartNs};
};

}  // namespace skep
