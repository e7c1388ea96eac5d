// AdminHandler: what whoever runs the server may ask of it: /admin/… (docs/formats/http.md).
//
// All of it needs the admin token, also on loopback. Called on a fiber of any loop. Suspends.

#pragma once

#include "skep/call/router.h"
#include "skep/gateway/http_message.h"
#include "skep/gateway/route.h"

namespace skep::gateway {

class AdminHandler {
 public:
  /// `router` outlives it.
  explicit AdminHandler(call::Router& router) : router_(router) {}
  /// Of a client that showed the admin token.
  HttpResponse handle(const HttpRequest& request, const Route& route);

 private:
  HttpResponse list(const HttpRequest& request, const Route& route);
  HttpResponse info(const HttpRequest& request, const Route& route);
  HttpResponse actor(const HttpRequest& request, const Route& route);
  HttpResponse wake(const HttpRequest& request, const Route& route);
  HttpResponse sleep(const HttpRequest& request, const Route& route);

  call::Router& router_;
};

}  // namespace skep::gateway
