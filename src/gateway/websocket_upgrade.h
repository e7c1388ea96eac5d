// The handshake of a WebSocket (RFC 6455 section 4.2): who may have one, and what it is answered.
//
// Any thread.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "skep/call/router.h"
#include "skep/gateway/credentials.h"
#include "skep/gateway/http_message.h"
#include "skep/gateway/origin_rules.h"

namespace skep::gateway {

/// The name and version of what is spoken: docs/formats/websocket.md.
inline constexpr std::string_view kSubprotocol = "skep.1";

struct WebSocketUpgrade {
  call::ActorAddress actor;
  call::Headers headers;
  std::optional<ClientToken> token;  // that the request shows, if it does
  std::string response;              // its bytes
};

/// One that an actor's own code speaks.
struct RawUpgrade {
  call::HttpRequest asked;
  std::string acceptValue;          // for upgradeResponse()
  std::int64_t tokenExpiresMs = 0;  // 0: never
};

/// Whether the request asks for a WebSocket.
bool isUpgrade(const HttpRequest& request);
/// Checks the whole handshake, the path too. What is refused is answered with failureResponse().
std::variant<WebSocketUpgrade, RawUpgrade, call::Failure> checkUpgrade(
    const HttpRequest& request, const OriginRules& origins, const Credentials& credentials);
/// The bytes that let the client of that request in. `subprotocol`: the chosen one, or empty.
std::string upgradeResponse(const HttpRequest& request, std::string_view acceptValue,
                            std::string_view subprotocol);

}  // namespace skep::gateway
