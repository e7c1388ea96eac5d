// ClusterSim: a cluster in one thread: nodes that come, crash, freeze and are cut off, clients that append to lists
// and read them through any node, and the check that what they were told can be true.
//
// All that happens follows from the seed. Membership, ownership, routing, the runtime of actors, SQLite and the
// commit path are the real ones; clocks, network and store are simulated.
//
//   ClusterSim sim({.seed = 7});
//   std::optional<std::string> wrong = sim.run();

#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "skep/testing/cluster/history.h"
#include "skep/testing/cluster/sim_node.h"

namespace skep::testing {

struct ClusterSimOptions {
  std::uint64_t seed = 1;
  Broken broken = Broken::Nothing;
  std::size_t nodes = 3;
  std::size_t lists = 2;
  int operations = 40;
  int faults = 6;
  Duration busyFor = std::chrono::seconds(20);  // clients ask and faults happen for so long
  bool traces = false;                          // tells of faults on standard error
};

struct ClusterSimCounts {
  std::uint64_t crashes = 0;
  std::uint64_t drains = 0;
  std::uint64_t pauses = 0;
  std::uint64_t cuts = 0;
  std::uint64_t declaredDead = 0;
  std::uint64_t joinedAgain = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t corrected = 0;
  std::uint64_t done = 0;
  std::uint64_t notDone = 0;
  std::uint64_t unknown = 0;

  void add(const ClusterSimCounts& other);
  std::string describe() const;
};

class ClusterSim final : public SimNetwork {
 public:
  explicit ClusterSim(ClusterSimOptions options);
  ~ClusterSim() override;

  /// What went wrong, if anything did; with what is needed to understand it.
  std::optional<std::string> run();
  const ClusterSimCounts& counts() const { return counts_; }

 private:
  SimTime& time() override { return time_; }
  std::mt19937_64& random() override { return random_; }
  SimNode* at(const std::string& address) override;
  SimLink& link(const std::string& from, const std::string& to) override {
    return links_[{from, to}];
  }

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  Duration between(Duration least, Duration most);
  std::string nodeName(std::size_t index) const { return "node-" + std::to_string(index); }

  void startNode(const std::string& name);
  void planOperation();
  void ask(SimNode& node, std::size_t index);
  void planFault();
  void crash(SimNode& node);
  void drain(SimNode& node);
  void startWhenEnded(SimNode& node);
  void pause(SimNode& node);
  void cutStore(SimNode& node);
  void cutNodes();
  void slowStore(SimNode& node);
  void jumpStoresClock();
  void heal();
  bool step(MonotonicTime until);
  bool runUntil(MonotonicTime until, const std::function<bool()>& isDone);
  std::optional<std::string> readAtTheEnd(std::map<std::string, std::vector<std::int64_t>>& final);
  void end();
  void say(const std::string& what) const;

  const ClusterSimOptions options_;
  std::mt19937_64 random_;
  SimTime time_;
  SimClock storesClock_;
  backend::MemoryStore shared_;
  actor::Registry registry_;
  std::map<std::pair<std::string, std::string>, SimLink> links_;
  std::deque<std::unique_ptr<SimNode>> nodes_;  // all lives, also those that are over
  History history_;
  std::int64_t lastValue_ = 0;
  std::size_t underWay_ = 0;
  ClusterSimCounts counts_;
};

}  // namespace skep::testing
