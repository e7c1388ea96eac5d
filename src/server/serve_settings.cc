#include "skep/server/serve_settings.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cstdlib>
#include <map>
#include <thread>
#include <utility>

#include "skep/access/token_check.h"
#include "skep/base/log.h"
#include "skep/server/engine.h"

namespace skep::server {
namespace {

const std::map<std::string, LogLevel> kLogLevels = {{"debug", LogLevel::Debug},
                                                    {"info", LogLevel::Info},
                                                    {"warn", LogLevel::Warn},
                                                    {"error", LogLevel::Error},
                                                    {"off", LogLevel::Off}};

Duration seconds(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count));
}

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
                                               .leeway = seconds(settings.jwtLeewaySeconds)}},
                                    clock));
  return {};
}

}  // namespace

ServeSettings::ServeSettings()
    : threads(std::max(1u, std::thread::hardware_concurrency())),
      cacheBytes(EngineOptions{}.cacheBytes),
      bodyBytesMax(gateway::ServerOptions{}.bodyBytesMax),
      bodiesBytesMax(gateway::ServerOptions{}.bodiesBytesMax),
      messageBytesMax(gateway::WebSocketOptions{}.messageBytesMax) {}

void addSettings(CLI::App& app, ServeSettings& settings) {
  app.set_config("--config", "", "settings in a TOML file: store = \"memory:\"", false);
  app.allow_config_extras(CLI::config_extras_mode::error);
  const auto add = [&](const char* name, auto& value, const char* help, const char* variable) {
    return app.add_option(name, value, help)->envname(variable)->take_last()->capture_default_str();
  };
  const auto addSize = [&](const char* name, auto& value, const char* help, const char* variable) {
    return add(name, value, help, variable)->transform(CLI::AsSizeValue(false));
  };
  const auto addList = [&](const char* name, std::vector<std::string>& values, const char* help,
                           const char* variable) {
    app.add_option(name, values, help)
        ->envname(variable)
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->capture_default_str();
  };
  add("--store", settings.store, "embedded:DIR, postgres://… or memory:", "SKEP_STORE");
  add("--listen", settings.listen, "HOST:PORT or PORT", "SKEP_LISTEN");
  add("--threads", settings.threads, "event loops that run actors and connections", "SKEP_THREADS")
      ->check(CLI::Range(1, 1024));
  addSize("--cache", settings.cacheBytes, "memory for pages of databases, as 256MB", "SKEP_CACHE");
  addSize("--body-max", settings.bodyBytesMax, "largest request body, as 20MB", "SKEP_BODY_MAX");
  addSize("--bodies-max", settings.bodiesBytesMax,
          "bodies of all requests at once, of one client half of it", "SKEP_BODIES_MAX");
  addSize("--message-max", settings.messageBytesMax, "largest message of a WebSocket, as 1MB",
          "SKEP_MESSAGE_MAX");
  add("--ping-seconds", settings.pingSeconds,
      "a WebSocket that is silent so long is asked for a sign", "SKEP_PING_SECONDS")
      ->check(CLI::PositiveNumber);
  add("--drain-seconds", settings.drainSeconds, "time that requests get at shutdown",
      "SKEP_DRAIN_SECONDS")
      ->check(CLI::NonNegativeNumber);
  addList("--allowed-origins", settings.allowedOrigins,
          "whose pages may talk to this server: https://example.org, https://*.example.org, "
          "loopback, *",
          "SKEP_ALLOWED_ORIGINS");
  add("--jwt-secret-file", settings.jwtKeys.secret,
      "file with the secret of clients' tokens (HS256): clients must show one",
      "SKEP_JWT_SECRET_FILE");
  add("--jwt-key-file", settings.jwtKeys.pem, "PEM file with public keys of clients' tokens",
      "SKEP_JWT_KEY_FILE");
  add("--jwt-jwks-file", settings.jwtKeys.keySet, "JWK Set with keys of clients' tokens",
      "SKEP_JWT_JWKS_FILE");
  add("--jwt-issuer", settings.jwtIssuer, "who must have issued clients' tokens",
      "SKEP_JWT_ISSUER");
  addList("--jwt-audience", settings.jwtAudiences, "for whom clients' tokens must be",
          "SKEP_JWT_AUDIENCE");
  add("--jwt-leeway-seconds", settings.jwtLeewaySeconds, "by which clocks may differ",
      "SKEP_JWT_LEEWAY_SECONDS")
      ->check(CLI::Range(0.0, 3600.0));
  add("--admin-token-file", settings.adminTokenFile,
      "file with the token that /admin asks for; or $SKEP_ADMIN_TOKEN has it",
      "SKEP_ADMIN_TOKEN_FILE");
  add("--tls-certificate", settings.tlsCertificate, "PEM file: the certificate and its chain",
      "SKEP_TLS_CERTIFICATE");
  add("--tls-key", settings.tlsKey, "PEM file: the certificate's key", "SKEP_TLS_KEY");
  add("--pages", settings.pages, "directory whose files are handed out at /", "SKEP_PAGES");
  add("--client-connections", settings.clients.connectionsMax, "open connections of one client",
      "SKEP_CLIENT_CONNECTIONS")
      ->check(CLI::PositiveNumber);
  add("--client-requests", settings.clients.underWayMax, "requests and calls of one client at once",
      "SKEP_CLIENT_REQUESTS")
      ->check(CLI::PositiveNumber);
  add("--client-rate", settings.clients.perSecondMax,
      "requests and calls of one client in a second; 0: any number", "SKEP_CLIENT_RATE")
      ->check(CLI::NonNegativeNumber);
  addList("--trusted-proxies", settings.clients.trustedProxies,
          "addresses or networks whose X-Forwarded-For counts", "SKEP_TRUSTED_PROXIES");
  add("--advertise", settings.advertise,
      "HOST:PORT where other nodes reach this one: makes it a node of a cluster", "SKEP_ADVERTISE");
  add("--cluster-listen", settings.clusterListen,
      "HOST:PORT to listen on for other nodes; as advertised, if not given", "SKEP_CLUSTER_LISTEN");
  add("--cluster-secret-file", settings.clusterSecretFile,
      "file with the secret that all nodes of the cluster share", "SKEP_CLUSTER_SECRET_FILE");
  add("--node-name", settings.nodeName,
      "unique among nodes, and the same after a restart; as advertised, if not given",
      "SKEP_NODE_NAME");
  add("--zone", settings.zone, "label of where the node is", "SKEP_ZONE");
  add("--log-level", settings.logLevel, "debug, info, warn, error or off", "SKEP_LOG_LEVEL")
      ->check(CLI::IsMember(kLogLevels));
  app.add_flag("--insecure", settings.isInsecure,
               "let other machines in without asking who they are")
      ->envname("SKEP_INSECURE")
      ->take_last();
}

