// Raw WebSockets: WebSocket, WebSocketMessage, WebSocketSender: an actor's own code talks with a client, in
// messages of its own, at /actors/{type}/{key…}/request/{path…}.
//
//   d.onWebSocket(&Echo::talk);
//
//   void talk(skep::Context& c, skep::WebSocket& socket) {
//     socket.accept();
//     while (const auto message = socket.receive()) socket.sendText("you said " + message->data());
//   }
//
// The handler runs as long as the WebSocket; when it returns, that is closed. What is sent, and a close,
// leaves with the turn: once that is durable, in the order in which it was said; nothing of a turn that is
// rolled back. What the handler throws before accept() has left refuses the client, over HTTP; later it
// closes the WebSocket with code 1011.
//
// A WebSocket is valid while its handler runs.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/actor/socket_session.h"
#include "skep/api/codec.h"
#include "skep/api/connection.h"
#include "skep/api/stored.h"
#include "skep/call/web_socket.h"

namespace skep {

class Context;

class WebSocketMessage {
 public:
  explicit WebSocketMessage(call::WebSocketMessage message) : message_(std::move(message)) {}

  bool isText() const { return message_.kind == call::WebSocketMessage::Kind::Text; }
  /// UTF-8, when it is text.
  const std::string& data() const { return message_.bytes; }
  /// The message as a value: text is JSON, the rest CBOR. `request.invalid_arguments` when it is none.
  template <class T>
  T as() const {
    return api::fromCaller([&] { return api::Codec<T>::decode(value(), api::Place("message")); });
  }

 private:
  Value value() const;

  call::WebSocketMessage message_;
};

/// Sends to a WebSocket from anywhere in the same actor: an action, a timer, the handler of another one.
/// Copies are the same WebSocket; valid as long as the actor is awake, also when the WebSocket has gone:
/// then nobody gets what is sent.
class WebSocketSender {
 public:
  explicit WebSocketSender(const actor::SocketSession& session)
      : exchange_(session.exchange()), options_(&session.options()) {}

  bool isOpen() const { return exchange_->isOpen(); }
  /// With the turn of `c`. Does not wait: a client that has more than ActorOptions::sockets.sendBytesLimit on
  /// its way is closed instead.
  void sendText(Context& c, std::string_view text) const;
  void sendBinary(Context& c, std::string_view bytes) const;
  template <class T>
  void sendJson(Context& c, const T& value) const {
    sendText(c, api::format(api::toValue(value), call::Encoding::Json).bytes);
  }
  void close(Context& c, std::uint16_t code = 1000, std::string_view reason = {}) const;

  friend bool operator==(const WebSocketSender& a, const WebSocketSender& b) {
    return a.exchange_ == b.exchange_;
  }

 private:
  // Shared: with the handler, which may end before.
  actor::SocketExchangePtr exchange_;
  const actor::SocketOptions* options_;
};

class WebSocket {
 public:
  explicit WebSocket(actor::SocketSession& session) : session_(session) {}
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  /// The subprotocols that the client offers, the one that it likes best first.
  const std::vector<std::string>& offered() const { return session_.offered(); }
  /// Once, before anything else: lets the client in. From now on the handler has no time limit. Without it
  /// the client gets 404. std::logic_error for a subprotocol that is not offered.
  void accept(std::string subprotocol = {});

  /// The next message. A wait (see Context): commits what was written before. Also waits while the client
  /// has not taken ActorOptions::sockets.sendBytesMax of what it was sent. Nullopt when there will be none:
  /// one of the sides has closed, or the client is gone; then the handler has the time of an action to come
  /// to its end. ActorError when the actor is on its way out.
  std::optional<WebSocketMessage> receive();
  /// The same; nullopt also when none came in that time. Then isOpen() is still true.
  std::optional<WebSocketMessage> receive(std::chrono::milliseconds timeout);

  void sendText(std::string_view text);
  void sendBinary(std::string_view bytes);
  template <class T>
  void sendJson(const T& value) {
    sendText(api::format(api::toValue(value), call::Encoding::Json).bytes);
  }
  /// Waits (see Context) until the client has taken so much that more may be sent: for who sends much and
  /// receives nothing.
  void drain();
  /// `code`: one that RFC 6455 section 7.4 lets an endpoint send; 4000 to 4999 are free. `reason`: at most
  /// 123 bytes.
  void close(std::uint16_t code = 1000, std::string_view reason = {});

  bool isOpen() const { return session_.exchange()->isOpen(); }
  /// How it ended: the code and the reason of whoever closed; 1005: the client gave no code, 1006: it was
  /// gone without a close.
  std::uint16_t closeCode() const { return session_.exchange()->ending().code; }
  const std::string& closeReason() const { return session_.exchange()->ending().reason; }

  WebSocketSender sender() const { return WebSocketSender(session_); }

 private:
  std::optional<WebSocketMessage> receiveWithin(std::optional<Duration> timeout);

  actor::SocketSession& session_;
};

}  // namespace skep
