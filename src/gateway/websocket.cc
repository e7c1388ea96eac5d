#include "skep/gateway/websocket.h"

#include <utility>

namespace skep::gateway {

using call::Failure;
using call::FailureCode;

namespace {

std::string describe(const Failure& failure) {
  if (failure.is(FailureCode::Disconnected)) return failure.message;
  return failure.group + "." + failure.code + ": " + failure.message;
}

CloseCode codeFor(const call::Closed& why) {
  if (why.failure.is(FailureCode::Disconnected)) return CloseCode::Disconnected;
  if (why.failure.is(FailureCode::ShuttingDown)) return CloseCode::GoingAway;
  return why.mayRetry ? CloseCode::TryAgain : CloseCode::Refused;
}

}  // namespace

WebSocket::WebSocket(std::unique_ptr<Stream> stream, WebSocketUpgrade upgrade,
                     std::shared_ptr<Client> client, Shared& shared)
    : FramedSocket(std::move(stream), std::move(client), shared),
      upgrade_(std::make_unique<WebSocketUpgrade>(std::move(upgrade))) {}

WebSocket::~WebSocket() = default;

void WebSocket::start(std::string received) {
  begin(std::move(received));
  send(std::make_shared<const std::string>(std::exchange(upgrade_->response, {})));
  timer_.callAfter(shared_.options.connectTimeout,
                   [this] { close(CloseCode::Policy, "no connect message came in time"); });
}

// ---- From the client

/// No messages are taken while as many calls are under way as may be.
bool WebSocket::mayTake() const {
  return !isFinishing_ && callsUnderWay_ < shared_.options.callsMax;
}

void WebSocket::received(Opcode opcode, std::string_view payload) {
  const call::Encoding encoding =
      opcode == Opcode::Text ? call::Encoding::Json : call::Encoding::Cbor;
  if (phase_ == Phase::Opening) encoding_ = encoding;
  if (encoding != encoding_) {
    return close(CloseCode::Unsupported,
                 "all messages of a connection have the encoding of the first");
  }
  auto decoded = wire::decodeClientMessage(payload, encoding);
  if (auto* bad = std::get_if<wire::BadMessage>(&decoded)) {
    sendMessage(wire::encodeError(bad->id, bad->failure, false, encoding_));
    if (phase_ == Phase::Opening) close(CloseCode::Policy, bad->failure.message);
    return;
  }
  handle(std::get<wire::ClientMessage>(decoded));
}

void WebSocket::handle(wire::ClientMessage& message) {
  using Type = wire::ClientMessage::Type;
  if ((phase_ == Phase::Opening) != (message.type == Type::Connect)) {
    const char* rule = phase_ == Phase::Opening ? "the first message is connect"
                                                : "this connection is connected already";
    return close(CloseCode::Policy, rule);
  }
  switch (message.type) {
    case Type::Connect:
      return connect(message);
    case Type::Call:
      return call(message);
    case Type::Subscribe:
      return actor_->subscribe(std::move(message.events));
    case Type::Unsubscribe:
      return actor_->unsubscribe(std::move(message.events));
    case Type::Ping:
      return sendMessage(wire::encodePong(message.id, encoding_));
  }
}

void WebSocket::connect(wire::ClientMessage& message) {
  phase_ = Phase::Talking;
  const std::unique_ptr<WebSocketUpgrade> upgrade = std::move(upgrade_);
  auto shown = shared_.credentials.ofConnect(message.token, std::move(upgrade->token));
  if (const auto* failure = std::get_if<Failure>(&shown)) return closeFor({.failure = *failure});
  auto& token = std::get<ClientToken>(shown);
  tokenExpiresMs_ = token.expiresMs;
  call::ConnectRequest request{.actor = std::move(upgrade->actor),
                               .existence = message.existence,
                               .input = std::nullopt,
                               .parameters = {encoding_, std::string(message.parameters)},
                               .headers = std::move(upgrade->headers),
                               .claims = std::move(token.claims),
                               .subscriptions = std::move(message.events),
                               .resume = std::move(message.resume),
                               .resumedConnection = std::move(message.resumedConnection)};
  if (!message.input.empty()) request.input = {encoding_, std::string(message.input)};
  actor_ = shared_.router.connect(std::move(request), std::static_pointer_cast<WebSocket>(self_));
  tick();
}

void WebSocket::call(wire::ClientMessage& message) {
  if (!client_->tryBegin(loop_.clock().monotonic())) {
    const Failure failure(FailureCode::RateLimited,
                          "this client asks too much at once, or too fast");
    return sendMessage(wire::encodeError(message.id, failure, true, encoding_));
  }
  ++callsUnderWay_;
  call::Payload arguments{encoding_, std::string(message.arguments)};
  if (message.arguments.empty()) arguments = {call::Encoding::Json, "[]"};
  actor_->call({.id = *message.id,
                .action = std::move(message.action),
                .arguments = std::move(arguments),
                .replyEncoding = encoding_});
}

// ---- From the actor's end: on its loop

void WebSocket::connected(const call::Connected& connected) {
  arrive({.frame = frameOf(wire::encodeConnected(connected, encoding_))});
}

void WebSocket::replied(std::uint64_t id, call::Reply reply) {
  if (const auto* failure = std::get_if<Failure>(&reply)) {
    const std::string message = wire::encodeError(id, *failure, failure->isRetryable, encoding_);
    return arrive({.frame = frameOf(message), .endsCall = true});
  }
  const std::string& result = std::get<call::Payload>(reply).bytes;
  arrive({.frame = frameOf(wire::encodeResult(id, result, encoding_)), .endsCall = true});
}

void WebSocket::event(const std::shared_ptr<const call::Event>& event) {
  arrive({.frame = event->frame(encoding_, [this](const call::Event& each) {
    return encodeFrame(opcode(), wire::encodeEvent(each, encoding_));
  })});
}

void WebSocket::missed(const call::EventPosition& now) {
  arrive({.frame = frameOf(wire::encodeMissed(now, encoding_))});
}

void WebSocket::refused(const Failure& failure) {
  arrive({.frame = frameOf(wire::encodeError(std::nullopt, failure, false, encoding_))});
}

void WebSocket::closed(const call::Closed& why) {
  arrive({.frame = nullptr, .close = why});
}

void WebSocket::arrive(Incoming incoming) {
  const bool isHere = fiber::currentLoop() == &loop_;
  if (isHere && mayQueue(incoming)) return enqueue(std::move(incoming.frame));
  const bool isFirst =
      arrivals_.put(std::move(incoming), [this](Incoming& each, std::size_t before) {
        if (each.frame == nullptr) return std::size_t{0};
        const std::size_t bytes = each.frame->size();
        // The same bound as that of the queue. What comes before the socket's own loop sees it is lost.
        each.isTooMuch = before > shared_.options.sendBytesMax;
        if (each.isTooMuch) each.frame.reset();
        return bytes;
      });
  if (!isFirst) return;
  if (isHere) return makeDue();
  loop_.post([self = shared_from_this(), this] { makeDue(); });
}

/// Nothing but a frame, with nothing before it: it needs no detour.
bool WebSocket::mayQueue(const Incoming& incoming) const {
  return phase_ == Phase::Talking && incoming.frame != nullptr && !incoming.endsCall &&
         queue().bytes() <= shared_.options.sendBytesMax && arrivals_.isEmpty();
}

// ---- On this loop again

void WebSocket::takeArrived() {
  for (Incoming& incoming : arrivals_.take()) take(incoming);
}

void WebSocket::take(Incoming& incoming) {
  if (phase_ == Phase::Gone) return;
  if (incoming.endsCall) endCall();
  if (phase_ == Phase::Closing) return;
  if (incoming.isTooMuch) return closeAsTooSlow(CloseCode::TooSlow);
  if (incoming.frame != nullptr) send(std::move(incoming.frame));
  if (incoming.close) return closeFor(*incoming.close);
  if (isFinishing_ && callsUnderWay_ == 0) sayGoodbye();
}

void WebSocket::endCall() {
  --callsUnderWay_;
  client_->end();
}

// ---- Writing

Opcode WebSocket::opcode() const {
  return encoding_ == call::Encoding::Json ? Opcode::Text : Opcode::Binary;
}

WebSocket::Frame WebSocket::frameOf(std::string_view message) const {
  return std::make_shared<const std::string>(encodeFrame(opcode(), message));
}

void WebSocket::sendMessage(std::string_view message) {
  send(frameOf(message));
}

// ---- The end

void WebSocket::finish() {
  isFinishing_ = true;
  if (callsUnderWay_ == 0) sayGoodbye();
}

void WebSocket::sayGoodbye() {
  close(CloseCode::GoingAway, "this node is shutting down; connect again");
}

void WebSocket::closeFor(const call::Closed& why) {
  if (!why.failure.is(FailureCode::Disconnected)) {
    sendMessage(wire::encodeError(std::nullopt, why.failure, why.mayRetry, encoding_));
  }
  close(codeFor(why), describe(why.failure));
}

void WebSocket::leaveActor() {
  if (const auto actor = std::move(actor_)) actor->close();
}

void WebSocket::gone() {
  while (callsUnderWay_ > 0) endCall();
}

/// Nobody stays longer than the token is good.
bool WebSocket::mayGoOn() {
  if (tokenExpiresMs_ == 0 || loop_.clock().wallMs() < tokenExpiresMs_) return true;
  closeFor({.failure = {FailureCode::TokenExpired,
                        "the token has expired: connect again with another"}});
  return false;
}

}  // namespace skep::gateway
