// SimNode: one life of a simulated process: the program's own loop, store pipeline, host, membership and router,
// over a simulated clock, store and network.
//
// A node that has crashed still ends what it has begun, as memory must go back, but neither asks nor tells
// anybody anything. A paused one stands still: its clock goes on without it.

#pragma once

#include <memory>
#include <optional>
#include <random>
#include <string>

#include "skep/actor/host.h"
#include "skep/cluster/cluster_router.h"
#include "skep/cluster/member.h"
#include "skep/fiber/loop.h"
#include "skep/store/commit_pipeline.h"
#include "skep/testing/cluster/sim_store.h"
#include "skep/vfs/environment.h"

namespace skep::testing {

class SimNode;

/// What the nodes of a simulation are in: who is where, and which ways between them are cut.
class SimNetwork {
 public:
  virtual ~SimNetwork() = default;
  virtual SimTime& time() = 0;
  virtual std::mt19937_64& random() = 0;
  /// The process that answers at this address now; null: none.
  virtual SimNode* at(const std::string& address) = 0;
  virtual SimLink& link(const std::string& from, const std::string& to) = 0;
};

class SimNode final : public cluster::Peers {
 public:
  struct Settings {
    std::string name;
    double clockRate = 1;
    std::uint64_t seed = 0;
    Broken broken = Broken::Nothing;
  };
  SimNode(SimNetwork& network, backend::MemoryStore& shared, const actor::Registry& registry,
          Settings settings);
  /// It has ended.
  ~SimNode() override;

  const std::string& name() const { return settings_.name; }
  fiber::Loop& loop() { return loop_; }
  SimClock& clock() { return clock_; }
  SimStore& store() { return store_; }
  cluster::Member& member() { return member_; }
  cluster::ClusterRouter& router() { return router_; }
  actor::Host& host() { return *host_; }

  void start();
  bool isIn() const { return isIn_; }
  void pause() { isPaused_ = true; }
  void resume() { isPaused_ = false; }
  bool isPaused() const { return isPaused_; }
  void crash();
  bool hasCrashed() const { return hasCrashed_; }
  /// Hands over and leaves, in good order.
  void stop();
  bool isStopping() const { return isStopping_; }
  bool hasEnded() const { return hasEnded_; }

  std::shared_ptr<call::Router> routerTo(const store::NodeInfo& node) override;

 private:
  /// Its lease is what the real one is, or, in a broken variant, always held.
  class LeaseInUse;
  class Remote;
  actor::AlarmWatchOptions alarmOptions();
  void end();

  SimNetwork& network_;
  const Settings settings_;
  SimClock clock_;
  fiber::Loop loop_;
  SimStore store_;
  store::CommitPipeline pipeline_;
  vfs::PageCache cache_;
  cluster::NodeLease lease_;
  std::unique_ptr<store::Lease> leaseInUse_;
  vfs::Environment environment_;
  cluster::Member member_;
  cluster::Placement placement_;
  cluster::ClusterRouter router_;
  std::unique_ptr<actor::Host> host_;
  bool isIn_ = false;
  bool isPaused_ = false;
  bool hasCrashed_ = false;
  bool isStopping_ = false;
  bool hasEnded_ = false;
};

}  // namespace skep::testing
