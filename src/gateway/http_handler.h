// HttpHandler: from one HTTP request to its response, by way of the Router.
//
// In two steps: admit() looks at the head, as soon as that is there, and handle() does what is asked for, once
// all of the request is there.
//
// Bodies are JSON, or CBOR where the request says so (Content-Type for what it sends, Accept for what
// it wants). Called on a fiber of any loop. Suspends.

#pragma once

#include <atomic>
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
        admin_(router) {}

  /// What a request asks for, which it may: its client is known, or the admin, and its method is one of the
  /// route's. Goes with the request.
  struct Admitted {
    Route route;
    ClientToken token;  // of those that are for an actor
  };
  /// Or the response to one that needs no body for it: most often why not.
  using Admission = std::variant<Admitted, HttpResponse>;
  /// Names the request, and looks at its head. Does not suspend.
  Admission admit(HttpRequest& request) const;

  /// The response, or what an actor's own code is to answer.
  using Answer = std::variant<HttpResponse, call::HttpRequest>;
  /// Suspends.
  Answer handle(HttpRequest& request, Admission admission);
  /// From now on the server is not ready for more. Any thread.
  void announceEnd() { isEnding_ = true; }
  /// Of a request that was named. Does not suspend.
  HttpResponse refuse(const HttpRequest& request, const call::Failure& failure) const;

 private:
  Admission look(const HttpRequest& request) const;
  std::optional<call::Failure> identify(const HttpRequest& request, Admitted& admitted) const;
  Answer answer(HttpRequest& request, Admitted& admitted);
  HttpResponse action(HttpRequest& request, Route& route, call::Visit visit);
  HttpResponse send(HttpRequest& request, Route& route, call::Visit visit);
  HttpResponse actor(HttpRequest& request, Route& route, const call::Visit& visit);
  Answer raw(HttpRequest& request, Admitted& admitted);
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
  std::atomic<bool> isEnding_ = false;
};

/// A failure as the response to `request`.
HttpResponse failureResponse(const HttpRequest& request, const call::Failure& failure);
/// Any other response to it; `body` is in that encoding.
HttpResponse respond(const HttpRequest& request, unsigned status, call::Encoding encoding,
                     std::string body);
/// In which encoding its client wants the response.
call::Encoding replyEncoding(const HttpRequest& request);

}  // namespace skep::gateway
