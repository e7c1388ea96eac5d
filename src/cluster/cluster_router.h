// ClusterRouter: the Router of a node: runs a request here, or on the node that owns the actor.
//
// Where that is, is a belief: the cache's, or else placement's. Whoever is asked runs the actor, or says who
// owns it, and this goes there: a forwarded request is never forwarded again, so there are no loops. What has
// certainly not happened is tried again, for a bounded time; what may have happened is not
// (docs/decisions/0030-cluster.md).
//
// Threading: any fiber of any loop; as Router. Lifetime: all that it is given outlives it.
//
//   ClusterRouter router(member, peers, placement, clock);
//   Host host(registry, environments, alarms, &router);
//   router.attach(host);

#pragma once

#include <atomic>
#include <optional>

#include "skep/base/clock.h"
#include "skep/call/router.h"
#include "skep/cluster/location_cache.h"
#include "skep/cluster/member.h"
#include "skep/cluster/peers.h"
#include "skep/cluster/placement.h"

namespace skep::cluster {

struct RouterOptions {
  Duration patience = std::chrono::seconds(10);  // for a node to answer, or for its end
  Duration pauseFirst = std::chrono::milliseconds(20);
  Duration pauseLongest = std::chrono::milliseconds(250);
};

struct RouterStats {
  std::uint64_t local = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t corrected = 0;  // a belief was wrong: the actor was elsewhere
  std::uint64_t retried = 0;    // after a pause
};

class ClusterRouter final : public call::Router {
 public:
  ClusterRouter(Member& member, Peers& peers, const Placement& placement, Clock& clock,
                RouterOptions options = {});

  /// What runs the actors of this node. Before the first call.
  void attach(call::Router& local) { local_ = &local; }

  call::Reply run(call::ActionRequest request) override;
  call::Outcome<call::QueueSent> send(call::QueueSend message) override;
  call::Outcome<bool> resolve(const call::ActorAddress& actor, call::Existence existence,
                              std::optional<call::Payload> input,
                              const call::Visit* visit = nullptr,
                              call::Waiting waiting = {}) override;
  call::Outcome<std::monostate> destroy(const call::ActorAddress& actor) override;
  call::Outcome<std::monostate> sleep(const call::ActorAddress& actor) override;
  call::Outcome<call::ActorDetails> info(const call::ActorAddress& actor) override;
  /// Of the store; awake as far as this node knows.
  call::Outcome<call::ActorList> list(const std::string& type, const std::string& after,
                                      std::size_t countMax) override;
  // To this node's own actors alone: their peers hear ActorElsewhere of others.
  std::unique_ptr<call::ConnectionHandle> connect(
      call::ConnectRequest request, std::shared_ptr<call::ConnectionPeer> peer) override;
  std::unique_ptr<call::HttpHandle> request(call::HttpRequest request,
                                            std::shared_ptr<call::HttpPeer> peer) override;
  std::unique_ptr<call::WebSocketHandle> openSocket(
      call::HttpRequest request, std::shared_ptr<call::WebSocketPeer> peer) override;

  /// Whether this node is the one to wake the actor, as nobody owns it as far as this node knows.
  bool belongsHere(const call::ActorAddress& actor) const;
  RouterStats stats() const;

 private:
  class Search;
  template <class T, class Ask>
  call::Outcome<T> route(const call::ActorAddress& actor, std::optional<Duration> timeout, Ask ask);

  Member& member_;
  Peers& peers_;
  const Placement& placement_;
  Clock& clock_;
  const RouterOptions options_;
  call::Router* local_ = nullptr;
  LocationCache locations_;
  std::atomic<std::uint64_t> localCalls_{0};
  std::atomic<std::uint64_t> forwarded_{0};
  std::atomic<std::uint64_t> corrected_{0};
  std::atomic<std::uint64_t> retried_{0};
};

}  // namespace skep::cluster
