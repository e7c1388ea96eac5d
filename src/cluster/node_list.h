// NodeList: the nodes of the cluster that are alive, as this node last heard of them. Immutable;
// any thread.

#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "skep/store/membership.h"

namespace skep::cluster {

class NodeList;
// Shared: readers on all loops keep the one that they look at.
using NodeListPtr = std::shared_ptr<const NodeList>;

class NodeList {
 public:
  NodeList() = default;

  /// This list with what a renewal told: null when it tells nothing newer.
  NodeListPtr updated(const store::Renewal& renewal) const;

  std::uint64_t version() const { return version_; }
  /// By incarnation.
  const std::vector<store::NodeInfo>& nodes() const { return nodes_; }
  /// Null: it has ended, or joined later than this list knows.
  const store::NodeInfo* find(store::Incarnation incarnation) const;
  /// Whether a node that is not in the list has certainly ended.
  bool hasEnded(store::Incarnation incarnation) const {
    return incarnation <= version_ && find(incarnation) == nullptr;
  }

 private:
  std::uint64_t version_ = 0;
  std::vector<store::NodeInfo> nodes_;
};

/// Whether a node says that it hosts actors of this type.
bool hostsType(const store::NodeInfo& node, std::string_view type);

}  // namespace skep::cluster
