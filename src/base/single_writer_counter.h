// SingleWriterCounter: a count that one thread grows and any thread reads.
//
// Adding is a plain load and store, without the locked instruction that two writers would need.

#pragma once

#include <atomic>
#include <cstdint>

namespace skep {

class SingleWriterCounter {
 public:
  void add(std::uint64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace skep
