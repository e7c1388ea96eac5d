// PeerLink: one connection between two nodes, as frames.
//
// A frame is its length, its type and its body (docs/formats/node-protocol.md). What is sent is gathered, and
// written in one go when the socket takes it. Belongs to its loop; shared, as its fibers end when they notice
// that it was closed.

#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <optional>

#include "skep/base/bytes.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/timer.h"

namespace skep::cluster {

enum class FrameType : std::uint8_t {
  Hello = 1,
  Welcome = 2,
  Proof = 3,
  Ready = 4,
  Refused = 5,  // why, for people; a code first
  Call = 6,     // number, request
  Result = 7,   // number of the call, outcome
  Ending = 8,   // nothing more is run: hang up once all calls have their results
};

struct Frame {
  FrameType type = FrameType::Hello;
  Bytes body;
};

class PeerLink : public std::enable_shared_from_this<PeerLink> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  static constexpr std::size_t kFrameBytesMax = 64u << 20;
  static constexpr std::size_t kQueuedBytesMax = 128u << 20;

  PeerLink(fiber::Loop& loop, Socket socket);

  /// The next frame; nothing when the connection has ended, or the other side breaks the rules. Suspends; one
  /// fiber at a time.
  std::optional<Frame> receive();

  /// Does not suspend. A place in the stream for isOnItsWay(); 0 when the connection has ended, or so much is
  /// queued that nothing more is taken.
  std::uint64_t send(FrameType type, ByteView body);
  /// Whether any of what was queued at that place may have reached the other side.
  bool isOnItsWay(std::uint64_t place) const { return place <= handedOver_; }

  /// Ends the connection after so much time, unless it is taken back by expiresNever().
  void expiresAfter(Duration duration);
  void expiresNever() { expiry_.cancel(); }
  void close();
  bool isClosed() const { return isClosed_; }

 private:
  std::optional<Frame> takeFrame();
  void writeQueued();

  fiber::Loop& loop_;
  Socket socket_;
  fiber::Timer expiry_;
  Bytes in_;
  std::size_t inTaken_ = 0;  // of in_
  Bytes out_;
  bool isWriting_ = false;
  bool isClosed_ = false;
  std::uint64_t queued_ = 0;      // bytes ever
  std::uint64_t handedOver_ = 0;  // of those, to the socket
};

}  // namespace skep::cluster
