// A whole store under the databases: commits of many at once, opens, scans, a million small ones,
// huge transactions.
//
//   build/bench/fleet_bench                               embedded, in a temporary directory
//   SKEP_STORE=postgres://… build/bench/fleet_bench       a Postgres store
//   build/bench/fleet_bench --benchmark_filter=cold_scan
//   SKEP_BENCH_DATABASES=1000000 build/bench/fleet_bench --benchmark_filter=create.*2
//
// Commits are measured in turns with RocksDB alone, which gets records of the same size in batches
// of the same size.

#include <benchmark/benchmark.h>
#include <rocksdb/db.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>

#include "databases.h"
#include "skep/base/process_memory.h"
#include "skep/fiber/loop.h"
#include "skep/server/engine.h"
#include "skep/server/store_url.h"
#include "skep/sql/database.h"
#include "skep/testing/temp_directory.h"
#include "skep/vfs/paged_file.h"

namespace skep {
namespace {

using bench::must;
using Seconds = std::chrono::duration<double>;

std::uint64_t numberFrom(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::size_t directoryBytes(const std::string& path) {
  std::size_t total = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) total += entry.file_size();
  }
  return total;
}

/// A store of its own for each benchmark; the directory goes with it.
class Fleet {
 public:
  explicit Fleet(server::EngineOptions options = {}) : options_(options) {
    const char* url = std::getenv("SKEP_STORE");
    url_ = must(server::parseStoreUrl(url == nullptr ? "embedded:" + directory_.path() + "/store"
                                                     : std::string(url)));
  }
  /// Runs `body` with an engine on a fresh loop. Each call opens the store anew: nothing is warm.
  void run(const std::function<void(server::Engine&)>& body) {
    fiber::runOnFreshLoop(clock_, [&](fiber::Loop& loop) {
      auto engine = must(server::Engine::open(loop, url_, options_));
      body(*engine);
      engine->close();
    });
  }
  bool isEmbedded() const { return url_.kind == server::StoreUrl::Kind::Embedded; }
  const std::string& directory() const { return url_.location; }
  std::string scratch() const { return directory_.path(); }

 private:
  SystemClock clock_;
  testing::TempDirectory directory_;
  server::StoreUrl url_;
  server::EngineOptions options_;
};

double medianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

constexpr const char* kSchema =
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT); CREATE INDEX tb ON t(b)";

void fillTo(sql::Database& db, std::uint64_t bytes) {
  must(db.run("CREATE TABLE big(id INTEGER PRIMARY KEY, v BLOB)"));
  must(db.begin());
  {
    sql::Statement insert =
        must(db.prepare("INSERT INTO big(v) VALUES (randomblob(700) || zeroblob(300))"));
    for (std::uint64_t written = 0; written < bytes; written += 1000) must(insert.step());
  }
  must(db.commit());
  must(db.waitDurable());
}

/// RocksDB alone: one row of 150 bytes a record, each batch synced.
class RawBatches {
 public:
  RawBatches() {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* opened = nullptr;
    if (!rocksdb::DB::Open(options, directory_.path() + "/raw", &opened).ok()) std::abort();
    db_.reset(opened);
  }
  /// `records` in batches of `batch`, which `threads` writers share. Gives records a second.
  double write(std::size_t records, std::size_t batch, std::size_t threads) {
    const auto start = std::chrono::steady_clock::now();
    std::atomic<std::size_t> left{records / batch};
    std::vector<std::thread> writers;
    for (std::size_t i = 0; i < threads; ++i) {
      writers.emplace_back([&] {
        for (std::size_t mine = left--; mine > 0 && mine <= records / batch; mine = left--) {
          writeBatch(batch);
        }
      });
    }
    for (std::thread& writer : writers) writer.join();
    return static_cast<double>(records / batch * batch) /
           Seconds(std::chrono::steady_clock::now() - start).count();
  }

