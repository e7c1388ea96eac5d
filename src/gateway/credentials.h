// Credentials: who a client is, by the token that its request, or its connection's first message, shows.
//
// Tokens come in the field Authorization, and for browsers, whose WebSockets cannot set one, in the message
// `connect`, or for raw ones among the subprotocols; never in a URL, which ends up in logs. Any thread.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "skep/access/shared_secret.h"
#include "skep/access/token_check.h"
#include "skep/call/failure.h"
#include "skep/call/visit.h"
#include "skep/gateway/http_message.h"

namespace skep::gateway {

/// What stands before a token that is offered as a subprotocol: all of its characters may stand there.
inline constexpr std::string_view kTokenSubprotocol = "skep.token.";

/// What a client has shown.
struct ClientToken {
  call::Claims claims;         // no bytes: no token was asked for
  std::int64_t expiresMs = 0;  // 0: never
};

class Credentials {
 public:
  /// `tokens` null: clients are not asked who they are. `admin` absent: nobody may administer.
  Credentials(access::TokenCheck* tokens, const std::optional<access::SharedSecret>& admin)
      : tokens_(tokens), admin_(admin) {}

  /// A request's client. The failures of access::checkToken(), TokenMissing.
  call::Outcome<ClientToken> ofRequest(const HttpRequest& request) const;
  /// The same for the request that opens a WebSocket: nothing yet when it shows no token.
  call::Outcome<std::optional<ClientToken>> ofUpgrade(const HttpRequest& request) const;
  /// The client of a WebSocket, by the `token` of its first message, and else by what its request showed.
  call::Outcome<ClientToken> ofConnect(std::string_view token,
                                       std::optional<ClientToken> shown) const;
  /// The client of a raw WebSocket: as ofRequest(), or by the token among the subprotocols that it offers.
  call::Outcome<ClientToken> ofRawUpgrade(const HttpRequest& request) const;
  /// Why the request's client may not administer, if it may not.
  std::optional<call::Failure> refuseAdmin(const HttpRequest& request) const;

 private:
  call::Outcome<ClientToken> check(std::string_view token) const;

  access::TokenCheck* tokens_;
  const std::optional<access::SharedSecret>& admin_;
};

/// What a response with status 401 says in WWW-Authenticate (RFC 6750 section 3).
std::string challengeFor(const call::Failure& failure);

}  // namespace skep::gateway
