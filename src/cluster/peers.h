// Peers: the way to other nodes. What a ClusterRouter needs of a network.

#pragma once

#include <memory>

#include "skep/call/router.h"
#include "skep/store/membership.h"

namespace skep::cluster {

class Peers {
 public:
  virtual ~Peers() = default;

  /// A Router whose calls that node's own host runs, which forwards to nobody. Beside the outcomes of a host:
  /// NodeUnreachable, when nothing has reached the node; OutcomeUnknown, when no answer came back from it; and
  /// ActorElsewhere, also when the process at that address is another incarnation. Any fiber; does not suspend.
  // Shared: calls under way keep it while the connection goes.
  virtual std::shared_ptr<call::Router> routerTo(const store::NodeInfo& node) = 0;
};

}  // namespace skep::cluster