 private:
  void writeBatch(std::size_t records) {
    rocksdb::WriteOptions sync;
    sync.sync = true;
    rocksdb::WriteBatch batch;
    const std::uint64_t txid = ++txid_;
    for (std::uint64_t i = 0; i < records; ++i) {
      std::string key(16, '\0');
      for (int b = 0; b < 8; ++b) {
        key[static_cast<std::size_t>(7 - b)] = static_cast<char>(i >> (8 * b));
        key[static_cast<std::size_t>(15 - b)] = static_cast<char>(txid >> (8 * b));
      }
      batch.Put(key, record_);
    }
    if (!db_->Write(sync, &batch).ok()) std::abort();
  }

  testing::TempDirectory directory_;
  std::unique_ptr<rocksdb::DB> db_;
  const std::string record_ = std::string(150, 'r');
  std::atomic<std::uint64_t> txid_ = 0;
};

/// One-row commits of 1,000 databases at once, spread over `loops` threads; and in turns RocksDB alone
/// with batches of the size that the commits came in: one after the other, and as many at once.
void durable_commits_of_1000_databases(benchmark::State& state) {
  constexpr std::size_t kRounds = 20;
  Fleet fleet;
  fleet.run([&](server::Engine& engine) {
    bench::Loops loops(engine, static_cast<std::size_t>(state.range(0)));
    bench::Committers committers(loops, 1000);
    const std::size_t commits = committers.commitsOf(kRounds);
    RawBatches raw;
    std::vector<double> rates;
    std::vector<double> rawRates;
    std::vector<double> rawRatesAtOnce;
    std::vector<double> ratios;
    std::vector<double> ratiosAtOnce;
    double batch = 0;
    for (auto _ : state) {
      const auto before = engine.pipelineStats();
      const auto start = std::chrono::steady_clock::now();
      committers.commitEach(kRounds);
      rates.push_back(static_cast<double>(commits) /
                      Seconds(std::chrono::steady_clock::now() - start).count());
      const auto after = engine.pipelineStats();
      batch = static_cast<double>(after.writes - before.writes) /
              static_cast<double>(after.batches - before.batches);
      const std::size_t inFlight = store::CommitPipelineOptions{}.batchesInFlightMax;
      rawRates.push_back(raw.write(commits, static_cast<std::size_t>(batch), 1));
      rawRatesAtOnce.push_back(raw.write(commits, static_cast<std::size_t>(batch), inFlight));
      ratios.push_back(rates.back() / rawRates.back());
      ratiosAtOnce.push_back(rates.back() / rawRatesAtOnce.back());
    }
    state.counters["batch"] = batch;
    state.counters["commits_per_s"] = medianOf(rates);
    state.counters["rocksdb_per_s"] = medianOf(rawRates);
    state.counters["ratio"] = medianOf(ratios);
    state.counters["rocksdb_at_once_per_s"] = medianOf(rawRatesAtOnce);
    state.counters["ratio_at_once"] = medianOf(ratiosAtOnce);
  });
}
BENCHMARK(durable_commits_of_1000_databases)
    ->ArgName("loops")
    ->Arg(1)
    ->Arg(2)
    ->Iterations(12)
    ->Unit(benchmark::kMillisecond);

void open_existing_100_kb(benchmark::State& state) {
  Fleet fleet;
  fleet.run([&](server::Engine& engine) {
    auto db = bench::openDatabase(engine, "a");
    must(db->run(kSchema));
    must(
        db->run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) "
                "INSERT INTO t(b, c) SELECT i * 7919 % 1201, 'some forty bytes of text as a row "
                "has it' FROM n"));
    must(db->close());
  });
  fleet.run([&](server::Engine& engine) {
    std::vector<double> us;
    for (auto _ : state) {
      const auto start = std::chrono::steady_clock::now();
      auto db = bench::openDatabase(engine, "a");
      must(db->execute("SELECT c FROM t WHERE a = 700"));
      us.push_back(Seconds(std::chrono::steady_clock::now() - start).count() * 1e6);
      state.counters["store_reads_after_open"] =
          static_cast<double>(db->file().counters().storeReads);
      must(db->close());
    }
    std::sort(us.begin(), us.end());
    state.counters["p50_us"] = us[us.size() / 2];
    state.counters["p99_us"] = us[us.size() * 99 / 100];
  });
}
BENCHMARK(open_existing_100_kb)->Iterations(2000)->Unit(benchmark::kMicrosecond)->UseRealTime();

