#include "skep/server/cluster_node.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <optional>
#include <utility>

#include "skep/access/shared_secret.h"
#include "skep/base/log.h"
#include "skep/cluster/cluster_router.h"
#include "skep/cluster/handshake.h"
#include "skep/cluster/member.h"
#include "skep/cluster/peer_server.h"
#include "skep/cluster/tcp_peers.h"
#include "skep/server/loop_threads.h"

namespace skep::server {
namespace {

struct HostAndPort {
  std::string host;
  std::uint16_t port = 0;
};

Result<HostAndPort> parseAddress(const char* flag, const std::string& text) {
  HostAndPort address;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    address.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (error == std::errc() && at == end) {
      if (address.host.starts_with('[') && address.host.ends_with(']')) {
        address.host = address.host.substr(1, address.host.size() - 2);
      }
      return address;
    }
  }
  return Error{ErrorCode::InvalidArgument,
               std::string(flag) + ": '" + text + "' is no address: write HOST:PORT"};
}

/// With the port that was got when any was asked for.
std::string withPort(const std::string& address, std::uint16_t port) {
  return address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

}  // namespace

struct ClusterNode::Impl {
  explicit Impl(Clock& clock) : lease(clock), thread(clock, 1) {}

  /// Runs `body(loop)` on the node's own loop. Suspends.
  template <class Body>
  void onLoop(Body body) {
    thread.onEach([&](fiber::Loop& loop, std::size_t) { body(loop); });
  }
  std::uint32_t load() const {
    const actor::Host* running = host.load();
    return running == nullptr ? 0 : static_cast<std::uint32_t>(running->stats().actorsAwake);
  }
  void close() {
    onLoop([&](fiber::Loop&) {
      if (member) member->close();
      if (peers) peers->close();
      if (server) server->close();
    });
    onLoop([&](fiber::Loop&) {
      router.reset();
      member.reset();
      peers.reset();
      server.reset();
    });
  }

  cluster::NodeLease lease;
  std::atomic<actor::Host*> host{nullptr};
  cluster::Placement placement;
  LoopThreads thread;
  // Made and gone on that thread.
  std::optional<cluster::PeerServer> server;
  std::optional<cluster::TcpPeers> peers;
  std::optional<cluster::Member> member;
  std::optional<cluster::ClusterRouter> router;
};

Result<std::unique_ptr<ClusterNode>> ClusterNode::join(Clock& clock, store::PageStore& store,
                                                       const ServeSettings& settings,
                                                       std::vector<std::string> types) {
  if (settings.advertise.empty()) {
    if (settings.clusterSecretFile.empty() && settings.clusterListen.empty() &&
        settings.nodeName.empty()) {
      return std::unique_ptr<ClusterNode>();
    }
    return Error{ErrorCode::InvalidArgument,
                 "a node of a cluster says where others reach it: give --advertise"};
  }
  if (settings.clusterSecretFile.empty()) {
    return Error{ErrorCode::InvalidArgument, "--advertise needs --cluster-secret-file"};
  }
  store::Membership* const membership = store.membership();
  if (membership == nullptr) {
    return Error{ErrorCode::Unsupported,
                 "--advertise needs a store that nodes can share: postgres://…"};
  }
  SKEP_TRY(const access::SharedSecret secret,
           access::SharedSecret::read(settings.clusterSecretFile));
  SKEP_CHECK_OK(parseAddress("--advertise", settings.advertise));
  const bool listensElsewhere = !settings.clusterListen.empty();
  SKEP_TRY(const HostAndPort listen,
           parseAddress(listensElsewhere ? "--cluster-listen" : "--advertise",
                        listensElsewhere ? settings.clusterListen : settings.advertise));

  auto impl = std::make_unique<Impl>(clock);
  Impl& node = *impl;
  const std::string key = secret.keyFor("skep cluster");
  const auto self = [&node] { return node.lease.incarnation(); };
  Status joined;
  node.onLoop([&](fiber::Loop& loop) {
    node.server.emplace(loop,
                        cluster::PeerServerOptions{
                            .address = listen.host, .port = listen.port, .key = key, .self = self});
    joined = node.server->listen();
    if (!joined) return;
    std::string address = settings.advertise;
    if (address.ends_with(":0")) address = withPort(address, node.server->port());
    std::sort(types.begin(), types.end());
    node.peers.emplace(loop, cluster::TcpPeersOptions{.key = key, .self = self});
    node.member.emplace(
        loop, *membership, node.lease,
        store::NodeFacts{.name = settings.nodeName.empty() ? address : settings.nodeName,
                         .address = address,
                         .zone = settings.zone,
                         .version = SKEP_VERSION,
                         .protocol = cluster::kProtocol,
                         .protocolMin = cluster::kProtocolMin,
                         .types = types},
        cluster::MemberOptions{
            .load = [&node] { return node.load(); },
            .onNodes = [&node](const cluster::NodeList& nodes) { node.peers->keepOnly(nodes); }});
    node.router.emplace(*node.member, *node.peers, node.placement, clock);
    joined = node.member->join();
  });
  std::unique_ptr<ClusterNode> made(new ClusterNode(std::move(impl)));
  if (joined) return made;
  made->impl_->close();
  return std::move(joined).error();
}

ClusterNode::ClusterNode(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ClusterNode::~ClusterNode() = default;

store::Lease& ClusterNode::lease() {
  return impl_->lease;
}

call::Router& ClusterNode::router() {
  return *impl_->router;
}

actor::AlarmWatchOptions ClusterNode::alarmOptions() {
  actor::AlarmWatchOptions options;
  options.isOurs = [impl = impl_.get()](const call::ActorAddress& actor) {
    return impl->router->belongsHere(actor);
  };
  return options;
}

void ClusterNode::attach(actor::Host& host) {
  impl_->host = &host;
  impl_->onLoop([&](fiber::Loop&) {
    impl_->router->attach(host);
    impl_->server->attach(host);
  });
}

void ClusterNode::drain() {
  impl_->onLoop([&](fiber::Loop&) {
    const Status draining = impl_->member->drain();
    if (!draining)
      logWarn("cluster", "the others do not hear that this node drains",
              {{"why", draining.error().message}});
  });
}

void ClusterNode::leave() {
  impl_->host = nullptr;
  impl_->onLoop([&](fiber::Loop&) {
    // The others have what this node did before they take over what it owns.
    impl_->server->end();
    const Status left = impl_->member->leave();
    if (!left)
      logWarn("cluster", "the others end this node when they miss it",
              {{"why", left.error().message}});
  });
  impl_->close();
}

}  // namespace skep::server
