// LatencyHistogram: how long things took, in fixed buckets. One thread records; any thread reads.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "skep/base/clock.h"
#include "skep/base/single_writer_counter.h"

namespace skep {

class LatencyHistogram {
 public:
  /// Upper bounds of the buckets, in microseconds; what is longer than all goes behind the last.
  static constexpr std::array<std::int64_t, 16> kBoundsUs = {
      100,    250,     500,     1'000,   2'500,     5'000,     10'000,     25'000,
      50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 10'000'000, 60'000'000};

  struct Counts {
    std::array<std::uint64_t, kBoundsUs.size() + 1> each{};
    Duration sum{};
    void add(const Counts& other) {
      for (std::size_t i = 0; i < each.size(); ++i) each[i] += other.each[i];
      sum += other.sum;
    }
  };

  void record(Duration duration) {
    const std::int64_t us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
    std::size_t bucket = 0;
    while (bucket < kBoundsUs.size() && us > kBoundsUs[bucket]) ++bucket;
    counts_[bucket].add();
    sumUs_.add(static_cast<std::uint64_t>(us < 0 ? 0 : us));
  }
  Counts counts() const {
    Counts counts;
    for (std::size_t i = 0; i < counts_.size(); ++i) counts.each[i] = counts_[i].value();
    counts.sum = std::chrono::microseconds(sumUs_.value());
    return counts;
  }

 private:
  std::array<SingleWriterCounter, kBoundsUs.size() + 1> counts_{};
  SingleWriterCounter sumUs_;
};

}  // namespace skep
