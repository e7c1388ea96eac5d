// MemoryStore: a PageStore in this process's memory, for tests, demonstrations and as the model of
// the others.
//
// It follows page_store.h to the letter and keeps nothing when it goes away. One mutex guards
// everything and is never held across a suspension: calls do not suspend, they only wait for each
// other's short work.
//
//   MemoryStore store(clock);
//   auto opened =
//       store.open({.name = "tenant/acme", .create = Create::IfMissing, .claim = Claim::Take});

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "skep/backend/memory/memory_membership.h"
#include "skep/base/clock.h"
#include "skep/store/page_store.h"

namespace skep::backend {

class MemoryStore final : public store::PageStore {
 public:
  /// `clock` gives the time of creation of databases, and runs the leases of nodes.
  explicit MemoryStore(Clock& clock);
  ~MemoryStore() override;

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
  /// Shares with this store what neither changes: a database is copied when it is next written to.
  Result<std::unique_ptr<store::PageStore>> snapshot() override;
  store::Membership* membership() override { return &membership_; }
  std::string_view kind() const override { return "memory"; }

 private:
  struct Database;

  Result<Database*> findOrCreate(const store::OpenRequest& request, bool& created);
  Result<const Database*> find(store::DatabaseId id);
  Database& toWrite(std::string_view name);
  Status apply(const store::DatabaseWrite& write);
  void setAlarm(Database& database, std::optional<std::int64_t> alarmMs);

  Clock& clock_;
  MemoryMembership membership_;
  std::mutex mutex_;
  std::uint64_t lastId_ = 0;
  std::map<std::string, std::shared_ptr<Database>, std::less<>> byName_;  // snapshots share them
  std::map<store::DatabaseId, const Database*> byId_;
  std::set<std::pair<std::int64_t, store::DatabaseId>> alarms_;
};

}  // namespace skep::backend
