// PagedFile: the pages of one database, as its single owner (or a read-only observer) sees them.
//
// What SQLite takes for a file. Writes of a transaction gather in an overlay; commitLocal() makes
// them the newest version in memory and numbers it (txid + 1); a background fiber then makes
// versions durable, oldest first, many commits in one record when they wait for the same store
// commit. waitDurable() is the gate in front of everything that leaves the process (I1).
//
//   writePage … prepareCommit → commitLocal → [commit fiber: encode → pipeline → store] → durable
//
// Invariants:
//   a. A page whose newest version is not durable is pinned in memory; every other page can be
//      rebuilt from the store.
//   b. At most one write of this database is in flight. It carries everything that was committed
//      when it was encoded.
//   c. Once broken, nothing is submitted any more and every call fails (I5).
//   d. A fold encodes chunks at exactly the txid of the write that carries it.
//
// Threading: belongs to its loop. One fiber at a time may be inside the reading and writing calls
// (the SQL layer's lock sees to that); the commit fiber runs beside it and never changes what a
// page reads as.

#pragma once

#include <boost/container/flat_map.hpp>
#include <boost/container/small_vector.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "skep/fiber/sync.h"
#include "skep/store/chunk.h"
#include "skep/store/page_store.h"
#include "skep/store/record.h"
#include "skep/vfs/environment.h"
#include "skep/vfs/history_sweep.h"
#include "skep/vfs/hot_chunks.h"
#include "skep/vfs/log_tail.h"
#include "skep/vfs/page_cache.h"
#include "skep/vfs/read_ahead.h"

namespace skep::vfs {

struct OpenFile {
  std::string name;
  store::Create create = store::Create::Never;  // a reader never creates
  enum class Mode : std::uint8_t { ReadWrite, ReadOnly } mode = Mode::ReadWrite;
  std::uint64_t databaseBytesMax = 0;  // quota; 0: none
};

/// Work of one PagedFile since it was opened.
struct FileCounters {
  std::uint64_t storeReads = 0;  // round trips that read
  std::uint64_t chunksRead = 0;
  std::uint64_t recordsWritten = 0;
  std::uint64_t recordBytes = 0;
  std::uint64_t chunksFolded = 0;
  std::uint64_t chunkBytes = 0;
  std::uint64_t chunksStaged = 0;
  std::uint64_t outcomesResolved = 0;  // unknown outcomes that were settled by reading the store
};

class PagedFile final : private CommitKicker::Client {
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
  std::uint32_t pageCount() const { return pageCount_; }

  // --- Writing: one transaction at a time. ---

  /// Suspends only when the transaction has outgrown memory and is staged in the store.
  Status writePage(PageNumber page, ByteView content);
  bool hasUncommitted() const { return !overlay_.empty() || staging_.active || doomed_; }
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
  void flushAlarm();

  // --- Durability. ---

  /// Suspends until `txid` is durable. Broken (with the reason) when that can no longer happen.
  Status waitDurable(store::Txid txid);
  /// The same for everything committed so far, and for an alarm that was set without a commit.
  Status waitDurable();
  store::Txid committedTxid() const { return committedTxid_; }
  store::Txid durableTxid() const { return head_.txid; }
  const Error* brokenBy() const { return broken_ ? &*broken_ : nullptr; }

  /// Drops the cached pages and the log tail, so that an idle database costs nearly nothing.
  void releaseMemory();
  /// Waits until all is durable (unless broken), folds when that pays, and ends the background
  /// work. Suspends.
  Status close();

  /// The reason behind the newest error code that SQLite was given; forgets it.
  std::optional<Error> takeLastError();
  void setLastError(Error error) { lastError_ = std::move(error); }

  /// Whether SQLite holds a journal that later, smaller transactions should not use (sqlite_vfs.h).
  bool journalResetDue() const { return journalResetDue_; }
  void setJournalResetDue(bool due) { journalResetDue_ = due; }

  const std::string& name() const { return options_.name; }
  store::DatabaseId id() const { return id_; }
  const store::Head& head() const { return head_; }
  const store::Properties& properties() const { return properties_; }
  bool isReadOnly() const { return options_.mode == OpenFile::Mode::ReadOnly; }
  bool wasCreated() const { return created_; }
  const FileCounters& counters() const { return counters_; }
  Environment& environment() { return environment_; }
  /// Applied with the next write to the store.
  void setProperties(store::Properties properties);

