// HttpHandler: from one HTTP request to its response, by way of the Router.
//
// Bodies are JSON, or CBOR where the request says so (Content-Type for what it sends, Accept for what
// it wants). Called on a fiber of any loop. Suspends.

#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "skep/call/router.h"
#include "skep/gateway/route.h"

namespace skep::gateway {

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;
using HttpResponse = boost::beast::http::response<boost::beast::http::string_body>;

class HttpHandler {
 public:
  explicit HttpHandler(call::Router& router) : router_(router) {}
  HttpResponse handle(HttpRequest& request);

 private:
  HttpResponse action(HttpRequest& request, Route& route);
  HttpResponse actor(HttpRequest& request, Route& route);
  HttpResponse list(HttpRequest& request, const Route& route);

  call::Router& router_;
};

/// A failure as the response to `request`.
HttpResponse failureResponse(const HttpRequest& request, const call::Failure& failure);

}  // namespace skep::gateway
