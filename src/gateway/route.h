// Route: what a request's path asks for (docs/formats/http.md).
//
//   /actors/{type}/{key…}                    an actor
//   /actors/{type}/{key…}/actions/{name}     one of its actions
//   /actors/{type}/{key…}/queues/{name}       one of its queues
//   /actors/{type}/{key…}/request/{path…}    what its own code answers
//   /actors/{type}/{key…}/connect            a WebSocket to it
//   /admin/actors, /admin/actors/{type}      the actors of all types, or of one
//   /admin/actors/{type}/{key…}              what is known of an actor
//   /admin/wake/{type}/{key…}, /admin/sleep/{type}/{key…}
//   /health, /ready, /metrics
//
// Each part of a key is a segment of its own, percent-encoded. Words of the routes are looked for
// before the segments are decoded: a key part that is such a word is sent with its first letter
// encoded ("%61ctions"), and so keeps apart. Any thread.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "skep/call/address.h"
#include "skep/call/router.h"

namespace skep::gateway {

struct Route {
  enum class Kind : std::uint8_t {
    Health,
    Ready,
    Metrics,
    Actor,
    Action,
    Queue,
    Request,
    Connect,
    AdminList,
    AdminActor,
    AdminWake,
    AdminSleep
  } kind = Kind::Health;
  call::ActorAddress actor;  // of an AdminList its type alone, or nothing
  std::string action;
  std::string queue;
  Duration delay{};                      // ?delay=, of a Queue, in milliseconds
  std::optional<Duration> replyTimeout;  // ?wait=, of a Queue, in milliseconds, or "true"
  std::string path;                      // of a Request: from "/" on, as it came
  std::string query;                     // of a Request, as it came
  call::Existence existence = call::Existence::GetOrCreate;  // ?existence=get|create
  std::string after;                                         // ?after=, of an AdminList
  std::size_t limit = 0;                                     // ?limit=, of an AdminList
};

/// What `target` (path and query, as it stands in the request) asks for. RouteNotFound,
/// InvalidAddress or InvalidRequest otherwise.
call::Outcome<Route> parseRoute(std::string_view target);
/// What a value of `existence` says; InvalidRequest.
call::Outcome<call::Existence> parseExistence(std::string_view text);

}  // namespace skep::gateway
