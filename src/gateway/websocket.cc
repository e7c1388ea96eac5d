#include "skep/gateway/websocket.h"

#include <boost/asio/buffer.hpp>
#include <span>
#include <utility>

namespace skep::gateway {

namespace asio = boost::asio;
using boost::system::error_code;
using call::Failure;
using call::FailureCode;

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

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
    : stream_(std::move(stream)),
      client_(std::move(client)),
      loop_(shared.loop),
      shared_(shared),
      upgrade_(std::make_unique<WebSocketUpgrade>(std::move(upgrade))),
      decoder_(shared.options.messageBytesMax),
      timer_(shared.loop) {}

WebSocket::~WebSocket() = default;

void WebSocket::start(std::string received) {
  self_ = shared_from_this();
  shared_.open.push_back(*this);
  ++shared_.openCount;
  stream_->expiresNever();
  send(std::make_shared<const std::string>(std::exchange(upgrade_->response, {})));
  unread_ = std::move(received);
  timer_.callAfter(shared_.options.connectTimeout,
                   [this] { close(CloseCode::Policy, "no connect message came in time"); });
  awaitBytes();
}

// ---- Reading

/// No messages are taken while as many calls are under way as may be: the client's bytes wait where they
/// are, in the end at the client.
bool WebSocket::mayProcess() const {
  if (phase_ == Phase::Gone) return false;
  if (phase_ == Phase::Closing) return true;
  return !isFinishing_ && callsUnderWay_ < shared_.options.callsMax;
}

void WebSocket::awaitBytes() {
  if (isAwaitingBytes_ || !mayProcess()) return;
  isAwaitingBytes_ = true;
  stream_->awaitReadable([self = shared_from_this()](error_code error) {
    self->isAwaitingBytes_ = false;
    if (self->phase_ == Phase::Gone) return;
    if (error) return self->end();
    if (self->mayProcess()) self->readBytes();
  });
}

void WebSocket::readBytes() {
  std::vector<char>& buffer = shared_.readBuffer;
  if (buffer.empty()) buffer.resize(kReadBytes);
  error_code error;
  const std::size_t bytes = stream_->readSome(asio::buffer(buffer), error);
  if (error == asio::error::would_block || error == asio::error::try_again) return awaitBytes();
  if (error) return end();
  heard_ = true;
  process({buffer.data(), bytes});
  awaitBytes();
}

void WebSocket::process(std::span<char> bytes) {
  if (unread_.empty()) {
    const std::size_t taken = processFrames(bytes);
    if (phase_ != Phase::Gone) unread_.assign(bytes.data() + taken, bytes.size() - taken);
    return;
  }
  unread_.append(bytes.data(), bytes.size());
  const std::size_t taken = processFrames(unread_);
  unread_.erase(0, taken);
  if (unread_.empty()) std::string().swap(unread_);
}

std::size_t WebSocket::processFrames(std::span<char> bytes) {
  std::span<char> rest = bytes;
  while (mayProcess()) {
    if (isDeaf_) return bytes.size();
    FrameDecoder::Next next = decoder_.next(rest);
    if (std::holds_alternative<FrameDecoder::NeedMore>(next)) break;
    if (const auto* broken = std::get_if<FrameDecoder::Broken>(&next)) {
      isDeaf_ = true;
      close(broken->code, broken->reason);
      return bytes.size();
    }
    received(std::get<FrameDecoder::Message>(next));
  }
  return bytes.size() - rest.size();
}

void WebSocket::received(const FrameDecoder::Message& message) {
  switch (message.opcode) {
    case Opcode::Ping:
      return send(std::make_shared<const std::string>(encodeFrame(Opcode::Pong, message.payload)));
    case Opcode::Pong:
      return;
    case Opcode::Close:
      return receivedClose(message);
    default:
      if (phase_ != Phase::Closing) receivedMessage(message);
  }
}

void WebSocket::receivedClose(const FrameDecoder::Message& message) {
  isDeaf_ = true;
  if (phase_ == Phase::Closing) return end();  // ours was answered
  close(message.closeCode, {});
  endsWhenWritten_ = true;
}

void WebSocket::receivedMessage(const FrameDecoder::Message& message) {
  const call::Encoding encoding =
      message.opcode == Opcode::Text ? call::Encoding::Json : call::Encoding::Cbor;
  if (phase_ == Phase::Greeting) encoding_ = encoding;
  if (encoding != encoding_) {
    return close(CloseCode::Unsupported,
                 "all messages of a connection have the encoding of the first");
  }
  ++shared_.messageCount;
  auto decoded = wire::decodeClientMessage(message.payload, encoding);
  if (auto* bad = std::get_if<wire::BadMessage>(&decoded)) {
    sendMessage(wire::encodeError(bad->id, bad->failure, false, encoding_));
    if (phase_ == Phase::Greeting) close(CloseCode::Policy, bad->failure.message);
    return;
  }
  handle(std::get<wire::ClientMessage>(decoded));
}

void WebSocket::handle(wire::ClientMessage& message) {
  using Type = wire::ClientMessage::Type;
  if ((phase_ == Phase::Greeting) != (message.type == Type::Connect)) {
    const char* rule = phase_ == Phase::Greeting ? "the first message is connect"
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
  call::ConnectRequest request{.actor = std::move(upgrade->actor),
                               .existence = message.existence,
                               .input = std::nullopt,
                               .parameters = {encoding_, std::string(message.parameters)},
                               .headers = std::move(upgrade->headers),
                               .subscriptions = std::move(message.events),
                               .resume = std::move(message.resume),
                               .resumedConnection = std::move(message.resumedConnection)};
  if (!message.input.empty()) request.input = {encoding_, std::string(message.input)};
  actor_ = shared_.router.connect(std::move(request), self_);
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
  bool isFirst = false;
  {
    const std::lock_guard lock(arrivedMutex_);
    if (incoming.frame != nullptr) {
      // The same bound as that of the queue. What comes before the socket's own loop sees it is lost.
      if (arrivedBytes_ > shared_.options.sendBytesMax) incoming.isTooMuch = true;
      arrivedBytes_ += incoming.frame->size();
      if (incoming.isTooMuch) incoming.frame.reset();
    }
    isFirst = arrived_.empty();
    arrived_.push_back(std::move(incoming));
  }
  if (!isFirst) return;
  if (fiber::currentLoop() == &loop_) return makeDue();
  loop_.post([self = shared_from_this()] { self->makeDue(); });
}

// ---- On this loop again

void WebSocket::takeArrived() {
  std::vector<Incoming> arrived;
  {
    const std::lock_guard lock(arrivedMutex_);
    arrived.swap(arrived_);
    arrivedBytes_ = 0;
  }
  for (Incoming& incoming : arrived) take(incoming);
}

void WebSocket::take(Incoming& incoming) {
  if (phase_ == Phase::Gone) return;
  if (incoming.endsCall) endCall();
  if (phase_ == Phase::Closing) return;
  if (incoming.isTooMuch) return closeAsTooSlow();
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

void WebSocket::send(Frame frame) {
  if (phase_ == Phase::Closing || phase_ == Phase::Gone) return;
  if (queue_.bytes() > shared_.options.sendBytesMax) return closeAsTooSlow();
  enqueue(std::move(frame));
}

void WebSocket::enqueue(Frame frame) {
  queue_.push(std::move(frame));
  makeDue();
}

void WebSocket::makeDue() {
  if (isDue_ || phase_ == Phase::Gone) return;
  isDue_ = true;
  shared_.due.push_back(shared_from_this());
  if (shared_.due.size() > 1) return;
  loop_.post([&shared = shared_] {
    for (const std::shared_ptr<WebSocket>& each : std::exchange(shared.due, {})) each->runDue();
  });
}

/// What has gathered in this round of the loop: takes it, writes it, and goes on with what had to wait.
void WebSocket::runDue() {
  isDue_ = false;
  takeArrived();
  if (phase_ == Phase::Gone) return;
  if (!unread_.empty() && mayProcess()) process({});
  if (phase_ != Phase::Gone) write();
  if (phase_ != Phase::Gone) awaitBytes();
}

void WebSocket::write() {
  if (isAwaitingSpace_) return;
  while (!queue_.isEmpty() || !stream_->isFlushed()) {
    error_code error;
    const std::size_t bytes = stream_->writeSome(queue_.next(), error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      return awaitSpace();
    }
    if (error) return end();
    queue_.wrote(bytes);
  }
  if (endsWhenWritten_) return end();
  if (phase_ == Phase::Closing && isDeaf_) {
    // The client sees that nothing more comes, and closes; then what it still sends is not left unread,
    // which would make the system throw away what it has not read itself.
    stream_->shutdownSend();
  }
}

void WebSocket::awaitSpace() {
  isAwaitingSpace_ = true;
  stream_->awaitWritable([self = shared_from_this()](error_code error) {
    self->isAwaitingSpace_ = false;
    if (self->phase_ == Phase::Gone) return;
    if (error) return self->end();
    self->write();
  });
}

// ---- The end

void WebSocket::finish() {
  isFinishing_ = true;
  if (callsUnderWay_ == 0) sayGoodbye();
}

void WebSocket::cut() {
  end();
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

/// Nothing but the frame that is half written, and the close, goes to who does not read.
void WebSocket::closeAsTooSlow() {
  queue_.dropWaiting();
  close(CloseCode::TooSlow, "this client does not take what it is sent");
}

void WebSocket::close(CloseCode code, std::string_view reason) {
  if (phase_ == Phase::Closing || phase_ == Phase::Gone) return;
  phase_ = Phase::Closing;
  enqueue(std::make_shared<const std::string>(encodeClose(code, reason)));
  timer_.callAfter(shared_.options.closeTimeout, [self = self_] { self->end(); });
  leaveActor();
  awaitBytes();
}

void WebSocket::leaveActor() {
  if (const auto actor = std::move(actor_)) actor->close();
}

void WebSocket::end() {
  if (phase_ == Phase::Gone) return;
  phase_ = Phase::Gone;
  leaveActor();
  while (callsUnderWay_ > 0) endCall();
  timer_.cancel();
  stream_->close();
  unlink();
  --shared_.openCount;
  queue_ = {};
  // The last reference may be this one.
  const std::shared_ptr<WebSocket> self = std::move(self_);
}

// ---- Time

/// Once a pingInterval: a client that says nothing is asked for a sign, and given up the next time.
void WebSocket::tick() {
  const bool isAlive = std::exchange(heard_, false) || !mayProcess();
  if (!isAlive && askedForSign_) return end();
  askedForSign_ = !isAlive;
  if (askedForSign_) send(std::make_shared<const std::string>(encodeFrame(Opcode::Ping, {})));
  if (phase_ != Phase::Talking) return;
  timer_.callAfter(shared_.options.pingInterval, [self = self_.get()] {
    const auto held = self->shared_from_this();
    held->tick();
  });
}

}  // namespace skep::gateway
