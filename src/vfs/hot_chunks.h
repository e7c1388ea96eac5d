// HotChunks: which chunks a database wants soon after it wakes, so that its next open brings them
// along.
//
// Notes the chunks of the first misses after an open; reads ahead are not misses. A database whose
// misses were noted keeps, in its Properties, those and the hot chunks of before that were used
// this time; one without misses keeps what it has. Belongs to one PagedFile.

#pragma once

#include <cstddef>
#include <vector>

#include "skep/store/page_store.h"
#include "skep/vfs/page_cache.h"

namespace skep::vfs {

class HotChunks {
 public:
  /// A page of `chunk` had to be read from the store.
  void noteMiss(store::ChunkNumber chunk);
  std::size_t missCount() const { return misses_.size(); }
  /// Forgets that the pages of `hot`, which the open has just put into memory, are in use: choose()
  /// will look.
  void markUnused(const std::vector<store::ChunkNumber>& hot, const PageTable& table) const;
  /// What to load with the next open, ascending; `hot` is what was loaded with this one.
  std::vector<store::ChunkNumber> choose(const std::vector<store::ChunkNumber>& hot,
                                         const PageTable& table, std::uint32_t pageCount) const;

 private:
  std::vector<store::ChunkNumber> misses_;  // without doubles, in the order of the first ones
};

}  // namespace skep::vfs
