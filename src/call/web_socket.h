// Raw WebSockets: an actor's own code and a client talk in messages of their own.
//
//   client's end                                   actor's end
//   Router::openSocket(request, peer)     ──►      the handler runs
//                                         ◄──      accepted(), or failed()
//   message() …                          ◄──►      message() …
//   taken()                              ◄──►      taken(): so much of what the other sent was taken
//   closed()                              ──►      the client has closed it, or is gone
//                                         ◄──      or close(), or failed()
//
// After failed(), close() or closed() nothing follows. The two ends talk in messages only, as those of
// connections do (call/connection.h). Neither has more on its way to the other than a bound that it keeps to
// itself: the client's end reads no more meanwhile, the actor's code waits, or loses the client. What
// arrives at the client's end may leave the process: it is durable (I1).

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "skep/base/result.h"
#include "skep/call/failure.h"

namespace skep::call {

struct WebSocketMessage {
  enum class Kind : std::uint8_t { Text, Binary };
  Kind kind = Kind::Text;
  std::string bytes;  // of a Text: UTF-8

  /// What it counts in taken(): an empty one takes room too.
  std::size_t cost() const { return bytes.size() + 64; }
};

/// How a WebSocket ends, or has ended (RFC 6455 section 7.4).
struct WebSocketClose {
  static constexpr std::uint16_t kNormal = 1000;
  static constexpr std::uint16_t kNoCode = 1005;   // a close without a code
  static constexpr std::uint16_t kNoClose = 1006;  // it just ended
  static constexpr std::size_t kReasonBytesMax = 123;

  std::uint16_t code = kNormal;
  std::string reason;
};

/// Whether the code may stand in a close frame.
bool isCloseCode(std::uint64_t code);
/// InvalidArgument: a code that an actor's code has no business to send, or a reason that is too long or no
/// UTF-8.
Status checkClose(const WebSocketClose& close);

/// The client's end. Called on the actor's loop; does not suspend, and does not call the handle from
/// within.
class WebSocketPeer {
 public:
  virtual ~WebSocketPeer() = default;
  /// `subprotocol`: one of those that the client offers, or empty.
  virtual void accepted(std::string subprotocol) = 0;
  virtual void message(WebSocketMessage message) = 0;
  virtual void taken(std::size_t cost) = 0;
  virtual void close(WebSocketClose close) = 0;
  virtual void failed(const Failure& failure) = 0;
};

/// The way to the actor's end. One thread at a time; does not suspend. Goes away before the Router is
/// closed; that alone does not close.
class WebSocketHandle {
 public:
  virtual ~WebSocketHandle() = default;
  virtual void message(WebSocketMessage message) = 0;
  virtual void taken(std::size_t cost) = 0;
  virtual void closed(WebSocketClose close) = 0;
};

}  // namespace skep::call
