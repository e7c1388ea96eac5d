// What every request and response has, whatever they are about: a name for the log, the time, and what
// browsers ask before they let a page send a request, or see its response (CORS, as the Fetch
// standard has it). Any thread.

#pragma once

#include <boost/beast/http/fields.hpp>
#include <optional>
#include <string_view>

#include "skep/call/failure.h"
#include "skep/call/message.h"
#include "skep/gateway/http_message.h"
#include "skep/gateway/origin_rules.h"

namespace skep::gateway {

/// The fields of a message; names in lower case.
call::Headers headersOf(const boost::beast::http::fields& fields);

/// Gives the request the field X-Request-Id, unless it came with one that can be used: 1 to 128 of the
/// characters of a token.
void nameRequest(HttpRequest& request);

/// The name that it has since then.
std::string_view requestIdOf(const HttpRequest& request);

/// Forbidden: another site's page sent this, or sent it by a name that is not this server's.
std::optional<call::Failure> checkOrigin(const HttpRequest& request, const OriginRules& origins);

/// Whether a browser asks what a page of an allowed origin may send.
bool isPreflight(const HttpRequest& request);
HttpResponse preflightResponse(const HttpRequest& request);

/// Adds X-Request-Id, Date, and what lets pages of allowed origins read the response.
void addCommonFields(const HttpRequest& request, const OriginRules& origins,
                     boost::beast::http::fields& response);

}  // namespace skep::gateway