 private:
  /// Ordered; most transactions change a few pages, and large ones bring theirs in order.
  template <class T>
  using PageMap =
      boost::container::flat_map<PageNumber, T, std::less<>,
                                 boost::container::small_vector<std::pair<PageNumber, T>, 4>>;
  struct PendingPage {
    PageRef base;  // the version that the store's readers have; null: none
  };
  using PendingPages = PageMap<PendingPage>;

  /// A transaction that outgrew memory: its pages go to the store ahead of its commit.
  struct Staging {
    bool active = false;
    bool prepared = false;  // all is staged, the digest is final
    store::Txid txid = 0;
    std::uint64_t digest = 0;
    std::map<store::ChunkNumber, std::uint16_t>
        chunks;                   // staged ones, with the pages that they have
    PageNumber pageMax = 0;       // the highest page that was staged
    std::uint32_t pageCount = 0;  // from page 1, once that was staged
    std::optional<std::optional<std::int64_t>>
        alarm;  // committed with it, so it must not become durable before it
    std::uint64_t alarmsThrough = 0;
  };

  /// A write under way: what must be known to finish it, or to encode it again.
  struct Flight {
    bool commits = false;  // there is a new version (else a fold, an alarm or properties alone)
    store::CommitHead commit;
    PendingPages pages;
    Bytes record;
    bool folds = false;  // chunks are rewritten, or at least the log is trimmed
    std::vector<store::ChunkNumber> folded;
    store::Txid trimThrough = 0;
    std::optional<Staging> flip;
    bool alarmChanged = false;
    std::optional<std::int64_t> alarmMs;
    std::uint64_t alarmsThrough = 0;  // of alarmsSet_: durable with this write
    std::optional<store::Properties> properties;
  };

  PagedFile(Environment& environment, OpenFile options);

  // paged_file.cc
  Status adopt(store::OpenedDatabase opened);
  Status prepareChanges();
  Error doom(Error reason);
  Status prepareBases(std::uint32_t newCount);
  store::Txid commitStaged();
  std::uint32_t newPageCount() const;
  void takeAlarm();
  std::size_t transactionPagesMax() const;
  std::size_t undurablePagesMax() const;
  void breakWith(Error error);
  Status checkUsable() const;
  void keepHotChunks();

  // page_loader.cc
  Status loadChunks(const std::vector<store::ChunkNumber>& chunks, PageNumber wanted,
                    PageRef& loaded);
  Status installAll(const std::vector<store::ChunkNumber>& chunks, const store::ChunkRead& read,
                    PageNumber wanted, PageRef& loaded);
  bool dependsOnFlip(const std::vector<store::ChunkNumber>& chunks,
                     const store::ChunkRead& read) const;
  Status install(store::ChunkNumber chunk, const store::StoredChunk* stored, PageNumber wanted,
                 PageRef& loaded);
  Result<bool> rebuild(PageNumber page, const store::DecodedChunk* base, store::Txid version,
                       std::byte* content) const;
  /// Holds the newest committed version of each page that there is; loads what is not in memory in
  /// few round trips.
  Status committedPages(const std::vector<PageNumber>& pages, std::vector<PageRef>& out);
  Result<PageRef> committedPage(PageNumber page);
  std::size_t readAheadMax() const;
  std::vector<store::ChunkNumber> planRead(store::ChunkNumber chunk);
  Error missingPage(PageNumber page) const;
  Result<store::ChunkRead> readAsOwner(store::ChunkReadRequest request);
  Status checkSnapshot();

