// Member: this process as a node of the cluster: joins, renews its lease, knows the other nodes, and ends those
// that do not renew.
//
// The store decides everything; a Member only asks it, and believes nothing for longer than its lease. When
// the store says that this incarnation has ended (it was frozen, or cut off, for too long), the lease ends and
// the member joins again as another incarnation, by itself.
//
// Threading: belongs to its loop, but for nodes(), self(), refresh(), which any fiber may call. Lifetime: join(), later
// close(); references outlive it.
//
//   NodeLease lease(clock);
//   Member member(loop, *store.membership(), lease, facts);
//   SKEP_CHECK_OK(member.join());
//   environment.lease = &lease;

#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

#include "skep/cluster/node_lease.h"
#include "skep/cluster/node_list.h"
#include "skep/cluster/node_watch.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"

namespace skep::cluster {

struct MemberOptions {
  Duration lease = std::chrono::seconds(3);
  Duration renewEvery = std::chrono::milliseconds(750);
  std::size_t renewalsAtOnce = 4;                 // when the store is slow; beyond it none is sent
  std::function<std::uint32_t()> load = nullptr;  // told with each renewal
  std::function<void(const NodeList&)> onNodes =
      nullptr;             // a newer list; on the loop, does not suspend
  std::uint64_t seed = 0;  // of nonces; 0: a random one
};

struct MemberStats {
  std::uint64_t renewals = 0;
  std::uint64_t renewalsFailed = 0;
  std::uint64_t declaredDead = 0;  // others, by this node
  std::uint64_t joins = 0;         // beyond the first: this node was declared dead so often
};

class Member {
 public:
  Member(fiber::Loop& loop, store::Membership& membership, NodeLease& lease, store::NodeFacts facts,
         MemberOptions options = {});
  /// After close(), or before join().
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  /// Suspends until this node is in, and knows the others. A former incarnation under the same name that
  /// does not renew any more is ended first, which takes a lease. AlreadyExists: one that does renew.
  /// InvalidArgument; Aborted: close() came.
  Status join();

  /// The others learn that this node takes no new actors. Suspends.
  Status drain();
  /// Everything that is owned is anybody's: nothing must be answered any more. The lease ends at once. Suspends.
  Status leave();
  /// Ends without leaving: others end this incarnation when they miss it. Suspends until nothing runs.
  void close();

  /// Any thread. Never null.
  NodeListPtr nodes() const;
  store::Incarnation self() const { return lease_.incarnation(); }
  /// Suspends until a look at the list has come back that began after this call. Any fiber.
  Status refresh();

  MemberStats stats() const { return stats_; }

 private:
  Status joinPatiently();
  Status joinOnce();
  Status learnNodes();
  Status endPredecessor();
  void becomeMember(store::Incarnation incarnation, MonotonicTime sentAt);
  void tick();
  Status renew();
  Status apply(const store::Renewal& renewal, MonotonicTime sentAt);
  void lost(store::NodeState how);
  void rejoin();
  void armWatch();
  void endSuspects();
  void setNodes(NodeListPtr nodes);
  Status refreshHere();
  Status advance(store::NodeState state);
  Duration pause();

  fiber::Loop& loop_;
  store::Membership& membership_;
  NodeLease& lease_;
  const store::NodeFacts facts_;
  const MemberOptions options_;
  std::mt19937_64 random_;

  store::Incarnation incarnation_ = 0;  // whose membership runs; 0: none
  NodeWatch watch_;
  fiber::Timer tickTimer_;
  fiber::Timer watchTimer_;
  std::size_t renewalsUnderWay_ = 0;
  bool isJoining_ = false;
  bool isEndingSuspects_ = false;
  bool isFailing_ = false;  // renewals do; said once
  fiber::Gate work_;
  fiber::AbortSource closing_;
  std::vector<fiber::OneShot<Status>*> refreshers_;
  bool isRefreshing_ = false;
  MemberStats stats_;

  mutable std::mutex mutex_;
  NodeListPtr nodes_;
};

}  // namespace skep::cluster
