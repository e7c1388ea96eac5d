// What Skep looks for in the bytes of a page. Pure functions, any thread.

#pragma once

#include <cstdint>
#include <cstring>

#include "skep/base/bytes.h"
#include "skep/store/page_store.h"

namespace skep::vfs {

/// The size of the database in pages, as SQLite's header on page 1 says it: big-endian, at byte 28.
/// https://www.sqlite.org/fileformat2.html section 1.3
inline std::uint32_t headerPageCount(ByteView firstPage) {
  constexpr std::size_t kOffset = 28;
  std::uint32_t count = 0;
  for (const std::byte byte : firstPage.subspan(kOffset, sizeof count))
    count = count << 8 | static_cast<std::uint32_t>(byte);
  return count;
}

inline bool isZeroPage(ByteView page) {
  static constexpr std::byte kZeros[store::kPageBytes] = {};
  return std::memcmp(page.data(), kZeros, store::kPageBytes) == 0;
}

}  // namespace skep::vfs
