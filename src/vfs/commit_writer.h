// CommitWriter: makes the versions in memory durable, oldest first.
//
// PagedFile commits in memory and tells this; one fiber a file, alive while there is something to
// write, takes what was committed since the last round, encodes it as one record (often along with
// a fold), submits it, and resolves its outcome. Whoever waits for a commit does the rounds itself
// when nobody else does.
//
// Invariants:
//   a. At most one write of this database is in flight. It carries everything that was committed
//      when it was encoded, or one staged transaction.
//   b. A write that was not applied goes back to what is pending, and is encoded again.
//   c. A fold encodes chunks at exactly the txid of the write that carries it.
//   d. Once the file is broken, nothing is submitted any more (I5).
//
// Belongs to one PagedFile and its loop.

#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "skep/fiber/sync.h"
#include "skep/vfs/commit_encoding.h"
#include "skep/vfs/commit_scheduler.h"
#include "skep/vfs/fold_plan.h"
#include "skep/vfs/staged_transaction.h"
#include "skep/vfs/version_cleaner.h"

namespace skep::vfs {

class CommitWriter final : private CommitScheduler::Client {
 public:
  /// A timer's time, or none; nullopt: as it was.
  using AlarmChange = std::optional<std::optional<std::int64_t>>;

  CommitWriter(FileState& file, OwnedStore& store, PageLoader& loader)
      : file_(file), store_(store), loader_(loader), folds_(file), cleaner_(file, store) {}
  ~CommitWriter();

  /// After an open, with the log in memory. An owner removes a torn staging. Suspends.
  Status start();

  // --- What is to be written. These do not suspend. ---

  /// The commit that is being made changes `page`, whose version was `base` (null: none).
  void addChange(PageNumber page, PageBuffer* base) {
    pending_.try_emplace(page, PendingPage{PageRef(base)});
  }
  /// The version file.committedTxid is complete, and all its changes were added.
  void commit(AlarmChange alarm);
  /// The same for a staged transaction.
  void commitStaged(StagedCommit staged, AlarmChange alarm);
  void setAlarm(std::optional<std::int64_t> alarmMs);
  void setProperties(store::Properties properties);
  /// Room among the process's undurable pages that was taken for the commit: given back as its
  /// pages become durable.
  void takeReserved(std::size_t bytes);
  /// A staged transaction was rolled back.
  void discardStaging();
  /// Remembers with the store which chunks were wanted soon after the open: with a commit that is
  /// due anyway, and for several of them by a write of its own.
  void keepHotChunks();

  /// Pages of versions that are not durable.
  std::size_t undurablePages() const { return pending_.size() + flightPages_; }
  bool isIdle() const { return !file_.isWriting && !hasWork(); }
  /// When idle, drops what can be read again from the store.
  void releaseMemory();
  /// Of the log's records and what is known of them, about.
  std::size_t logMemoryBytes() const { return file_.log.bytes() + folds_.bytes(); }

  // --- Waiting. These suspend. ---

  /// Until `txid` is durable. Broken (with the reason) when that can no longer happen.
  Status waitDurable(store::Txid txid);
  /// Until every version and alarm of now is.
  Status waitDurable();
  /// Until nothing is left to do.
  Status waitIdle();
  /// Ends the fiber.
  void close() { background_.close(); }

 private:
  /// A write under way: what must be known to finish it, or to encode it again.
  struct Flight {
    bool commits = false;  // there is a new version (else a fold, an alarm or properties alone)
    store::CommitHead commit;
    PendingPages pages;
    Bytes record;
    bool folds = false;  // chunks are rewritten, or at least the log is trimmed
    std::vector<store::ChunkNumber> folded;
    store::Txid trimThrough = 0;
    std::optional<StagedCommit> flip;
    AlarmChange alarm;
    std::uint64_t alarmsThrough = 0;  // of alarmsSet_: durable with this write
    std::optional<store::Properties> properties;
  };
  /// A staged transaction that waits for its flip.
  struct Flip {
    StagedCommit staged;
    AlarmChange alarm;  // must not become durable before it
    std::uint64_t alarmsThrough = 0;
  };

  void schedule();
  void startCommits() override;
  void writeWhile(const std::function<bool()>& wanted);
  bool hasWork() const { return hasWrites() || cleaner_.isExpiryDue(); }
  bool hasWrites() const;
  void releaseRoom();
  Status writeOnce();
  Status loadFold(Flight& flight, std::vector<PageRef>& pages);
  store::DatabaseWrite encode(Flight& flight);
  void encodeVersion(Flight& flight, store::DatabaseWrite& write);
  void encodeFold(Flight& flight, store::DatabaseWrite& write);
  Status resolve(Flight& flight, const Error& reason);
  void restore(Flight& flight);
  void finish(Flight& flight);
  void finishVersion(Flight& flight);

  FileState& file_;
  OwnedStore& store_;
  PageLoader& loader_;
  FoldPlan folds_;
  VersionCleaner cleaner_;

  PendingPages pending_;      // changed since the newest encoded write
  std::optional<Flip> flip_;  // comes before them
  AlarmChange pendingAlarm_;
  std::uint64_t alarmsSet_ = 0;  // how often the alarm was set, and how many of those are durable
  std::uint64_t alarmsDurable_ = 0;
  store::Properties wantedProperties_;  // what they become: stored, in flight or due
  bool propertiesDue_ = false;
  std::size_t flightPages_ = 0;  // pages of the write under way
  std::size_t roomBytes_ = 0;    // taken for undurablePages(), at least
  bool expiresNext_ = false;     // writes and the steps of an expiry take turns
  fiber::Gate background_;
};

}  // namespace skep::vfs
