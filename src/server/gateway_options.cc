// What the settings mean to the gateway.

#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "skep/access/token_check.h"
#include "skep/server/serve_settings.h"

namespace skep::server {
namespace {

/// "127.0.0.1:6420", "[::1]:6420", or a port alone.
Status parseListen(const std::string& text, gateway::ServerOptions& options) {
  const std::size_t colon = text.rfind(':');
  std::string port = text;
  if (colon != text.npos) {
    options.address = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (options.address.starts_with('[') && options.address.ends_with(']')) {
      options.address = options.address.substr(1, options.address.size() - 2);
    }
  }
  int number = -1;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error != std::errc() || end != port.data() + port.size() || number < 0 || number > 65535) {
    return Error{ErrorCode::InvalidArgument,
                 "'" + text + "' is no address to listen on: write HOST:PORT or PORT"};
  }
  options.port = static_cast<std::uint16_t>(number);
  return {};
}

/// Whoever reaches the port may call every actor: other machines only with a token, or when that is said.
Status checkExposure(const boost::asio::ip::address& address, const ServeSettings& settings) {
  if (address.is_loopback() || settings.isInsecure || !settings.jwtKeys.isEmpty()) return {};
  return Error{
      ErrorCode::InvalidArgument,
      "listening on " + address.to_string() +
          " lets other machines in, and nothing asks who they are: give --jwt-secret-file, "
          "--jwt-key-file or --jwt-jwks-file, or say --insecure if that is meant"};
}

Status addAccess(const ServeSettings& settings, Clock& clock, gateway::ServerOptions& options) {
  SKEP_TRY(options.adminToken,
           adminToken(settings.adminTokenFile, std::getenv("SKEP_ADMIN_TOKEN")));
  if (settings.jwtKeys.isEmpty()) {
    if (settings.jwtIssuer.empty() && settings.jwtAudiences.empty()) return {};
    return Error{ErrorCode::InvalidArgument,
                 "--jwt-issuer and --jwt-audience need keys: --jwt-secret-file, --jwt-key-file or "
                 "--jwt-jwks-file"};
  }
  SKEP_TRY(options.tokens,
           access::TokenCheck::open({.keys = settings.jwtKeys,
                                     .rules = {.issuer = settings.jwtIssuer,
                                               .audiences = settings.jwtAudiences,
                                               .leeway = secondsOf(settings.jwtLeewaySeconds)}},
                                    clock));
  return {};
}

void addTimes(const TimeSettings& time, gateway::ServerOptions& options) {
  options.tlsTimeout = secondsOf(time.tls);
  options.headTimeout = secondsOf(time.head);
  options.bodyTimeout = secondsOf(time.body);
  options.idleTimeout = secondsOf(time.idle);
  options.writeTimeout = secondsOf(time.write);
  options.vanishedTimeout = secondsOf(time.vanished);
  options.drainTime = secondsOf(time.drain);
  options.webSocket.connectTimeout = secondsOf(time.connect);
  options.webSocket.messageTimeout = secondsOf(time.message);
  options.webSocket.pingInterval = secondsOf(time.ping);
  options.webSocket.closeTimeout = secondsOf(time.close);
}

}  // namespace

Result<std::optional<access::SharedSecret>> adminToken(const std::string& file,
                                                       const char* environmentVariable) {
  std::optional<access::SharedSecret> token;
  if (!file.empty()) {
    SKEP_TRY(token, access::SharedSecret::read(file));
  } else if (environmentVariable != nullptr && *environmentVariable != '\0') {
    auto made = access::SharedSecret::make(environmentVariable);
    if (!made) {
      return Error{ErrorCode::InvalidArgument,
                   "SKEP_ADMIN_TOKEN cannot be used: " + made.error().message};
    }
    token = *std::move(made);
  }
  return token;
}

Result<gateway::ServerOptions> gatewayOptions(const ServeSettings& settings, Clock& clock) {
  gateway::ServerOptions options;
  SKEP_CHECK_OK(parseListen(settings.listen, options));
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(options.address, error);
  if (error) {
    return Error{ErrorCode::InvalidArgument, "'" + options.address + "' is no IP address"};
  }
  SKEP_CHECK_OK(checkExposure(address, settings));
  SKEP_CHECK_OK(addAccess(settings, clock, options));
  if (address.is_loopback()) options.hosts = gateway::OriginRules::Hosts::OfThisMachine;
  if (settings.tlsCertificate.empty() != settings.tlsKey.empty()) {
    return Error{ErrorCode::InvalidArgument, "--tls-certificate and --tls-key go together"};
  }
  if (!settings.tlsKey.empty()) {
    options.tls = gateway::TlsFiles{settings.tlsCertificate, settings.tlsKey};
  }
  SKEP_CHECK_OK(gateway::ClientLimits::checkProxies(settings.clients.trustedProxies));
  options.clients = settings.clients;
  options.allowedOrigins = settings.allowedOrigins;
  options.pages = settings.pages;
  options.bodyBytesMax = settings.bodyBytesMax;
  options.bodiesBytesMax = settings.bodiesBytesMax;
  options.headerBytesMax = settings.headBytesMax;
  addTimes(settings.seconds, options);
  options.webSocket.messageBytesMax = settings.messageBytesMax;
  options.webSocket.sendBytesMax = settings.sendBytesMax;
  options.webSocket.receiveBytesMax = settings.receiveBytesMax;
  options.webSocket.callsMax = settings.socketCallsMax;
  return options;
}

std::string urlOf(const gateway::ServerOptions& options, std::uint16_t port) {
  const bool isV6 = options.address.find(':') != std::string::npos;
  const std::string host = isV6 ? "[" + options.address + "]" : options.address;
  return (options.tls ? "https://" : "http://") + host + ":" + std::to_string(port);
}

}  // namespace skep::server
