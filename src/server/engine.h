// Engine: a store, its commit pipeline and the page cache on one loop: what a command needs to open
// databases.
//
//   SKEP_TRY(auto engine, Engine::open(loop, url, {}));
//   SKEP_TRY(auto database, sql::Database::open(engine->environment(), {.name = "tenant/acme"}));
//   …
//   engine->close();

#pragma once

#include <cstddef>
#include <memory>

#include "skep/fiber/loop.h"
#include "skep/server/store_probe.h"
#include "skep/server/store_url.h"
#include "skep/store/commit_pipeline.h"
#include "skep/store/measured_store.h"
#include "skep/vfs/environment.h"
#include "skep/vfs/page_cache.h"

namespace skep::server {

struct EngineOptions {
  std::size_t cacheBytes = 256 * 1024 * 1024;
};

class Engine {
 public:
  /// Opens the store. Suspends. The errors of openStore().
  static Result<std::unique_ptr<Engine>> open(fiber::Loop& loop, const StoreUrl& url,
                                              EngineOptions options);
  /// close() must have been called.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  vfs::Environment& environment() { return *environment_; }
  /// For another loop, on which the caller is.
  std::unique_ptr<vfs::Environment> makeEnvironment(fiber::Loop& loop);
  store::PageStore& store() { return store_; }
  /// Whether the store answers, within StoreProbe::kPatience. A fiber of any loop. Suspends.
  Status askStore() { return probe_.ask(); }
  store::StoreStats storeStats() const { return store_.stats(); }
  store::CommitPipelineStats pipelineStats() const { return pipeline_.stats(); }

  /// Waits for what is under way in the pipeline, or asks the store. Suspends. Every database must be closed before.
  void close();

 private:
  Engine(fiber::Loop& loop, std::unique_ptr<store::PageStore> store,
         store::CommitPipelineOptions pipelineOptions, EngineOptions options);

  store::MeasuredStore store_;
  vfs::PageCache cache_;
  store::CommitPipeline pipeline_;
  const std::unique_ptr<vfs::Environment> environment_;  // of the first loop
  StoreProbe probe_;
};

}  // namespace skep::server
