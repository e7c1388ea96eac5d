#include "skep/gateway/credentials.h"

#include <algorithm>
#include <boost/beast/http/rfc7230.hpp>
#include <utility>

#include "skep/gateway/text.h"

namespace skep::gateway {
namespace {

namespace http = boost::beast::http;
using call::Failure;
using call::FailureCode;

call::Outcome<std::string_view> tokenOf(const HttpRequest& request) {
  // Two could be read differently by what stands before and behind.
  if (request.count(http::field::authorization) > 1) {
    return Failure(FailureCode::TokenInvalid, "there is more than one field Authorization");
  }
  return access::bearerToken(view(request[http::field::authorization]));
}

}  // namespace

call::Outcome<ClientToken> Credentials::check(std::string_view token) const {
  auto checked = tokens_->check(token);
  if (auto* failure = std::get_if<Failure>(&checked)) return std::move(*failure);
  auto& good = std::get<access::CheckedToken>(checked);
  return ClientToken{.claims = {.encoding = call::Encoding::Json, .bytes = std::move(good.claims)},
                     .expiresMs = good.expiresMs};
}

call::Outcome<ClientToken> Credentials::ofRequest(const HttpRequest& request) const {
  if (tokens_ == nullptr) return ClientToken{};
  const auto token = tokenOf(request);
  if (const auto* failure = std::get_if<Failure>(&token)) return *failure;
  return check(std::get<std::string_view>(token));
}

call::Outcome<std::optional<ClientToken>> Credentials::ofUpgrade(const HttpRequest& request) const {
  if (request.find(http::field::authorization) == request.end()) {
    return std::optional<ClientToken>();
  }
  auto checked = ofRequest(request);
  if (auto* failure = std::get_if<Failure>(&checked)) return std::move(*failure);
  return std::optional(std::get<ClientToken>(std::move(checked)));
}

call::Outcome<ClientToken> Credentials::ofConnect(std::string_view token,
                                                  std::optional<ClientToken> shown) const {
  if (tokens_ == nullptr) return ClientToken{};
  if (!token.empty()) return check(token);
  if (shown) return *std::move(shown);
  return Failure(FailureCode::TokenMissing, "a token is needed: the field 'token' of connect");
}

call::Outcome<ClientToken> Credentials::ofRawUpgrade(const HttpRequest& request) const {
  if (tokens_ != nullptr && request.find(http::field::authorization) == request.end()) {
    for (const auto& offered : http::token_list(request[http::field::sec_websocket_protocol])) {
      const std::string_view token = view(offered);
      if (token.starts_with(kTokenSubprotocol))
        return check(token.substr(kTokenSubprotocol.size()));
    }
  }
  return ofRequest(request);
}

std::optional<Failure> Credentials::refuseAdmin(const HttpRequest& request) const {
  if (!admin_) {
    return Failure(FailureCode::Forbidden,
                   "this server has no admin token: start it with --admin-token-file FILE, or with "
                   "SKEP_ADMIN_TOKEN in its environment");
  }
  const auto token = tokenOf(request);
  if (const auto* failure = std::get_if<Failure>(&token)) return *failure;
  if (admin_->matches(std::get<std::string_view>(token))) return std::nullopt;
  return Failure(FailureCode::TokenInvalid, "this is not the server's admin token");
}

std::string challengeFor(const Failure& failure) {
  std::string challenge = "Bearer realm=\"skep\"";
  if (failure.is(FailureCode::TokenMissing)) return challenge;
  challenge += ", error=\"invalid_token\"";
  const bool isQuotable = std::all_of(failure.message.begin(), failure.message.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
  if (isQuotable) challenge += ", error_description=\"" + failure.message + "\"";
  return challenge;
}

}  // namespace skep::gateway
