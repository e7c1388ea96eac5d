#include "skep/server/health.h"

#include <chrono>
#include <utility>

#include "skep/base/process_memory.h"
#include "skep/server/metrics.h"

namespace skep::server {
namespace {

/// The store answers.
std::optional<call::Failure> checkStore(Engine& engine) {
  const Status answers = engine.askStore();
  if (answers) return std::nullopt;
  return call::failureOf(answers.error(), "the store");
}

}  // namespace

void addHealth(gateway::ServerOptions& options, Engine& engine, const actor::Host& host,
               Clock& clock, std::function<gateway::ServerStats()> gateway,
               std::function<std::uint64_t()> loopsHeld) {
  const MonotonicTime started = clock.monotonic();
  options.notReady = [&engine] { return checkStore(engine); };
  options.metrics = [&engine, &host, &clock, started, gateway = std::move(gateway),
                     loopsHeld = std::move(loopsHeld)] {
    return formatMetrics(
        {.host = host.stats(),
         .gateway = gateway(),
         .pipeline = engine.pipelineStats(),
         .store = engine.storeStats(),
         .cache = engine.environment().cache.stats(),
         .loopsHeld = loopsHeld(),
         .residentBytes = residentBytes(),
         .uptimeSeconds = std::chrono::duration<double>(clock.monotonic() - started).count()});
  };
}

}  // namespace skep::server
