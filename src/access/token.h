// JSON Web Tokens (RFC 7519), signed in the compact form of RFC 7515: taken apart and checked.
//
//   base64url(header) "." base64url(claims) "." base64url(signature)
//
// Nothing of a token is believed before its signature is verified, with a key that was configured; what
// its header says only chooses among those. Pure functions: any thread, bounded work.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skep/access/verification_key.h"
#include "skep/base/clock.h"
#include "skep/call/message.h"

namespace skep::access {

inline constexpr std::size_t kTokenBytesMax = 8 * 1024;
/// Keys that one token is tried with, when its header does not name one.
inline constexpr std::size_t kKeysTriedMax = 8;

/// What is asked of a token besides its signature. It must always say when it expires.
struct TokenRules {
  std::string issuer;                  // that `iss` must be; empty: any
  std::vector<std::string> audiences;  // of which `aud` names one; empty: `aud` must be absent
  Duration leeway = std::chrono::seconds(30);  // by which clocks may differ
};

struct CheckedToken {
  std::string claims;  // a JSON object
  std::int64_t expiresMs = 0;
};

/// TokenInvalid, TokenExpired, TokenNotYetValid, TokenNotForHere. Messages repeat nothing of the token.
call::Outcome<CheckedToken> checkToken(std::string_view token, const Keys& keys,
                                       const TokenRules& rules, std::int64_t nowMs);

/// What the credentials of a request are (RFC 6750 section 2.1): the text behind "Bearer". TokenMissing
/// when `authorization` is empty, TokenInvalid when it is something else.
call::Outcome<std::string_view> bearerToken(std::string_view authorization);

}  // namespace skep::access
