// StagedTransaction: a transaction that has outgrown memory.
//
// Its pages go to the store as chunk versions above the head, in as many store transactions as it
// takes; one small commit then makes them visible at once (the flip, see CommitWriter). A crash in
// between leaves versions that nobody sees; the next owner removes them. Until the flip the pages
// are read back from what was staged.
//
// Belongs to one PagedFile. stage(), finish() and read() suspend.
//
//   if (!staged.isActive()) staged.begin();            // all that came before is durable
//   SKEP_CHECK_OK(staged.stage(overlay));              // empties the overlay; again and again
//   SKEP_CHECK_OK(staged.finish(overlay, pageCount));  // all that can fail
//   writer.commitStaged(staged.commit());

#pragma once

#include <array>
#include <map>
#include <vector>

#include "skep/vfs/file_state.h"
#include "skep/vfs/owned_store.h"
#include "skep/vfs/page_loader.h"

namespace skep::vfs {

/// A transaction all of whose chunks are staged: what its flip needs.
struct StagedCommit {
  store::Txid txid = 0;
  std::uint64_t digest = 0;
  std::uint32_t pageCount = 0;
  std::vector<store::ChunkNumber> chunks;  // ascending
};

class StagedTransaction {
 public:
  StagedTransaction(FileState& file, OwnedStore& store, PageLoader& loader);

  bool isActive() const { return isActive_; }
  void begin();
  /// Puts all pages of `overlay` into the store and out of it.
  Status stage(PageMap<PageRef>& overlay);
  /// Stages the rest and decides which pages there are, so that the flip has nothing left to
  /// decide. At most `pagesMax` pages are held in memory for that.
  Status finish(PageMap<PageRef>& overlay, std::uint32_t pageCount, std::size_t pagesMax);
  /// Makes the finished transaction the newest version in memory, and ends it.
  StagedCommit commit();
  /// Rolls it back; what is in the store is left to VersionCleaner.
  void drop();

  /// Whether the page's chunk was staged: then the page is read from here.
  bool has(PageNumber page) const {
    return isActive_ && presentPages_.contains(store::chunkOf(page));
  }
  /// If that takes no suspension, else null.
  PageBuffer* find(PageNumber page) const { return table_.find(page); }
  Result<PageRef> read(PageNumber page);
  /// As page 1 says it, once that was staged.
  std::uint32_t pageCount() const { return pageCount_; }

 private:
  Result<store::StoredChunk> stageChunk(store::ChunkNumber chunk, PageMap<PageRef>& overlay);
  bool isPresent(PageNumber page) const;
  Status addUnwritten(PageMap<PageRef>& overlay, std::uint32_t pageCount, std::size_t pagesMax);
  Status cutOff(std::uint32_t pageCount);

  FileState& file_;
  OwnedStore& store_;
  PageLoader& loader_;
  bool isActive_ = false;
  bool isFinished_ = false;
  store::Txid txid_ = 0;
  std::uint64_t digest_ = 0;
  std::uint32_t pageCount_ = 0;
  PageNumber pageMax_ = 0;                                    // the highest page that was staged
  std::map<store::ChunkNumber, std::uint16_t> presentPages_;  // of the staged chunks, a bit each
  PageTable table_;                                           // pages of staged chunks
};

}  // namespace skep::vfs
