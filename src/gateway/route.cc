#include "skep/gateway/route.h"

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <utility>
#include <vector>

namespace skep::gateway {
namespace {

using call::Failure;
using call::FailureCode;

constexpr std::size_t kListLimitDefault = 100;
constexpr std::size_t kListLimitMax = 1000;
constexpr std::chrono::milliseconds kDelayMax = std::chrono::hours(24) * 3'660;
constexpr std::chrono::milliseconds kReplyTimeout = std::chrono::minutes(1);
constexpr std::chrono::milliseconds kReplyTimeoutMax = std::chrono::hours(1);

Failure notFound(std::string_view path) {
  return {FailureCode::RouteNotFound, "there is nothing at " + std::string(path)};
}

/// A whole number from 0 to `max`.
std::optional<std::uint64_t> numberUpTo(std::uint64_t max, std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > max) return std::nullopt;
  return number;
}

std::optional<Failure> parseDuration(std::string_view name, std::string_view text,
                                     std::chrono::milliseconds longest, Duration& duration) {
  const auto ms = numberUpTo(static_cast<std::uint64_t>(longest.count()), text);
  if (!ms) {
    return Failure(FailureCode::InvalidRequest, std::string(name) +
                                                    " is a number of milliseconds from 0 to " +
                                                    std::to_string(longest.count()));
  }
  duration = std::chrono::milliseconds(*ms);
  return std::nullopt;
}

std::optional<Failure> parseQuery(boost::urls::url_view url, Route& route) {
  for (const auto& parameter : url.params()) {
    const std::string& value = parameter.value;
    if (parameter.key == "existence") {
      const auto existence = parseExistence(value);
      if (const auto* failure = std::get_if<Failure>(&existence)) return *failure;
      route.existence = std::get<call::Existence>(existence);
    } else if (parameter.key == "after") {
      route.after = value;
    } else if (parameter.key == "limit") {
      const auto limit = numberUpTo(kListLimitMax, value);
      if (!limit || *limit == 0) {
        return Failure(FailureCode::InvalidRequest,
                       "limit is a number from 1 to " + std::to_string(kListLimitMax));
      }
      route.limit = *limit;
    } else if (parameter.key == "delay") {
      if (auto wrong = parseDuration("delay", value, kDelayMax, route.delay)) return wrong;
    } else if (parameter.key == "wait") {
      route.replyTimeout = kReplyTimeout;
      if (value == "true") continue;
      if (auto wrong = parseDuration("wait", value, kReplyTimeoutMax, *route.replyTimeout)) {
        return wrong;
      }
    }
  }
  return std::nullopt;
}

std::optional<Failure> setActor(std::string type, std::vector<std::string> key, Route& route) {
  auto address = call::ActorAddress::make(std::move(type), std::move(key));
  if (!address) return Failure(FailureCode::InvalidAddress, address.error().message);
  route.actor = *std::move(address);
  return std::nullopt;
}

/// `word`: what stands behind /admin/; `segments`: all of the path, decoded.
std::optional<Failure> parseAdmin(std::string_view word, std::vector<std::string> segments,
                                  Route& route) {
  if (word == "actors" && segments.size() <= 3) {
    route.kind = Route::Kind::AdminList;
    if (segments.size() == 2) return std::nullopt;
    if (auto failed = setActor(std::move(segments[2]), {"any"}, route)) return failed;
    route.actor.key.clear();
    return std::nullopt;
  }
  if (word == "actors") {
    route.kind = Route::Kind::AdminActor;
  } else if (word == "wake") {
    route.kind = Route::Kind::AdminWake;
  } else if (word == "sleep") {
    route.kind = Route::Kind::AdminSleep;
  } else {
    return notFound("/admin/" + std::string(word));
  }
  if (segments.size() < 4) return notFound("/admin/" + std::string(word) + " without an actor");
  return setActor(std::move(segments[2]), {segments.begin() + 3, segments.end()}, route);
}

/// What a route's word says that follows the key.
std::optional<Route::Kind> kindOf(std::string_view word) {
  if (word == "actions") return Route::Kind::Action;
  if (word == "queues") return Route::Kind::Queue;
  if (word == "request") return Route::Kind::Request;
  return std::nullopt;
}

/// What stands in the path behind its segment `word`.
std::string pathBehind(std::string_view path, std::string_view word) {
  path.remove_prefix(static_cast<std::size_t>(word.data() + word.size() - path.data()));
  return path.empty() ? "/" : std::string(path);
}

}  // namespace

call::Outcome<call::Existence> parseExistence(std::string_view text) {
  if (text == "getOrCreate") return call::Existence::GetOrCreate;
  if (text == "get") return call::Existence::Get;
  if (text == "create") return call::Existence::Create;
  return Failure(FailureCode::InvalidRequest,
                 "existence is getOrCreate, get or create, not '" + std::string(text) + "'");
}

call::Outcome<Route> parseRoute(std::string_view target) {
  const auto parsed = boost::urls::parse_origin_form(target);
  if (!parsed) return Failure(FailureCode::InvalidRequest, "the request's path is malformed");
  const boost::urls::url_view url = *parsed;
  std::vector<std::string_view> raw;  // still encoded
  for (const auto& segment : url.encoded_segments()) raw.emplace_back(segment);
  Route route;
  route.limit = kListLimitDefault;
  if (raw.size() == 1 && raw[0] == "health") return route;
  if (raw.size() == 1 && raw[0] == "ready") {
    route.kind = Route::Kind::Ready;
    return route;
  }
  if (raw.size() == 1 && raw[0] == "metrics") {
    route.kind = Route::Kind::Metrics;
    return route;
  }
  std::vector<std::string> segments;
  for (const auto& segment : url.segments()) segments.push_back(segment);
  if (raw.size() >= 2 && raw[0] == "admin") {
    if (auto failed = parseQuery(url, route)) return *std::move(failed);
    if (auto failed = parseAdmin(raw[1], std::move(segments), route)) return *std::move(failed);
    return route;
  }
  if (raw.size() < 3 || raw[0] != "actors") return notFound(url.encoded_path());
  std::size_t keyEnd = raw.size();
  route.kind = Route::Kind::Actor;
  for (std::size_t i = 2; i < keyEnd; ++i) {
    const auto kind = kindOf(raw[i]);
    if (!kind) continue;
    route.kind = *kind;
    keyEnd = i;
  }
  if (route.kind == Route::Kind::Request) {
    // The query is the actor's own.
    route.path = pathBehind(url.encoded_path(), raw[keyEnd]);
    route.query = std::string(url.encoded_query());
  } else if (auto failed = parseQuery(url, route)) {
    return *failed;
  }
  if (route.kind == Route::Kind::Action || route.kind == Route::Kind::Queue) {
    if (keyEnd + 2 != raw.size()) return notFound(url.encoded_path());
    (route.kind == Route::Kind::Action ? route.action : route.queue) = segments[keyEnd + 1];
  }
  if (route.kind == Route::Kind::Actor && raw.size() > 3 && raw.back() == "connect") {
    route.kind = Route::Kind::Connect;
    --keyEnd;
  }
  if (auto failed =
          setActor(std::move(segments[1]),
                   {segments.begin() + 2, segments.begin() + static_cast<long>(keyEnd)}, route)) {
    return *std::move(failed);
  }
  return route;
}

}  // namespace skep::gateway
