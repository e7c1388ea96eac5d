#include "skep/access/token.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "skep/base/base64.h"
#include "skep/base/raw_value.h"

namespace skep::access {
namespace {

using call::Failure;
using call::FailureCode;
using Json = nlohmann::json;

Failure invalid(const char* message) {
  return {FailureCode::TokenInvalid, message};
}

struct Parts {
  std::string header;
  std::string claims;
  std::string signature;
  std::string_view signedText;
};

std::optional<Parts> split(std::string_view token) {
  const std::size_t first = token.find('.');
  if (first == token.npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == token.npos) return std::nullopt;
  auto header = decodeBase64Url(token.substr(0, first));
  auto claims = decodeBase64Url(token.substr(first + 1, second - first - 1));
  auto signature = decodeBase64Url(token.substr(second + 1));  // a third dot is no digit
  if (!header || !claims || !signature) return std::nullopt;
  return Parts{.header = *std::move(header),
               .claims = *std::move(claims),
               .signature = *std::move(signature),
               .signedText = token.substr(0, second)};
}

/// Discarded when it is no object, or is nested too deep for what recurses into it later.
Json parseObject(std::string_view text) {
  std::string_view rest = text;
  if (!takeRawJson(rest)) return Json(Json::value_t::discarded);
  Json value = Json::parse(text, nullptr, false);
  return value.is_object() ? value : Json(Json::value_t::discarded);
}

std::optional<Algorithm> algorithmOf(const Json& header) {
  const auto name = header.find("alg");
  for (const Algorithm each : {Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256}) {
    if (name != header.end() && *name == algorithmName(each)) return each;
  }
  return std::nullopt;
}

/// Tries the keys that the header may mean: those of its algorithm that have its `kid`, or none.
bool isSigned(const Parts& parts, const Json& header, const Keys& keys) {
  const auto algorithm = algorithmOf(header);
  if (!algorithm) return false;
  const auto id = header.find("kid");
  const bool namesKey = id != header.end() && id->is_string();
  std::size_t tried = 0;
  for (const VerificationKey& key : keys) {
    if (key.algorithm() != *algorithm) continue;
    if (namesKey && !key.id().empty() && *id != key.id()) continue;
    if (++tried > kKeysTriedMax) return false;
    if (key.verifies(parts.signedText, parts.signature)) return true;
  }
  return false;
}

enum class Date { Absent, Wrong, Given };

/// A NumericDate: seconds, with fractions perhaps.
Date dateIn(const Json& claims, const char* name, std::int64_t& ms) {
  constexpr double kSecondsMax = 9e12;  // as milliseconds a double has it exactly, and it fits
  const auto found = claims.find(name);
  if (found == claims.end()) return Date::Absent;
  if (!found->is_number()) return Date::Wrong;
  const double seconds = found->get<double>();
  if (!std::isfinite(seconds) || std::abs(seconds) > kSecondsMax) return Date::Wrong;
  ms = static_cast<std::int64_t>(seconds * 1000);
  return Date::Given;
}

std::optional<Failure> checkTimes(const Json& claims, const TokenRules& rules, std::int64_t nowMs,
                                  std::int64_t& expiresMs) {
  const std::int64_t leewayMs =
      std::chrono::duration_cast<std::chrono::milliseconds>(rules.leeway).count();
  if (dateIn(claims, "exp", expiresMs) != Date::Given) {
    return invalid("the token does not say when it expires");
  }
  expiresMs += leewayMs;
  if (nowMs >= expiresMs) return Failure(FailureCode::TokenExpired, "the token has expired");
  std::int64_t notBeforeMs = 0;
  const Date notBefore = dateIn(claims, "nbf", notBeforeMs);
  if (notBefore == Date::Wrong) return invalid("the token's 'nbf' is no time");
  if (notBefore == Date::Given && nowMs < notBeforeMs - leewayMs) {
    return Failure(FailureCode::TokenNotYetValid, "the token is not valid yet");
  }
  return std::nullopt;
}

bool namesAudience(const Json& audience, const std::vector<std::string>& ours) {
  const auto isOurs = [&](const Json& name) {
    return name.is_string() &&
           std::find(ours.begin(), ours.end(), name.get_ref<const std::string&>()) != ours.end();
  };
  if (!audience.is_array()) return isOurs(audience);
  return std::any_of(audience.begin(), audience.end(), isOurs);
}

std::optional<Failure> checkParties(const Json& claims, const TokenRules& rules) {
  if (!rules.issuer.empty()) {
    const auto issuer = claims.find("iss");
    if (issuer == claims.end() || *issuer != rules.issuer) {
      return Failure(FailureCode::TokenNotForHere,
                     "the token is not from the issuer that is trusted here");
    }
  }
  const auto audience = claims.find("aud");
  if (rules.audiences.empty()) {
    // RFC 7519 section 4.1.3: who is not among a token's audience must not take it.
    if (audience == claims.end()) return std::nullopt;
    return Failure(FailureCode::TokenNotForHere,
                   "the token is for an audience, and this server is told of none");
  }
  if (audience != claims.end() && namesAudience(*audience, rules.audiences)) return std::nullopt;
  return Failure(FailureCode::TokenNotForHere, "the token is not for this server's audience");
}

}  // namespace

call::Outcome<CheckedToken> checkToken(std::string_view token, const Keys& keys,
                                       const TokenRules& rules, std::int64_t nowMs) {
  if (token.size() > kTokenBytesMax) return invalid("the token is too large");
  auto parts = split(token);
  if (!parts) return invalid("this is no JSON Web Token");
  const Json header = parseObject(parts->header);
  if (header.is_discarded()) return invalid("the token's header is no JSON object");
  // RFC 7515 section 4.1.11: what must be understood, and is not.
  if (header.contains("crit")) return invalid("the token needs extensions that are not known here");
  if (!isSigned(*parts, header, keys)) {
    return invalid("the token is not signed with a key that is trusted here");
  }
  const Json claims = parseObject(parts->claims);
  if (claims.is_discarded()) return invalid("the token's claims are no JSON object");
  CheckedToken checked;
  if (auto failure = checkTimes(claims, rules, nowMs, checked.expiresMs))
    return *std::move(failure);
  if (auto failure = checkParties(claims, rules)) return *std::move(failure);
  checked.claims = std::move(parts->claims);
  return checked;
}

call::Outcome<std::string_view> bearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer";
  if (authorization.empty()) {
    return Failure(FailureCode::TokenMissing, "a token is needed: Authorization: Bearer …");
  }
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  const bool isBearer = authorization.size() > kScheme.size() &&
                        authorization[kScheme.size()] == ' ' &&
                        std::equal(kScheme.begin(), kScheme.end(), authorization.begin(),
                                   [&](char a, char b) { return a == lower(b); });
  std::string_view token = isBearer ? authorization.substr(kScheme.size()) : std::string_view();
  while (token.starts_with(' ')) token.remove_prefix(1);
  while (token.ends_with(' ')) token.remove_suffix(1);
  if (token.empty()) return invalid("credentials are Authorization: Bearer …");
  return token;
}

}  // namespace skep::access
