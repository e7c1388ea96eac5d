// SimStore: the store of a simulated cluster, as one node reaches it: over links that take time, lose what
// they carry, and can be cut.
//
// What is asked reaches the store after a while, and the answer its caller after another; a caller waits for a
// bounded time. What was asked and not heard of may still happen later. After crash(), nothing is asked any
// more.
//
// A broken variant leaves out one of the checks that keep data safe, to see that the simulation finds out.

#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "skep/backend/memory/memory_store.h"
#include "skep/store/page_store.h"
#include "skep/testing/cluster/sim_link.h"

namespace skep::testing {

/// What a variant does not do.
enum class Broken : std::uint8_t {
  Nothing,
  NoFence,  // takes over from owners that have not ended
  NoEpochCheck,  // writes are accepted from whoever claimed earlier, on top of whatever is there. (The check of
                 // the txid alone would be a compare-and-swap, and keep commits safe by itself)
  NoLeaseCheck,  // owners answer without a lease
  WildClocks,    // clocks differ in rate by more than a lease allows for
};

class SimStore final : public store::PageStore, public store::Membership {
 public:
  SimStore(backend::MemoryStore& shared, SimTime& time, std::mt19937_64& random, Broken broken)
      : shared_(shared), time_(time), random_(random), broken_(broken) {}

  SimLink toStore;
  SimLink fromStore;
  /// The process has died: what it still asks goes nowhere.
  void crash() { line_->isDead = true; }

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
  store::Membership* membership() override { return this; }
  std::string_view kind() const override { return "simulated"; }

  Result<store::Incarnation> join(const store::NodeFacts& facts, Duration lease,
                                  std::uint64_t nonce) override;
  Result<store::Renewal> renew(const store::RenewRequest& request) override;
  Result<bool> declareDead(store::Incarnation incarnation, std::uint64_t beat) override;
  Status advance(store::Incarnation incarnation, store::NodeState state) override;
  Result<std::vector<store::NodeInfo>> nodes() override;

 private:
  /// Outlives the process, for what is on its way to it.
  struct Line {
    bool isDead = false;
  };

  template <class T>
  std::optional<T> ask(std::function<T()> apply);
  template <class T>
  Result<T> read(std::function<Result<T>()> apply);
  template <class T>
  Result<T> change(std::function<Result<T>()> apply);
  Result<store::OpenedDatabase> openShared(store::OpenRequest request);
  std::vector<Status> writeShared(std::vector<store::DatabaseWrite> writes);

  backend::MemoryStore& shared_;
  SimTime& time_;
  std::mt19937_64& random_;
  const Broken broken_;
  std::shared_ptr<Line> line_ = std::make_shared<Line>();
};

}  // namespace skep::testing
