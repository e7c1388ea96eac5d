// LatencyHistogram: how long things took, in fixed buckets. One thread records, or any with a
// SharedLatencyHistogram; any thread reads.

#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "skep/base/clock.h"
#include "skep/base/single_writer_counter.h"

namespace skep {

/// What a histogram has counted.
struct LatencyCounts {
  /// Upper bounds of the buckets, in microseconds; what is longer than all goes behind the last.
  static constexpr std::array<std::int64_t, 16> kBoundsUs = {
      100,    250,     500,     1'000,   2'500,     5'000,     10'000,     25'000,
      50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 10'000'000, 60'000'000};

  std::array<std::uint64_t, kBoundsUs.size() + 1> each{};
  Duration sum{};

  void add(const LatencyCounts& other) {
    for (std::size_t i = 0; i < each.size(); ++i) each[i] += other.each[i];
    sum += other.sum;
  }
  std::uint64_t total() const {
    std::uint64_t total = 0;
    for (const std::uint64_t count : each) total += count;
    return total;
  }
};

template <class Counter>
class BasicLatencyHistogram {
 public:
  void record(Duration duration) {
    const std::int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    std::size_t bucket = 0;
    while (bucket < LatencyCounts::kBoundsUs.size() && us > LatencyCounts::kBoundsUs[bucket]) {
      ++bucket;
    }
    counts_[bucket].add();
    sumUs_.add(static_cast<std::uint64_t>(us < 0 ? 0 : us));
  }
  LatencyCounts counts() const {
    LatencyCounts counts;
    for (std::size_t i = 0; i < counts_.size(); ++i) counts.each[i] = counts_[i].value();
    counts.sum = std::chrono::microseconds(sumUs_.value());
    return counts;
  }

 private:
  std::array<Counter, LatencyCounts::kBoundsUs.size() + 1> counts_{};
  Counter sumUs_;
};

/// A count that many threads grow.
class SharedCounter {
 public:
  void add(std::uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

using LatencyHistogram = BasicLatencyHistogram<SingleWriterCounter>;
using SharedLatencyHistogram = BasicLatencyHistogram<SharedCounter>;

}  // namespace skep
