#include "skep/store/membership.h"

#include <algorithm>

#include "skep/base/utf8.h"

namespace skep::store {
namespace {

Status checkText(const char* what, std::string_view text, std::size_t bytesMax) {
  if (text.size() > bytesMax) {
    return Error{ErrorCode::InvalidArgument,
                 std::string("a node's ") + what + " has at most " + std::to_string(bytesMax) +
                     " bytes; this one has " + std::to_string(text.size())};
  }
  const bool hasControl = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!hasControl && isValidUtf8(text)) return {};
  return Error{ErrorCode::InvalidArgument,
               std::string("a node's ") + what + " is UTF-8 without control characters"};
}

}  // namespace

std::string_view nodeStateName(NodeState state) {
  switch (state) {
    case NodeState::Live:
      return "live";
    case NodeState::Draining:
      return "draining";
    case NodeState::Left:
      return "left";
    case NodeState::Dead:
      return "dead";
  }
  return "unknown";
}

Status checkFacts(const NodeFacts& facts) {
  if (facts.name.empty() || facts.address.empty()) {
    return Error{ErrorCode::InvalidArgument, "a node has a name and an address"};
  }
  SKEP_CHECK_OK(checkText("name", facts.name, kNodeNameBytesMax));
  SKEP_CHECK_OK(checkText("address", facts.address, kNodeTextBytesMax));
  SKEP_CHECK_OK(checkText("zone", facts.zone, kNodeTextBytesMax));
  SKEP_CHECK_OK(checkText("version", facts.version, kNodeTextBytesMax));
  if (facts.types.size() > kNodeTypesMax) {
    return Error{ErrorCode::InvalidArgument,
                 "a node hosts at most " + std::to_string(kNodeTypesMax) + " actor types"};
  }
  for (const std::string& type : facts.types) {
    SKEP_CHECK_OK(checkText("actor type", type, kNodeTextBytesMax));
    if (type.empty() || type.find(' ') != std::string::npos) {
      return Error{ErrorCode::InvalidArgument,
                   "an actor type's name is not empty and has no spaces"};
    }
  }
  return {};
}

Status checkAdvance(NodeState from, NodeState to) {
  const bool isStep = to == NodeState::Left || to == NodeState::Draining;
  if (isStep && (from == to || (isAlive(from) && from < to))) return {};
  return Error{ErrorCode::InvalidArgument, "a node that is " + std::string(nodeStateName(from)) +
                                               " does not become " +
                                               std::string(nodeStateName(to))};
}

Error nameTaken(const NodeInfo& other) {
  return Error{ErrorCode::AlreadyExists, "a node named '" + other.facts.name + "' is " +
                                             std::string(nodeStateName(other.state)) + " at " +
                                             other.facts.address + " (incarnation " +
                                             std::to_string(other.incarnation) + ")"};
}

}  // namespace skep::store
