// Paths and queries of requests: any bytes. What is taken out of one is an address that can be, and the
// path of a raw request is the end of what came.

#include <cstdint>
#include <string_view>
#include <variant>

#include "skep/base/check.h"
#include "skep/gateway/route.h"

namespace skep::gateway {
namespace {

void checkRaw(const Route& route, std::string_view target) {
  SKEP_CHECK(route.path.starts_with('/'));
  if (!route.query.empty()) SKEP_CHECK(target.find(route.query) != target.npos);
  if (route.path == "/") return;
  const std::string_view path = target.substr(0, target.find_first_of("?#"));
  SKEP_CHECK(path.ends_with(route.path));
}

void parse(std::string_view target) {
  const auto parsed = parseRoute(target);
  if (const auto* failure = std::get_if<call::Failure>(&parsed)) {
    SKEP_CHECK(!failure->message.empty() && failure->httpStatus >= 400);
    return;
  }
  const auto& route = std::get<Route>(parsed);
  SKEP_CHECK(route.limit > 0 && route.delay >= Duration{});
  if (route.kind == Route::Kind::Request) checkRaw(route, target);
  if (route.actor.key.empty()) return;
  const auto again = call::ActorAddress::ofDatabase(route.actor.databaseName());
  SKEP_CHECK(again && *again == route.actor);
}

}  // namespace
}  // namespace skep::gateway

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  skep::gateway::parse({reinterpret_cast<const char*>(data), size});
  return 0;
}
