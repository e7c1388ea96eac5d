// Front: what all connections of a server share, whatever their loop. Outlives them. Any thread.

#pragma once

#include <memory>

#include "skep/call/router.h"
#include "skep/gateway/body_budget.h"
#include "skep/gateway/client_limits.h"
#include "skep/gateway/credentials.h"
#include "skep/gateway/http_handler.h"
#include "skep/gateway/origin_rules.h"
#include "skep/gateway/server.h"
#include "skep/gateway/static_files.h"
#include "skep/gateway/tls.h"

namespace skep::gateway {

struct Front {
  Front(call::Router& toActors, ServerOptions given)
      : options(std::move(given)),
        router(toActors),
        origins(options.allowedOrigins, options.hosts),
        credentials(options.tokens.get(), options.adminToken),
        clients(options.clients),
        handler(router, options, origins, credentials, pages) {}

  const ServerOptions options;
  call::Router& router;
  const OriginRules origins;
  const Credentials credentials;
  ClientLimits clients;
  BodyBudget bodies{options.bodiesBytesMax};
  StaticFiles pages;
  HttpHandler handler;
  std::unique_ptr<TlsContext> tls;  // null: plain text
};

}  // namespace skep::gateway
