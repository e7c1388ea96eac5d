#include "skep/server/serve.h"

#include <CLI/CLI.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/signal_set.hpp>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "skep/actor/host.h"
#include "skep/base/log.h"
#include "skep/base/process_memory.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/gateway/server.h"
#include "skep/server/engine.h"
#include "skep/server/loop_threads.h"
#include "skep/server/metrics.h"
#include "skep/server/store_url.h"

namespace skep {
namespace {

struct ServeOptions {
  std::string store = "embedded:./data";
  std::string listen = "127.0.0.1:6420";
  std::size_t threads = std::max(1u, std::thread::hardware_concurrency());
  std::size_t cacheBytes = server::EngineOptions{}.cacheBytes;
  std::size_t bodyBytesMax = gateway::ServerOptions{}.bodyBytesMax;
  double drainSeconds = 10;
  std::string logLevel = "info";
  bool isInsecure = false;
};

const std::map<std::string, LogLevel> kLogLevels = {{"debug", LogLevel::Debug},
                                                    {"info", LogLevel::Info},
                                                    {"warn", LogLevel::Warn},
                                                    {"error", LogLevel::Error},
                                                    {"off", LogLevel::Off}};

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

/// The store answers.
std::optional<call::Failure> checkStore(store::PageStore& store) {
  const auto listed = store.list("", "", 1);
  if (listed) return std::nullopt;
  return call::failureOf(listed.error(), "the store");
}

Status runServer(fiber::Loop& loop, const ServeOptions& options, const Registry& registry) {
  SKEP_TRY(const server::StoreUrl url, server::parseStoreUrl(options.store));
  SKEP_TRY(gateway::ServerOptions listening, listenOptions(options.listen));
  SKEP_CHECK_OK(checkExposure(listening, options));
  SKEP_TRY(std::unique_ptr<server::Engine> engine,
           server::Engine::open(loop, url, {.cacheBytes = options.cacheBytes}));
  server::LoopThreads others(loop.clock(), options.threads - 1);
  std::vector<fiber::Loop*> loops(options.threads, &loop);
  std::vector<vfs::Environment*> environments(options.threads, &engine->environment());
  std::vector<std::unique_ptr<vfs::Environment>> owned(others.size());
  others.onEach([&](fiber::Loop& other, std::size_t i) {
    owned[i] = engine->makeEnvironment(other);
    environments[i + 1] = owned[i].get();
    loops[i + 1] = &other;
  });

  actor::Host host(registry, environments);
  host.start();
  gateway::Server* front = nullptr;
  const MonotonicTime started = loop.clock().monotonic();
  listening.bodyBytesMax = options.bodyBytesMax;
  listening.drainTime =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.drainSeconds));
  listening.notReady = [&] { return checkStore(engine->store()); };
  listening.metrics = [&] {
    return server::formatMetrics(
        {.host = host.stats(),
         .gateway = front->stats(),
         .pipeline = engine->pipelineStats(),
         .cache = engine->environment().cache.stats(),
         .residentBytes = residentBytes(),
         .uptimeSeconds =
             std::chrono::duration<double>(loop.clock().monotonic() - started).count()});
  };
  gateway::Server server(loops, host, listening);
  front = &server;
  Status listens = server.listen();
  if (listens) {
    std::printf("Skep listens on http://%s:%u\n", listening.address.c_str(), server.port());
    std::fflush(stdout);
    waitForSignal(loop);
    logInfo("server", "shutting down", {});
    server.close();
  }
  host.close();
  others.onEach([&](fiber::Loop&, std::size_t i) { owned[i].reset(); });
  engine->close();
  return listens;
}

void addOptions(CLI::App& app, ServeOptions& options) {
  app.set_config("--config", "", "settings in a TOML file: store = \"memory:\"", false);
  app.allow_config_extras(CLI::config_extras_mode::error);
  const auto add = [&](const char* name, auto& value, const char* help, const char* variable) {
    return app.add_option(name, value, help)->envname(variable)->take_last()->capture_default_str();
  };
  add("--store", options.store, "embedded:DIR, postgres://… or memory:", "SKEP_STORE");
  add("--listen", options.listen, "HOST:PORT or PORT", "SKEP_LISTEN");
  add("--threads", options.threads, "event loops that run actors and connections", "SKEP_THREADS")
      ->check(CLI::Range(1, 1024));
  add("--cache", options.cacheBytes, "memory for pages of databases, as 256MB", "SKEP_CACHE")
      ->transform(CLI::AsSizeValue(false));
  add("--body-max", options.bodyBytesMax, "largest request body, as 20MB", "SKEP_BODY_MAX")
      ->transform(CLI::AsSizeValue(false));
  add("--drain-seconds", options.drainSeconds, "time that requests get at shutdown",
      "SKEP_DRAIN_SECONDS")
      ->check(CLI::NonNegativeNumber);
  add("--log-level", options.logLevel, "debug, info, warn, error or off", "SKEP_LOG_LEVEL")
      ->check(CLI::IsMember(kLogLevels));
  app.add_flag("--insecure", options.isInsecure,
               "let other machines in without asking who they are")
      ->envname("SKEP_INSECURE")
      ->take_last();
}

/// The environment's settings, then the command line's: the last one counts, and both count more
/// than the file's. (CLI11 itself would let the file win over the environment.)
std::vector<std::string> gatherArguments(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> arguments;
  for (const CLI::Option* option : app.get_options()) {
    const std::string& variable = option->get_envname();
    const char* value = variable.empty() ? nullptr : std::getenv(variable.c_str());
    if (value != nullptr) arguments.push_back(option->get_name() + "=" + value);
  }
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  return arguments;
}

}  // namespace

int serve(int argc, char** argv, Registry registry) {
  CLI::App app("A server of actors, each with its own SQLite database.");
  ServeOptions options;
  addOptions(app, options);
  try {
    app.parse(gatherArguments(app, argc, argv));
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  setLogLevel(kLogLevels.at(options.logLevel));
  SystemClock clock;
  Status served;
  fiber::runOnFreshLoop(clock,
                        [&](fiber::Loop& loop) { served = runServer(loop, options, registry); });
  if (served) return 0;
  std::fprintf(stderr, "error: %s\n", served.error().toString().c_str());
  return 1;
}

}  // namespace skep
