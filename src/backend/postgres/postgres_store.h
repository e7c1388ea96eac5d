// PostgresStore: a PageStore in a PostgreSQL database (version 14 or newer).
//
// Tables and their invariants: docs/formats/postgres.md. A batch of writes is one transaction and
// one round trip, whatever its size; so is an open. The rules of page_store.h are enforced inside
// the statements that write (statements.cc), so that any number of processes may use one schema at
// once.
//
// The store has a thread of its own for its connections. It reconnects by itself: while the server
// is away, calls fail with Unavailable after a bounded time. A write whose connection broke before
// its answer came is UnknownOutcome, unless the server said that it was rolled back. open() with
// Claim::Take is repeated on a new connection when its own breaks: taking twice is taking.
//
//   SKEP_TRY(auto store, PostgresStore::open({.url = "postgresql://skep@db/skep"}, clock));

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skep/backend/postgres/postgres_options.h"
#include "skep/base/clock.h"
#include "skep/store/page_store.h"

namespace skep::backend {

class PostgresStore final : public store::PageStore {
 public:
  /// Connects; creates the schema when there is none. InvalidArgument for a URL that is none,
  /// Unavailable, AccessDenied, NotFound (no such database), VersionMismatch, ReadOnly (and no
  /// schema yet). Suspends. `clock` gives the time of creation of databases and measures all
  /// waiting; it outlives the store.
  static Result<std::unique_ptr<PostgresStore>> open(PostgresOptions options, Clock& clock);
  ~PostgresStore() override;

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
  /// A connection of its own, in one transaction; the server ends it when nothing was read for ten
  /// minutes. Unavailable, Overloaded (no connection left).
  Result<std::unique_ptr<store::PageStore>> snapshot() override;
  store::Membership* membership() override;
  std::string_view kind() const override { return "postgres"; }

  /// What happened between the store and the server so far. Suspends.
  struct Counters {
    std::uint64_t roundTrips = 0;
    std::uint64_t repeats = 0;  // requests sent again: collisions, and after lost connections
    std::uint64_t connectionsMade = 0;
    std::uint64_t connectionsLost = 0;
  };
  Counters counters();

 private:
  struct Impl;
  explicit PostgresStore(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace skep::backend
