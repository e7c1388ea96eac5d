// ClusterNode: what makes a server a node of a cluster: its membership, the ways to and from other nodes, and the
// Router that finds the owner of an actor. Wired on a thread of its own, so that neither actors nor clients hold
// up the renewal of the lease.
//
//   SKEP_TRY(auto node, ClusterNode::join(clock, engine->store(), settings, types));
//   environment.lease = &node->lease();
//   Host host(registry, environments, node->alarmOptions(), &node->router());
//   node->attach(host);
//   …
//   node->drain();  …  host.close();  node->leave();

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "skep/actor/host.h"
#include "skep/base/result.h"
#include "skep/call/router.h"
#include "skep/server/serve_settings.h"
#include "skep/store/page_store.h"

namespace skep::server {

class ClusterNode {
 public:
  /// Null when the settings say nothing of a cluster. InvalidArgument: they do not fit together; Unsupported: a
  /// store for one process; AlreadyExists: another node has the name; the errors of listening. Suspends.
  static Result<std::unique_ptr<ClusterNode>> join(Clock& clock, store::PageStore& store,
                                                   const ServeSettings& settings,
                                                   std::vector<std::string> types);
  /// After leave().
  ~ClusterNode();

  store::Lease& lease();
  call::Router& router();
  /// This node wakes the actors that belong to it.
  actor::AlarmWatchOptions alarmOptions();
  /// From now on this host runs what other nodes forward.
  void attach(actor::Host& host);

  /// The others take what has no owner. Suspends.
  void drain();
  /// After the host was closed. Suspends.
  void leave();

 private:
  struct Impl;
  explicit ClusterNode(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace skep::server
