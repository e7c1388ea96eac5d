#include "skep/gateway/origin_rules.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "skep/gateway/text.h"

namespace skep::gateway {
namespace {

bool isLoopback(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  return !error && address.is_loopback();
}

}  // namespace

OriginRules::OriginRules(const std::vector<std::string>& allowed, Hosts hosts) : hosts_(hosts) {
  for (const std::string& each : allowed) {
    if (each == "*") {
      allowsAll_ = true;
    } else if (each == "loopback") {
      allowsLoopback_ = true;
    } else {
      allowed_.push_back(parse(each));
    }
  }
}

/// "https://name:port", or what the field Host has: "name:port".
OriginRules::Pattern OriginRules::parse(std::string_view text) {
  const std::string lower = lowerCase(text);
  const std::size_t scheme = lower.find("://");
  const std::size_t hostBegin = scheme == lower.npos ? 0 : scheme + 3;
  const std::size_t bracket = lower.find(']', hostBegin);
  const std::size_t colon = lower.find(':', bracket == lower.npos ? hostBegin : bracket);
  const std::size_t hostEnd = std::min(colon, lower.size());
  return {.scheme = lower.substr(0, hostBegin),
          .host = lower.substr(hostBegin, hostEnd - hostBegin),
          .port = lower.substr(hostEnd)};
}

bool OriginRules::matches(const Pattern& pattern, const Pattern& origin) {
  const bool hostMatches = pattern.host.starts_with("*.")
                               ? origin.host.ends_with(std::string_view(pattern.host).substr(1))
                               : origin.host == pattern.host;
  return hostMatches && pattern.scheme == origin.scheme &&
         (pattern.port == ":*" || pattern.port == origin.port);
}

bool OriginRules::allowsOrigin(std::string_view text, std::string_view host) const {
  if (allowsAll_) return true;
  const Pattern origin = parse(text);
  if (origin.scheme.empty() || origin.host.empty())
    return false;  // "null": of no page that has a name
  if (!host.empty() && origin.host + origin.port == lowerCase(host)) return true;
  if (allowsLoopback_ && isLoopback(origin.host)) return true;
  return std::any_of(allowed_.begin(), allowed_.end(),
                     [&](const Pattern& pattern) { return matches(pattern, origin); });
}

bool OriginRules::allowsHost(std::string_view text) const {
  if (hosts_ == Hosts::Any || allowsAll_ || text.empty()) return true;
  Pattern named = parse(text);
  if (isLoopback(named.host)) return true;
  return std::any_of(allowed_.begin(), allowed_.end(), [&](const Pattern& pattern) {
    return matches({.scheme = named.scheme, .host = pattern.host, .port = ":*"}, named);
  });
}

}  // namespace skep::gateway