  // commit_writer.cc
  void kick();
  void startCommits() override;
  void commitWhile(const std::function<bool()>& wanted);
  bool hasWork() const { return hasWrites() || expiryDue_; }
  bool hasWrites() const;
  Status commitOnce();
  bool foldDue() const;
  std::vector<store::ChunkNumber> foldCandidates() const;
  store::DatabaseWrite encode(Flight& flight);
  void encodeCommit(Flight& flight, store::DatabaseWrite& write);
  struct EncodeScratch;
  void encodeChanges(Flight& flight, EncodeScratch& scratch);
  std::size_t logBytesLimit() const;
  void encodeFold(Flight& flight, store::DatabaseWrite& write);
  Status settle(Flight& flight, const Error& reason);
  void restore(Flight& flight);
  void finish(Flight& flight);
  void adoptProperties(const store::Properties& properties);
  /// Submits a write that commits nothing (staging, sweeping), settling unknown outcomes by taking
  /// a new epoch.
  Status submitCertain(const store::DatabaseWrite& write);
  /// Takes a new epoch, which settles every earlier write. The head after that.
  Result<store::Head> retake();
  Result<store::Head> retakeUntilKnown();
  /// A read of the store that a write depends on, repeated while the store is away. `read` gives a
  /// Result.
  template <class Read>
  auto readPatiently(Read read) -> decltype(read()) {
    while (true) {
      auto answer = read();
      if (answer || !isTransient(answer.error().code)) return answer;
      SKEP_CHECK_OK(backOff(answer.error()));
    }
  }
  /// Certainly not done, and worth another try. Aborted: an earlier write of the same database
  /// failed, that of a former owner in this process.
  static bool isTransient(ErrorCode code);
  /// Suspends for a growing while; `reason` once the store has been away for longer than
  /// commitRetry.
  Status backOff(const Error& reason);
  store::DatabaseWrite newWrite() const;

  // staging.cc
  Status stageOverlay();
  Result<store::StoredChunk> stageChunk(store::ChunkNumber chunk);
  Status finishStaging(std::uint32_t newCount);
  bool isStaged(PageNumber page) const;
  Result<PageRef> readStaged(PageNumber page);
  Status discardStaging();
  Status sweep();
  Status sweepFlip();
  Status sweepAll();
  Status removeHistory(HistorySweep::Removal removal);
  Status expireHistory();
  Result<std::optional<HistorySweep::Removal>> nextExpired();
  Status waitAllDurable();

  Environment& environment_;
  OpenFile options_;
  store::DatabaseId id_;
  store::Head head_;  // durable, as the store has it
  store::Properties properties_;
  bool created_ = false;

  PageTable table_;           // newest local version of pages in memory
  PageMap<PageRef> overlay_;  // written by the open transaction
  bool isPrepared_ = false;
  std::optional<Error> doomed_;  // why the open transaction can only be rolled back
  std::vector<PageRef>
      prepared_;  // versions that commitLocal() will need as bases, kept from eviction
  std::uint32_t pageCount_ = 0;    // local
  store::Txid committedTxid_ = 0;  // local
  Staging staging_;
  PageTable stagedTable_;  // pages of staged chunks, as the open transaction sees them
  std::vector<store::ChunkNumber>
      sweepChunks_;              // staged by the newest flip: older versions are to be removed
  bool sweepNeedsList_ = false;  // sweepChunks_ does not say all of what a sweep is to remove
  std::unique_ptr<HistorySweep> historySweep_;  // under way
  bool expiryDue_ = false;                      // versions may have become older than the retention
  bool expiresNext_ = false;                    // commits and the steps of an expiry take turns
  MonotonicTime nextExpiry_;                    // not before
  bool discardNeeded_ =
      false;  // a staged transaction was rolled back: clean up before the next commit

  PendingPages pending_;         // changed since the newest encoded write
  std::optional<Staging> flip_;  // a staged transaction that commitLocal() has taken

  std::optional<std::optional<std::int64_t>> transactionAlarm_;
  std::optional<std::optional<std::int64_t>> pendingAlarm_;
  std::uint64_t alarmsSet_ = 0;  // how often the alarm was set, and how many of those are durable
  std::uint64_t alarmsDurable_ = 0;
  std::optional<store::Properties> pendingProperties_;

  LogTail log_;
  std::map<store::ChunkNumber, store::Txid>
      firstTouch_;  // chunk → oldest record in the tail that changes it
  std::uint64_t foldGeneration_ =
      0;  // grows when versions or records are removed: a load that overlaps starts over
  ReadAhead readAhead_;
  HotChunks hotChunks_;

  bool committing_ = false;  // some fiber writes to the store
  bool retaking_ = false;    // a new epoch is being taken: reads under the old one fail meanwhile
  bool folding_ = false;     // from the log's limit down to half of it
  Duration retryDelay_{};
  std::optional<MonotonicTime> unavailableSince_;
  std::size_t flightPages_ = 0;  // pages of the write under way
  fiber::Event progress_;        // durable txid grew, broken, or the commit fiber ended
  fiber::Mutex writing_;         // one store write at a time
  fiber::Gate background_;
  std::optional<Error> broken_;
  std::optional<Error> lastError_;
  bool journalResetDue_ = false;
  FileCounters counters_;
};

}  // namespace skep::vfs
