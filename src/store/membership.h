// Membership: the nodes that share a store, as the store knows them (docs/decisions/0030-cluster.md).
//
// A process that joins gets an Incarnation: a number that is never given again. Its state only ever
// goes forward: Live, Draining, and then Left or Dead for good. While it lasts, the databases that
// were claimed by it (OpenRequest::owner) can be claimed by nobody else; once it has ended, by
// anybody. All of this is decided inside atomic store operations.
//
// Threading, errors and suspension: as PageStore's. Each call is one round trip.
//
//   SKEP_TRY(Incarnation me, membership.join({.name = "node-1", .address = "10.0.0.5:6421"}, 3s, nonce));
//   SKEP_TRY(Renewal renewal, membership.renew({.incarnation = me, .lease = 3s}));

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/clock.h"
#include "skep/base/result.h"

namespace skep::store {

/// One life of a node: from joining to its end. It is the version of the list of nodes (Renewal) with which
/// it joined: who knows a later version and not the node, knows that it has ended. 0: nobody.
using Incarnation = std::uint64_t;

enum class NodeState : std::uint8_t {
  Live = 0,
  Draining = 1,  // hands its actors over and takes no new ones
  Left = 2,      // ended by itself
  Dead = 3,      // ended by others, as it did not renew its lease
};

/// Whether a node in this state may own databases.
inline bool isAlive(NodeState state) {
  return state == NodeState::Live || state == NodeState::Draining;
}
/// "live", "draining", "left", "dead".
std::string_view nodeStateName(NodeState state);

inline constexpr std::size_t kNodeNameBytesMax = 128;
inline constexpr std::size_t kNodeTextBytesMax = 256;  // of an address, a zone, a version
inline constexpr std::size_t kNodeTypesMax = 1000;

/// What a node says of itself when it joins.
struct NodeFacts {
  std::string name;     // unique among the nodes that are alive
  std::string address;  // where other nodes reach it: host:port
  std::string zone;
  std::string version;             // of its software, for people
  std::uint32_t protocol = 0;      // newest version of the protocol between nodes that it speaks
  std::uint32_t protocolMin = 0;   // and the oldest
  std::vector<std::string> types;  // of the actors that it hosts, sorted
  friend bool operator==(const NodeFacts&, const NodeFacts&) = default;
};

struct NodeInfo {
  Incarnation incarnation = 0;
  NodeFacts facts;
  NodeState state = NodeState::Live;
  std::uint64_t beat = 0;        // of renewals so far: whoever sees the same one for long, suspects
  std::uint32_t load = 0;        // as it said when it last renewed: actors that are awake
  std::int64_t leaseLeftMs = 0;  // by the store's clock; below 0: it ran out
  std::int64_t joinedMs = 0;     // Unix time by the store's clock
};

struct RenewRequest {
  Incarnation incarnation = 0;
  Duration lease{};
  std::uint32_t load = 0;
  std::uint64_t knownVersion = 0;  // of the list of nodes, as this node has it; 0: not at all
};

/// What changes with every renewal, of another node that is alive.
struct NodeBeat {
  Incarnation incarnation = 0;
  std::uint64_t beat = 0;
  std::uint32_t load = 0;
  std::int64_t leaseLeftMs = 0;
};

struct Renewal {
  NodeState state = NodeState::Live;  // the node's own; when it has ended, nothing was renewed
  std::uint64_t version = 0;          // of the list of nodes: grows when one joins or changes state
  std::vector<NodeBeat> beats;        // of all nodes that are alive, this one too; by incarnation
  std::vector<NodeInfo> changed;      // nodes that joined or changed state since `knownVersion`
};

class Membership {
 public:
  virtual ~Membership() = default;

  /// A new incarnation, Live from now on, with its first lease. AlreadyExists while a node of that
  /// name is alive; the message says where. InvalidArgument (checkFacts). `nonce` is random: the same call
  /// repeated with it, after an UnknownOutcome, gives the same incarnation.
  virtual Result<Incarnation> join(const NodeFacts& facts, Duration lease, std::uint64_t nonce) = 0;

  /// Renews the lease of a node that has not ended: its beat grows by one. NotFound: its end is so
  /// long ago that it was forgotten. UnknownOutcome says nothing about the lease.
  virtual Result<Renewal> renew(const RenewRequest& request) = 0;

  /// Ends an incarnation that did not renew: only if its beat is still `beat`, and the store's clock does not say
  /// that its lease still runs (as one that has gone back behind the renewal cannot). Who asks has seen that
  /// beat for a whole lease. Durable, and final, when this returns true. False: neither, or it had ended before.
  virtual Result<bool> declareDead(Incarnation incarnation, std::uint64_t beat) = 0;

  /// Live to Draining, or alive to Left. Nothing when it is so already. NotFound, and InvalidArgument for a
  /// step back or another state.
  virtual Status advance(Incarnation incarnation, NodeState state) = 0;

  /// All nodes that are alive, and those that ended lately, by incarnation.
  virtual Result<std::vector<NodeInfo>> nodes() = 0;
};

/// InvalidArgument for a name, address or other fact past its limits, or with characters that have
/// no place in it.
Status checkFacts(const NodeFacts& facts);

/// The step that advance() may make. InvalidArgument.
Status checkAdvance(NodeState from, NodeState to);

/// AlreadyExists: what join() says while `other` has the name.
Error nameTaken(const NodeInfo& other);

/// The right to answer for what was claimed, as its holder knows it. Any thread; does not suspend.
class Lease {
 public:
  virtual ~Lease() = default;
  /// The incarnation that claims now; 0: none, so nothing can be claimed.
  virtual Incarnation incarnation() const = 0;
  /// Whether nobody else can own by now what `incarnation` claimed and was not told to be fenced from.
  virtual bool isHeldBy(Incarnation incarnation) const = 0;
};

}  // namespace skep::store
