// HttpHandler: from one HTTP request to its response, by way of the Router.
//
// Bodies are JSON, or CBOR where the request says so (Content-Type for what it sends, Accept for what
// it wants). Called on a fiber of any loop. Suspends.

#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "skep/call/router.h"
#include "skep/gateway/route.h"
#include "skep/gateway/server.h"

namespace skep::gateway {

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;
using HttpResponse = boost::beast::http::response<boost::beast::http::string_body>;

class HttpHandler {
 public:
  /// Both outlive it.
  HttpHandler(call::Router& router, const ServerOptions& options)
      : router_(router), options_(options) {}
  HttpResponse handle(HttpRequest& request);

 private:
  HttpResponse action(HttpRequest& request, Route& route);
  HttpResponse actor(HttpRequest& request, Route& route);
  HttpResponse list(HttpRequest& request, const Route& route);
  HttpResponse ready(const HttpRequest& request) const;
  HttpResponse metrics(const HttpRequest& request) const;

  call::Router& router_;
  const ServerOptions& options_;
};

/// A failure as the response to `request`.
HttpResponse failureResponse(const HttpRequest& request, const call::Failure& failure);

}  // namespace skep::gateway
