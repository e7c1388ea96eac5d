// CompressionRate: how well a database's pages compress, learned from its chunks as they are written
// and read. Belongs to one database's loop.

#pragma once

#include <cstddef>
#include <cstdint>

#include "skep/store/page_store.h"

namespace skep::vfs {

class CompressionRate {
 public:
  /// A chunk of `pages` pages takes `bytes`.
  void note(std::size_t pages, std::size_t bytes) {
    pages_ += pages;
    bytes_ += bytes;
    // What was seen lately counts most.
    if (pages_ > kPagesRemembered) {
      pages_ /= 2;
      bytes_ /= 2;
    }
  }
  /// About what `pageCount` pages take. Without a chunk seen: as if they did not compress.
  std::size_t bytesOf(std::uint32_t pageCount) const {
    if (pages_ == 0) return std::size_t{pageCount} * store::kPageBytes;
    return static_cast<std::size_t>(std::uint64_t{pageCount} * bytes_ / pages_);
  }

 private:
  static constexpr std::uint64_t kPagesRemembered = 64 * store::kPagesPerChunk;
  std::uint64_t pages_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace skep::vfs
