#include "skep/api/web_socket.h"

#include <stdexcept>

#include "skep/api/context.h"

namespace skep {
namespace {

using Kind = call::WebSocketMessage::Kind;

/// What is wrong with what it says is the actor's own error.
void check(const Status& done) {
  if (done) return;
  if (done.error().code == ErrorCode::InvalidArgument) throw std::logic_error(done.error().message);
  api::throwError(done.error());
}

}  // namespace

Value WebSocketMessage::value() const {
  return api::parseFromCaller({.encoding = isText() ? call::Encoding::Json : call::Encoding::Cbor,
                               .bytes = message_.bytes});
}

// ---- WebSocketSender

void WebSocketSender::sendText(Context& c, std::string_view text) const {
  check(actor::sendTo(exchange_, c.invocation(), *options_,
                      {.kind = Kind::Text, .bytes = std::string(text)}));
}

void WebSocketSender::sendBinary(Context& c, std::string_view bytes) const {
  check(actor::sendTo(exchange_, c.invocation(), *options_,
                      {.kind = Kind::Binary, .bytes = std::string(bytes)}));
}

void WebSocketSender::close(Context& c, std::uint16_t code, std::string_view reason) const {
  check(actor::closeTo(exchange_, c.invocation(), {.code = code, .reason = std::string(reason)}));
}

// ---- WebSocket

void WebSocket::accept(std::string subprotocol) {
  check(session_.accept(std::move(subprotocol)));
}

std::optional<WebSocketMessage> WebSocket::receive() {
  return receiveWithin(std::nullopt);
}

std::optional<WebSocketMessage> WebSocket::receive(std::chrono::milliseconds timeout) {
  return receiveWithin(timeout);
}

std::optional<WebSocketMessage> WebSocket::receiveWithin(std::optional<Duration> timeout) {
  auto received = session_.receive(timeout);
  if (!received) {
    check(received.error());
  } else if (*received) {
    return WebSocketMessage(*std::move(*received));
  }
  return std::nullopt;
}

void WebSocket::sendText(std::string_view text) {
  check(session_.send({.kind = Kind::Text, .bytes = std::string(text)}));
}

void WebSocket::sendBinary(std::string_view bytes) {
  check(session_.send({.kind = Kind::Binary, .bytes = std::string(bytes)}));
}

void WebSocket::drain() {
  check(session_.drain());
}

void WebSocket::close(std::uint16_t code, std::string_view reason) {
  check(session_.close({.code = code, .reason = std::string(reason)}));
}

}  // namespace skep
