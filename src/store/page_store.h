// PageStore: the lower waist of Skep. Where the committed versions of many databases are kept.
//
// A store keeps, for each database, a Head, a log of commit records and versioned chunks
// (docs/formats/). It treats records and chunks as opaque bytes; everything that it decides on
// stands in the structs below. All rules that keep data safe are enforced here, inside one atomic
// store operation: the epoch check, the txid check, the staging check. No caller's belief is
// trusted.
//
// Threading: every method may be called from any fiber or thread, also at once. Every method
// suspends (on a plain thread it blocks). Lifetime: the store outlives its callers' calls. Errors
// common to all methods: Unavailable (the store does not answer), Corrupt, VersionMismatch,
// AccessDenied, StoreFull, ReadOnly, Internal. Reads never have an unknown outcome; writes say
// UnknownOutcome when they cannot tell.
//
//   auto opened =
//       store.open({.name = "acme", .create = Create::IfMissing, .claim = Claim::Take});
//   DatabaseWrite write{.id = opened->id,
//                       .epoch = opened->head.epoch,
//                       .expectedTxid = opened->head.txid};
//   write.commit = CommitHead{.txid = opened->head.txid + 1, …};
//   write.record = encodedRecord;
//   Status outcome = std::move(store.write({&write, 1}).front());

#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/store/membership.h"

namespace skep::store {

using Txid = std::uint64_t;
using Epoch = std::uint64_t;
using PageNumber = std::uint32_t;   // from 1, as in SQLite
using ChunkNumber = std::uint32_t;  // from 0; page p is in chunk (p - 1) / kPagesPerChunk

inline constexpr std::size_t kPageBytes = 4096;
inline constexpr std::size_t kPagesPerChunk = 16;
inline constexpr std::size_t kChunkBytesMax = 100 * 1000;  // encoded; fits a FoundationDB value
inline constexpr std::size_t kNameBytesMax = 1024;
inline constexpr std::size_t kMetadataBytesMax = 4096;
inline constexpr std::size_t kHotChunksMax = 16;
inline constexpr std::uint32_t kFirstChunks = 4;  // that come with every open

inline ChunkNumber chunkOf(PageNumber page) {
  return (page - 1) / kPagesPerChunk;
}
inline PageNumber firstPageOf(ChunkNumber chunk) {
  return chunk * kPagesPerChunk + 1;
}

inline std::uint32_t chunkCountOf(std::uint32_t pageCount) {
  return static_cast<std::uint32_t>((pageCount + kPagesPerChunk - 1) / kPagesPerChunk);
}

/// A database's number in its store: given at creation, never used again after destroy.
struct DatabaseId {
  std::uint64_t value = 0;
  friend auto operator<=>(DatabaseId, DatabaseId) = default;
};

/// The newest committed version of a database, and who may write the next one.
struct Head {
  Epoch epoch = 0;  // the owner's; 0: never claimed
  Txid txid = 0;    // 0: nothing was committed yet
  std::uint32_t pageCount = 0;
  std::uint64_t digest = 0;    // rolling digest over all pages (digest.h)
  std::uint64_t commitId = 0;  // of the newest commit
  Txid logStart = 0;           // the records with txid > logStart are needed to read the head
  std::uint64_t logBytes = 0;  // size of those records
  std::optional<std::int64_t> alarmMs;  // when the database's next timer is due, Unix ms
  Txid stagingTxid = 0;  // not 0: chunk versions with txid > head.txid may exist (a huge commit
                         // under way or torn); remove them or flip before the next commit
  Txid sweepTxid = 0;    // not 0: versions superseded at or before this txid may still be kept
  friend bool operator==(const Head&, const Head&) = default;
};

/// Small facts about a database that its users set.
struct Properties {
  std::int64_t retentionMs = 0;  // how long a version stays readable after a newer one has taken
                                 // its place; 0: not at all. The owner removes what is older
  std::string metadata;          // opaque, at most kMetadataBytesMax
  std::vector<ChunkNumber> hotChunks;  // loaded with every open, at most kHotChunksMax
  friend bool operator==(const Properties&, const Properties&) = default;
};

struct StoredRecord {
  Txid txid = 0;  // the last txid that the record covers: its key in the log
  Bytes bytes;
};

struct StoredChunk {
  ChunkNumber chunk = 0;
  Txid txid = 0;  // the version: the chunk's pages as of this txid
  Bytes bytes;
};

enum class Create : std::uint8_t { Never, IfMissing, MustBeNew };

enum class Claim : std::uint8_t {
  None,    // read only: the epoch stays as it is
  Take,    // become the owner: the epoch grows by one, which fences every earlier owner.
           // OwnedElsewhere while an incarnation that is alive, and is not `owner`, owns it
  Retake,  // as Take, but only of the database `retakeId` while its epoch is still `retakeEpoch`:
           // how an owner learns what became of a write with an unknown outcome. Serialises against
           // writes in flight. Fenced when the epoch is another, NotFound when the name now belongs
           // to another database, whose owner is left alone.
};

struct OpenRequest {
  std::string name;
  Create create = Create::Never;
  Claim claim = Claim::None;
  DatabaseId retakeId;  // for Retake, with the epoch
  Epoch retakeEpoch = 0;
  Incarnation owner = 0;  // of the node that claims, for Take; 0: a process that is no node, which
                          // any claim may follow. Only of a store with membership()
  std::uint32_t firstChunks =
      kFirstChunks;  // how many of the first chunks to return along with the hot ones
};

struct OpenedDatabase {
  DatabaseId id;
  Head head;  // after the claim
  Properties properties;
  Incarnation owner = 0;  // after the claim
  bool created = false;
  std::vector<StoredRecord> log;    // every record with txid > head.logStart, ascending
  std::vector<StoredChunk> chunks;  // newest version ≤ head.txid of the first and the hot chunks
                                    // that exist, by chunk number
};

/// What a commit makes of the head. Epoch, log position and staging state are derived by the store.
struct CommitHead {
  Txid txid = 0;  // > expectedTxid; the record covers (expectedTxid, txid]
  std::uint32_t pageCount = 0;
  std::uint64_t digest = 0;
  std::uint64_t commitId = 0;
  std::int64_t timeMs = 0;  // wall time of the commit, for reads by time
};

/// Removes the versions of `chunk` that are older than `txid`: no reader needs them once a version
/// as of `txid` exists. Applied before the puts of the same write.
struct SupersededChunk {
  ChunkNumber chunk = 0;
  Txid txid = 0;
};

/// One database's part of a store transaction: all of it or nothing, and only if the database's
/// head has exactly this epoch and txid (Fenced, or InvalidArgument for the right epoch with a
/// wrong txid, otherwise). Epoch 0 owns nothing: InvalidArgument.
///
/// The same struct serves a commit (commit + record), a fold (chunks + trimLogThrough +
/// superseded), staging (chunks with txid > expectedTxid), the flip of a staged commit (commit with
/// flip = true), and changes of properties or the alarm. Several may be combined.
struct DatabaseWrite {
  DatabaseId id;
  Epoch epoch = 0;
  Txid expectedTxid = 0;

