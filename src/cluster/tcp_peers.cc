#include "skep/cluster/tcp_peers.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <utility>

#include "skep/base/log.h"
#include "skep/cluster/handshake.h"
#include "skep/cluster/peer_link.h"
#include "skep/cluster/peer_message.h"

namespace skep::cluster {

namespace asio = boost::asio;
using asio::ip::tcp;
using call::Failure;
using call::FailureCode;

namespace {

constexpr Duration kExpiryRound = std::chrono::milliseconds(250);
constexpr Duration kAnswerGrace =
    std::chrono::seconds(2);  // the node that runs a call ends it first

/// "10.0.0.5:6421", "[::1]:6421", "name:6421".
std::pair<std::string, std::string> hostAndPort(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return {address, ""};
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {host, address.substr(colon + 1)};
}

}  // namespace

/// One node that calls go to. Its state belongs to the loop.
class TcpPeers::Peer : public std::enable_shared_from_this<Peer> {
 public:
  Peer(TcpPeers& all, store::NodeInfo node)
      : all_(all), loop_(all.loop_), node_(std::move(node)), expiry_(loop_) {}

  /// Any fiber. Suspends.
  PeerOutcome ask(const PeerRequest& request, std::optional<Duration> timeLimit) {
    const auto call = std::make_shared<Call>();
    call->request = encodeRequest(request);
    if (timeLimit) call->expiresAt = loop_.clock().monotonic() + *timeLimit + kAnswerGrace;
    loop_.post([self = shared_from_this(), call] { self->start(call); });
    return call->outcome.wait();
  }

  void giveUp(const std::string& why) {
    isOver_ = true;
    why_ = Failure(FailureCode::NodeUnreachable, why);
    if (link_ != nullptr) link_->close();
    failAll(why);
  }

 private:
  struct Call {
    Bytes request;
    std::optional<MonotonicTime> expiresAt;
    std::uint64_t place = 0;  // in the link; 0: not sent
    fiber::OneShot<PeerOutcome> outcome;
  };
  using CallPtr = std::shared_ptr<Call>;  // shared: with the fiber that waits

  void start(const CallPtr& call) {
    if (isOver_) return call->outcome.set(why_);
    if (calls_.size() + waiting_.size() >= all_.options_.callsMax) {
      return call->outcome.set(
          Failure(FailureCode::ActorOverloaded, "too many calls wait for the actor's node"));
    }
    if (isReady_) {
      send(call);
    } else {
      waiting_.push_back(call);
      connectIfNeeded();
    }
    watchExpiry();
  }

  void send(const CallPtr& call) {
    const std::uint64_t id = ++lastId_;
    Bytes body;
    ByteWriter out(body);
    out.varint(id);
    out.bytes(call->request);
    call->place = link_->send(FrameType::Call, body);
    if (call->place == 0) {
      return call->outcome.set(Failure(FailureCode::NodeUnreachable,
                                       "the request is too large, or too much is on its way"));
    }
    call->request = {};
    calls_[id] = call;
  }

  void connectIfNeeded() {
    if (std::exchange(isConnecting_, true)) return;
    if (!all_.work_.tryEnter()) return giveUp("this node is closing");
    loop_.spawn("connection to a node", [self = shared_from_this()] {
      self->live();
      self->all_.work_.leave();
    });
  }

  /// The whole life of one connection.
  void live() {
    Status connected = connect();
    if (connected) connected = shakeHands();
    if (connected) {
      isReady_ = true;
      for (const CallPtr& call : std::exchange(waiting_, {})) send(call);
      listen();
    } else {
      noteFailure(connected.error());
    }
    if (link_ != nullptr) link_->close();
    isReady_ = false;
    isConnecting_ = false;
    failAll(connected ? "the connection to the actor's node broke" : connected.error().message,
            connected ? ErrorCode::Unavailable : connected.error().code);
    link_ = nullptr;
  }

