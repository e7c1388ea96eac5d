// Comparing bytes eight, sixteen and sixty-four at a time: the inner loops of delta.cc.
//
// Internal to skep_store. Written with the compiler's vectors and plain 64-bit arithmetic, so that
// every platform runs, and tests, the same code.

#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "skep/store/page_store.h"

namespace skep::store {

inline std::uint64_t load64(const std::byte* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline constexpr unsigned kCompareBlock = 64;

/// Bit i is set when byte i of the 64 bytes at a differs from that at b.
inline std::uint64_t differenceMask64(const std::byte* a, const std::byte* b) {
  std::uint64_t mask = 0;
  for (unsigned word = 0; word < 8; ++word) {
    const std::uint64_t x = load64(a + word * 8) ^ load64(b + word * 8);
    // The high bit of each byte that is not zero; the product then gathers those eight bits.
    constexpr std::uint64_t kLow7 = 0x7f7f7f7f7f7f7f7f;
    const std::uint64_t highBits = (((x & kLow7) + kLow7) | x) & ~kLow7;
    mask |= (((highBits >> 7) * 0x0102040810204080) >> 56) << (word * 8);
  }
  return mask;
}

/// Whether any of the 64 bytes at a differs from those at b.
inline bool differs64(const std::byte* a, const std::byte* b) {
  using Lane = std::uint64_t __attribute__((vector_size(16)));  // SSE2, NEON
  const auto lane = [](const std::byte* at) {
    Lane value;
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  const Lane difference = (lane(a) ^ lane(b)) | (lane(a + 16) ^ lane(b + 16)) |
                          (lane(a + 32) ^ lane(b + 32)) | (lane(a + 48) ^ lane(b + 48));
  return (difference[0] | difference[1]) != 0;
}

/// How many bytes from a and b on are equal, at most `max`.
inline unsigned commonLength(const std::byte* a, const std::byte* b, unsigned max) {
  unsigned length = 0;
  for (; length + 8 <= max; length += 8) {
    const std::uint64_t x = load64(a + length) ^ load64(b + length);
    if (x != 0) return length + static_cast<unsigned>(std::countr_zero(x)) / 8;
  }
  while (length < max && a[length] == b[length]) ++length;
  return length;
}

/// Bytes begin … end - 1 of a page.
struct PageRange {
  std::uint16_t begin;
  std::uint16_t end;
};

/// Where two pages differ: ranges in page order with more than kGapMax equal bytes between them.
class DifferingRanges {
 public:
  // Equal runs this short are sent along: an operation of their own would cost as much.
  static constexpr unsigned kGapMax = 2;

  DifferingRanges(const std::byte* base, const std::byte* next) {
    for (unsigned at = 0; at < kPageBytes; at += kCompareBlock) {
      if (differs64(base + at, next + at)) add(at, differenceMask64(base + at, next + at));
    }
  }
  const PageRange* begin() const { return ranges_.data(); }
  const PageRange* end() const { return ranges_.data() + count_; }

 private:
  void add(unsigned at, std::uint64_t mask) {
    // Close gaps of one and two, so that the loop below runs once a range and not once a byte.
    mask |= ((mask << 1) & (mask >> 1)) | ((mask << 1) & (mask >> 2)) | ((mask << 2) & (mask >> 1));
    while (mask != 0) {
      const auto first = static_cast<unsigned>(std::countr_zero(mask));
      const auto length = static_cast<unsigned>(std::countr_one(mask >> first));
      const auto begin = static_cast<std::uint16_t>(at + first);
      const auto end = static_cast<std::uint16_t>(begin + length);
      if (count_ != 0 && begin - ranges_[count_ - 1].end <= static_cast<int>(kGapMax)) {
        ranges_[count_ - 1].end = end;
      } else {
        ranges_[count_++] = {begin, end};
      }
      if (first + length == kCompareBlock) break;
      mask &= ~std::uint64_t{0} << (first + length);
    }
  }

  std::array<PageRange, kPageBytes / (kGapMax + 1) + 1> ranges_;  // the first count_ are set
  std::size_t count_ = 0;
};

}  // namespace skep::store
