// TcpPeers: the way to other nodes over TCP: one connection to each node that something is forwarded to, made when
// it is first needed, and shared by all calls.
//
// A call that was not yet handed to the socket when its connection broke has certainly not happened
// (NodeUnreachable); of the others nobody knows (OutcomeUnknown). Connections to incarnations that have ended are
// given up at once, so that nobody waits for a node that is frozen.
//
// Threading: routerTo() and what it gives from any fiber; the rest belongs to the loop. Lifetime: close()
// comes before the end.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "skep/cluster/node_list.h"
#include "skep/cluster/peers.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"

namespace skep::cluster {

struct TcpPeersOptions {
  std::string key;  // made of the cluster's secret
  std::function<store::Incarnation()> self;
  Duration connectTime = std::chrono::seconds(2);  // with the handshake
  std::size_t callsMax = 20'000;  // under way to one node; beyond it: ActorOverloaded
};

class TcpPeers final : public Peers {
 public:
  TcpPeers(fiber::Loop& loop, TcpPeersOptions options);
  ~TcpPeers() override;

  std::shared_ptr<call::Router> routerTo(const store::NodeInfo& node) override;

  /// Gives up the connections to nodes that have ended.
  void keepOnly(const NodeList& nodes);
  /// Ends all connections, and with them the calls. Suspends.
  void close();

 private:
  class Peer;
  class Remote;

  fiber::Loop& loop_;
  const TcpPeersOptions options_;
  fiber::Gate work_;
  std::mutex mutex_;
  std::map<store::Incarnation, std::shared_ptr<Peer>> peers_;  // shared: see Remote
};

}  // namespace skep::cluster
