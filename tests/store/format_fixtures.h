// What the tests of the stored formats share: seeded random pages and single-bit damage.

#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <span>

#include "skep/base/bytes.h"
#include "skep/store/page_store.h"
#include "skep/testing/hex/hex.h"

namespace skep::store {

using PageBytes = std::array<std::byte, kPageBytes>;

/// A new seed for every run; SKEP_SEED=… repeats one. Printed, so that a failure can be repeated.
inline std::uint64_t testSeed() {
  const char* given = std::getenv("SKEP_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("repeat with SKEP_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

using Random = std::mt19937_64;

inline std::uint64_t below(Random& random, std::uint64_t bound) {
  return random() % bound;
}

inline void fillRandomly(Random& random, std::span<std::byte> bytes) {
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
}

inline PageBytes randomPage(Random& random) {
  PageBytes page;
  fillRandomly(random, page);
  return page;
}

/// Page `page` (from 1) of a database's file image; zeros beyond its end.
inline PageBytes pageOf(const Bytes& image, PageNumber page) {
  PageBytes bytes{};
  const std::size_t at = (page - std::size_t{1}) * kPageBytes;
  if (at < image.size()) std::memcpy(bytes.data(), image.data() + at, kPageBytes);
  return bytes;
}

inline PageNumber pageCountOf(const Bytes& image) {
  return static_cast<PageNumber>(image.size() / kPageBytes);
}

using testing::fromHex;
using testing::toHex;

/// Calls `check(damaged)` with every version of `bytes` that has one bit flipped.
template <class Check>
void forEachFlippedBit(const Bytes& bytes, Check check) {
  Bytes damaged = bytes;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1u << (bit % 8));
    damaged[bit / 8] ^= mask;
    check(damaged, bit);
    damaged[bit / 8] ^= mask;
  }
}

}  // namespace skep::store
