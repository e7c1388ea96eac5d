#include "skep/gateway/common_fields.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <string>
#include <string_view>

#include "skep/base/random_id.h"
#include "skep/gateway/text.h"

namespace skep::gateway {
namespace {

namespace http = boost::beast::http;

constexpr std::string_view kRequestId = "X-Request-Id";
constexpr std::size_t kRequestIdMax = 128;
constexpr std::string_view kExposed = "X-Request-Id, Retry-After";
constexpr std::string_view kMethods = "GET, HEAD, POST, PUT, PATCH, DELETE";
constexpr std::string_view kPreflightSeconds = "7200";  // browsers keep it no longer

bool isTokenCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool isGoodId(std::string_view id) {
  return !id.empty() && id.size() <= kRequestIdMax &&
         std::all_of(id.begin(), id.end(), isTokenCharacter);
}

/// RFC 9110 section 5.6.7; made anew once a second.
std::string_view date() {
  thread_local std::time_t madeAt = 0;
  thread_local std::array<char, 32> text{};
  const std::time_t now = std::time(nullptr);
  if (now != madeAt) {
    madeAt = now;
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                  kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                  utc.tm_hour, utc.tm_min, utc.tm_sec);
  }
  return text.data();
}

}  // namespace

call::Headers headersOf(const http::fields& fields) {
  call::Headers headers;
  for (const auto& field : fields) {
    headers.emplace_back(lowerCase(view(field.name_string())), view(field.value()));
  }
  return headers;
}

void nameRequest(HttpRequest& request) {
  if (!isGoodId(view(request[kRequestId]))) request.set(kRequestId, randomId());
}

std::string_view requestIdOf(const HttpRequest& request) {
  return view(request[kRequestId]);
}

std::optional<call::Failure> checkOrigin(const HttpRequest& request, const OriginRules& origins) {
  const std::string_view host = view(request[http::field::host]);
  if (!origins.allowsHost(host)) {
    return call::Failure(call::FailureCode::Forbidden,
                         "this server is not known as " + std::string(host) + ": list https://" +
                             std::string(host) + " among the allowed origins");
  }
  const auto origin = request.find(http::field::origin);
  if (origin == request.end() || origins.allowsOrigin(view(origin->value()), host)) {
    return std::nullopt;
  }
  return call::Failure(call::FailureCode::Forbidden,
                       "pages of " + std::string(view(origin->value())) +
                           " may not talk to this server: list it among the allowed origins");
}

bool isPreflight(const HttpRequest& request) {
  return request.method() == http::verb::options &&
         request.find(http::field::origin) != request.end() &&
         request.find(http::field::access_control_request_method) != request.end();
}

HttpResponse preflightResponse(const HttpRequest& request) {
  HttpResponse response(http::status::no_content, request.version());
  response.set(http::field::access_control_allow_methods, kMethods);
  const auto asked = request.find(http::field::access_control_request_headers);
  if (asked != request.end()) {
    response.set(http::field::access_control_allow_headers, asked->value());
  }
  response.set(http::field::access_control_max_age, kPreflightSeconds);
  response.keep_alive(request.keep_alive());
  return response;
}

void addCommonFields(const HttpRequest& request, const OriginRules& origins,
                     http::fields& response) {
  response.set(http::field::date, date());
  const auto id = request.find(kRequestId);
  if (id != request.end()) response.set(kRequestId, id->value());
  const auto origin = request.find(http::field::origin);
  if (origin == request.end()) return;
  response.insert(http::field::vary, "Origin");
  if (!origins.allowsOrigin(view(origin->value()), view(request[http::field::host]))) return;
  response.set(http::field::access_control_allow_origin, origin->value());
  response.set(http::field::access_control_expose_headers, kExposed);
}

}  // namespace skep::gateway
