// Databases on PostgreSQL, through the whole stack, beside PostgreSQL itself: on a private server
// with fsync=on and synchronous_commit=on, its files in the system's temporary directory.
//
//   build/bench/postgres_fleet_bench
//
// commits: 1,000 databases, each a fiber that commits one row and waits until that is durable,
// again and again. raw is libpq inserting records of the same size in batches of the same size, as
// many at once as the pipeline has in flight. Both run in turns; `ratio` is raw time / our time.
// scan: 50 MiB, half of it noise, read by a new process's cache and connections from a server that
// was restarted; the operating system still has its files.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "raw_table.h"
#include "skep/server/engine.h"
#include "skep/sql/database.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/vfs/paged_file.h"

namespace skep {
namespace {

using bench::RawTable;
using bench::secondsOf;
using testing::PostgresServer;

constexpr std::size_t kDatabases = 1000;
constexpr std::size_t kRoundsAtOnce = 20;
constexpr std::size_t kRawConnections = 2;  // CommitPipelineOptions::batchesInFlightMax

template <class T>
T must(Result<T> result) {
  bench::must(result.ok(), result.ok() ? "" : result.error().message.c_str());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

PostgresServer& server() {
  static PostgresServer instance(
      {.fsync = testing::Fsync::On, .settings = {"max_wal_size=4GB", "checkpoint_timeout=30min"}});
  return instance;
}

/// Runs `body` with a store, a pipeline and a cache of its own, as a new process would.
void runEngine(const std::function<void(server::Engine&)>& body) {
  SystemClock clock;
  const server::StoreUrl url = must(server::parseStoreUrl(server().url()));
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    const auto engine = must(server::Engine::open(loop, url, {}));
    body(*engine);
    engine->close();
  });
}

std::unique_ptr<sql::Database> openDatabase(server::Engine& engine, const std::string& name) {
  return must(sql::Database::open(engine.environment(), {.name = name}));
}

/// Runs `body(i)` for i in [0, count), each on a fiber of its own, and waits for all.
void onFibers(server::Engine& engine, std::size_t count,
              const std::function<void(std::size_t)>& body) {
  std::size_t running = count;
  fiber::Event done;
  for (std::size_t i = 0; i < count; ++i) {
    engine.environment().loop.spawn("bench", [&, i] {
      body(i);
      if (--running == 0) done.notifyAll();
    });
  }
  fiber::waitUntil(done, [&] { return running == 0; });
}

void commitRows(sql::Database& database, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    must(
        database.execute("INSERT INTO t(b, c) VALUES (abs(random()) % 100000, 'some forty bytes of "
                         "text as a row has it')"));
    must(database.waitDurable());
  }
}

/// So many records in batches of `batch`, on kRawConnections connections at once.
void insertRaw(std::vector<RawTable>& raw, std::size_t records, std::size_t batch,
               std::uint64_t& txid) {
  const std::size_t batches = (records + batch - 1) / batch / kRawConnections;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kRawConnections; ++thread) {
    threads.emplace_back([&, thread, first = txid] {
      for (std::size_t i = 0; i < batches; ++i)
        raw[thread].insert(thread * kDatabases, batch, first + i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  txid += batches;
}

void commits(benchmark::State& state) {
  runEngine([&](server::Engine& engine) {
    std::vector<std::unique_ptr<sql::Database>> open(kDatabases);
    onFibers(engine, kDatabases, [&](std::size_t i) {
      open[i] = openDatabase(engine, "db" + std::to_string(i));
      must(open[i]->run(
          "CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT); CREATE INDEX tb ON t(b)"));
      must(open[i]->waitDurable());
    });
    const auto recordBytes = [&] {
      std::uint64_t sum = 0;
      for (const auto& database : open) sum += database->file().counters().recordBytes;
      return sum;
    };
    const auto work = [&] {
      onFibers(engine, kDatabases, [&](std::size_t i) { commitRows(*open[i], kRoundsAtOnce); });
    };
    // The first round tells how large records and batches are.
    const auto statsBefore = engine.pipelineStats();
    const std::uint64_t bytesBefore = recordBytes();
    work();
    const auto stats = engine.pipelineStats();
    const std::size_t writes = stats.writes - statsBefore.writes;
    const std::size_t batch = writes / (stats.batches - statsBefore.batches);
    const std::size_t bytes = (recordBytes() - bytesBefore) / writes;
    std::vector<RawTable> raw;
    for (std::size_t i = 0; i < kRawConnections; ++i) raw.emplace_back(server().url(), bytes);
    server().query("CHECKPOINT");

    std::uint64_t txid = 1;
    double rawSeconds = 0;
    double ourSeconds = 0;
    for (auto _ : state) {
      rawSeconds += secondsOf([&] { insertRaw(raw, kDatabases * kRoundsAtOnce, batch, txid); });
      const double ours = secondsOf(work);
      state.SetIterationTime(ours);
      ourSeconds += ours;
    }
    const double count = static_cast<double>(state.iterations()) * kDatabases * kRoundsAtOnce;
    state.counters["commits_per_s"] = count / ourSeconds;
    state.counters["raw_per_s"] = count / rawSeconds;
    state.counters["ratio"] = rawSeconds / ourSeconds;
    state.counters["batch"] = static_cast<double>(batch);
    state.counters["record_bytes"] = static_cast<double>(bytes);
    for (const auto& database : open) must(database->close());
  });
}
BENCHMARK(commits)->Iterations(10)->UseManualTime()->Unit(benchmark::kMillisecond);

void scan(benchmark::State& state) {
  runEngine([](server::Engine& engine) {
    const auto database = openDatabase(engine, "large");
    must(database->run(
        "CREATE TABLE IF NOT EXISTS big(id INTEGER PRIMARY KEY, v BLOB); DELETE FROM big;"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 52000)"
        " INSERT INTO big(v) SELECT randomblob(500) || zeroblob(500) FROM n"));
    must(database->close());
  });
  std::vector<double> rates;
  double reads = 0;
  for (auto _ : state) {
    server().stop(PostgresServer::Stop::Fast);
    server().start();
    runEngine([&](server::Engine& engine) {
      const auto database = openDatabase(engine, "large");
      const double seconds =
          secondsOf([&] { must(database->execute("SELECT sum(length(v)) FROM big")); });
      state.SetIterationTime(seconds);
      rates.push_back(database->file().pageCount() * 4096.0 / (1 << 20) / seconds);
      reads = static_cast<double>(database->file().counters().storeReads);
      must(database->close());
    });
  }
  std::sort(rates.begin(), rates.end());
  state.counters["MiB_per_s"] = rates[rates.size() / 2];
  state.counters["slowest"] = rates.front();
  state.counters["store_reads"] = reads;
}
BENCHMARK(scan)->Iterations(7)->UseManualTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace skep

BENCHMARK_MAIN();
