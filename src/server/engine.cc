#include "skep/server/engine.h"

#include "skep/backend/postgres/postgres_options.h"

namespace skep::server {

namespace {

/// A transaction of PostgreSQL costs more than one of the others, and there are as many at once as
/// connections: larger batches, fewer of them.
store::CommitPipelineOptions pipelineOptions(StoreUrl::Kind kind) {
  if (kind != StoreUrl::Kind::Postgres) return {};
  return {.batchesInFlightMax = backend::PostgresOptions{}.writeConnections, .batchWritesMax = 250};
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(fiber::Loop& loop, const StoreUrl& url,
                                             EngineOptions options) {
  SKEP_TRY(std::unique_ptr<store::PageStore> store, openStore(url, loop.clock()));
  return std::unique_ptr<Engine>(
      new Engine(loop, std::move(store), pipelineOptions(url.kind), options));
}

Engine::Engine(fiber::Loop& loop, std::unique_ptr<store::PageStore> store,
               store::CommitPipelineOptions pipelineOptions, EngineOptions options)
    : store_(std::move(store), loop.clock()),
      cache_(options.cacheBytes),
      pipeline_(loop, store_, pipelineOptions),
      environment_(makeEnvironment(loop)),
      probe_(loop, [this]() -> Status {
        const auto listed = store_.list("", "", 1);
        return listed ? Status{} : listed.error();
      }) {}

Engine::~Engine() = default;

std::unique_ptr<vfs::Environment> Engine::makeEnvironment(fiber::Loop& loop) {
  return std::unique_ptr<vfs::Environment>(new vfs::Environment{
      .loop = loop, .store = store_, .pipeline = pipeline_, .cache = cache_, .options = {}});
}

void Engine::close() {
  probe_.close();
  pipeline_.close();
}

}  // namespace skep::server
