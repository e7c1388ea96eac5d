#include "skep/cluster/node_list.h"

#include <algorithm>

namespace skep::cluster {
namespace {

template <class Nodes>
auto placeOf(Nodes& nodes, store::Incarnation incarnation) {
  return std::lower_bound(
      nodes.begin(), nodes.end(), incarnation,
      [](const auto& node, store::Incarnation wanted) { return node.incarnation < wanted; });
}

}  // namespace

NodeListPtr NodeList::updated(const store::Renewal& renewal) const {
  if (renewal.version < version_) return nullptr;
  auto list = std::make_shared<NodeList>(*this);
  list->version_ = renewal.version;
  for (const store::NodeInfo& changed : renewal.changed) {
    const auto place = placeOf(list->nodes_, changed.incarnation);
    const bool isThere = place != list->nodes_.end() && place->incarnation == changed.incarnation;
    if (isThere && store::isAlive(changed.state)) {
      *place = changed;
    } else if (isThere) {
      list->nodes_.erase(place);
    } else if (store::isAlive(changed.state)) {
      list->nodes_.insert(place, changed);
    }
  }
  // Beats are of all that are alive: the end of one that is missing may be forgotten already.
  std::erase_if(list->nodes_, [&](const store::NodeInfo& node) {
    const auto place = placeOf(renewal.beats, node.incarnation);
    return place == renewal.beats.end() || place->incarnation != node.incarnation;
  });
  for (const store::NodeBeat& beat : renewal.beats) {
    const auto place = placeOf(list->nodes_, beat.incarnation);
    if (place == list->nodes_.end() || place->incarnation != beat.incarnation) continue;
    place->beat = std::max(place->beat, beat.beat);
    place->load = beat.load;
    place->leaseLeftMs = beat.leaseLeftMs;
  }
  return list;
}

const store::NodeInfo* NodeList::find(store::Incarnation incarnation) const {
  const auto place = placeOf(nodes_, incarnation);
  return place != nodes_.end() && place->incarnation == incarnation ? &*place : nullptr;
}

bool hostsType(const store::NodeInfo& node, std::string_view type) {
  return std::find(node.facts.types.begin(), node.facts.types.end(), type) !=
         node.facts.types.end();
}

}  // namespace skep::cluster
