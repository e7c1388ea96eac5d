// HttpHandler: from one HTTP request to its response, by way of the Router.
//
// Bodies are JSON, or CBOR where the request says so (Content-Type for what it sends, Accept for what
// it wants). Called on a fiber of any loop. Suspends.

#pragma once

#include <optional>
#include <variant>

#include "skep/call/router.h"
#include "skep/gateway/http_message.h"
#include "skep/gateway/origin_rules.h"
#include "skep/gateway/route.h"
#include "skep/gateway/server.h"
#include "skep/gateway/static_files.h"

namespace skep::gateway {

class HttpHandler {
 public:
  /// All outlive it.
  HttpHandler(call::Router& router, const ServerOptions& options, const OriginRules& origins,
              const StaticFiles& pages)
      : router_(router), options_(options), origins_(origins), pages_(pages) {}
  /// The response, or what an actor's own code is to answer.
  using Answer = std::variant<HttpResponse, call::HttpRequest>;
  Answer handle(HttpRequest& request);
  /// What could not even be handled. Does not suspend.
  HttpResponse refuse(const HttpRequest& request, const call::Failure& failure) const;

 private:
  Answer answer(HttpRequest& request);
  HttpResponse action(HttpRequest& request, Route& route);
  HttpResponse send(HttpRequest& request, Route& route);
  HttpResponse actor(HttpRequest& request, Route& route);
  static Answer raw(HttpRequest& request, Route& route);
  HttpResponse list(HttpRequest& request, const Route& route);
  /// The file that the path names, if there is one.
  std::optional<HttpResponse> page(const HttpRequest& request) const;
  HttpResponse ready(const HttpRequest& request) const;
  HttpResponse metrics(const HttpRequest& request) const;

  call::Router& router_;
  const ServerOptions& options_;
  const OriginRules& origins_;
  const StaticFiles& pages_;
};

/// A failure as the response to `request`.
HttpResponse failureResponse(const HttpRequest& request, const call::Failure& failure);

}  // namespace skep::gateway
