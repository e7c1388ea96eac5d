#include "skep/cluster/peer_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "skep/fiber/fiber.h"

namespace skep::cluster {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kHeadBytes = 5;  // length of what follows, 4; type, 1
constexpr std::size_t kReadBytes = 64 * 1024;

/// The other side's machine has gone when it acknowledges nothing for so long.
constexpr int kSilenceMs = 5000;

void setOption(int socket, int level, int name, int value) {
  (void)::setsockopt(socket, level, name, &value, sizeof value);
}

void prepareSocket(int socket) {
  setOption(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  setOption(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, kSilenceMs);
  setOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(socket, IPPROTO_TCP, TCP_KEEPIDLE, 2);
  setOption(socket, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  setOption(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace

PeerLink::PeerLink(fiber::Loop& loop, Socket socket)
    : loop_(loop), socket_(std::move(socket)), expiry_(loop) {
  prepareSocket(socket_.native_handle());
}

std::optional<Frame> PeerLink::takeFrame() {
  ByteReader head(ByteView(in_).subspan(inTaken_));
  const std::uint32_t length = head.u32();
  if (!head.ok()) return std::nullopt;
  if (length == 0 || length > kFrameBytesMax) {
    close();
    return std::nullopt;
  }
  const ByteView rest = head.bytes(length);
  if (!head.ok()) return std::nullopt;
  inTaken_ += sizeof length + length;
  return Frame{static_cast<FrameType>(rest.front()), toBytes(rest.subspan(1))};
}

std::optional<Frame> PeerLink::receive() {
  const auto self = shared_from_this();
  while (!isClosed_) {
    if (std::optional<Frame> frame = takeFrame()) return frame;
    if (isClosed_) break;
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(std::exchange(inTaken_, 0)));
    const std::size_t have = in_.size();
    in_.resize(have + kReadBytes);
    boost::system::error_code error;
    std::size_t count = 0;
    fiber::suspend([&](fiber::Waker waker) {
      socket_.async_read_some(
          asio::buffer(in_.data() + have, kReadBytes),
          [&, waker](boost::system::error_code outcome, std::size_t bytes) mutable {
            error = outcome;
            count = bytes;
            waker.wake();
          });
    });
    in_.resize(have + count);
    if (error) close();
  }
  return std::nullopt;
}

std::uint64_t PeerLink::send(FrameType type, ByteView body) {
  if (isClosed_ || body.size() >= kFrameBytesMax) return 0;
  if (out_.size() + body.size() > kQueuedBytesMax) return 0;
  ByteWriter out(out_);
  out.u32(static_cast<std::uint32_t>(body.size() + 1));
  out.u8(static_cast<std::uint8_t>(type));
  out.bytes(body);
  const std::uint64_t place = queued_ + 1;
  queued_ += kHeadBytes + body.size();
  if (!std::exchange(isWriting_, true)) {
    loop_.spawn("write to a node", [self = shared_from_this()] { self->writeQueued(); });
  }
  return place;
}

void PeerLink::writeQueued() {
  while (!out_.empty() && !isClosed_) {
    const Bytes batch = std::exchange(out_, {});
    handedOver_ += batch.size();
    boost::system::error_code error;
    fiber::suspend([&](fiber::Waker waker) {
      asio::async_write(socket_, asio::buffer(batch.data(), batch.size()),
                        [&, waker](boost::system::error_code outcome, std::size_t) mutable {
                          error = outcome;
                          waker.wake();
                        });
    });
    if (error) close();
  }
  isWriting_ = false;
}

void PeerLink::expiresAfter(Duration duration) {
  expiry_.callAfter(duration, [this] { close(); });
}

void PeerLink::close() {
  if (std::exchange(isClosed_, true)) return;
  expiry_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace skep::cluster
