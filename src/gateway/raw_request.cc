#include "skep/gateway/raw_request.h"

#include <utility>

#include "skep/gateway/common_fields.h"
#include "skep/gateway/text.h"

namespace skep::gateway {
namespace {

call::Outcome<call::Existence> existenceField(const HttpRequest& request) {
  const auto field = request.find("X-Skep-Existence");
  if (field == request.end()) return call::Existence::GetOrCreate;
  return parseExistence(view(field->value()));
}

}  // namespace

call::Outcome<call::HttpRequest> rawRequest(const HttpRequest& request, Route& route) {
  const auto existence = existenceField(request);
  if (const auto* failure = std::get_if<call::Failure>(&existence)) return *failure;
  return call::HttpRequest{.actor = std::move(route.actor),
                           .existence = std::get<call::Existence>(existence),
                           .method = std::string(view(request.method_string())),
                           .path = std::move(route.path),
                           .query = std::move(route.query),
                           .headers = headersOf(request),
                           .body = {}};
}

}  // namespace skep::gateway
