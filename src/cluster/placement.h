// Placement: where an actor without an owner belongs. Pure functions; any thread.
//
// Rendezvous hashing over the live nodes that host its type: each node that knows the same list gives the
// same answer, and when a node comes or goes, only its share of actors moves. Names are hashed, not
// incarnations, so that a node that is started again gets what it had. The answer is a hint: the store decides.

#pragma once

#include <string_view>

#include "skep/cluster/node_list.h"

namespace skep::cluster {

/// How much `node` wants the actor with this database name; the greatest wins.
std::uint64_t placementScore(const store::NodeInfo& node, std::string_view databaseName);

class Placement {
 public:
  virtual ~Placement() = default;
  /// The node that is to take the actor; null: no live node hosts its type. Of `nodes`.
  virtual const store::NodeInfo* choose(const NodeList& nodes, std::string_view type,
                                        std::string_view databaseName) const;
};

}  // namespace skep::cluster
