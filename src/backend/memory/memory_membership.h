// MemoryMembership: the nodes that share a MemoryStore, which in one process are simulated ones.
//
// Follows store/membership.h to the letter. One mutex guards it; calls do not suspend. The store asks
// it, with its own mutex held, who may claim.

#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "skep/base/clock.h"
#include "skep/store/membership.h"

namespace skep::backend {

class MemoryMembership final : public store::Membership {
 public:
  /// `clock` is the store's own: leases run by its wall time.
  explicit MemoryMembership(Clock& clock) : clock_(clock) {}

  Result<store::Incarnation> join(const store::NodeFacts& facts, Duration lease,
                                  std::uint64_t nonce) override;
  Result<store::Renewal> renew(const store::RenewRequest& request) override;
  Result<bool> declareDead(store::Incarnation incarnation, std::uint64_t beat) override;
  Status advance(store::Incarnation incarnation, store::NodeState state) override;
  Result<std::vector<store::NodeInfo>> nodes() override;

  bool lives(store::Incarnation incarnation) const;
  /// Whether what this incarnation owns can be claimed by anybody. Never false after it was true.
  bool hasEnded(store::Incarnation incarnation) const;

 private:
  struct Node {
    store::NodeInfo info;
    std::uint64_t nonce = 0;
    std::int64_t renewedMs = 0;
    std::int64_t leaseEndsMs = 0;
    std::int64_t endedMs = 0;
    std::uint64_t changedVersion = 0;
  };

  store::NodeInfo infoOf(const Node& node) const;
  void grant(Node& node, Duration lease);
  void enter(Node& node, store::NodeState state);
  void forgetOld();

  Clock& clock_;
  mutable std::mutex mutex_;
  store::Incarnation last_ = 0;
  std::uint64_t version_ = 0;
  std::map<store::Incarnation, Node> nodes_;  // one that was given and is not in here has ended
};

}  // namespace skep::backend