  std::optional<CommitHead> commit;
  Bytes record;  // with commit: appended to the log at commit->txid; must not be empty then
  bool flip =
      false;  // with commit: the staged chunk versions (txid == commit->txid) become visible;
              // InvalidArgument when there are none at that txid.
              // A commit without flip is refused (InvalidArgument) while head.stagingTxid != 0.
              // The store sets head.sweepTxid = commit->txid.
  bool alarmChanged =
      false;  // set head.alarmMs to `alarmMs` (nullopt: no timer); keeps the due index in step
  std::optional<std::int64_t> alarmMs;

  std::vector<StoredChunk>
      chunks;  // put these versions. txid ≤ the head's txid after this write is a fold;
               // above it is staging, which sets head.stagingTxid to that txid: one txid at a time
  Txid trimLogThrough =
      0;  // head.logStart becomes this, when greater: records up to it are no longer needed to
          // read the head. At most the head's txid after this write
  Txid expireThrough = 0;  // and records with txid ≤ this are deleted (retention off: same as
                           // trimLogThrough). At most the head's logStart after this write
  std::vector<SupersededChunk>
      superseded;  // what was kept of these chunks and is older; each txid ≤ the head's after
  std::optional<ChunkNumber>
      dropChunksFrom;  // delete every version of the chunks with this number or a higher one
                       // that is visible at the head after this write (txid ≤ it)
  std::uint32_t dropsAbout = 0;  // versions that this may delete, as far as the caller knows: for
                                 // sizeBytes() alone
  bool discardStaging =
      false;  // delete every version with txid > head.txid and set head.stagingTxid = 0.
              // Not together with commit or staging chunks. May delete only a part, and
              // leave stagingTxid, when there is much: repeat until stagingTxid is 0
  bool sweepDone = false;  // set head.sweepTxid = 0
  bool sweepDue = false;   // set head.sweepTxid to the head's txid after this write: history ends
  bool release = false;    // the database has no owner any more: any node may claim it. The epoch
      // stays, so that this owner's later writes are refused only after a claim
  std::optional<Properties> properties;

