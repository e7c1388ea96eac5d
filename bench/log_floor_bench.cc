// What PagedFileOptions::logBytesMin costs and gives for small databases: commits a second of many of
// them at once, on the embedded store and on a private PostgreSQL server (fsync=on, synchronous_commit=on, files in
// the system's temporary directory), and how much is stored for what their pages take compressed.
//
//   build/bench/log_floor_bench      the argument of each run is the floor in bytes

#include <benchmark/benchmark.h>

#include <array>

#include "databases.h"
#include "skep/backend/embedded/embedded_store.h"
#include "skep/backend/postgres/postgres_store.h"
#include "skep/sql/transfer.h"
#include "skep/store/chunk.h"
#include "skep/testing/postgres_server/postgres_server.h"
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

void run(benchmark::State& state, Clock& clock, store::PageStore& store) {
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    store::CommitPipeline pipeline(loop, store);
    vfs::PageCache cache(64 << 20);
    vfs::PagedFileOptions options;
    options.logBytesMin = static_cast<std::size_t>(state.range(0));
    {
      vfs::Environment environment{loop, store, pipeline, cache, options};
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
        stored += static_cast<double>(must(store.info(name)).storedBytes);
        live += static_cast<double>(compressedBytes(environment, name));
      }
      state.counters["live_bytes"] = live / (kDatabases / 10.0);
      state.counters["stored/live"] = stored / live;
      for (auto& database : databases) must(database->close());
    }
    pipeline.close();
  });
}

void embedded(benchmark::State& state) {
  const testing::TempDirectory directory;
  SystemClock clock;
  const auto store = must(backend::EmbeddedStore::open({.directory = directory / "store"}, clock));
  run(state, clock, *store);
}

void postgres(benchmark::State& state) {
  testing::PostgresServer server({.fsync = testing::Fsync::On});
  SystemClock clock;
  const auto store = must(backend::PostgresStore::open({.url = server.url()}, clock));
  run(state, clock, *store);
}

void floors(benchmark::internal::Benchmark* benchmark) {
  for (const std::int64_t floor : {16'384, 4096, 2048, 1024, 0}) benchmark->Arg(floor);
  benchmark->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(embedded)->Apply(floors);
BENCHMARK(postgres)->Apply(floors);

}  // namespace
}  // namespace skep

BENCHMARK_MAIN();
