// What PagedFileOptions::logBytesMin costs and gives for small databases: commits a second of many of
// them at once on the embedded store, and how much is stored for what their pages take compressed.
//
//   build/bench/log_floor_bench      the argument of each run is the floor in bytes

#include <benchmark/benchmark.h>

#include <array>

#include "databases.h"
#include "skep/backend/embedded/embedded_store.h"
#include "skep/sql/transfer.h"
#include "skep/store/chunk.h"
#include "skep/testing/temp_directory.h"

namespace skep {
namespace {

using bench::must;
constexpr std::size_t kDatabases = 200;
constexpr int kCommits = 300;

std::size_t compressedBytes(vfs::Environment& environment, const std::string& name) {
  Bytes file;
  must(sql::exportDatabase(environment, name, [&](ByteView bytes) -> Status {
    file.insert(file.end(), bytes.begin(), bytes.end());
    return {};
  }));
  std::array<const std::byte*, store::kPagesPerChunk> pages{};
  for (std::size_t i = 0; i < pages.size() && i * store::kPageBytes < file.size(); ++i)
    pages[i] = file.data() + i * store::kPageBytes;
  return store::encodeChunk({}, {}, {}, pages).size();
}

void small_databases(benchmark::State& state) {
  testing::TempDirectory directory;
  SystemClock clock;
  auto store = must(backend::EmbeddedStore::open({.directory = directory / "store"}, clock));
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    store::CommitPipeline pipeline(loop, *store);
    vfs::PageCache cache(64 << 20);
    vfs::PagedFileOptions options;
    options.logBytesMin = static_cast<std::size_t>(state.range(0));
    {
      vfs::Environment environment{loop, *store, pipeline, cache, options};
      std::vector<std::unique_ptr<sql::Database>> databases(kDatabases);
      bench::inParallel(loop, kDatabases, kDatabases, [&](std::size_t i) {
        databases[i] = bench::openDatabase(environment, "db" + std::to_string(i));
        must(databases[i]->run(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, text TEXT);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
            "INSERT INTO t SELECT i, 0, 'some text of row ' || i FROM n"));
        must(databases[i]->waitDurable());
      });
      for (auto _ : state) {
        bench::inParallel(loop, kDatabases, kDatabases, [&](std::size_t i) {
          for (int commit = 0; commit < kCommits; ++commit) {
            must(databases[i]->execute(
                "UPDATE t SET n = abs(random()) WHERE id = 1 + abs(random()) % 20"));
            must(databases[i]->waitDurable());
          }
        });
      }
      state.counters["commits/s"] =
          benchmark::Counter(static_cast<double>(kDatabases) * kCommits,
                             benchmark::Counter::kIsIterationInvariantRate);
      double stored = 0;
      double live = 0;
      for (std::size_t i = 0; i < kDatabases; i += 10) {
        const std::string name = "db" + std::to_string(i);
        stored += static_cast<double>(must(store->info(name)).storedBytes);
        live += static_cast<double>(compressedBytes(environment, name));
      }
      state.counters["live_bytes"] = live / (kDatabases / 10.0);
      state.counters["stored/live"] = stored / live;
      for (auto& database : databases) must(database->close());
    }
    pipeline.close();
  });
}
BENCHMARK(small_databases)
    ->Arg(16 * 1024)
    ->Arg(4 * 1024)
    ->Arg(2 * 1024)
    ->Arg(1024)
    ->Arg(0)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace skep

BENCHMARK_MAIN();
