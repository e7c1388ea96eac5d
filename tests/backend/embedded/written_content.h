// What the killed writer writes, so that the test knows what it must find.

#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "skep/store/page_store.h"

namespace skep::testing {

inline constexpr int kWriterThreads = 3;
inline constexpr int kDatabasesPerThread = 6;
inline constexpr store::Txid kCommitsPerFold = 16;

inline std::string writtenName(int thread, int number) {
  return "thread" + std::to_string(thread) + "/db" + std::to_string(number);
}

/// The bytes of a record or of chunk 0, of 30 to 3,000 bytes.
inline Bytes writtenContent(const std::string& name, store::Txid txid, const char* kind) {
  std::mt19937_64 random(std::hash<std::string>()(name + kind) + txid);
  Bytes bytes(30 + (random() % 10 == 0 ? random() % 2970 : random() % 100));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace skep::testing
