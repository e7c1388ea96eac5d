#include "skep/vfs/hot_chunks.h"

#include <algorithm>

namespace skep::vfs {
namespace {

bool contains(const std::vector<store::ChunkNumber>& chunks, store::ChunkNumber chunk) {
  return std::find(chunks.begin(), chunks.end(), chunk) != chunks.end();
}

template <class Visit>
void forEachPage(store::ChunkNumber chunk, const PageTable& table, Visit visit) {
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    if (PageBuffer* page = table.find(store::firstPageOf(chunk) + i)) visit(*page);
  }
}

}  // namespace

void HotChunks::noteMiss(store::ChunkNumber chunk) {
  if (misses_.size() == store::kHotChunksMax || chunk < store::kFirstChunks ||
      contains(misses_, chunk))
    return;
  misses_.push_back(chunk);
}

void HotChunks::markUnused(const std::vector<store::ChunkNumber>& hot,
                           const PageTable& table) const {
  for (store::ChunkNumber chunk : hot) {
    if (chunk >= store::kFirstChunks)
      forEachPage(chunk, table, [](PageBuffer& page) { page.recentlyUsed = false; });
  }
}

std::vector<store::ChunkNumber> HotChunks::choose(const std::vector<store::ChunkNumber>& hot,
                                                  const PageTable& table,
                                                  std::uint32_t pageCount) const {
  if (misses_.empty()) return hot;
  std::vector<store::ChunkNumber> chosen = misses_;
  for (store::ChunkNumber chunk : hot) {
    bool isUsed = false;
    forEachPage(chunk, table, [&](PageBuffer& page) { isUsed |= page.recentlyUsed; });
    if (isUsed && chosen.size() < store::kHotChunksMax && !contains(chosen, chunk))
      chosen.push_back(chunk);
  }
  std::erase_if(chosen,
                [&](store::ChunkNumber chunk) { return store::firstPageOf(chunk) > pageCount; });
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace skep::vfs
