#include "skep/gateway/raw_request.h"

#include <boost/beast/http/rfc7230.hpp>
#include <utility>

#include "skep/gateway/common_fields.h"
#include "skep/gateway/credentials.h"
#include "skep/gateway/text.h"

namespace skep::gateway {
namespace {

call::Outcome<call::Existence> existenceField(const HttpRequest& request) {
  const auto field = request.find("X-Skep-Existence");
  if (field == request.end()) return call::Existence::GetOrCreate;
  return parseExistence(view(field->value()));
}

/// A token among the subprotocols is no business of the actor's, which would not know it from them.
void hideToken(call::Headers& headers) {
  for (auto& [name, value] : headers) {
    if (name != "sec-websocket-protocol" || value.find(kTokenSubprotocol) == value.npos) continue;
    std::string others;
    for (const auto& offered : boost::beast::http::token_list(value)) {
      if (offered.starts_with(kTokenSubprotocol)) continue;
      if (!others.empty()) others += ", ";
      others += view(offered);
    }
    value = std::move(others);
  }
}

}  // namespace

call::Outcome<call::HttpRequest> rawRequest(const HttpRequest& request, Route& route) {
  const auto existence = existenceField(request);
  if (const auto* failure = std::get_if<call::Failure>(&existence)) return *failure;
  call::Headers headers = headersOf(request);
  hideToken(headers);
  return call::HttpRequest{.actor = std::move(route.actor),
                           .existence = std::get<call::Existence>(existence),
                           .method = std::string(view(request.method_string())),
                           .path = std::move(route.path),
                           .query = std::move(route.query),
                           .headers = std::move(headers),
                           .body = {}};
}

}  // namespace skep::gateway
