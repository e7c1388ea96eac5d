#include "skep/gateway/websocket_upgrade.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "skep/base/base64.h"
#include "skep/gateway/common_fields.h"
#include "skep/gateway/raw_request.h"
#include "skep/gateway/route.h"
#include "skep/gateway/text.h"

namespace skep::gateway {
namespace {

namespace http = boost::beast::http;
using call::Failure;
using call::FailureCode;

/// RFC 6455 section 4.2.2: what shows the client that a WebSocket server read its request.
std::string acceptValue(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<std::byte, 20> hash{};
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(hash.data()), nullptr,
             EVP_sha1(), nullptr);
  return encodeBase64(hash);
}

bool isKey(std::string_view key) {
  // 16 bytes in base64.
  const auto isDigit = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  };
  return key.size() == 24 && key.ends_with("==") &&
         std::all_of(key.begin(), key.end() - 2, isDigit);
}

}  // namespace

bool isUpgrade(const HttpRequest& request) {
  return boost::beast::websocket::is_upgrade(request);
}

std::string upgradeResponse(const HttpRequest& request, std::string_view accepted,
                            std::string_view subprotocol) {
  std::string response =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: ";
  response.append(accepted).append("\r\n");
  if (!subprotocol.empty()) {
    response.append("Sec-WebSocket-Protocol: ").append(subprotocol).append("\r\n");
  }
  response.append("X-Request-Id: ").append(requestIdOf(request));
  return response += "\r\n\r\n";
}

std::variant<WebSocketUpgrade, RawUpgrade, Failure> checkUpgrade(const HttpRequest& request,
                                                                 const OriginRules& origins,
                                                                 const Credentials& credentials) {
  auto parsed = parseRoute(view(request.target()));
  if (auto* failure = std::get_if<Failure>(&parsed)) return std::move(*failure);
  Route& route = std::get<Route>(parsed);
  const bool isRaw = route.kind == Route::Kind::Request;
  if (!isRaw && route.kind != Route::Kind::Connect) {
    return Failure(FailureCode::RouteNotFound,
                   "WebSockets are at /actors/{type}/{key…}/connect and …/request/{path…}");
  }
  if (auto failure = checkOrigin(request, origins)) return *std::move(failure);
  if (view(request[http::field::sec_websocket_version]) != "13") {
    return Failure(FailureCode::UpgradeRequired, "this server speaks version 13 of WebSocket");
  }
  const std::string_view key = view(request[http::field::sec_websocket_key]);
  if (!isKey(key)) {
    return Failure(FailureCode::InvalidRequest, "Sec-WebSocket-Key is 16 bytes in base64");
  }
  if (isRaw) {
    auto asked = rawRequest(request, route);
    if (auto* failure = std::get_if<Failure>(&asked)) return std::move(*failure);
    auto shown = credentials.ofRawUpgrade(request);
    if (auto* failure = std::get_if<Failure>(&shown)) return std::move(*failure);
    auto& token = std::get<ClientToken>(shown);
    RawUpgrade raw{.asked = std::get<call::HttpRequest>(std::move(asked)),
                   .acceptValue = acceptValue(key),
                   .tokenExpiresMs = token.expiresMs};
    raw.asked.claims = std::move(token.claims);
    return raw;
  }
  const bool namesProtocol = request.find(http::field::sec_websocket_protocol) != request.end();
  if (namesProtocol &&
      !http::token_list(request[http::field::sec_websocket_protocol]).exists(kSubprotocol)) {
    return Failure(FailureCode::InvalidRequest,
                   "the subprotocol spoken here is " + std::string(kSubprotocol));
  }

  auto shown = credentials.ofUpgrade(request);
  if (auto* failure = std::get_if<Failure>(&shown)) return std::move(*failure);

  WebSocketUpgrade upgrade{.actor = std::move(route.actor),
                           .headers = headersOf(request),
                           .token = std::get<std::optional<ClientToken>>(std::move(shown)),
                           .response = {}};
  upgrade.response = upgradeResponse(request, acceptValue(key), namesProtocol ? kSubprotocol : "");
  return upgrade;
}

}  // namespace skep::gateway
