// What the process that gets killed writes (writer_process.cc), and its judge knows (kill_test.cc):
// in each of some databases, a table of entries numbered without gaps, each with a content that follows from its number.

#pragma once

#include <cstdint>
#include <string>

#include "skep/vfs/paged_file_options.h"

namespace skep::testing {

/// The databases of a process that writes to `count` of them at once.
inline std::string ledgerName(std::size_t index) {
  return "ledger/" + std::to_string(index);
}

inline std::string ledgerContent(std::int64_t id) {
  const std::size_t size = static_cast<std::size_t>(id) * 37 % 1500;
  std::string content = "entry " + std::to_string(id) + " ";
  auto word = static_cast<std::uint64_t>(id);
  while (content.size() < size) {
    word = word * 6364136223846793005u + 1442695040888963407u;
    content += static_cast<char>('a' + (word >> 33) % 26);
  }
  return content;
}

/// Small enough that folds and staged transactions happen all the time.
inline vfs::PagedFileOptions ledgerSizes() {
  vfs::PagedFileOptions sizes;
  sizes.logBytesMin = 8192;
  sizes.logBytesMax = 65536;
  sizes.transactionBytesMax = 32 * 4096;
  sizes.dirtyPagesMax = 24;
  return sizes;
}
inline constexpr std::size_t kLedgerCacheBytes = 200 * 4200;

}  // namespace skep::testing
