// ReadAhead: how many chunks to read when one is missing.
//
// Recognises scans by the misses that they make, several at once: a join reads two tables in step,
// and a table with long rows alternates between its rows and what they overflow into. A scan reads
// twice as much with each miss; a miss that belongs to no scan reads one chunk. Belongs to one
// PagedFile.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "skep/store/page_store.h"

namespace skep::vfs {

class ReadAhead {
 public:
  struct Range {
    store::ChunkNumber first = 0;
    std::size_t count = 1;
  };

  /// The chunks to read now that `missed` is needed, which is one of them; at most `countMax` (≥
  /// 1).
  Range plan(store::ChunkNumber missed, std::size_t countMax);

 private:
  struct Scan {
    store::ChunkNumber next = 0;  // the chunk after the last one that was read
    std::size_t window = 0;       // how many were read last; 0: no scan here
    std::uint64_t lastUse = 0;
  };
  std::array<Scan, 4> scans_;
  std::uint64_t uses_ = 0;
};

}  // namespace skep::vfs
