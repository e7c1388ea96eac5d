// OriginRules: which web pages may talk to this server.
//
// Browsers let any page send requests anywhere, to a server on the user's own machine too, and say in
// `Origin` whose page it is (RFC 6454). So a request with an Origin must come from this server's own
// pages, or from a listed origin; what comes without one is no browser's, or a page's own. A page can
// also give its own name the address of this machine: a server that only this machine reaches
// therefore answers only to names of this machine, and of listed origins. Any thread.
//
//   "https://app.example.org"     that origin
//   "https://*.example.org"       those below that name
//   "http://localhost:*"          whatever the port
//   "loopback"                    pages from this machine: localhost, 127.0.0.0/8, [::1]
//   "*"                           all

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace skep::gateway {

class OriginRules {
 public:
  enum class Hosts { Any, OfThisMachine };

  OriginRules(const std::vector<std::string>& allowed, Hosts hosts);

  /// Whether pages of `origin` may talk to a server that they reach as `host` (the field Host).
  bool allowsOrigin(std::string_view origin, std::string_view host) const;
  /// Whether this server is known by that name (the field Host; empty: an old client, or none).
  bool allowsHost(std::string_view host) const;

 private:
  struct Pattern {
    std::string scheme;  // "https://"; empty: any
    std::string host;    // "*.example.org": ends with what is behind the star
    std::string port;    // ":8080", ":*" or nothing
  };
  static Pattern parse(std::string_view text);
  static bool matches(const Pattern& pattern, const Pattern& origin);

  std::vector<Pattern> allowed_;
  bool allowsAll_ = false;
  bool allowsLoopback_ = false;
  Hosts hosts_;
};

}  // namespace skep::gateway