  /// Takes results until the connection ends, or the node does and has sent them all.
  void listen() {
    bool isEnding = false;
    while (!isEnding || !calls_.empty()) {
      const std::optional<Frame> frame = link_->receive();
      if (!frame) return;
      if (frame->type == FrameType::Ending) {
        isEnding = true;
        isOver_ = true;
        why_ = Failure(FailureCode::ShuttingDown, "the actor's node is ending");
      } else if (frame->type != FrameType::Result || !take(frame->body)) {
        return;
      }
    }
  }

  Status connect() {
    tcp::socket socket(loop_.context());
    tcp::resolver resolver(loop_.context());
    fiber::Timer limit(loop_);
    boost::system::error_code error;
    limit.callAfter(all_.options_.connectTime, [&] {
      resolver.cancel();
      boost::system::error_code ignored;
      socket.close(ignored);
    });
    const auto [host, port] = hostAndPort(node_.facts.address);
    tcp::resolver::results_type found;
    fiber::suspend([&](fiber::Waker waker) {
      resolver.async_resolve(host, port, [&, waker](auto outcome, auto results) mutable {
        error = outcome;
        found = results;
        waker.wake();
      });
    });
    if (!error && !limit.isPending()) error = asio::error::timed_out;
    if (!error) {
      fiber::suspend([&](fiber::Waker waker) {
        asio::async_connect(socket, found, [&, waker](auto outcome, const auto&) mutable {
          error = outcome;
          waker.wake();
        });
      });
    }
    if (!error && !limit.isPending()) error = asio::error::timed_out;
    if (error) {
      return Error{ErrorCode::Unavailable, "node '" + node_.facts.name + "' at " +
                                               node_.facts.address +
                                               " cannot be reached: " + error.message()};
    }
    link_ = std::make_shared<PeerLink>(loop_, std::move(socket));
    return {};
  }

  Status shakeHands() {
    const Hello hello{
        .caller = all_.options_.self(), .meant = node_.incarnation, .nonce = randomNonce()};
    link_->expiresAfter(all_.options_.connectTime);
    (void)link_->send(FrameType::Hello, encode(hello));
    SKEP_TRY(const Frame first, expect(FrameType::Welcome));
    SKEP_TRY(const WelcomeAndProof received, decodeWelcome(first.body));
    const std::string& key = all_.options_.key;
    if (!isProof(received.proof, Side::Answerer, key, hello, received.welcome)) {
      return Error{ErrorCode::AccessDenied, "what answers at " + node_.facts.address +
                                                " does not know this cluster's secret"};
    }
    (void)link_->send(FrameType::Proof,
                      asBytes(proofOf(Side::Caller, key, hello, received.welcome)));
    SKEP_CHECK_OK(expect(FrameType::Ready));
    link_->expiresNever();
    return {};
  }

  Result<Frame> expect(FrameType type) {
    std::optional<Frame> frame = link_->receive();
    if (frame && frame->type == type) return *std::move(frame);
    if (frame && frame->type == FrameType::Refused && !frame->body.empty()) {
      const auto code = static_cast<ErrorCode>(frame->body.front());
      return Error{code, "node '" + node_.facts.name + "' at " + node_.facts.address +
                             " refuses: " + std::string(asText(ByteView(frame->body).subspan(1)))};
    }
    return Error{ErrorCode::Unavailable,
                 "what is at " + node_.facts.address + " does not answer as a node does"};
  }

  /// Once for each kind of failure: it may come again and again.
  void noteFailure(const Error& error) {
    if (std::exchange(notedCode_, error.code) == error.code) return;
    logWarn("cluster", "no connection to a node",
            {{"node", node_.facts.name}, {"why", error.message}});
  }

