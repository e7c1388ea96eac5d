#include "skep/cluster/placement.h"

#include <xxhash.h>

namespace skep::cluster {

std::uint64_t placementScore(const store::NodeInfo& node, std::string_view databaseName) {
  const std::string& name = node.facts.name;
  return XXH3_64bits_withSeed(databaseName.data(), databaseName.size(),
                              XXH3_64bits(name.data(), name.size()));
}

const store::NodeInfo* Placement::choose(const NodeList& nodes, std::string_view type,
                                         std::string_view databaseName) const {
  const store::NodeInfo* best = nullptr;
  std::uint64_t bestScore = 0;
  for (const store::NodeInfo& node : nodes.nodes()) {
    if (node.state != store::NodeState::Live || !hostsType(node, type)) continue;
    const std::uint64_t score = placementScore(node, databaseName);
    if (best != nullptr && score <= bestScore) continue;
    best = &node;
    bestScore = score;
  }
  return best;
}

}  // namespace skep::cluster
