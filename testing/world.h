// World: everything that a test of databases needs, in one object: a loop, a store, a commit
// pipeline, a page cache.
//
//   World world;
//   world.run([&] {
//     auto db = world.open("a");
//     ASSERT_OK(db->run("CREATE TABLE t(x)"));
//     ASSERT_OK(db->close());
//   });
//
// run() executes its body as a fiber and returns when that has ended. A second World over the same
// store is what a new process is to the database layers: a loop, pipeline and cache of its own.

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "skep/base/clock.h"
#include "skep/fiber/loop.h"
#include "skep/sql/database.h"
#include "skep/store/commit_pipeline.h"
#include "skep/store/page_store.h"
#include "skep/vfs/environment.h"

#define ASSERT_OK(...)                                                                         \
  do {                                                                                         \
    auto&& skepAsserted = (__VA_ARGS__);                                                       \
    ASSERT_TRUE(skepAsserted.ok()) << #__VA_ARGS__ << ": " << skepAsserted.error().toString(); \
  } while (false)
#define EXPECT_OK(...)                                                                         \
  do {                                                                                         \
    auto&& skepExpected = (__VA_ARGS__);                                                       \
    EXPECT_TRUE(skepExpected.ok()) << #__VA_ARGS__ << ": " << skepExpected.error().toString(); \
  } while (false)

namespace skep::testing {

class World {
 public:
  /// Over a store of its own (memory), or over `store`, which outlives it.
  explicit World(vfs::PagedFileOptions options = {}, std::size_t cacheBytes = 64 * 1024 * 1024);
  World(store::PageStore& store, vfs::PagedFileOptions options = {},
        std::size_t cacheBytes = 64 * 1024 * 1024);
  ~World();

  /// Runs `body` as a fiber of the loop, and the loop until that ends.
  void run(const std::function<void()>& body);
  /// Opens a database and fails the test when that fails. On a fiber.
  std::unique_ptr<sql::Database> open(const std::string& name, sql::DatabaseOptions options = {});

  vfs::Environment& environment() { return engine_->environment; }
  store::PageStore& store() { return *store_; }
  fiber::Loop& loop() { return *loop_; }
  vfs::PageCache& cache() { return engine_->cache; }
  SystemClock& clock() { return clock_; }

 private:
  struct Engine {
    Engine(fiber::Loop& loop, store::PageStore& store, vfs::PagedFileOptions options,
           std::size_t cacheBytes)
        : pipeline(loop, store),
          cache(cacheBytes),
          environment{loop, store, pipeline, cache, options} {}
    store::CommitPipeline pipeline;
    vfs::PageCache cache;
    vfs::Environment environment;
  };

  SystemClock clock_;
  std::unique_ptr<fiber::Loop> loop_;
  std::unique_ptr<store::PageStore> ownStore_;
  store::PageStore* store_;
  std::unique_ptr<Engine> engine_;
};

/// The first column of the first row, as text; "error: …" when the statement fails.
std::string scalar(sql::Database& database, const std::string& sql);

}  // namespace skep::testing