void cold_scan_50_mib(benchmark::State& state) {
  constexpr double kMib = 50;
  Fleet fleet;
  fleet.run([&](server::Engine& engine) {
    auto db = bench::openDatabase(engine, "a");
    fillTo(*db, static_cast<std::uint64_t>(kMib * 1024 * 1024));
    must(db->close());
  });
  std::vector<double> rates;
  double reads = 0;
  for (auto _ : state) {
    fleet.run([&](server::Engine& engine) {
      auto db = bench::openDatabase(engine, "a");
      const auto start = std::chrono::steady_clock::now();
      must(db->execute("SELECT sum(length(v)) FROM big"));
      const double pages = db->file().pageCount();
      rates.push_back(pages * 4096 / 1024 / 1024 /
                      Seconds(std::chrono::steady_clock::now() - start).count());
      reads = static_cast<double>(db->file().counters().storeReads);
      must(db->close());
    });
  }
  std::sort(rates.begin(), rates.end());
  state.counters["MiB_per_s"] = rates[rates.size() / 2];
  state.counters["store_reads"] = reads;
}
BENCHMARK(cold_scan_50_mib)->Iterations(5)->Unit(benchmark::kMillisecond)->UseRealTime();

void create_many_small_databases(benchmark::State& state) {
  const std::uint64_t count = numberFrom("SKEP_BENCH_DATABASES", 20'000);
  Fleet fleet;
  for (auto _ : state) {
    std::size_t residentBefore = 0;
    fleet.run([&](server::Engine& engine) {
      bench::Loops loops(engine, static_cast<std::size_t>(state.range(0)));
      residentBefore = residentBytes();
      const auto start = std::chrono::steady_clock::now();
      loops.run([&](vfs::Environment& environment, std::size_t part) {
        const std::size_t share = count / loops.count();
        bench::inParallel(environment.loop, share, 512, [&](std::size_t i) {
          auto db = bench::openDatabase(environment, "tenant/" + std::to_string(part * share + i));
          must(db->run(
              "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT); INSERT INTO note(text) "
              "VALUES ('hello')"));
          must(db->close());
        });
      });
      state.counters["per_s"] =
          static_cast<double>(count) / Seconds(std::chrono::steady_clock::now() - start).count();
      state.counters["memory_bytes_each"] =
          (static_cast<double>(residentBytes()) - static_cast<double>(residentBefore)) /
          static_cast<double>(count);
    });
    if (fleet.isEmbedded()) {
      state.counters["disk_bytes_each"] =
          static_cast<double>(directoryBytes(fleet.directory())) / static_cast<double>(count);
    }
  }
}
BENCHMARK(create_many_small_databases)
    ->ArgName("loops")
    ->Arg(1)
    ->Arg(2)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/// 64 databases of 4 MiB, four times the page cache together; their rows are read at random, eight
/// times out of ten in a tenth of the databases.
void reads_beyond_the_page_cache(benchmark::State& state) {
  constexpr std::size_t kDatabases = 64;
  constexpr std::size_t kReaders = 16;
  Fleet fleet({.cacheBytes = 64 * 1024 * 1024});
  fleet.run([&](server::Engine& engine) {
    std::vector<std::unique_ptr<sql::Database>> open;
    for (std::size_t i = 0; i < kDatabases; ++i) {
      open.push_back(bench::openDatabase(engine, "db" + std::to_string(i)));
      fillTo(*open.back(), 4 * 1024 * 1024);
    }
    const vfs::CacheStats before = engine.environment().cache.stats();
    std::size_t bytesMost = 0;
    std::mt19937_64 random(1);
    for (auto _ : state) {
      bench::inParallel(engine.environment().loop, 20'000, kReaders, [&](std::size_t) {
        const bool isHot = random() % 10 < 8;
        sql::Database& db = *open[random() % (isHot ? kDatabases / 10 : kDatabases)];
        must(db.execute("SELECT length(v) FROM big WHERE id = ?",
                        {sql::Value(static_cast<std::int64_t>(random() % 4000 + 1))}));
        bytesMost = std::max(bytesMost, engine.environment().cache.stats().bytes);
      });
    }
    vfs::CacheStats after = engine.environment().cache.stats();
    state.counters["bytes_most_of_budget"] =
        static_cast<double>(bytesMost) / static_cast<double>(after.budgetBytes);
    state.counters["evictions"] = static_cast<double>(after.evictions - before.evictions);
    after.hits -= before.hits;
    after.misses -= before.misses;
    state.counters["hit_ratio"] = after.hitRatio();
    state.counters["reads_per_s"] = benchmark::Counter(
        static_cast<double>(state.iterations()) * 20'000, benchmark::Counter::kIsRate);
    for (auto& db : open) must(db->close());
  });
}
BENCHMARK(reads_beyond_the_page_cache)->Iterations(5)->Unit(benchmark::kMillisecond)->UseRealTime();

void overwrite_the_same_rows(benchmark::State& state) {
  Fleet fleet;
  for (auto _ : state) {
    fleet.run([&](server::Engine& engine) {
      auto db = bench::openDatabase(engine, "a");
      must(db->run(kSchema));
      must(db->run(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
          "INSERT INTO t(b, c) SELECT i, 'some forty bytes of text as a row has it' FROM n"));
      must(db->waitDurable());
      for (int i = 0; i < 20'000; ++i) {
        must(db->execute("UPDATE t SET b = ? WHERE a = ?",
                         {sql::Value(i * 31), sql::Value(i * 7919 % 10000 + 1)}));
        must(db->waitDurable());
      }
      const double folded = static_cast<double>(db->file().counters().chunksFolded);
      const double records = static_cast<double>(db->file().counters().recordBytes);
      must(db->close());
      const auto info = must(engine.store().info("a"));
      state.counters["stored_bytes"] = static_cast<double>(info.storedBytes);
      state.counters["page_bytes"] = static_cast<double>(info.head.pageCount) * 4096;
      state.counters["chunks_folded"] = folded;
      state.counters["record_bytes_written"] = records;
    });
  }
}
BENCHMARK(overwrite_the_same_rows)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();

/// A transaction of SKEP_BENCH_MIB (default 256), then CREATE INDEX and VACUUM over it, in a page
/// cache of 64 MiB.
void huge_transactions(benchmark::State& state) {
  const std::uint64_t mib = numberFrom("SKEP_BENCH_MIB", 256);
  Fleet fleet({.cacheBytes = 64 * 1024 * 1024});
  for (auto _ : state) {
    fleet.run([&](server::Engine& engine) {
      auto db = bench::openDatabase(engine, "a");
      auto timed = [&](const char* name, const std::function<void()>& body) {
        const auto start = std::chrono::steady_clock::now();
        body();
        state.counters[name] = Seconds(std::chrono::steady_clock::now() - start).count();
      };
      timed("fill_s", [&] { fillTo(*db, mib * 1024 * 1024); });
      timed("index_s", [&] {
        must(db->run("CREATE INDEX bigv ON big(substr(v, 1, 8))"));
        must(db->waitDurable());
      });
      timed("vacuum_s", [&] {
        must(db->run("DELETE FROM big WHERE id % 2 = 0; VACUUM"));
        must(db->waitDurable());
      });
      must(db->close());
    });
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["peak_MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}
BENCHMARK(huge_transactions)->Iterations(1)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace skep

BENCHMARK_MAIN();