  /// Roughly what this adds to a store transaction, for the bounds of batches: what is put, and
  /// what is deleted, which takes a store as long. So a long removal goes in a batch of its own.
  std::size_t sizeBytes() const;
};

struct ChunkReadRequest {
  DatabaseId id;
  Txid atTxid =
      0;  // newest version ≤ atTxid of each chunk (staged ones are found by their owner so)
  std::vector<ChunkNumber> chunks;  // ascending
  Epoch epoch = 0;  // not 0: an owner reads, and gets Fenced once it has lost the database: its
                    // successor removes versions and writes others under the same txids
  std::optional<Txid> logAfter;  // also return the records with logAfter < txid ≤ atTxid
};

struct ChunkRead {
  std::vector<StoredChunk> chunks;  // those that exist, by chunk number
  std::vector<StoredRecord> log;
};

struct DatabaseInfo {
  std::string name;
  DatabaseId id;
  Head head;
  Properties properties;
  Incarnation owner = 0;  // that claimed it last and did not release it; it may have ended since
  std::int64_t createdMs = 0;
  std::uint64_t storedBytes =
      0;  // records and chunks, all versions; 0 in list() (counting costs a scan)
};

struct ListPage {
  std::vector<DatabaseInfo> databases;  // by name, byte order
  std::string next;                     // pass as `after` for the next page; empty at the end
};

struct ChunkVersion {
  ChunkNumber chunk = 0;
  Txid txid = 0;
  std::uint32_t bytes = 0;  // encoded size
};

struct VersionAt {
  Txid txid = 0;
  std::int64_t timeMs = 0;
};

struct DueAlarm {
  std::string name;
  DatabaseId id;
  std::int64_t alarmMs = 0;
};

/// A database as one of its owners knows it: the database itself, not another one that took its name
/// since, under that owner's epoch.
struct Ownership {
  DatabaseId id;
  Epoch epoch = 0;
};

/// A name is 1 to kNameBytesMax bytes of valid UTF-8 without control characters (U+0000–U+001F,
/// U+007F).
Status checkName(std::string_view name);

class PageStore {
 public:
  virtual ~PageStore() = default;

  /// Finds (or creates) a database, optionally claims it, and returns what is needed to read it:
  /// one round trip. NotFound, AlreadyExists, Fenced (Retake), InvalidArgument (bad name). Durable
  /// before it returns, except that a store with a single process may delay the durability of
  /// create and claim until the first commit. A Take may be OwnedElsewhere, and Error::owner says by
  /// whom; Fenced when `request.owner` itself has ended.
  virtual Result<OpenedDatabase> open(const OpenRequest& request) = 0;

  /// Applies each write atomically and durably, all in one store transaction. The result has one
  /// Status for each write, in order. A refused write leaves the others untouched. At most one
  /// write a database in a batch. Statuses: Fenced, InvalidArgument, NotFound (destroyed),
  /// UnknownOutcome (then resolve it with Claim::Retake), Unavailable and the common errors (then
  /// certainly not applied).
  virtual std::vector<Status> write(std::span<const DatabaseWrite> writes) = 0;

  /// Chunks and records of one version, in one round trip, from one snapshot. A chunk without a
  /// version ≤ atTxid is left out. SnapshotGone when a log record that is asked for was deleted.
  /// Fenced: see ChunkReadRequest::epoch.
  virtual Result<ChunkRead> readChunks(const ChunkReadRequest& request) = 0;

  /// The head alone: cheap, however much is stored. NotFound.
  virtual Result<Head> readHead(DatabaseId id) = 0;

  /// The head and properties without records, and how much is stored, which costs a scan.
  virtual Result<DatabaseInfo> info(std::string_view name) = 0;

  /// Names that start with `prefix`, after `after`, at most `limit`.
  virtual Result<ListPage> list(std::string_view prefix, std::string_view after,
                                std::size_t limit) = 0;

  /// Records that are kept with afterTxid < txid, ascending, until `bytesMax` is passed (at least
  /// one if any).
  virtual Result<std::vector<StoredRecord>> readLog(DatabaseId id, Txid afterTxid,
                                                    std::size_t bytesMax) = 0;

  /// All versions that are kept, staged ones too, ordered by (chunk, txid), after the given one, at
  /// most `limit`.
  virtual Result<std::vector<ChunkVersion>> listChunkVersions(DatabaseId id,
                                                              std::optional<ChunkVersion> after,
                                                              std::size_t limit) = 0;

  /// The newest commit at or before `timeMs` whose record is kept; NotFound when there is none.
  virtual Result<VersionAt> versionAt(DatabaseId id, std::int64_t timeMs) = 0;

  /// Removes a database with everything that it stored; its owner is fenced. The space comes back.
  /// NotFound. With `onlyAs`, an owner undoes what is its own: Fenced, and nothing is removed, when
  /// another database has the name by now or another owner has this one; checked in the same atomic
  /// step as the removal.
  virtual Status destroy(std::string_view name, std::optional<Ownership> onlyAs = std::nullopt) = 0;

  /// Databases whose alarm is due at or before `nowMs`, earliest first.
  virtual Result<std::vector<DueAlarm>> dueAlarms(std::int64_t nowMs, std::size_t limit) = 0;

  /// Everything as it is now, for reading: what later writes change, supersede or destroy stays as it
  /// was in it. What would change something is refused there (ReadOnly), and so is a snapshot of a
  /// snapshot (Unsupported). Suspends. It ends before the store does. It holds back the store's
  /// clean-up of what was superseded since, and on Postgres takes a connection of its own: let it
  /// go soon. Its reads say SnapshotGone when it was lost with that connection: take another one.
  virtual Result<std::unique_ptr<PageStore>> snapshot() = 0;

  /// The nodes that share this store; null when it serves one process. Lives as long as the store.
  virtual Membership* membership() { return nullptr; }

  /// "embedded", "postgres", "memory": for messages and metrics.
  virtual std::string_view kind() const = 0;
};

}  // namespace skep::store
