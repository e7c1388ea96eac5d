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
#include <optional>
#include <string>

#include "skep/base/clock.h"
#include "skep/fiber/loop.h"
#include "skep/sql/database.h"
#include "skep/store/commit_pipeline.h"
#include "skep/store/page_store.h"
#include "skep/vfs/environment.h"

// The result is looked at within the same full expression: it may be a part of a temporary.
#define ASSERT_OK(...)                                                             \
  do {                                                                             \
    const auto skepFailure = ::skep::testing::failureOf(__VA_ARGS__);              \
    ASSERT_FALSE(skepFailure.has_value()) << #__VA_ARGS__ << ": " << *skepFailure; \
  } while (false)
#define EXPECT_OK(...)                                                                   \
  do {                                                                                   \
    const auto skepUnexpected = ::skep::testing::failureOf(__VA_ARGS__);                 \
    EXPECT_FALSE(skepUnexpected.has_value()) << #__VA_ARGS__ << ": " << *skepUnexpected; \
  } while (false)

namespace skep::testing {

/// What went wrong, if anything.
template <class T>
std::optional<std::string> failureOf(const Result<T>& result) {
  if (result) return std::nullopt;
  return result.error().toString();
}

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
