// Names for things that must not be taken for one another: 64 random bits in hexadecimal. Not secret.
// Any thread.

#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace skep {

inline std::string randomId() {
  thread_local std::mt19937_64 random(std::random_device{}());
  constexpr char kDigits[] = "0123456789abcdef";
  std::string id(16, '0');
  std::uint64_t bits = random();
  for (char& digit : id) {
    digit = kDigits[bits & 15];
    bits >>= 4;
  }
  return id;
}

}  // namespace skep
