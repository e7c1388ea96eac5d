#include "skep/server/serve_settings.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <thread>
#include <utility>

#include "skep/base/log.h"
#include "skep/server/engine.h"

namespace skep::server {
namespace {

const std::map<std::string, LogLevel> kLogLevels = {{"debug", LogLevel::Debug},
                                                    {"info", LogLevel::Info},
                                                    {"warn", LogLevel::Warn},
                                                    {"error", LogLevel::Error},
                                                    {"off", LogLevel::Off}};

const std::map<std::string, LogFormat> kLogFormats = {{"text", LogFormat::Text},
                                                      {"json", LogFormat::Json}};

double inSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

TimeSettings::TimeSettings() {
  const gateway::ServerOptions usual;
  tls = inSeconds(usual.tlsTimeout);
  head = inSeconds(usual.headTimeout);
  body = inSeconds(usual.bodyTimeout);
  idle = inSeconds(usual.idleTimeout);
  write = inSeconds(usual.writeTimeout);
  vanished = inSeconds(usual.vanishedTimeout);
  connect = inSeconds(usual.webSocket.connectTimeout);
  message = inSeconds(usual.webSocket.messageTimeout);
  ping = inSeconds(usual.webSocket.pingInterval);
  close = inSeconds(usual.webSocket.closeTimeout);
  drain = inSeconds(usual.drainTime);
}

ServeSettings::ServeSettings()
    : threads(std::max(1u, std::thread::hardware_concurrency())),
      cacheBytes(EngineOptions{}.cacheBytes) {
  const gateway::ServerOptions usual;
  headBytesMax = usual.headerBytesMax;
  bodyBytesMax = usual.bodyBytesMax;
  bodiesBytesMax = usual.bodiesBytesMax;
  messageBytesMax = usual.webSocket.messageBytesMax;
  sendBytesMax = usual.webSocket.sendBytesMax;
  receiveBytesMax = usual.webSocket.receiveBytesMax;
  socketCallsMax = usual.webSocket.callsMax;
}

void addSettings(CLI::App& app, ServeSettings& settings) {
  app.set_config("--config", "", "settings in a TOML file: store = \"memory:\"", false);
  app.allow_config_extras(CLI::config_extras_mode::error);
  const auto add = [&](const char* name, auto& value, const char* help, const char* variable) {
    return app.add_option(name, value, help)->envname(variable)->take_last()->capture_default_str();
  };
  const auto addSize = [&](const char* name, auto& value, const char* help, const char* variable) {
    return add(name, value, help, variable)->transform(CLI::AsSizeValue(false));
  };
  const auto addSeconds = [&](const char* name, double& value, const char* help,
                              const char* variable) {
    // Longer than a year is no limit that anybody means.
    add(name, value, help, variable)->check(CLI::Range(0.001, 31'536'000.0));
  };
  const auto addList = [&](const char* name, std::vector<std::string>& values, const char* help,
                           const char* variable) {
    app.add_option(name, values, help)
        ->envname(variable)
        ->delimiter(',')
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->capture_default_str();
  };
  const auto addTimes = [&] {
    TimeSettings& time = settings.seconds;
    addSeconds("--tls-seconds", time.tls, "for TLS to be agreed upon", "SKEP_TLS_SECONDS");
    addSeconds("--head-seconds", time.head, "for the head of a request to come",
               "SKEP_HEAD_SECONDS");
    addSeconds("--body-seconds", time.body, "for the body of a request to come",
               "SKEP_BODY_SECONDS");
    addSeconds("--idle-seconds", time.idle, "between two requests of a connection",
               "SKEP_IDLE_SECONDS");
    addSeconds("--write-seconds", time.write, "for a response to be taken, or a part of a stream",
               "SKEP_WRITE_SECONDS");
    add("--vanished-seconds", time.vanished,
        "a client whose machine gives no sign for so long is gone; 0: never",
        "SKEP_VANISHED_SECONDS")
        ->check(CLI::Range(0.0, 32'767.0));
    addSeconds("--connect-seconds", time.connect, "until a WebSocket's first message",
               "SKEP_CONNECT_SECONDS");
    addSeconds("--message-seconds", time.message, "for a message of a WebSocket to come whole",
               "SKEP_MESSAGE_SECONDS");
    addSeconds("--ping-seconds", time.ping,
               "a WebSocket that is silent so long is asked for a sign", "SKEP_PING_SECONDS");
    addSeconds("--close-seconds", time.close, "for a client to answer a WebSocket's close",
               "SKEP_CLOSE_SECONDS");
    add("--notice-seconds", time.notice,
        "before a shutdown, in which /ready says no and all else goes on", "SKEP_NOTICE_SECONDS")
        ->check(CLI::NonNegativeNumber);
    add("--drain-seconds", time.drain, "time that requests get at shutdown", "SKEP_DRAIN_SECONDS")
        ->check(CLI::NonNegativeNumber);
  };
  add("--store", settings.store, "embedded:DIR, postgres://… or memory:", "SKEP_STORE");
  add("--listen", settings.listen, "HOST:PORT or PORT", "SKEP_LISTEN");
  add("--threads", settings.threads, "event loops that run actors and connections", "SKEP_THREADS")
      ->check(CLI::Range(1, 1024));
  addSize("--cache", settings.cacheBytes, "memory for pages of databases, as 256MB", "SKEP_CACHE");
  addSize("--head-max", settings.headBytesMax, "largest head of a request, as 16kb",
          "SKEP_HEAD_MAX")
      ->check(CLI::Range(1024, 16 * 1024 * 1024));
  addSize("--body-max", settings.bodyBytesMax, "largest request body, as 20MB", "SKEP_BODY_MAX");
  addSize("--bodies-max", settings.bodiesBytesMax,
          "bodies of all requests at once, of one client half of it", "SKEP_BODIES_MAX");
  addSize("--message-max", settings.messageBytesMax, "largest message of a WebSocket, as 1MB",
          "SKEP_MESSAGE_MAX");
  addSize("--send-max", settings.sendBytesMax,
          "what waits to be sent over a WebSocket before its client is too slow", "SKEP_SEND_MAX");
  addSize("--receive-max", settings.receiveBytesMax,
          "messages of a raw WebSocket that wait for its actor", "SKEP_RECEIVE_MAX");
  add("--socket-calls", settings.socketCallsMax, "calls over one WebSocket at once",
      "SKEP_SOCKET_CALLS")
      ->check(CLI::Range(1, 1'000'000));
  addTimes();
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
  add("--log-format", settings.logFormat, "text or json", "SKEP_LOG_FORMAT")
      ->check(CLI::IsMember(kLogFormats));
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

void applyLogSettings(const ServeSettings& settings) {
  setLogLevel(kLogLevels.at(settings.logLevel));
  setLogFormat(kLogFormats.at(settings.logFormat));
}

Duration secondsOf(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count));
}

}  // namespace skep::server
