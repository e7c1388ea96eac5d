// FoldPlan: when the log is to be folded into chunks, and which ones.
//
// Knows for each chunk the oldest record in the log that changes it. Rewriting the chunks of the
// oldest records lets those be trimmed. An idle database drops what is known, 64 bytes a chunk; before
// the next fold it is read from the log again. Belongs to one CommitWriter; nothing suspends.

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
    if (isKnown_) oldestChange_.try_emplace(store::chunkOf(page), txid);
  }
  /// Frees the memory: isKnown() is false until rebuild(). The log is whole and decoded then.
  void drop();
  void rebuild(const LogTail& log);
  bool isKnown() const { return isKnown_; }
  std::size_t bytes() const { return oldestChange_.size() * kBytesOfChunk; }
  /// These chunks have versions that say all that the log says.
  void forget(std::span<const store::ChunkNumber> chunks);
  void forgetPastEnd(std::uint32_t pageCount);

  /// Whether the log has passed its limit, or is on its way down to half of it.
  bool isDue() const;
  /// After each write: only then what is due changes.
  void update();
  /// The chunks that hold the log's oldest records, ascending. This and trimThrough() only while
  /// isKnown().
  std::vector<store::ChunkNumber> candidates() const;
  /// How far the log can be trimmed by a write that rewrites `folded` (ascending) as of `txid`,
  /// and whose own record changes `pages`.
  store::Txid trimThrough(std::span<const store::ChunkNumber> folded, store::Txid txid,
                          const PendingPages& pages) const;

 private:
  std::size_t logBytesLimit() const;

  const FileState& file_;
  static constexpr std::size_t kBytesOfChunk = 64;  // a node of the map

  std::map<store::ChunkNumber, store::Txid> oldestChange_;
  bool isKnown_ = true;
  std::size_t logBytesLimit_;
  bool isFolding_ = false;  // from the log's limit down to half of it
};

}  // namespace skep::vfs
