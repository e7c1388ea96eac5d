// Databases on PostgreSQL, through the whole stack, beside PostgreSQL itself: on a private server
// with fsync=on and synchronous_commit=on, its files in the system's temporary directory.
//
//   build/bench/postgres_fleet_bench
//
// commits: 1,000 databases, each a fiber that commits one row and waits until that is durable,
// again and again. raw is libpq inserting records of the same size in batches of the same size, one
// batch after the other, or as many at once as the pipeline has in flight. They run in turns; a
// ratio is raw time / our time.
// scan: 50 MiB, half of it noise, read by a new process's cache and connections from a server that
// was restarted; the operating system still has its files.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "databases.h"
#include "raw_table.h"
#include "skep/backend/postgres/postgres_options.h"
#include "skep/server/engine.h"
#include "skep/sql/database.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/vfs/paged_file.h"

namespace skep {
namespace {

using bench::must;
using bench::RawTable;
using bench::secondsOf;
using testing::PostgresServer;

constexpr std::size_t kDatabases = 1000;
constexpr std::size_t kRoundsAtOnce = 20;

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

/// So many records in batches of `batch`, on as many connections at once as `raw` has.
double rawSeconds(std::span<RawTable> raw, std::size_t records, std::size_t batch,
                  std::uint64_t& txid) {
  const std::size_t batches = (records + batch - 1) / batch / raw.size();
  const double seconds = secondsOf([&] {
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < raw.size(); ++thread) {
      threads.emplace_back([&, thread, first = txid] {
        for (std::size_t i = 0; i < batches; ++i)
          raw[thread].insert(thread * kDatabases, batch, first + i);
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  txid += batches;
  return seconds;
}

void commits(benchmark::State& state) {
  runEngine([&](server::Engine& engine) {
    bench::Loops loops(engine, static_cast<std::size_t>(state.range(0)));
    bench::Committers committers(loops, kDatabases);
    const std::size_t each = committers.commitsOf(kRoundsAtOnce);
    // The first round tells how large records and batches are.
    const auto statsBefore = engine.pipelineStats();
    const std::uint64_t bytesBefore = committers.recordBytes();
    committers.commitEach(kRoundsAtOnce);
    const auto stats = engine.pipelineStats();
    const std::size_t writes = stats.writes - statsBefore.writes;
    const std::size_t batch = writes / (stats.batches - statsBefore.batches);
    const std::size_t bytes = (committers.recordBytes() - bytesBefore) / writes;
    std::vector<RawTable> raw;
    for (std::size_t i = 0; i < backend::PostgresOptions{}.writeConnections; ++i) {
      raw.emplace_back(server().url(), bytes);
    }
    server().query("TRUNCATE raw");
    server().query("CHECKPOINT");

    std::uint64_t txid = 1;
    double one = 0;
    double atOnce = 0;
    double ours = 0;
    for (auto _ : state) {
      one += rawSeconds(std::span(raw).first(1), each, batch, txid);
      atOnce += rawSeconds(raw, each, batch, txid);
      const double seconds = secondsOf([&] { committers.commitEach(kRoundsAtOnce); });
      state.SetIterationTime(seconds);
      ours += seconds;
    }
    const double count = static_cast<double>(state.iterations() * each);
    state.counters["commits_per_s"] = count / ours;
    state.counters["raw_per_s"] = count / one;
    state.counters["raw_at_once_per_s"] = count / atOnce;
    state.counters["ratio"] = one / ours;
    state.counters["ratio_at_once"] = atOnce / ours;
    state.counters["batch"] = static_cast<double>(batch);
    state.counters["record_bytes"] = static_cast<double>(bytes);
  });
}
BENCHMARK(commits)->ArgName("loops")->Arg(1)->Arg(2)->Iterations(10)->UseManualTime()->Unit(
    benchmark::kMillisecond);

void scan(benchmark::State& state) {
  runEngine([](server::Engine& engine) {
    const auto database = bench::openDatabase(engine, "large");
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
      const auto database = bench::openDatabase(engine, "large");
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