std::vector<std::string> gatherArguments(const CLI::App& app,
                                         const std::vector<std::string>& commandLine) {
  std::vector<std::string> arguments;
  for (const CLI::Option* option : app.get_options()) {
    const std::string& variable = option->get_envname();
    const char* value = variable.empty() ? nullptr : std::getenv(variable.c_str());
    const auto isIt = [&](std::string_view argument) {
      return argument == option->get_name() || argument.starts_with(option->get_name() + "=");
    };
    const bool isGiven = std::any_of(commandLine.begin(), commandLine.end(), isIt);
    if (value != nullptr && !isGiven) arguments.push_back(option->get_name() + "=" + value);
  }
  arguments.insert(arguments.end(), commandLine.begin(), commandLine.end());
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  return arguments;
}

Result<ServeSettings> readSettings(const std::vector<std::string>& commandLine,
                                   ServeSettings otherwise) {
  CLI::App app;
  addSettings(app, otherwise);
  try {
    app.parse(gatherArguments(app, commandLine));
  } catch (const CLI::Error& error) {
    return Error{ErrorCode::InvalidArgument, error.what()};
  }
  return otherwise;
}

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
  options.drainTime = seconds(settings.drainSeconds);
  options.webSocket.messageBytesMax = settings.messageBytesMax;
  options.webSocket.pingInterval = seconds(settings.pingSeconds);
  return options;
}

std::string urlOf(const gateway::ServerOptions& options, std::uint16_t port) {
  const bool isV6 = options.address.find(':') != std::string::npos;
  const std::string host = isV6 ? "[" + options.address + "]" : options.address;
  return (options.tls ? "https://" : "http://") + host + ":" + std::to_string(port);
}

void applyLogLevel(const ServeSettings& settings) {
  setLogLevel(kLogLevels.at(settings.logLevel));
}

}  // namespace skep::server
