// The settings of serve(): where each comes from, and what they mean to the gateway.
//
// docs/configuration.md has the table of all; a test holds the two against each other.

#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "skep/access/key_files.h"
#include "skep/access/shared_secret.h"
#include "skep/base/clock.h"
#include "skep/base/result.h"
#include "skep/gateway/server.h"

namespace skep::server {

/// Times in seconds: how long clients may take, and what happens at the end.
struct TimeSettings {
  TimeSettings();

  double tls;  // for TLS to be agreed upon
  double head;
  double body;
  double idle;  // between two requests
  double write;
  double vanished;  // without a sign of the client's machine; 0: any
  double connect;   // until a WebSocket says to whom; as the rest for WebSockets
  double message;   // for one to come whole
  double ping;
  double close;
  double notice = 0;  // in which /ready says that the server is about to end
  double drain;
};

struct ServeSettings {
  ServeSettings();

  std::string store = "embedded:./data";
  std::string listen = "127.0.0.1:6420";
  std::size_t threads;  // as many as processors
  std::size_t cacheBytes;
  std::size_t headBytesMax;
  std::size_t bodyBytesMax;
  std::size_t bodiesBytesMax;
  TimeSettings seconds = {};
  std::string logLevel = "info";
  std::string logFormat = "text";
  bool isInsecure = false;
  access::KeyFilePaths jwtKeys;
  std::string jwtIssuer;
  std::vector<std::string> jwtAudiences;
  double jwtLeewaySeconds = 30;
  std::string adminTokenFile;
  std::string tlsCertificate;
  std::string tlsKey;
  std::vector<std::string> allowedOrigins = {"loopback"};
  std::string pages;
  gateway::ClientLimitOptions clients = {};
  std::size_t messageBytesMax;
  std::size_t sendBytesMax;
  std::size_t receiveBytesMax;
  std::size_t socketCallsMax;
  std::string advertise;  // empty: this server is no node of a cluster
  std::string clusterListen;
  std::string clusterSecretFile;
  std::string nodeName;
  std::string zone;
};

Duration secondsOf(double count);

/// Adds --store and all others to the application; `settings` outlives it.
void addSettings(CLI::App& app, ServeSettings& settings);

/// The command line, and what the environment says of settings that are not there: both count more than
/// a file's. In the order that CLI::App::parse() takes them. (CLI11 itself would let the file win over
/// the environment.)
std::vector<std::string> gatherArguments(const CLI::App& app,
                                         const std::vector<std::string>& commandLine);

/// Settings that a command line ("--listen=0"), the environment and the file of --config say, in this order; the rest
/// is as in `otherwise`. InvalidArgument: what is wrong, for people.
Result<ServeSettings> readSettings(const std::vector<std::string>& commandLine,
                                   ServeSettings otherwise = {});

/// InvalidArgument: settings that do not fit together, files that cannot be used, or settings that would let in
/// whom nobody asks who they are. The clock outlives the options.
Result<gateway::ServerOptions> gatewayOptions(const ServeSettings& settings, Clock& clock);

/// The admin token: of a file (empty: none is given), else what SKEP_ADMIN_TOKEN in the environment says (null:
/// nothing). A command line would show it to everybody on the machine, so there is no flag for it.
Result<std::optional<access::SharedSecret>> adminToken(const std::string& file,
                                                       const char* environmentVariable);

/// Where a server that listens is reached: "http://127.0.0.1:6420".
std::string urlOf(const gateway::ServerOptions& options, std::uint16_t port);

/// Of good settings.
void applyLogSettings(const ServeSettings& settings);

}  // namespace skep::server
