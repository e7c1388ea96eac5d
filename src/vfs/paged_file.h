// PagedFile: the pages of one database, as its single owner (or a read-only observer) sees them.
//
// What SQLite takes for a file. Writes of a transaction gather in an overlay; commitLocal() makes
// them the newest version in memory and numbers it (txid + 1); a background fiber then makes
// versions durable, oldest first, many commits in one record when they wait for the same store
// commit. waitDurable() is the gate in front of everything that leaves the process (I1).
//
//   writePage … prepareCommit → commitLocal → [CommitWriter: encode → pipeline → store] → durable
//
// Its parts, each with one task:
//
//   PagedFile          the open transaction, the newest version in memory, the gate
//   PageLoader         brings committed pages from the store into memory
//   StagedTransaction  a transaction that has outgrown memory
//   CommitWriter       makes versions durable; folds the log (FoldPlan)
//   VersionCleaner     removes what nobody needs any more from the store
//   OwnedStore         the store under this owner's epoch, with patience
//   FileState          what they share
//
// Invariants:
//   a. A page whose newest version is not durable is pinned in memory; every other page can be
//      rebuilt from the store.
//   b. Once broken, nothing is submitted any more and every call fails (I5).
//
// Threading: belongs to its loop. One fiber at a time may be inside the reading and writing calls
// (the SQL layer's lock sees to that); the commit fiber runs beside it and never changes what a
// page reads as.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "skep/vfs/commit_writer.h"
#include "skep/vfs/file_state.h"
#include "skep/vfs/owned_store.h"
#include "skep/vfs/page_loader.h"
#include "skep/vfs/staged_transaction.h"

namespace skep::vfs {

class PagedFile final {
 public:
  /// One store round trip. Removes a torn staging first. Suspends.
  static Result<std::unique_ptr<PagedFile>> open(Environment& environment, OpenFile options);
  /// close() came before, or the file is broken.
  ~PagedFile();
  PagedFile(const PagedFile&) = delete;
  PagedFile& operator=(const PagedFile&) = delete;

  // --- Reading: the newest local version, with the open transaction's own writes on top. ---

  /// The page if that takes no suspension, else null. Valid while the caller holds a reference.
  PageBuffer* findPage(PageNumber page);
  /// The page, from the store if need be. Suspends on a miss. InvalidArgument past the end; Corrupt
  /// when a page within the database can't be rebuilt.
  Result<PageRef> readPage(PageNumber page);
  std::uint32_t pageCount() const { return file_.pageCount; }

  // --- Writing: one transaction at a time. ---

  /// Suspends only when the transaction has outgrown memory and is staged in the store.
  Status writePage(PageNumber page, ByteView content);
  bool hasUncommitted() const {
    return !overlay_.empty() || staged_.isActive() || failure_.has_value();
  }
  /// Everything about the commit that can fail: quota, pages that the encoder will need, staging,
  /// back-pressure. Suspends. After an error, as after one of writePage(), the transaction's pages
  /// are gone: reads give the committed ones, writes (SQLite's rollback puts pages back) are
  /// dropped, and it can only be rolled back.
  Status prepareCommit();
  /// Whether the open transaction was prepared and has not changed since.
  bool isPrepared() const { return isPrepared_; }
  /// Makes the prepared transaction the newest version. Does not suspend, cannot fail. Returns its
  /// txid (the old one when nothing changed).
  store::Txid commitLocal();
  void rollback();
  /// The same for the pages alone.
  void dropPages();
  /// The next timer's time, committed with the open transaction, or by flushAlarm() when it wrote
  /// no page.
  void setAlarm(std::optional<std::int64_t> alarmMs);
  /// Whether a time was set that is with the writer neither by a commit nor by flushAlarm().
  bool hasAlarm() const { return transactionAlarm_.has_value(); }
  void flushAlarm();

  // --- Durability. ---

  /// Suspends until `txid` is durable. Broken (with the reason) when that can no longer happen.
  /// And, on a node, Fenced when others may own the database by now, so that what was read may be old (I6).
  Status waitDurable(store::Txid txid);
  /// The same for everything committed so far, and for an alarm that was set without a commit.
  Status waitDurable();
  /// Whether what was read so far was the newest: Fenced, and the file broken, once its node's lease ran
  /// out. Does not suspend.
  Status checkLease();
  store::Txid committedTxid() const { return file_.committedTxid; }
  store::Txid durableTxid() const { return file_.head.txid; }
  const Error* brokenBy() const { return file_.broken ? &*file_.broken : nullptr; }

  /// Drops the cached pages and the log tail, so that an idle database costs nearly nothing.
  void releaseMemory();
  /// What is held beside the pages, about: the log and what is known of it.
  std::size_t logMemoryBytes() const { return writer_.logMemoryBytes(); }
  /// What the tables of pages take themselves, about.
  std::size_t tableMemoryBytes() const;
  /// Waits until all is durable (unless broken), folds when that pays, and ends the background
  /// work. Suspends.
  Status close();

  /// The reason behind the newest error code that SQLite was given; forgets it.
  std::optional<Error> takeLastError();
  void setLastError(Error error) { lastError_ = std::move(error); }

  /// Whether SQLite holds a journal that later, smaller transactions should not use (sqlite_vfs.h).
  bool journalResetDue() const { return journalResetDue_; }
  void setJournalResetDue(bool due) { journalResetDue_ = due; }

  const std::string& name() const { return file_.options.name; }
  store::DatabaseId id() const { return file_.id; }
  const store::Head& head() const { return file_.head; }
  const store::Properties& properties() const { return file_.properties; }
  bool isReadOnly() const { return file_.isReadOnly(); }
  const FileCounters& counters() const { return file_.counters; }
  Environment& environment() { return file_.environment; }
  /// Applied with the next write to the store.
  void setProperties(store::Properties properties) { writer_.setProperties(std::move(properties)); }

 private:
  PagedFile(Environment& environment, OpenFile options);

  void release();
  Status adopt(store::OpenedDatabase opened);
  Status prepareChanges();
  Status prepareBases(std::uint32_t newCount);
  Status reserve(std::size_t pages);
  void unreserve();
  Status stage();
  Error failTransaction(Error reason);
  bool commitOverlay(std::uint32_t newCount);
  std::uint32_t newPageCount() const;
  std::size_t transactionPagesMax() const;
  std::size_t undurablePagesMax() const;

  FileState file_;
  OwnedStore store_;
  PageLoader loader_;
  StagedTransaction staged_;
  CommitWriter writer_;

  PageMap<PageRef> overlay_;  // written by the open transaction
  CommitWriter::AlarmChange transactionAlarm_;
  bool isPrepared_ = false;
  std::optional<Error> failure_;   // why the open transaction can only be rolled back
  std::size_t reservedBytes_ = 0;  // of the process's undurable pages, for the open transaction
  std::vector<PageRef> prepared_;  // versions that commitLocal() will need as bases, kept from
                                   // eviction
  std::optional<Error> lastError_;
  bool journalResetDue_ = false;
};

}  // namespace skep::vfs
