// HttpHandler: from one HTTP request to its response, by way of the Router.
//
// Bodies are JSON, or CBOR where the request says so (Content-Type for what it sends, Accept for what
// it wants). Called on a fiber of any loop. Suspends.

#pragma once

#include <optional>
#include <variant>

#include "skep/call/router.h"
#include "skep/gateway/admin_handler.h"
#include "skep/gateway/credentials.h"
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
              const Credentials& credentials, const StaticFiles& pages)
      : router_(router),
        options_(options),
        origins_(origins),
        credentials_(credentials),
        pages_(pages),
        admin_(router, credentials) {}
  /// The response, or what an actor's own code is to answer.
  using Answer = std::variant<HttpResponse, call::HttpRequest>;
  Answer handle(HttpRequest& request);
  /// What can be told of a request before its body is there. Does not suspend.
  std::optional<call::Failure> checkHead(const HttpRequest& request) const;
  /// What could not even be handled. Does not suspend.
  HttpResponse refuse(const HttpRequest& request, const call::Failure& failure) const;

 private:
  Answer answer(HttpRequest& request);
  /// What is meant for an actor: who asks is known from here on, and passes the actor's gate.
  HttpResponse visit(HttpRequest& request, Route& route);
  HttpResponse action(HttpRequest& request, Route& route, call::Visit visit);
  HttpResponse send(HttpRequest& request, Route& route, call::Visit visit);
  HttpResponse actor(HttpRequest& request, Route& route, const call::Visit& visit);
  Answer raw(HttpRequest& request, Route& route);
  HttpResponse upgradeRequired(const HttpRequest& request) const;
  /// The file that the path names, if there is one.
  std::optional<HttpResponse> page(const HttpRequest& request) const;
  HttpResponse ready(const HttpRequest& request) const;
  HttpResponse metrics(const HttpRequest& request) const;

  call::Router& router_;
  const ServerOptions& options_;
  const OriginRules& origins_;
  const Credentials& credentials_;
  const StaticFiles& pages_;
  AdminHandler admin_;
};

/// A failure as the response to `request`.
HttpResponse failureResponse(const HttpRequest& request, const call::Failure& failure);
/// Any other response to it; `body` is in that encoding.
HttpResponse respond(const HttpRequest& request, unsigned status, call::Encoding encoding,
                     std::string body);
HttpResponse methodNotAllowed(const HttpRequest& request, std::string_view allowed);
/// In which encoding its client wants the response.
call::Encoding replyEncoding(const HttpRequest& request);

}  // namespace skep::gateway
