#include "skep/gateway/admin_handler.h"

#include <utility>

#include "skep/base/check.h"
#include "skep/gateway/common_fields.h"
#include "skep/gateway/http_handler.h"
#include "skep/gateway/text.h"
#include "skep/wire/actor_message.h"

namespace skep::gateway {
namespace {

namespace http = boost::beast::http;
using call::Failure;

/// The failure, or `null`.
template <class T>
HttpResponse done(const HttpRequest& request, const call::Outcome<T>& outcome) {
  if (const auto* failure = std::get_if<Failure>(&outcome)) {
    return failureResponse(request, *failure);
  }
  const call::Encoding encoding = replyEncoding(request);
  return respond(request, 200, encoding, wire::encodeNull(encoding));
}

}  // namespace

HttpResponse AdminHandler::handle(const HttpRequest& request, const Route& route) {
  switch (route.kind) {
    case Route::Kind::AdminList:
      return list(request, route);
    case Route::Kind::AdminActor:
      return actor(request, route);
    case Route::Kind::AdminWake:
      return wake(request, route);
    case Route::Kind::AdminSleep:
      return sleep(request, route);
    default:
      SKEP_UNREACHABLE();
  }
}

HttpResponse AdminHandler::list(const HttpRequest& request, const Route& route) {
  const auto listed = router_.list(route.actor.type, route.after, route.limit);
  if (const auto* failure = std::get_if<Failure>(&listed)) {
    return failureResponse(request, *failure);
  }
  const call::Encoding encoding = replyEncoding(request);
  return respond(request, 200, encoding,
                 wire::encodeList(std::get<call::ActorList>(listed), encoding));
}

HttpResponse AdminHandler::actor(const HttpRequest& request, const Route& route) {
  if (request.method() == http::verb::delete_) {
    return done(request, router_.destroy(route.actor));
  }
  return info(request, route);
}

HttpResponse AdminHandler::info(const HttpRequest& request, const Route& route) {
  const auto known = router_.info(route.actor);
  if (const auto* failure = std::get_if<Failure>(&known)) {
    return failureResponse(request, *failure);
  }
  const call::Encoding encoding = replyEncoding(request);
  return respond(request, 200, encoding,
                 wire::encodeDetails(std::get<call::ActorDetails>(known), encoding));
}

HttpResponse AdminHandler::wake(const HttpRequest& request, const Route& route) {
  return done(request, router_.resolve(route.actor, call::Existence::Get, std::nullopt, nullptr,
                                       {.requestId = requestIdOf(request)}));
}

HttpResponse AdminHandler::sleep(const HttpRequest& request, const Route& route) {
  return done(request, router_.sleep(route.actor));
}

}  // namespace skep::gateway