  bool take(ByteView body) {
    ByteReader in(body);
    const std::uint64_t id = in.varint();
    Result<PeerOutcome> outcome = decodeOutcome(in.bytes(in.remaining()));
    if (!outcome) return false;
    const auto found = calls_.find(id);
    if (found == calls_.end()) return true;  // nobody waits any more
    const CallPtr call = found->second;
    calls_.erase(found);
    call->outcome.set(*std::move(outcome));
    return true;
  }

  void failAll(const std::string& why, ErrorCode code = ErrorCode::Unavailable) {
    // Another incarnation is there: the list of nodes will say so.
    const FailureCode unsent =
        code == ErrorCode::NotFound ? FailureCode::ActorElsewhere : FailureCode::NodeUnreachable;
    for (const CallPtr& call : std::exchange(waiting_, {})) call->outcome.set(Failure(unsent, why));
    for (const auto& [id, call] : std::exchange(calls_, {})) call->outcome.set(lost(*call, why));
  }

  Failure lost(const Call& call, const std::string& why) const {
    if (link_ == nullptr || !link_->isOnItsWay(call.place)) {
      return {FailureCode::NodeUnreachable, why};
    }
    return {FailureCode::OutcomeUnknown, why + ", and whether the call was done is not known"};
  }

  void watchExpiry() {
    if (expiry_.isPending()) return;
    expiry_.callAfter(kExpiryRound, [this] { expire(); });
  }

  void expire() {
    const MonotonicTime now = loop_.clock().monotonic();
    const auto isOver = [&](const CallPtr& call) {
      return call->expiresAt && *call->expiresAt <= now;
    };
    std::erase_if(waiting_, [&](const CallPtr& call) {
      if (!isOver(call)) return false;
      call->outcome.set(
          Failure(FailureCode::NodeUnreachable, "the actor's node was not reached in time"));
      return true;
    });
    std::erase_if(calls_, [&](const auto& each) {
      if (!isOver(each.second)) return false;
      each.second->outcome.set(lost(*each.second, "the actor's node did not answer in time"));
      return true;
    });
    if (!waiting_.empty() || !calls_.empty()) watchExpiry();
  }

  TcpPeers& all_;
  fiber::Loop& loop_;
  const store::NodeInfo node_;
  std::shared_ptr<PeerLink> link_;
  bool isConnecting_ = false;
  bool isReady_ = false;
  bool isOver_ = false;
  Failure why_;
  std::uint64_t lastId_ = 0;
  std::deque<CallPtr> waiting_;             // for the connection
  std::map<std::uint64_t, CallPtr> calls_;  // sent
  fiber::Timer expiry_;
  std::optional<ErrorCode> notedCode_;
};

/// The Router that calls of a node go through.
class TcpPeers::Remote final : public call::Router {
 public:
  explicit Remote(std::shared_ptr<Peer> peer) : peer_(std::move(peer)) {}

