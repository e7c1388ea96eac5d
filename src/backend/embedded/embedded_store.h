// EmbeddedStore: a PageStore in one directory of this machine, on RocksDB. The default of Skep.
//
// Durability: each write() is one RocksDB batch and is fsynced before it returns; writes that run
// at once share their fsync. Creating and claiming a database are not fsynced on their own: one
// process owns the directory, and its write-ahead log keeps the order, so that they are durable
// before the first commit that builds on them.
//
// Threading: as PageStore says. What has to touch the disk runs on the store's own threads, so that
// the caller's fiber suspends; reads of what RocksDB holds in memory are answered at once.
// Lifetime: calls must have returned before the store is destroyed; the destructor syncs and
// closes. A directory has one EmbeddedStore at a time, in whatever process.
//
//   SKEP_TRY(auto store, EmbeddedStore::open({.directory = "./data"}, clock));
//   auto opened = store->open({.name = "tenant/acme", .create = Create::IfMissing, .claim =
//   Claim::Take});

#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "skep/base/clock.h"
#include "skep/store/page_store.h"

namespace rocksdb {
class Env;
class Snapshot;
}  // namespace rocksdb

namespace skep::backend {

/// What to do about damage inside the write-ahead log. An incomplete end of it, as a killed process
/// leaves behind, is no damage.
enum class WalDamage : std::uint8_t {
  Refuse,   // open() fails with Corrupt: nothing that was acknowledged is dropped in silence
  DropTail  // keep what stands before the damage, drop the rest: for people who know why it is
            // damaged
};

struct EmbeddedOptions {
  std::string directory;                   // created when it is missing, with its parents
  std::size_t blockCacheBytes = 32 << 20;  // blocks of the store's files in memory
  std::size_t memtableBytes = 32 << 20;    // newest writes in memory, all families together
  std::size_t walBytesMax =
      32 << 20;  // write-ahead log, on disk; past it memory is written to files
  std::size_t headsMax =
      32 * 1024;  // databases written to lately whose heads are in memory, 200 B each
  int openFilesMax = 256;
  std::size_t readThreads = 4;
  std::size_t writeThreads = 8;  // batches in flight, which share fsyncs
  WalDamage walDamage = WalDamage::Refuse;
  rocksdb::Env* env = nullptr;  // null: the machine's; tests give one that fails. Borrowed
};

class EmbeddedStore final : public store::PageStore {
 public:
  /// Opens or creates the store. Blocks the thread. Locked (another process or EmbeddedStore has
  /// the directory), VersionMismatch, InvalidArgument (not a directory, or one with other things in
  /// it), ReadOnly, StoreFull, Corrupt, Unavailable.
  static Result<std::unique_ptr<EmbeddedStore>> open(EmbeddedOptions options, Clock& clock);
  ~EmbeddedStore() override;

  Result<store::OpenedDatabase> open(const store::OpenRequest& request) override;
  std::vector<Status> write(std::span<const store::DatabaseWrite> writes) override;
  Result<store::ChunkRead> readChunks(const store::ChunkReadRequest& request) override;
  Result<store::Head> readHead(store::DatabaseId id) override;
  Result<store::DatabaseInfo> info(std::string_view name) override;
  Result<store::ListPage> list(std::string_view prefix, std::string_view after,
                               std::size_t limit) override;
  Result<std::vector<store::StoredRecord>> readLog(store::DatabaseId id, store::Txid afterTxid,
                                                   std::size_t bytesMax) override;
  Result<std::vector<store::ChunkVersion>> listChunkVersions(
      store::DatabaseId id, std::optional<store::ChunkVersion> after, std::size_t limit) override;
  Result<store::VersionAt> versionAt(store::DatabaseId id, std::int64_t timeMs) override;
  Status destroy(std::string_view name,
                 std::optional<store::Ownership> onlyAs = std::nullopt) override;
  Result<std::vector<store::DueAlarm>> dueAlarms(std::int64_t nowMs, std::size_t limit) override;
  Result<std::unique_ptr<store::PageStore>> snapshot() override;
  std::string_view kind() const override { return "embedded"; }

  /// Writes everything to files and merges them, so that what was deleted no longer takes space.
  /// Suspends, for as long as rewriting the whole store takes. RocksDB does the same by itself in
  /// the background, piece by piece.
  Status compact();

 private:
  struct Impl;
  using Snapshot = std::shared_ptr<const rocksdb::Snapshot>;
  explicit EmbeddedStore(std::shared_ptr<Impl> impl, Snapshot at = nullptr);
  std::shared_ptr<Impl> impl_;  // snapshots share it
  Snapshot at_;                 // null: reads what is newest
};

}  // namespace skep::backend
