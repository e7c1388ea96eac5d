// What reaches an actor's own code of a request that asks for it, over HTTP or to open a WebSocket. Any thread.

#pragma once

#include "skep/call/http.h"
#include "skep/gateway/http_message.h"
#include "skep/gateway/route.h"

namespace skep::gateway {

/// All but the body. `route` is that of the request, a Request; its parts are moved from. InvalidRequest: the
/// field X-Skep-Existence, which stands for what other routes have in their query.
call::Outcome<call::HttpRequest> rawRequest(const HttpRequest& request, Route& route);

}  // namespace skep::gateway