  call::Reply run(call::ActionRequest request) override {
    const auto timeout = request.timeout;
    return ask<call::Payload>(std::move(request), timeout);
  }
  call::Outcome<call::QueueSent> send(call::QueueSend message) override {
    const auto timeout = message.waiting.timeout;
    return ask<call::QueueSent>(std::move(message), timeout);
  }
  call::Outcome<bool> resolve(const call::ActorAddress& actor, call::Existence existence,
                              std::optional<call::Payload> input, const call::Visit* visit,
                              call::Waiting waiting) override {
    const auto timeout = waiting.timeout;
    return ask<bool>(
        ResolveRequest{.actor = actor,
                       .existence = existence,
                       .input = std::move(input),
                       .visit = visit != nullptr ? std::optional(*visit) : std::nullopt,
                       .waiting = std::move(waiting)},
        timeout);
  }
  call::Outcome<std::monostate> destroy(const call::ActorAddress& actor) override {
    return ask<std::monostate>(DestroyRequest{actor}, std::nullopt);
  }
  call::Outcome<std::monostate> sleep(const call::ActorAddress& actor) override {
    return ask<std::monostate>(SleepRequest{actor}, std::nullopt);
  }
  call::Outcome<call::ActorDetails> info(const call::ActorAddress& actor) override {
    return ask<call::ActorDetails>(InfoRequest{actor}, std::nullopt);
  }
  call::Outcome<call::ActorList> list(const std::string&, const std::string&,
                                      std::size_t) override {
    return Failure(FailureCode::Internal, "the store lists actors, not another node");
  }
  std::unique_ptr<call::ConnectionHandle> connect(
      call::ConnectRequest, std::shared_ptr<call::ConnectionPeer> peer) override {
    class Handle final : public call::ConnectionHandle {
      void call(call::ConnectionCall) override {}
      void subscribe(std::vector<std::string>) override {}
      void unsubscribe(std::vector<std::string>) override {}
      void close() override {}
    };
    peer->closed({.failure = notForwarded(), .mayRetry = false});
    return std::make_unique<Handle>();
  }
  std::unique_ptr<call::HttpHandle> request(call::HttpRequest,
                                            std::shared_ptr<call::HttpPeer> peer) override {
    class Handle final : public call::HttpHandle {
      void taken(std::size_t) override {}
      void close() override {}
    };
    peer->failed(notForwarded());
    return std::make_unique<Handle>();
  }
  std::unique_ptr<call::WebSocketHandle> openSocket(
      call::HttpRequest, std::shared_ptr<call::WebSocketPeer> peer) override {
    class Handle final : public call::WebSocketHandle {
      void message(call::WebSocketMessage) override {}
      void taken(std::size_t) override {}
      void closed(call::WebSocketClose) override {}
    };
    peer->failed(notForwarded());
    return std::make_unique<Handle>();
  }

 private:
  static Failure notForwarded() {
    return {FailureCode::ActorElsewhere, "connections are not forwarded to other nodes"};
  }
  template <class T>
  call::Outcome<T> ask(PeerRequest request, std::optional<Duration> timeLimit) {
    PeerOutcome outcome = peer_->ask(request, timeLimit);
    if (auto* failure = std::get_if<Failure>(&outcome)) return std::move(*failure);
    if (auto* value = std::get_if<T>(&outcome)) return std::move(*value);
    return Failure(FailureCode::OutcomeUnknown, "the nodes do not understand each other");
  }

  // Shared: a call that waits keeps its peer, also when the node has ended.
  const std::shared_ptr<Peer> peer_;
};

TcpPeers::TcpPeers(fiber::Loop& loop, TcpPeersOptions options)
    : loop_(loop), options_(std::move(options)) {}

TcpPeers::~TcpPeers() {
  SKEP_CHECK(work_.count() == 0, "peers are closed before they go");
}

std::shared_ptr<call::Router> TcpPeers::routerTo(const store::NodeInfo& node) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Peer>& peer = peers_[node.incarnation];
  if (peer == nullptr) {
    // What it has belongs to the loop, and the last to hold it may be elsewhere.
    peer = std::shared_ptr<Peer>(
        new Peer(*this, node), [&loop = loop_](Peer* over) { loop.post([over] { delete over; }); });
  }
  return std::make_shared<Remote>(peer);
}

void TcpPeers::keepOnly(const NodeList& nodes) {
  std::vector<std::shared_ptr<Peer>> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto each = peers_.begin(); each != peers_.end();) {
      if (!nodes.hasEnded(each->first)) {
        ++each;
        continue;
      }
      ended.push_back(each->second);
      each = peers_.erase(each);
    }
  }
  for (const auto& peer : ended) peer->giveUp("the actor's node has ended");
}

void TcpPeers::close() {
  std::map<store::Incarnation, std::shared_ptr<Peer>> peers;
  {
    const std::lock_guard lock(mutex_);
    peers.swap(peers_);
  }
  for (const auto& [incarnation, peer] : peers) peer->giveUp("this node is closing");
  work_.close();
}

}  // namespace skep::cluster
