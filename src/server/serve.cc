#include "skep/server/serve.h"

#include <CLI/CLI.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <string>
#include <utility>

#include "skep/actor/host.h"
#include "skep/base/log.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/gateway/server.h"
#include "skep/server/engine.h"
#include "skep/server/store_url.h"

namespace skep {
namespace {

struct ServeOptions {
  std::string store = "embedded:./data";
  std::string listen = "127.0.0.1:6420";
  bool isInsecure = false;
};

/// "127.0.0.1:6420", "[::1]:6420", or a port alone.
Result<gateway::ServerOptions> listenOptions(const std::string& text) {
  gateway::ServerOptions options;
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
  return options;
}

/// Whoever reaches the port may do everything: other machines only when that is said.
Status checkExposure(const gateway::ServerOptions& listening, const ServeOptions& options) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(listening.address, error);
  if (error) {
    return Error{ErrorCode::InvalidArgument, "'" + listening.address + "' is no IP address"};
  }
  if (address.is_loopback() || options.isInsecure) return {};
  return Error{ErrorCode::InvalidArgument,
               "listening on " + listening.address +
                   " lets other machines in, and nothing asks who they are yet: say --insecure if "
                   "that is meant"};
}

/// Suspends until SIGINT or SIGTERM comes.
void waitForSignal(fiber::Loop& loop) {
  boost::asio::signal_set signals(loop.context(), SIGINT, SIGTERM);
  fiber::suspend([&](fiber::Waker waker) {
    signals.async_wait([waker](boost::system::error_code, int) mutable { waker.wake(); });
  });
}

Status runServer(fiber::Loop& loop, const ServeOptions& options, const Registry& registry) {
  SKEP_TRY(const server::StoreUrl url, server::parseStoreUrl(options.store));
  SKEP_TRY(gateway::ServerOptions listening, listenOptions(options.listen));
  SKEP_CHECK_OK(checkExposure(listening, options));
  SKEP_TRY(std::unique_ptr<server::Engine> engine, server::Engine::open(loop, url, {}));
  actor::Host host(registry, {&engine->environment()});
  host.start();
  gateway::Server server(loop, host, listening);
  Status listens = server.listen();
  if (listens) {
    std::printf("Skep listens on http://%s:%u\n", listening.address.c_str(), server.port());
    std::fflush(stdout);
    waitForSignal(loop);
    logInfo("server", "shutting down", {});
    server.close();
  }
  host.close();
  engine->close();
  return listens;
}

}  // namespace

int serve(int argc, char** argv, Registry registry) {
  CLI::App app("A server of actors, each with its own SQLite database.");
  ServeOptions options;
  app.add_option("--store", options.store, "embedded:DIR, postgres://… or memory:")
      ->envname("SKEP_STORE")
      ->capture_default_str();
  app.add_option("--listen", options.listen, "HOST:PORT or PORT")
      ->envname("SKEP_LISTEN")
      ->capture_default_str();
  app.add_flag("--insecure", options.isInsecure,
               "let other machines in without asking who they are");
  CLI11_PARSE(app, argc, argv);
  SystemClock clock;
  Status served;
  fiber::runOnFreshLoop(clock,
                        [&](fiber::Loop& loop) { served = runServer(loop, options, registry); });
  if (served) return 0;
  std::fprintf(stderr, "error: %s\n", served.error().toString().c_str());
  return 1;
}

}  // namespace skep
