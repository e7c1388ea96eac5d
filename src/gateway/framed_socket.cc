#include "skep/gateway/framed_socket.h"

#include <boost/asio/buffer.hpp>

namespace skep::gateway {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadBytes = 64 * 1024;

bool isBlocked(const error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

}  // namespace

FramedSocket::FramedSocket(std::unique_ptr<Stream> stream, std::shared_ptr<Client> client,
                           Shared& shared)
    : stream_(std::move(stream)),
      client_(std::move(client)),
      loop_(shared.loop),
      shared_(shared),
      timer_(shared.loop),
      decoder_(shared.options.messageBytesMax) {}

FramedSocket::~FramedSocket() = default;

void FramedSocket::begin(std::string received) {
  self_ = shared_from_this();
  shared_.open.push_back(*this);
  ++shared_.openCount;
  stream_->expiresNever();
  unread_ = std::move(received);
  makeDue();
}

// ---- Reading

bool FramedSocket::mayProcess() const {
  if (phase_ == Phase::Gone) return false;
  return phase_ == Phase::Closing || mayTake();
}

void FramedSocket::awaitBytes() {
  if (isAwaitingBytes_ || phase_ == Phase::Gone || !mayRead()) return;
  isAwaitingBytes_ = true;
  stream_->awaitReadable([self = shared_from_this()](error_code error) {
    self->isAwaitingBytes_ = false;
    if (self->phase_ == Phase::Gone) return;
    if (error) return self->end();
    if (self->mayRead()) self->readBytes();
  });
}

void FramedSocket::readBytes() {
  std::vector<char>& buffer = shared_.readBuffer;
  if (buffer.empty()) buffer.resize(kReadBytes);
  error_code error;
  const std::size_t bytes = stream_->readSome(asio::buffer(buffer), error);
  if (isBlocked(error)) return awaitBytes();
  if (error) return end();
  heard_ = true;
  process({buffer.data(), bytes});
  watchMessage();
  awaitBytes();
}

void FramedSocket::process(std::span<char> bytes) {
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

std::size_t FramedSocket::processFrames(std::span<char> bytes) {
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
    take(std::get<FrameDecoder::Message>(next));
    if (!decoder_.isInMessage()) messageSince_.reset();
  }
  return bytes.size() - rest.size();
}

/// One that has begun has to come whole in time; what is not read because of us is no fault of the client's.
/// Looked at as bytes come: who sends none at all is asked for a sign of life, which it cannot give within
/// a frame.
void FramedSocket::watchMessage() {
  const bool isPart = !unread_.empty() || decoder_.isInMessage();
  if (!isPart || !mayProcess()) return messageSince_.reset();
  const MonotonicTime now = loop_.clock().monotonic();
  if (!messageSince_) messageSince_ = now;
  if (now - *messageSince_ <= shared_.options.messageTimeout) return;
  isDeaf_ = true;
  close(CloseCode::Policy, "a message did not come whole in time");
}

void FramedSocket::take(const FrameDecoder::Message& message) {
  switch (message.opcode) {
    case Opcode::Ping:
      return send(std::make_shared<const std::string>(encodeFrame(Opcode::Pong, message.payload)));
    case Opcode::Pong:
      return;
    case Opcode::Close:
      isDeaf_ = true;
      if (phase_ == Phase::Closing) return end();  // ours was answered
      receivedClose(message.closeCode, message.payload);
      close(message.closeCode, {});
      endsWhenWritten_ = true;
      return;
    default:
      if (phase_ == Phase::Closing) return;
      ++shared_.messageCount;
      received(message.opcode, message.payload);
  }
}

// ---- Writing

void FramedSocket::send(Frame frame) {
  if (phase_ == Phase::Closing || phase_ == Phase::Gone) return;
  if (queue_.bytes() > shared_.options.sendBytesMax) return closeAsTooSlow(CloseCode::TooSlow);
  enqueue(std::move(frame));
}

void FramedSocket::enqueue(Frame frame) {
  queue_.push(std::move(frame));
  makeDue();
}

void FramedSocket::makeDue() {
  if (isDue_ || phase_ == Phase::Gone) return;
  isDue_ = true;
  shared_.due.push_back(shared_from_this());
  if (shared_.due.size() > 1) return;
  loop_.post([&shared = shared_] {
    for (const std::shared_ptr<FramedSocket>& each : std::exchange(shared.due, {})) each->runDue();
  });
}

/// What has gathered in this round of the loop: takes it, writes it, and goes on with what had to wait.
void FramedSocket::runDue() {
  isDue_ = false;
  takeArrived();
  if (phase_ == Phase::Gone) return;
  if (!unread_.empty() && mayProcess()) process({});
  if (phase_ != Phase::Gone) write();
  if (phase_ != Phase::Gone) awaitBytes();
}

void FramedSocket::write() {
  if (isAwaitingSpace_) return;
  while (!queue_.isEmpty() || !stream_->isFlushed()) {
    error_code error;
    const SendQueue::Buffers next = queue_.next();
    // One alone is cheaper for the system than a list of one.
    const std::size_t bytes = next.size() == 1 ? stream_->writeSome(next.front(), error)
                                               : stream_->writeSome(next, error);
    if (isBlocked(error)) return awaitSpace();
    if (error) return end();
    queue_.wrote(bytes);
    written();
  }
  if (endsWhenWritten_) return end();
  if (phase_ == Phase::Closing && isDeaf_) {
    // The client sees that nothing more comes, and closes; then what it still sends is not left unread,
    // which would make the system throw away what it has not read itself.
    stream_->shutdownSend();
  }
}

void FramedSocket::awaitSpace() {
  isAwaitingSpace_ = true;
  stream_->awaitWritable([self = shared_from_this()](error_code error) {
    self->isAwaitingSpace_ = false;
    if (self->phase_ == Phase::Gone) return;
    if (error) return self->end();
    self->write();
  });
}

// ---- The end

void FramedSocket::closeAsTooSlow(CloseCode code) {
  queue_.dropWaiting();
  close(code, "this client does not take what it is sent");
}

void FramedSocket::close(CloseCode code, std::string_view reason) {
  if (phase_ == Phase::Closing || phase_ == Phase::Gone) return;
  phase_ = Phase::Closing;
  enqueue(std::make_shared<const std::string>(encodeClose(code, reason)));
  timer_.callAfter(shared_.options.closeTimeout, [self = self_] { self->end(); });
  leaveActor();
  awaitBytes();
}

void FramedSocket::refuse(std::string response) {
  phase_ = Phase::Closing;
  isDeaf_ = true;
  endsWhenWritten_ = true;
  enqueue(std::make_shared<const std::string>(std::move(response)));
  timer_.callAfter(shared_.options.closeTimeout, [self = self_] { self->end(); });
  leaveActor();
}

void FramedSocket::end() {
  if (phase_ == Phase::Gone) return;
  phase_ = Phase::Gone;
  leaveActor();
  gone();
  timer_.cancel();
  stream_->close();
  unlink();
  --shared_.openCount;
  queue_ = {};
  // The last reference may be this one.
  const std::shared_ptr<FramedSocket> self = std::move(self_);
}

// ---- Time

/// A client that says nothing is asked for a sign, and given up the next time.
void FramedSocket::tick() {
  if (!mayGoOn()) return;
  const bool isAlive = std::exchange(heard_, false) || !mayProcess();
  if (!isAlive && askedForSign_) return end();
  watchMessage();
  if (phase_ != Phase::Talking) return;
  askedForSign_ = !isAlive;
  if (askedForSign_) send(std::make_shared<const std::string>(encodeFrame(Opcode::Ping, {})));
  if (phase_ != Phase::Talking) return;
  timer_.callAfter(shared_.options.pingInterval, [self = self_.get()] {
    const auto held = self->shared_from_this();
    held->tick();
  });
}

}  // namespace skep::gateway
