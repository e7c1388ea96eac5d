// FaultyStore: a PageStore between one simulated process and a real store, that fails as told.
//
// Each call takes a while (it suspends, a seeded number of times, on both sides of the store) and
// passes the fault points of its kind. A FaultPlan says which of them fire, and when. Once the
// process has crashed, every call fails with Aborted, and what its fibers still try cannot touch
// the store any more: make a new FaultyStore for the next process. Writes that were under way when
// their answer was lost live in the Network, which outlives processes.
//
//   Network network;
//   const FaultPlan plan{.shots = {{.action = FaultAction::Late, .kind = CallKind::Flip}}};
//   FaultyStore store(memory, network, plan, seed);
//
// One loop; every method on its fibers.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "skep/testing/faults/fault_points.h"

namespace skep::testing {

/// One fault: fires at the `nth` call (from 1) that could have it, and at the `repeat - 1` such
/// calls after that.
struct FaultShot {
  FaultAction action = FaultAction::Before;
  std::optional<CallKind> kind;  // none: a call of any kind that can have this fault
  std::uint32_t nth = 1;
  std::uint32_t repeat = 1;

  std::string describe() const;
};

struct FaultPlan {
  std::vector<FaultShot> shots;
  std::string describe() const;
};

/// How often each fault point has fired.
using FaultCounts = std::array<std::uint64_t, kCallKinds * kFaultActions>;

/// What outlives a process: writes that are still on their way to the store, and the record of what
/// happened.
class Network {
 public:
  /// A write that was accepted although a claim should have shut it out.
  const std::optional<std::string>& violation() const { return violation_; }
  /// Calls that are inside the real store now.
  std::size_t callsInside() const { return callsInside_; }
  const FaultCounts& fired() const { return fired_; }
  std::uint64_t firedCount() const { return firedCount_; }
  /// Whether something fired that the owner of a database need not survive.
  bool mayHaveBroken() const { return mayHaveBroken_; }
  /// Gets a line for each call that reaches the store, for someone who reads a replay. Null: none.
  std::ostream* trace = nullptr;

 private:
  friend class FaultyStore;
  std::vector<store::DatabaseWrite> delayed_;  // reach the store before the next call
  std::vector<store::DatabaseWrite> late_;     // after the next claim of their database
  std::optional<std::string> violation_;
  std::size_t callsInside_ = 0;
  FaultCounts fired_{};
  std::uint64_t firedCount_ = 0;
  bool mayHaveBroken_ = false;
};

class FaultyStore final : public store::PageStore {
 public:
  /// `inner` and `network` outlive it. `seed` decides how long calls take and which bits flip.
  FaultyStore(store::PageStore& inner, Network& network, FaultPlan plan, std::uint64_t seed);

  /// The process dies now, between two calls.
  void crash() { process_->crashed = true; }
  bool hasCrashed() const { return process_->crashed; }
  /// Whether this process knows what became of each of its writes: no answer was lost on the way.
  bool isCertain() const { return process_->isCertain; }
  /// Fault points passed so far: a plan whose shots all count beyond that never fired.
  std::uint64_t calls() const { return process_->calls; }
  bool hasFired() const { return process_->hasFired; }

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
  std::string_view kind() const override { return inner_.kind(); }

 private:
  struct Batch;
  struct Countdown {
    FaultShot shot;
    std::uint32_t seen = 0;
  };
  /// What the store and its snapshots share.
  struct SimulatedProcess {
    std::vector<Countdown> plan;
    std::mt19937_64 random;
    bool crashed = false;
    bool isCertain = true;
    bool hasFired = false;
    std::uint64_t calls = 0;
  };

  FaultyStore(std::unique_ptr<store::PageStore> snapshot, Network& network,
              std::shared_ptr<SimulatedProcess> process);

  void travel();
  std::optional<FaultAction> pass(CallKind kind);
  void traceWrite(const store::DatabaseWrite& write, const Status& outcome, std::string_view how);
  void deliverDelayed();
  void deliverLate(store::DatabaseId id);
  void meet(const store::DatabaseWrite& write, std::size_t index, Batch& batch);
  void conclude(const Batch& batch, std::size_t place, Status outcome, Status& answer);
  Result<store::OpenedDatabase> openInner(const store::OpenRequest& request);
  void flipBit(std::vector<store::StoredRecord>& log, std::vector<store::StoredChunk>& chunks);
  void loseRecord(std::vector<store::StoredRecord>& log);
  template <class T, class Call>
  Result<T> read(CallKind kind, Call call, std::optional<FaultAction>* fault = nullptr);
  std::uint64_t random(std::uint64_t below) { return process_->random() % below; }

  std::unique_ptr<store::PageStore> snapshot_;  // when this is one
  store::PageStore& inner_;
  Network& network_;
  std::shared_ptr<SimulatedProcess> process_;
};

}  // namespace skep::testing
