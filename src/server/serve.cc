#include "skep/server/serve.h"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "skep/actor/host.h"
#include "skep/base/log.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/loop_watch.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"
#include "skep/gateway/server.h"
#include "skep/server/cluster_node.h"
#include "skep/server/engine.h"
#include "skep/server/health.h"
#include "skep/server/loop_threads.h"
#include "skep/server/serve_settings.h"
#include "skep/server/store_url.h"

namespace skep {
namespace {

/// SIGINT and SIGTERM, which end nothing by themselves while this exists.
class EndSignals {
 public:
  explicit EndSignals(fiber::Loop& loop) : signals_(loop.context(), SIGINT, SIGTERM) {}
  /// Suspends until one comes, or at once if one came.
  void wait() {
    fiber::suspend([&](fiber::Waker waker) {
      signals_.async_wait([waker](boost::system::error_code, int) mutable { waker.wake(); });
    });
  }
  /// The same, but no longer than that.
  void waitFor(fiber::Loop& loop, Duration duration) {
    if (duration <= Duration::zero()) return;
    fiber::Timer timer(loop);
    timer.callAfter(duration, [this] { signals_.cancel(); });
    wait();
  }

 private:
  boost::asio::signal_set signals_;
};

/// As many open files as this process may have at all: each connection is one.
void raiseFileLimit() {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &files);
}

/// Null: this server is no node. What has joined leaves again. Suspends.
Result<std::unique_ptr<server::ClusterNode>> joinCluster(server::Engine& engine, Clock& clock,
                                                         const server::ServeSettings& settings,
                                                         const Registry& registry) {
  auto joined = server::ClusterNode::join(clock, engine.store(), settings, registry.names());
  if (!joined) engine.close();
  return joined;
}

Status runServer(fiber::Loop& loop, const server::ServeSettings& settings,
                 const Registry& registry) {
  SKEP_TRY(const server::StoreUrl url, server::parseStoreUrl(settings.store));
  SKEP_TRY(gateway::ServerOptions listening, server::gatewayOptions(settings, loop.clock()));
  SKEP_TRY(std::unique_ptr<server::Engine> engine,
           server::Engine::open(loop, url, {.cacheBytes = settings.cacheBytes}));
  // Before the host, so that it outlives what is under way there.
  SKEP_TRY(const std::unique_ptr<server::ClusterNode> node,
           joinCluster(*engine, loop.clock(), settings, registry));
  server::LoopThreads others(loop.clock(), settings.threads - 1);
  std::vector<fiber::Loop*> loops(settings.threads, &loop);
  std::vector<vfs::Environment*> environments(settings.threads, &engine->environment());
  std::vector<std::unique_ptr<vfs::Environment>> owned(others.size());
  others.onEach([&](fiber::Loop& other, std::size_t i) {
    owned[i] = engine->makeEnvironment(other);
    environments[i + 1] = owned[i].get();
    loops[i + 1] = &other;
  });

  if (node != nullptr) {
    for (vfs::Environment* environment : environments) environment->lease = &node->lease();
  }

  std::atomic<std::uint64_t> loopsHeld = 0;
  const fiber::LoopWatch watch(loops, {}, [&](const fiber::HeldLoop& held) {
    ++loopsHeld;
    logWarn("server", "code does not give its loop back, and all actors there wait",
            {{"actor", held.actor},
             {"action", held.what},
             {"waited_ms", held.time.count() / 1'000'000}});
  });
  actor::Host host(registry, environments, node ? node->alarmOptions() : actor::AlarmWatchOptions{},
                   node ? &node->router() : nullptr);
  if (node != nullptr) node->attach(host);
  host.start();
  call::Router& router = node ? node->router() : host;
  gateway::Server* front = nullptr;
  server::addHealth(
      listening, *engine, host, loop.clock(), [&] { return front->stats(); },
      [&] { return loopsHeld.load(); });
  gateway::Server server(loops, router, listening);
  front = &server;
  // Whoever reads that the server listens may tell it to end at once.
  std::optional<EndSignals> signals(std::in_place, loop);
  Status listens = server.listen();
  if (listens) {
    std::printf("Skep listens on %s\n", server::urlOf(listening, server.port()).c_str());
    std::fflush(stdout);
    signals->wait();
    server.announceEnd();
    // Whoever distributes requests learns of it meanwhile. A second signal means: now.
    signals->waitFor(loop, server::secondsOf(settings.seconds.notice));
    signals.reset();  // one more ends the process where it stands
    logInfo("server", "shutting down", {});
    if (node != nullptr) node->drain();
    // So early that what they are told still leaves.
    host.stopCallsAfter(listening.drainTime * 9 / 10);
    server.close();
  }
  host.close();
  if (node != nullptr) node->leave();
  others.onEach([&](fiber::Loop&, std::size_t i) { owned[i].reset(); });
  engine->close();
  return listens;
}

}  // namespace

int serve(int argc, char** argv, Registry registry) {
  CLI::App app("A server of actors, each with its own SQLite database.");
  server::ServeSettings settings;
  server::addSettings(app, settings);
  try {
    app.parse(server::gatherArguments(app, {argv + 1, argv + argc}));
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  server::applyLogSettings(settings);
  raiseFileLimit();
  SystemClock clock;
  Status served;
  fiber::runOnFreshLoop(clock,
                        [&](fiber::Loop& loop) { served = runServer(loop, settings, registry); });
  if (served) return 0;
  std::fprintf(stderr, "error: %s\n", served.error().toString().c_str());
  return 1;
}

}  // namespace skep
