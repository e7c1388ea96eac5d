// Server: listens for HTTP and WebSockets and serves a Router.
//
// The first loop accepts connections and deals them out to all; each stays with its loop. Idle ones
// cost no fiber: a request gets one when it has arrived whole. Threading: belongs to its first loop,
// but for stats(). Lifetime: loops and router outlive it; close() it before it goes away.
//
//   gateway::Server server(loop, router, {.port = 6420});
//   SKEP_CHECK_OK(server.listen());
//   …
//   server.close();

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "skep/access/shared_secret.h"
#include "skep/access/token_check.h"
#include "skep/base/clock.h"
#include "skep/base/result.h"
#include "skep/call/router.h"
#include "skep/fiber/loop.h"
#include "skep/gateway/client_limits.h"
#include "skep/gateway/origin_rules.h"
#include "skep/gateway/tls.h"

namespace skep::gateway {

struct WebSocketOptions {
  Duration connectTimeout = std::chrono::seconds(10);  // until the connect message has come
  Duration pingInterval = std::chrono::seconds(30);    // a silent client is given up after two more
  Duration closeTimeout = std::chrono::seconds(5);     // for the client's answer to a close
  std::size_t messageBytesMax = 1024 * 1024;           // of a message that a client sends
  std::size_t sendBytesMax = 4 * 1024 * 1024;          // may wait to be written when more comes
  std::size_t callsMax = 100;  // under way; no more messages are read meanwhile
  // Of a raw WebSocket's messages, that the actor's code has not taken; no more are read meanwhile.
  std::size_t receiveBytesMax = 256 * 1024;
};

struct ServerOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 6420;  // 0: any that is free
  std::size_t headerBytesMax = 16 * 1024;
  std::size_t bodyBytesMax = 20 * 1024 * 1024;
  std::size_t bodiesBytesMax =
      512 * 1024 * 1024;  // of all requests; one client may have half of it
  Duration readTimeout = std::chrono::seconds(30);   // for a whole request, from its first byte
  Duration idleTimeout = std::chrono::seconds(75);   // between two requests
  Duration writeTimeout = std::chrono::seconds(30);  // for a whole response
  Duration drainTime = std::chrono::seconds(10);     // that close() gives requests under way
  WebSocketOptions webSocket = {};
  ClientLimitOptions clients = {};
  std::optional<TlsFiles> tls;  // plain text without
  /// Whose pages may send requests and connect, besides this server's own; see OriginRules.
  std::vector<std::string> allowedOrigins = {};
  OriginRules::Hosts hosts = OriginRules::Hosts::Any;
  /// Clients must show a token that this takes; null: nobody asks who they are. Shared: options are copied.
  std::shared_ptr<access::TokenCheck> tokens;
  std::optional<access::SharedSecret> adminToken;  // absent: nobody may administer
  std::string pages;  // a directory whose files are handed out at /, or nothing

  /// What /metrics answers, in Prometheus' text format. Called on a fiber of any loop.
  std::function<std::string()> metrics;
  /// Why /ready says no. Called on a fiber of any loop; may suspend.
  std::function<std::optional<call::Failure>()> notReady;
};

struct ServerStats {
  std::size_t connections = 0;  // HTTP
  std::size_t webSockets = 0;
  std::uint64_t requests = 0;
  std::uint64_t messages = 0;  // from WebSockets
};

class Server {
 public:
  Server(fiber::Loop& loop, call::Router& router, ServerOptions options);
  Server(const std::vector<fiber::Loop*>& loops, call::Router& router, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Starts to accept. InvalidArgument: no address that this machine has, or no certificate or pages that
  /// can be used; Locked: another process listens there.
  Status listen();
  /// The port that listen() got.
  std::uint16_t port() const;
  ServerStats stats() const;  // any thread

  /// Stops accepting, closes idle connections and WebSockets, waits for requests under way (at most drainTime, then
  /// cuts them off). Suspends.
  void close();

 private:
  class Listener;
  std::shared_ptr<Listener> listener_;  // shared with the accept that is under way
};

}  // namespace skep::gateway
