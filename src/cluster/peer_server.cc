#include "skep/cluster/peer_server.h"

#include <utility>

#include "skep/base/log.h"
#include "skep/cluster/handshake.h"

namespace skep::cluster {

namespace asio = boost::asio;
using asio::ip::tcp;
using call::Failure;
using call::FailureCode;

namespace {

constexpr Duration kHandshakeTime = std::chrono::seconds(5);
constexpr Duration kAcceptRetry = std::chrono::milliseconds(100);
constexpr Duration kHangUpTime = std::chrono::seconds(1);

void refuse(PeerLink& link, ErrorCode code, const std::string& why) {
  Bytes body;
  ByteWriter out(body);
  out.u8(static_cast<std::uint8_t>(code));
  out.bytes(asBytes(why));
  (void)link.send(FrameType::Refused, body);
}

}  // namespace

PeerServer::PeerServer(fiber::Loop& loop, PeerServerOptions options)
    : loop_(loop), options_(std::move(options)), acceptor_(loop.context()), retry_(loop) {}

PeerServer::~PeerServer() {
  SKEP_CHECK(work_.count() == 0, "a PeerServer is closed before it goes");
}

Status PeerServer::listen() {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options_.address, error);
  if (error) {
    return Error{ErrorCode::InvalidArgument, "'" + options_.address + "' is no IP address"};
  }
  const tcp::endpoint endpoint(address, options_.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    const bool isTaken = error == asio::error::address_in_use;
    return Error{isTaken ? ErrorCode::Locked : ErrorCode::InvalidArgument,
                 "cannot listen for other nodes on " + options_.address + ":" +
                     std::to_string(options_.port) + ": " + error.message()};
  }
  accept();
  return {};
}

std::uint16_t PeerServer::port() const {
  boost::system::error_code error;
  const tcp::endpoint endpoint = acceptor_.local_endpoint(error);
  return error ? std::uint16_t{0} : endpoint.port();
}

void PeerServer::accept() {
  // The gate keeps this object until the handler has run.
  if (isClosing_ || !work_.tryEnter()) return;
  acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
    work_.leave();
    if (isClosing_) return;
    if (error) return retry_.callAfter(kAcceptRetry, [this] { accept(); });
    const auto link = std::make_shared<PeerLink>(loop_, std::move(socket));
    if (work_.tryEnter()) {
      links_.insert(link);
      loop_.spawn("serve a node", [this, link] {
        serve(link);
        link->close();
        links_.erase(link);
        linkGone_.notifyAll();
        work_.leave();
      });
    }
    accept();
  });
}

void PeerServer::serve(const std::shared_ptr<PeerLink>& link) {
  link->expiresAfter(kHandshakeTime);
  if (!shakeHands(*link)) {
    // What was said on the way out still leaves.
    while (link->receive()) continue;
    return;
  }
  if (!isClosing_) link->expiresNever();
  while (std::optional<Frame> frame = link->receive()) {
    if (frame->type != FrameType::Call) return;
    if (!work_.tryEnter()) return;
    ++calls_;
    loop_.spawn("call of a node", [this, link, body = std::move(frame->body)]() mutable {
      answer(link, std::move(body));
      --calls_;
      work_.leave();
    });
  }
}

bool PeerServer::shakeHands(PeerLink& link) {
  const std::optional<Frame> first = link.receive();
  if (!first || first->type != FrameType::Hello) return false;
  const Result<Hello> hello = decodeHello(first->body);
  if (!hello) return false;
  const auto protocol = chooseProtocol(*hello);
  if (!protocol) {
    refuse(link, protocol.error().code, protocol.error().message);
    return false;
  }
  const Welcome welcome{.protocol = *protocol, .answerer = options_.self(), .nonce = randomNonce()};
  (void)link.send(FrameType::Welcome,
                  encode(welcome, proofOf(Side::Answerer, options_.key, *hello, welcome)));
  const std::optional<Frame> second = link.receive();
  if (!second || second->type != FrameType::Proof) return false;
  if (!isProof(asText(second->body), Side::Caller, options_.key, *hello, welcome)) {
    logWarn("cluster", "a caller does not know the cluster's secret",
            {{"incarnation", hello->caller}});
    refuse(link, ErrorCode::AccessDenied, "the caller does not know the cluster's secret");
    return false;
  }
  if (welcome.answerer == 0 || welcome.answerer != hello->meant) {
    refuse(link, ErrorCode::NotFound,
           "this is incarnation " + std::to_string(welcome.answerer) + ", not " +
               std::to_string(hello->meant));
    return false;
  }
  (void)link.send(FrameType::Ready, {});
  return true;
}

void PeerServer::answer(const std::shared_ptr<PeerLink>& link, Bytes call) {
  ByteReader in(call);
  const std::uint64_t id = in.varint();
  const PeerOutcome outcome = run(in.bytes(in.remaining()));
  Bytes body;
  ByteWriter out(body);
  out.varint(id);
  out.bytes(encodeOutcome(outcome));
  if (link->send(FrameType::Result, body) != 0) return;
  // Its caller hears that the outcome is not known.
  link->close();
}

PeerOutcome PeerServer::run(ByteView bytes) {
  if (host_ == nullptr || isClosing_)
    return Failure(FailureCode::ShuttingDown, "this node is not there yet, or no more");
  if (calls_ > options_.callsMax || !loop_.hasRoom(fiber::Priority::Inside)) {
    return Failure(FailureCode::ActorOverloaded, "too many calls of other nodes are under way");
  }
  Result<ReceivedRequest> received = decodeRequest(bytes);
  if (!received) {
    logWarn("cluster", "a call of another node makes no sense",
            {{"why", received.error().message}});
    return Failure(FailureCode::Internal, "the nodes do not understand each other");
  }
  const auto either = [](auto outcome) {
    return std::visit([](auto& each) { return PeerOutcome(std::move(each)); }, outcome);
  };
  return std::visit(
      [&](auto& request) {
        using Request = std::decay_t<decltype(request)>;
        if constexpr (std::is_same_v<Request, call::ActionRequest>) {
          return either(host_->run(std::move(request)));
        } else if constexpr (std::is_same_v<Request, call::QueueSend>) {
          return either(host_->send(std::move(request)));
        } else if constexpr (std::is_same_v<Request, ResolveRequest>) {
          return either(host_->resolve(request.actor, request.existence, std::move(request.input),
                                       request.visit ? &*request.visit : nullptr,
                                       std::move(request.waiting)));
        } else if constexpr (std::is_same_v<Request, DestroyRequest>) {
          return either(host_->destroy(request.actor));
        } else if constexpr (std::is_same_v<Request, SleepRequest>) {
          return either(host_->sleep(request.actor));
        } else {
          return either(host_->info(request.actor));
        }
      },
      received->request);
}

void PeerServer::end() {
  isClosing_ = true;
  retry_.cancel();
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (const auto& link : links_) {
    (void)link->send(FrameType::Ending, {});
    link->expiresAfter(kHangUpTime);
  }
  fiber::waitUntil(linkGone_, [this] { return links_.empty(); });
}

void PeerServer::close() {
  isClosing_ = true;
  retry_.cancel();
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  const auto links = links_;
  for (const auto& link : links) link->close();
  work_.close();
}

}  // namespace skep::cluster
