// VersionCleaner: removes from the store what nobody needs any more of one database.
//
//   - what a transaction staged that was rolled back or torn: before the next commit;
//   - the versions that a flip has superseded, and all history when it is turned off: soon after;
//   - versions and records older than the retention (history_sweep.h): a step at a time, between
//     commits, some times in each retention.
//
// What is due stands in the store's head (stagingTxid, sweepTxid), so that the next owner makes up
// for a crash. Belongs to one CommitWriter. The writing calls suspend and want the store's mutex
// held.

#pragma once

#include <memory>
#include <vector>

#include "skep/vfs/history_sweep.h"
#include "skep/vfs/owned_store.h"

namespace skep::vfs {

class VersionCleaner {
 public:
  VersionCleaner(FileState& file, OwnedStore& store) : file_(file), store_(store) {}

  /// After an open: removes a torn staging.
  Status start();

  /// Whether something has to go before the next commit.
  bool isDue() const { return file_.discardDue || file_.head.sweepTxid != 0; }
  Status clean();

  bool isExpiryDue() const { return isExpiryDue_; }
  /// One step. What can't be read stays for now, until the next fold.
  Status expireSome();

  /// The newest commit was a flip of these chunks.
  void noteFlip(std::vector<store::ChunkNumber> chunks);
  /// A fold or a flip has added versions beside older ones.
  void noteNewVersions();
  /// The head is that of the write that changed it from `before`.
  void noteRetention(std::int64_t beforeMs);

 private:
  Status discardStaging();
  Status sweep();
  Status sweepFlip();
  Status sweepAll();
  Status remove(HistorySweep::Removal removal);
  Result<std::optional<HistorySweep::Removal>> nextExpired();

  FileState& file_;
  OwnedStore& store_;
  std::vector<store::ChunkNumber> flipped_;  // their older versions are to be removed
  bool sweepsAll_ = false;                   // flipped_ does not say all of what is to be removed
  bool isExpiryDue_ = false;
  MonotonicTime nextExpiry_;              // not before
  std::unique_ptr<HistorySweep> expiry_;  // under way
};

}  // namespace skep::vfs
