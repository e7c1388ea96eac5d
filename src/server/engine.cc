#include "skep/server/engine.h"

namespace skep::server {

Result<std::unique_ptr<Engine>> Engine::open(fiber::Loop& loop, const StoreUrl& url,
                                             EngineOptions options) {
  SKEP_TRY(std::unique_ptr<store::PageStore> store, openStore(url, loop.clock()));
  return std::unique_ptr<Engine>(new Engine(loop, std::move(store), options));
}

Engine::Engine(fiber::Loop& loop, std::unique_ptr<store::PageStore> store, EngineOptions options)
    : store_(std::move(store)),
      cache_(options.cacheBytes),
      pipeline_(loop, *store_),
      environment_{
          .loop = loop, .store = *store_, .pipeline = pipeline_, .cache = cache_, .options = {}} {}

Engine::~Engine() = default;

void Engine::close() {
  pipeline_.close();
}

}  // namespace skep::server
