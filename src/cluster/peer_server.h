// PeerServer: answers the other nodes: runs what they forward on this node's own host, and never anywhere else.
//
// A caller must know the cluster's secret, and mean this very incarnation: who means another one is told so.
//
// Threading: belongs to its loop; stats from there. Lifetime: listen(), later close(); the host outlives it.

#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "skep/base/result.h"
#include "skep/call/router.h"
#include "skep/cluster/peer_link.h"
#include "skep/cluster/peer_message.h"
#include "skep/fiber/sync.h"
#include "skep/store/membership.h"

namespace skep::cluster {

struct PeerServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  std::string key;                // made of the cluster's secret
  std::size_t callsMax = 20'000;  // of all nodes at once; beyond it they are refused
  std::function<store::Incarnation()> self;
};

class PeerServer {
 public:
  PeerServer(fiber::Loop& loop, PeerServerOptions options);
  /// After close().
  ~PeerServer();

  /// InvalidArgument, Locked: the address is none, or somebody else's.
  Status listen();
  std::uint16_t port() const;
  /// From now on calls are run by this host; before, they are refused.
  void attach(call::Router& host) { host_ = &host; }
  /// Tells who is connected that this node runs nothing more, and waits until they have the results of what it
  /// ran and have hung up; not for long. Calls that come meanwhile were not done, and are told so. Suspends.
  void end();
  /// Ends connections; calls under way end unheard. Suspends.
  void close();

 private:
  using Acceptor = boost::asio::ip::tcp::acceptor;

  void accept();
  void serve(const std::shared_ptr<PeerLink>& link);
  bool shakeHands(PeerLink& link);
  void answer(const std::shared_ptr<PeerLink>& link, Bytes call);
  PeerOutcome run(ByteView request);

  fiber::Loop& loop_;
  const PeerServerOptions options_;
  Acceptor acceptor_;
  call::Router* host_ = nullptr;
  std::set<std::shared_ptr<PeerLink>> links_;
  fiber::Gate work_;
  std::size_t calls_ = 0;
  bool isClosing_ = false;
  fiber::Event linkGone_;
  fiber::Timer retry_;
};

}  // namespace skep::cluster
