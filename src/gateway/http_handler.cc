#include "skep/gateway/http_handler.h"

#include <boost/beast/http/verb.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <string_view>
#include <utility>

#include "skep/gateway/common_fields.h"
#include "skep/gateway/raw_request.h"
#include "skep/gateway/text.h"
#include "skep/wire/actor_message.h"
#include "skep/wire/failure_message.h"

namespace skep::gateway {
namespace {

namespace http = boost::beast::http;
using call::Encoding;
using call::Failure;
using call::FailureCode;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kCbor = "application/cbor";
constexpr std::string_view kPrometheusText = "text/plain; version=0.0.4; charset=utf-8";

/// Everything but CBOR is read as JSON: `curl -d` says that it sends a form.
Encoding encodingOf(std::string_view mediaType) {
  return mediaType.starts_with(kCbor) ? Encoding::Cbor : Encoding::Json;
}

call::Payload takeBody(HttpRequest& request) {
  return {.encoding = encodingOf(view(request[http::field::content_type])),
          .bytes = std::move(request.body())};
}

/// Its fields, for actors that look at them.
class HeadOf final : public call::RequestHead {
 public:
  explicit HeadOf(const HttpRequest& request) : request_(request) {}
  call::Headers fields() const override { return headersOf(request_); }

 private:
  const HttpRequest& request_;
};

}  // namespace

// CBOR for those who ask for it, or who send it and ask for nothing.
Encoding replyEncoding(const HttpRequest& request) {
  const std::string_view accept = view(request[http::field::accept]);
  if (accept.find(kCbor) != accept.npos) return Encoding::Cbor;
  if (accept.empty() || accept == "*/*")
    return encodingOf(view(request[http::field::content_type]));
  return Encoding::Json;
}

HttpResponse respond(const HttpRequest& request, unsigned status, Encoding encoding,
                     std::string body) {
  HttpResponse response(static_cast<http::status>(status), request.version());
  response.set(http::field::content_type, encoding == Encoding::Cbor ? kCbor : kJson);
  response.keep_alive(request.keep_alive());
  response.body() = std::move(body);
  response.prepare_payload();
  return response;
}

HttpResponse methodNotAllowed(const HttpRequest& request, std::string_view allowed) {
  HttpResponse response = failureResponse(
      request, {FailureCode::MethodNotAllowed, "allowed here: " + std::string(allowed)});
  response.set(http::field::allow, allowed);
  return response;
}

HttpResponse failureResponse(const HttpRequest& request, const Failure& failure) {
  const Encoding encoding = replyEncoding(request);
  HttpResponse response = respond(request, static_cast<unsigned>(failure.httpStatus), encoding,
                                  wire::encodeFailure(failure, encoding));
  if (failure.is(FailureCode::UpgradeRequired)) {
    response.set(http::field::upgrade, "websocket");
    response.set(http::field::sec_websocket_version, "13");
  }
  if (failure.httpStatus == 401) {
    response.set(http::field::www_authenticate, challengeFor(failure));
  }
  if (failure.isRetryable) response.set(http::field::retry_after, "1");
  return response;
}

HttpHandler::Answer HttpHandler::handle(HttpRequest& request) {
  nameRequest(request);
  Answer given = answer(request);
  if (auto* response = std::get_if<HttpResponse>(&given)) {
    addCommonFields(request, origins_, *response);
  }
  return given;
}

HttpResponse HttpHandler::refuse(const HttpRequest& request, const Failure& failure) const {
  HttpResponse response = failureResponse(request, failure);
  addCommonFields(request, origins_, response);
  return response;
}

std::optional<Failure> HttpHandler::checkHead(const HttpRequest& request) const {
  if (auto failure = checkOrigin(request, origins_)) return failure;
  if (isPreflight(request)) return std::nullopt;
  auto parsed = parseRoute(view(request.target()));
  if (auto* failure = std::get_if<Failure>(&parsed)) {
    return page(request) ? std::nullopt : std::optional(std::move(*failure));
  }
  switch (std::get<Route>(parsed).kind) {
    case Route::Kind::Action:
    case Route::Kind::Queue:
      if (request.method() != http::verb::post) {
        return Failure(FailureCode::MethodNotAllowed, "allowed here: POST");
      }
      [[fallthrough]];
    case Route::Kind::Actor:
    case Route::Kind::Request: {
      auto shown = credentials_.ofRequest(request);
      if (auto* failure = std::get_if<Failure>(&shown)) return std::move(*failure);
      return std::nullopt;
    }
    case Route::Kind::AdminList:
    case Route::Kind::AdminActor:
    case Route::Kind::AdminWake:
    case Route::Kind::AdminSleep:
      return credentials_.refuseAdmin(request);
    default:
      return std::nullopt;
  }
}

HttpHandler::Answer HttpHandler::answer(HttpRequest& request) {
  if (const auto failure = checkOrigin(request, origins_))
    return failureResponse(request, *failure);
  if (isPreflight(request)) return preflightResponse(request);
  auto parsed = parseRoute(view(request.target()));
  if (const auto* failure = std::get_if<Failure>(&parsed)) {
    if (auto found = page(request)) return *std::move(found);
    return failureResponse(request, *failure);
  }
  Route& route = std::get<Route>(parsed);
  switch (route.kind) {
    case Route::Kind::Health:
      return respond(request, 200, Encoding::Json, "{\"status\":\"ok\"}");
    case Route::Kind::Ready:
      return ready(request);
    case Route::Kind::Metrics:
      return metrics(request);
    case Route::Kind::AdminList:
    case Route::Kind::AdminActor:
    case Route::Kind::AdminWake:
    case Route::Kind::AdminSleep:
      return admin_.handle(request, route);
    case Route::Kind::Actor:
    case Route::Kind::Action:
    case Route::Kind::Queue:
      return visit(request, route);
    case Route::Kind::Request:
      return raw(request, route);
    case Route::Kind::Connect:
      return upgradeRequired(request);
  }
  SKEP_UNREACHABLE();
}

/// What the same request would get as an upgrade, for clients that are not told.
HttpResponse HttpHandler::upgradeRequired(const HttpRequest& request) const {
  const auto shown = credentials_.ofUpgrade(request);
  if (const auto* failure = std::get_if<Failure>(&shown)) return failureResponse(request, *failure);
  return failureResponse(request,
                         {FailureCode::UpgradeRequired, "a connection to an actor is a WebSocket"});
}

std::optional<HttpResponse> HttpHandler::page(const HttpRequest& request) const {
  const bool isHead = request.method() == http::verb::head;
  if (pages_.isEmpty() || (!isHead && request.method() != http::verb::get)) return std::nullopt;
  const auto url = boost::urls::parse_origin_form(view(request.target()));
  const auto* file = url ? pages_.find(url->path()) : nullptr;
  if (file == nullptr) return std::nullopt;
  HttpResponse response(http::status::ok, request.version());
  response.set(http::field::content_type, file->mediaType);
  response.set(http::field::etag, file->tag);
  response.set(http::field::cache_control, "no-cache");  // ask again whether it is still so
  response.keep_alive(request.keep_alive());
  if (view(request[http::field::if_none_match]) == file->tag) {
    response.result(http::status::not_modified);
    return response;
  }
  if (isHead) {
    response.content_length(file->bytes.size());
  } else {
    response.body() = file->bytes;
    response.prepare_payload();
  }
  return response;
}

HttpResponse HttpHandler::ready(const HttpRequest& request) const {
  const auto wrong = options_.notReady ? options_.notReady() : std::nullopt;
  if (wrong) return failureResponse(request, *wrong);
  return respond(request, 200, Encoding::Json, "{\"status\":\"ready\"}");
}

HttpResponse HttpHandler::metrics(const HttpRequest& request) const {
  if (!options_.metrics) {
    return failureResponse(request, {FailureCode::RouteNotFound, "nothing is measured here"});
  }
  HttpResponse response = respond(request, 200, Encoding::Json, options_.metrics());
  response.set(http::field::content_type, kPrometheusText);
  return response;
}

HttpResponse HttpHandler::visit(HttpRequest& request, Route& route) {
  auto shown = credentials_.ofRequest(request);
  if (const auto* failure = std::get_if<Failure>(&shown)) return failureResponse(request, *failure);
  const HeadOf head(request);
  call::Visit visit{.claims = std::get<ClientToken>(std::move(shown)).claims, .head = &head};
  if (route.kind == Route::Kind::Action) return action(request, route, std::move(visit));
  if (route.kind == Route::Kind::Queue) return send(request, route, std::move(visit));
  return actor(request, route, visit);
}

HttpResponse HttpHandler::action(HttpRequest& request, Route& route, call::Visit visit) {
  if (request.method() != http::verb::post) return methodNotAllowed(request, "POST");
  const Encoding encoding = replyEncoding(request);
  call::Payload arguments = takeBody(request);
  if (arguments.bytes.empty()) arguments = {.encoding = Encoding::Json, .bytes = "[]"};
  call::Reply reply = router_.run({.actor = std::move(route.actor),
                                   .existence = route.existence,
                                   .action = std::move(route.action),
                                   .arguments = std::move(arguments),
                                   .replyEncoding = encoding,
                                   .visit = std::move(visit)});
  if (const auto* failure = std::get_if<Failure>(&reply)) return failureResponse(request, *failure);
  return respond(request, 200, encoding, std::move(std::get<call::Payload>(reply).bytes));
}

HttpResponse HttpHandler::send(HttpRequest& request, Route& route, call::Visit visit) {
  if (request.method() != http::verb::post) return methodNotAllowed(request, "POST");
  const Encoding encoding = replyEncoding(request);
  call::Payload body = takeBody(request);
  if (body.bytes.empty()) body = {.encoding = Encoding::Json, .bytes = "null"};
  const auto sent = router_.send({.actor = std::move(route.actor),
                                  .existence = route.existence,
                                  .queue = std::move(route.queue),
                                  .body = std::move(body),
                                  .delay = route.delay,
                                  .replyTimeout = route.replyTimeout,
                                  .replyEncoding = encoding,
                                  .visit = std::move(visit)});
  if (const auto* failure = std::get_if<Failure>(&sent)) return failureResponse(request, *failure);
  return respond(request, 200, encoding,
                 wire::encodeSent(std::get<call::QueueSent>(sent), encoding));
}

HttpHandler::Answer HttpHandler::raw(HttpRequest& request, Route& route) {
  auto shown = credentials_.ofRequest(request);
  if (const auto* failure = std::get_if<Failure>(&shown)) return failureResponse(request, *failure);
  auto asked = rawRequest(request, route);
  if (const auto* failure = std::get_if<Failure>(&asked)) return failureResponse(request, *failure);
  auto& raw = std::get<call::HttpRequest>(asked);
  raw.body = std::move(request.body());
  ClientToken& token = std::get<ClientToken>(shown);
  raw.claims = std::move(token.claims);
  raw.claimsExpireMs = token.expiresMs;
  return std::move(raw);
}

HttpResponse HttpHandler::actor(HttpRequest& request, Route& route, const call::Visit& visit) {
  const Encoding encoding = replyEncoding(request);
  const bool puts = request.method() == http::verb::put;
  if (!puts && request.method() != http::verb::get) {
    return methodNotAllowed(request, "GET, PUT");
  }
  std::optional<call::Payload> input;
  if (puts && !request.body().empty()) input = takeBody(request);
  const auto resolved = router_.resolve(route.actor, puts ? route.existence : call::Existence::Get,
                                        std::move(input), &visit);
  if (const auto* failure = std::get_if<Failure>(&resolved)) {
    return failureResponse(request, *failure);
  }
  return respond(request, std::get<bool>(resolved) ? 201 : 200, encoding,
                 wire::encodeActor(route.actor, encoding));
}

}  // namespace skep::gateway
