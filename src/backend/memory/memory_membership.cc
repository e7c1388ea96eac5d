#include "skep/backend/memory/memory_membership.h"

namespace skep::backend {

using store::Incarnation;
using store::NodeInfo;
using store::NodeState;

namespace {

constexpr std::int64_t kRememberedMs = 24 * 60 * 60 * 1000;  // that ended

std::int64_t milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

Error unknownNode(Incarnation incarnation) {
  return Error{ErrorCode::NotFound,
               "there is no node of incarnation " + std::to_string(incarnation)};
}

}  // namespace

Result<Incarnation> MemoryMembership::join(const store::NodeFacts& facts, Duration lease,
                                           std::uint64_t nonce) {
  SKEP_CHECK_OK(store::checkFacts(facts));
  std::lock_guard lock(mutex_);
  for (const auto& [incarnation, node] : nodes_) {
    if (!store::isAlive(node.info.state) || node.info.facts.name != facts.name) continue;
    if (node.nonce == nonce) return incarnation;
    return store::nameTaken(node.info);
  }
  forgetOld();
  Node node;
  node.info.incarnation = last_ = version_ + 1;
  node.info.facts = facts;
  node.info.joinedMs = clock_.wallMs();
  node.nonce = nonce;
  grant(node, lease);
  enter(nodes_[last_] = std::move(node), NodeState::Live);
  return last_;
}

Result<store::Renewal> MemoryMembership::renew(const store::RenewRequest& request) {
  std::lock_guard lock(mutex_);
  const auto found = nodes_.find(request.incarnation);
  if (found == nodes_.end()) return unknownNode(request.incarnation);
  Node& own = found->second;
  if (store::isAlive(own.info.state)) {
    ++own.info.beat;
    own.info.load = request.load;
    grant(own, request.lease);
  }
  store::Renewal renewal;
  renewal.state = own.info.state;
  renewal.version = version_;
  for (const auto& [incarnation, node] : nodes_) {
    const NodeInfo info = infoOf(node);
    if (node.changedVersion > request.knownVersion) renewal.changed.push_back(info);
    if (!store::isAlive(info.state)) continue;
    renewal.beats.push_back({.incarnation = incarnation,
                             .beat = info.beat,
                             .load = info.load,
                             .leaseLeftMs = info.leaseLeftMs});
  }
  return renewal;
}

Result<bool> MemoryMembership::declareDead(Incarnation incarnation, std::uint64_t beat) {
  std::lock_guard lock(mutex_);
  const auto found = nodes_.find(incarnation);
  if (found == nodes_.end()) return false;
  Node& node = found->second;
  const std::int64_t nowMs = clock_.wallMs();
  // A clock that has gone back says nothing.
  const bool isOver = nowMs >= node.leaseEndsMs || nowMs < node.renewedMs;
  if (!store::isAlive(node.info.state) || node.info.beat != beat || !isOver) return false;
  enter(node, NodeState::Dead);
  return true;
}

Status MemoryMembership::advance(Incarnation incarnation, NodeState state) {
  std::lock_guard lock(mutex_);
  const auto found = nodes_.find(incarnation);
  if (found == nodes_.end()) return unknownNode(incarnation);
  Node& node = found->second;
  SKEP_CHECK_OK(store::checkAdvance(node.info.state, state));
  if (node.info.state != state) enter(node, state);
  return {};
}

Result<std::vector<NodeInfo>> MemoryMembership::nodes() {
  std::lock_guard lock(mutex_);
  std::vector<NodeInfo> all;
  for (const auto& [incarnation, node] : nodes_) all.push_back(infoOf(node));
  return all;
}

bool MemoryMembership::lives(Incarnation incarnation) const {
  std::lock_guard lock(mutex_);
  const auto found = nodes_.find(incarnation);
  return found != nodes_.end() && store::isAlive(found->second.info.state);
}

bool MemoryMembership::hasEnded(Incarnation incarnation) const {
  std::lock_guard lock(mutex_);
  const auto found = nodes_.find(incarnation);
  if (found == nodes_.end()) return incarnation <= last_;
  return !store::isAlive(found->second.info.state);
}

void MemoryMembership::grant(Node& node, Duration lease) {
  node.renewedMs = clock_.wallMs();
  node.leaseEndsMs = node.renewedMs + milliseconds(lease);
}

NodeInfo MemoryMembership::infoOf(const Node& node) const {
  NodeInfo info = node.info;
  info.leaseLeftMs = node.leaseEndsMs - clock_.wallMs();
  return info;
}

void MemoryMembership::enter(Node& node, NodeState state) {
  node.info.state = state;
  node.changedVersion = ++version_;
  if (!store::isAlive(state)) node.endedMs = clock_.wallMs();
}

void MemoryMembership::forgetOld() {
  const std::int64_t oldestMs = clock_.wallMs() - kRememberedMs;
  std::erase_if(nodes_, [&](const auto& entry) {
    return !store::isAlive(entry.second.info.state) && entry.second.endedMs < oldestMs;
  });
}

}  // namespace skep::backend
