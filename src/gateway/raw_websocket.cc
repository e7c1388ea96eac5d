#include "skep/gateway/raw_websocket.h"

#include <boost/beast/http/write.hpp>
#include <sstream>
#include <utility>

namespace skep::gateway {

using call::Failure;
using call::FailureCode;
using call::WebSocketClose;
using call::WebSocketMessage;

namespace {

constexpr std::size_t kEarlyBytesMax = 64 * 1024;  // of a client that does not wait to be let in

CloseCode codeFor(const Failure& failure) {
  if (failure.is(FailureCode::ShuttingDown) || failure.is(FailureCode::ActorStopped)) {
    return CloseCode::GoingAway;
  }
  if (failure.is(FailureCode::ActorDestroyed) || failure.is(FailureCode::TokenExpired)) {
    return CloseCode::Policy;
  }
  if (failure.isRetryable || failure.is(FailureCode::ActorBroken)) return CloseCode::TryAgain;
  return CloseCode::InternalError;
}

}  // namespace

RawWebSocket::RawWebSocket(std::unique_ptr<Stream> stream, RawUpgrade upgrade, HttpRequest request,
                           std::shared_ptr<Client> client, Shared& shared,
                           const HttpHandler& handler)
    : FramedSocket(std::move(stream), std::move(client), shared),
      upgrade_(std::make_unique<RawUpgrade>(std::move(upgrade))),
      request_(std::make_unique<HttpRequest>(std::move(request))),
      handler_(handler),
      tokenExpiresMs_(upgrade_->tokenExpiresMs) {}

RawWebSocket::~RawWebSocket() = default;

void RawWebSocket::start(std::string received) {
  begin(std::move(received));
  actor_ = shared_.router.openSocket(std::move(upgrade_->asked),
                                     std::static_pointer_cast<RawWebSocket>(self_));
}

/// It is a request under way no more.
void RawWebSocket::endOpening() {
  if (std::exchange(upgrade_, nullptr) == nullptr) return;
  request_.reset();
  client_->end();
}

// ---- From the client

/// The actor's code has to take what there is before more is read.
bool RawWebSocket::mayTake() const {
  return phase_ == Phase::Talking && untaken_ <= shared_.options.receiveBytesMax;
}

/// A client that goes before it is let in shall be noticed.
bool RawWebSocket::mayRead() const {
  return phase_ == Phase::Opening ? unreadBytes() < kEarlyBytesMax : mayProcess();
}

void RawWebSocket::received(Opcode opcode, std::string_view payload) {
  if (!client_->tryBegin(loop_.clock().monotonic())) {
    return FramedSocket::close(CloseCode::TryAgain,
                               "request.rate_limited: this client asks too much, or too fast");
  }
  client_->end();
  WebSocketMessage message{.kind = opcode == Opcode::Text ? WebSocketMessage::Kind::Text
                                                          : WebSocketMessage::Kind::Binary,
                           .bytes = std::string(payload)};
  untaken_ += message.cost();
  actor_->message(std::move(message));
}

void RawWebSocket::receivedClose(CloseCode code, std::string_view reason) {
  ending_ = {.code = static_cast<std::uint16_t>(code), .reason = std::string(reason)};
}

// ---- From the actor's end: on its loop

void RawWebSocket::accepted(std::string subprotocol) {
  arrive(Accepted{std::move(subprotocol)});
}
void RawWebSocket::message(WebSocketMessage message) {
  arrive(std::move(message));
}
void RawWebSocket::taken(std::size_t cost) {
  arrive(Taken{cost});
}
void RawWebSocket::close(WebSocketClose close) {
  arrive(std::move(close));
}
void RawWebSocket::failed(const Failure& failure) {
  arrive(failure);
}

/// The actor's end has a bound for what is on its way.
void RawWebSocket::arrive(Said said) {
  if (!arrivals_.put(std::move(said))) return;
  if (fiber::currentLoop() == &loop_) return makeDue();
  loop_.post([self = shared_from_this(), this] { makeDue(); });
}

// ---- On this loop again

void RawWebSocket::takeArrived() {
  for (const Said& said : arrivals_.take()) {
    if (phase_ == Phase::Closing || phase_ == Phase::Gone) return;
    std::visit([this](const auto& each) { take(each); }, said);
  }
}

void RawWebSocket::take(const Accepted& accepted) {
  enqueue(std::make_shared<const std::string>(
      upgradeResponse(*request_, upgrade_->acceptValue, accepted.subprotocol)));
  endOpening();
  phase_ = Phase::Talking;
  tick();
}

void RawWebSocket::take(const WebSocketMessage& message) {
  const Opcode opcode =
      message.kind == WebSocketMessage::Kind::Text ? Opcode::Text : Opcode::Binary;
  enqueue(std::make_shared<const std::string>(encodeFrame(opcode, message.bytes)));
  marks_.push_back({.end = queue().endOffset(), .cost = message.cost()});
}

void RawWebSocket::take(const Taken& taken) {
  untaken_ -= taken.cost;
}

void RawWebSocket::take(const WebSocketClose& close) {
  FramedSocket::close(static_cast<CloseCode>(close.code), close.reason);
}

void RawWebSocket::take(const Failure& failure) {
  if (phase_ == Phase::Opening) {
    HttpResponse response = handler_.refuse(*request_, failure);
    response.keep_alive(false);
    std::ostringstream text;
    text << response;
    return refuse(std::move(text).str());
  }
  // The only time that runs out for one that is open: see actor/socket_session.h.
  if (failure.is(FailureCode::ActionTimedOut)) return closeAsTooSlow(CloseCode::Policy);
  FramedSocket::close(codeFor(failure),
                      failure.group + "." + failure.code + ": " + failure.message);
}

void RawWebSocket::written() {
  std::size_t cost = 0;
  while (!marks_.empty() && marks_.front().end <= queue().writtenOffset()) {
    cost += marks_.front().cost;
    marks_.pop_front();
  }
  if (cost > 0 && actor_ != nullptr) actor_->taken(cost);
}

// ---- The end

void RawWebSocket::finish() {
  const Failure failure(FailureCode::ShuttingDown, "this node is shutting down; connect again");
  if (phase_ == Phase::Opening || phase_ == Phase::Talking) take(failure);
}

void RawWebSocket::leaveActor() {
  if (const auto actor = std::move(actor_)) actor->closed(ending_);
}

void RawWebSocket::gone() {
  endOpening();
}

/// Nobody stays longer than the token is good.
bool RawWebSocket::mayGoOn() {
  if (tokenExpiresMs_ == 0 || loop_.clock().wallMs() < tokenExpiresMs_) return true;
  take(Failure(FailureCode::TokenExpired, "the token has expired: connect again with another"));
  return false;
}

}  // namespace skep::gateway
