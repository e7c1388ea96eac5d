// PageLoader: brings pages of the newest committed version into memory.
//
// A page is what its newest chunk version says, with every later change from the log applied. A
// load reads whole chunks, more of them ahead when it sees a scan, and the log's tail along with
// them when that was dropped. Folds move what is read from the log to the chunks: a load that
// overlaps one starts over. Belongs to one PagedFile; calls suspend when a page is not in memory.

#pragma once

#include <optional>
#include <vector>

#include "skep/store/chunk.h"
#include "skep/vfs/file_state.h"
#include "skep/vfs/hot_chunks.h"
#include "skep/vfs/owned_store.h"
#include "skep/vfs/read_ahead.h"

namespace skep::vfs {

class PageLoader {
 public:
  PageLoader(FileState& file, OwnedStore& store) : file_(file), store_(store) {}

  /// Puts the pages of the first and the hot chunks into memory, as an open has brought them.
  Status installOpened(const std::vector<store::StoredChunk>& opened);

  /// The newest committed content of a page. InvalidArgument past the end; Corrupt when it can't be
  /// rebuilt; Unavailable; for an observer SnapshotGone once its version was folded away.
  Result<PageRef> page(PageNumber page);
  /// Holds the newest committed version of each page that there is; loads what is not in memory in
  /// few round trips.
  Status pages(const std::vector<PageNumber>& pages, std::vector<PageRef>& out);

  /// Sees to it that the log is in memory and decoded, after it was dropped.
  Status bringLog();

  /// What to load with the next open; missCount() chunks were missed soon after this one.
  std::vector<store::ChunkNumber> chooseHotChunks() const;
  std::size_t missCount() const { return hotChunks_.missCount(); }

  Error missingPage(PageNumber page) const;

 private:
  Status load(const std::vector<store::ChunkNumber>& chunks, PageNumber wanted, PageRef& loaded);
  Result<store::ChunkRead> readChunks(const std::vector<store::ChunkNumber>& chunks, bool withLog);
  Status installAll(const std::vector<store::ChunkNumber>& chunks, const store::ChunkRead& read,
                    PageNumber wanted, PageRef& loaded);
  Status install(store::ChunkNumber chunk, const store::StoredChunk* stored, PageNumber wanted,
                 PageRef& loaded);
  Result<bool> rebuild(PageNumber page, const store::DecodedChunk* base, store::Txid version,
                       std::byte* content) const;
  bool dependsOnFlip(const std::vector<store::ChunkNumber>& chunks,
                     const store::ChunkRead& read) const;
  Status checkSnapshot() const;
  std::size_t readAheadMax() const;
  std::vector<store::ChunkNumber> planRead(store::ChunkNumber chunk);

  FileState& file_;
  OwnedStore& store_;
  ReadAhead readAhead_;
  HotChunks hotChunks_;
};

}  // namespace skep::vfs
