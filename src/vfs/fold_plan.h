// FoldPlan: when the log is to be folded into chunks, and which ones.
//
// Knows for each chunk the oldest record in the log that changes it. Rewriting the chunks of the
// oldest records lets those be trimmed. Belongs to one CommitWriter; nothing suspends.

#pragma once

#include <map>
#include <span>
#include <vector>

#include "skep/vfs/commit_encoding.h"
#include "skep/vfs/file_state.h"

namespace skep::vfs {

class FoldPlan {
 public:
  explicit FoldPlan(const FileState& file);

  /// The record of `txid`, which is the newest so far, changes `page`.
  void note(store::Txid txid, PageNumber page) {
    oldestChange_.try_emplace(store::chunkOf(page), txid);
  }
  /// These chunks have versions that say all that the log says.
  void forget(std::span<const store::ChunkNumber> chunks);
  void forgetPastEnd(std::uint32_t pageCount);

  /// Whether the log has passed its limit, or is on its way down to half of it.
  bool isDue() const;
  /// After each write: only then what is due changes.
  void update();
  /// The chunks that hold the log's oldest records, ascending.
  std::vector<store::ChunkNumber> candidates() const;
  /// How far the log can be trimmed by a write that rewrites `folded` (ascending) as of `txid`,
  /// and whose own record changes `pages`.
  store::Txid trimThrough(std::span<const store::ChunkNumber> folded, store::Txid txid,
                          const PendingPages& pages) const;

 private:
  std::size_t logBytesLimit() const;

  const FileState& file_;
  std::map<store::ChunkNumber, store::Txid> oldestChange_;
  std::size_t logBytesLimit_;
  bool isFolding_ = false;  // from the log's limit down to half of it
};

}  // namespace skep::vfs
