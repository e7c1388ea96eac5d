// What PostgresStore costs beside PostgreSQL itself, on a private server with fsync=on and
// synchronous_commit=on.
//
//   build/bench/postgres_store_bench
//
// write/n: batches of n databases' commits, one batch in flight. raw_* is libpq inserting records
// of the same size in batches of the same n: one INSERT … SELECT FROM unnest(…) into a table (id,
// txid, record) with a primary key, one transaction a batch. Both run in turns, so that whatever
// else the machine does hits both; `ratio` is raw time / our time. concurrent/n: the same from 4
// threads at once. open: an existing database of 100 KB, 20 records and 7 chunks, without a claim
// and with one. scan: 50 MiB of chunks that do not compress, 32 chunks a request, one or two
// requests in flight.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "raw_table.h"
#include "skep/backend/postgres/postgres_store.h"
#include "skep/testing/postgres_server/postgres_server.h"

namespace skep {
namespace {

using backend::PostgresStore;
using bench::must;
using bench::noise;
using bench::RawTable;
using bench::secondsOf;
using store::Claim;
using store::Create;
using store::DatabaseWrite;
using store::OpenedDatabase;
using testing::PostgresServer;

constexpr std::size_t kRecordBytes = 400;
constexpr std::size_t kDatabases = 4000;
constexpr int kThreads = 4;

PostgresServer& server() {
  static PostgresServer instance(
      {.fsync = testing::Fsync::On, .settings = {"max_wal_size=4GB", "checkpoint_timeout=30min"}});
  return instance;
}

/// A store with databases to commit to.
class Fleet {
 public:
  Fleet() {
    auto opened = PostgresStore::open({.url = server().url()}, clock_);
    must(opened.ok(), "no store");
    store_ = std::move(opened).value();
    for (std::size_t i = 0; i < kDatabases; ++i) {
      auto database = store_->open({.name = "database " + std::to_string(i),
                                    .create = Create::IfMissing,
                                    .claim = Claim::Take});
      must(database.ok(), "no database");
      databases_.push_back(std::move(database).value());
    }
    txids_.resize(kDatabases);
    server().query("CHECKPOINT");
  }

  void commit(std::size_t first, std::size_t count) {
    std::vector<DatabaseWrite> batch(count);
    for (std::size_t i = 0; i < count; ++i) {
      DatabaseWrite& write = batch[i];
      std::uint64_t& txid = txids_[first + i];
      write.id = databases_[first + i].id;
      write.epoch = databases_[first + i].head.epoch;
      write.expectedTxid = txid;
      ++txid;
      write.commit = store::CommitHead{.txid = txid,
                                       .pageCount = 3,
                                       .digest = txid * 77777,
                                       .commitId = txid * 99999,
                                       .timeMs = 1};
      write.record = record_;
    }
    for (const Status& status : store_->write(batch)) {
      must(status.ok(), status.ok() ? "" : status.error().message.c_str());
    }
  }

  PostgresStore& store() { return *store_; }

 private:
  SystemClock clock_;
  std::unique_ptr<PostgresStore> store_;
  std::vector<OpenedDatabase> databases_;
  std::vector<std::uint64_t> txids_;
  Bytes record_ = noise(kRecordBytes, 1);
};

Fleet& fleet() {
  static Fleet instance;
  return instance;
}

void report(benchmark::State& state, double rawSeconds, double ourSeconds, std::size_t commits) {
  const auto count = static_cast<double>(commits);
  state.counters["raw_per_s"] = count / rawSeconds;
  state.counters["commits_per_s"] = count / ourSeconds;
  state.counters["ratio"] = rawSeconds / ourSeconds;
}

void write(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  static RawTable raw(server().url(), kRecordBytes);
  static std::uint64_t rawTxid = 0;
  fleet();
  double rawSeconds = 0;
  double ourSeconds = 0;
  std::size_t commits = 0;
  std::size_t first = 0;
  for (auto _ : state) {
    rawSeconds += secondsOf([&] { raw.insert(first, count, ++rawTxid); });
    const double ours = secondsOf([&] { fleet().commit(first, count); });
    state.SetIterationTime(ours);
    ourSeconds += ours;
    commits += count;
    first = (first + count) % (kDatabases - count + 1);
  }
  report(state, rawSeconds, ourSeconds, commits);
}
BENCHMARK(write)->Arg(1)->Arg(10)->Arg(100)->Arg(1000)->UseManualTime()->MinTime(2)->Unit(
    benchmark::kMicrosecond);

void inThreads(const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&work, i] { work(i); });
  for (std::thread& thread : threads) thread.join();
}

void concurrent(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const std::size_t rounds = std::max<std::size_t>(1, 400 / count);
  constexpr std::size_t kShare = kDatabases / kThreads;
  static std::vector<RawTable> raw;
  while (raw.size() < kThreads) raw.emplace_back(server().url(), kRecordBytes);
  fleet();
  static std::uint64_t rawTxid = 1'000'000'000;
  double rawSeconds = 0;
  double ourSeconds = 0;
  std::size_t commits = 0;
  for (auto _ : state) {
    const std::uint64_t txid = rawTxid;
    rawTxid += rounds;
    rawSeconds += secondsOf([&] {
      inThreads([&](int thread) {
        for (std::size_t i = 0; i < rounds; ++i)
          raw[thread].insert(kShare * thread, count, txid + i);
      });
    });
    const double ours = secondsOf([&] {
      inThreads([&](int thread) {
        for (std::size_t i = 0; i < rounds; ++i) fleet().commit(kShare * thread, count);
      });
    });
    state.SetIterationTime(ours);
    ourSeconds += ours;
    commits += count * rounds * kThreads;
  }
  report(state, rawSeconds, ourSeconds, commits);
}
BENCHMARK(concurrent)
    ->Arg(1)
    ->Arg(10)
    ->Arg(100)
    ->Arg(1000)
    ->UseManualTime()
    ->MinTime(2)
    ->Unit(benchmark::kMillisecond);

/// A database with `chunkCount` chunks and `recordCount` records.
OpenedDatabase build(const std::string& name, store::ChunkNumber chunkCount, std::size_t chunkBytes,
                     std::size_t recordCount) {
  PostgresStore& store = fleet().store();
  auto opened = store.open({.name = name, .create = Create::IfMissing, .claim = Claim::Take});
  must(opened.ok(), "no database");
  std::uint64_t txid = opened->head.txid;
  const auto apply = [&](DatabaseWrite write) {
    write.id = opened->id;
    write.epoch = opened->head.epoch;
    write.expectedTxid = txid;
    must(store.write({&write, 1}).front().ok(), "no write");
    if (write.commit) ++txid;
  };
  for (std::size_t i = 0; i < recordCount; ++i) {
    DatabaseWrite write;
    write.commit = store::CommitHead{.txid = txid + 1};
    write.record = noise(kRecordBytes, i);
    apply(std::move(write));
  }
  DatabaseWrite fold;
  for (store::ChunkNumber chunk = 0; chunk < chunkCount; ++chunk) {
    fold.chunks.push_back({.chunk = chunk, .txid = 1, .bytes = noise(chunkBytes, chunk)});
  }
  apply(std::move(fold));
  opened->head.txid = txid;
  return std::move(opened).value();
}

void open(benchmark::State& state) {
  static const OpenedDatabase database = build("of 100 KB", 7, 14'000, 20);
  const Claim claim = state.range(0) == 0 ? Claim::None : Claim::Take;
  std::vector<double> micros;
  for (auto _ : state) {
    const double seconds = secondsOf([&] {
      const auto opened =
          fleet().store().open({.name = "of 100 KB", .claim = claim, .firstChunks = 8});
      must(opened.ok() && opened->chunks.size() == 7 && opened->log.size() == 20, "no open");
    });
    state.SetIterationTime(seconds);
    micros.push_back(seconds * 1e6);
  }
  std::sort(micros.begin(), micros.end());
  state.counters["p50_us"] = micros[micros.size() / 2];
  state.counters["p99_us"] = micros[micros.size() * 99 / 100];
}
BENCHMARK(open)->ArgName("claim")->Arg(0)->Arg(1)->UseManualTime()->Unit(benchmark::kMicrosecond);

void scan(benchmark::State& state) {
  constexpr store::ChunkNumber kChunks = 800;
  constexpr std::size_t kChunkBytes = 64 * 1024;
  constexpr store::ChunkNumber kPerRequest = 32;
  static const OpenedDatabase database = build("of 50 MiB", kChunks, kChunkBytes, 1);
  const auto inFlight = static_cast<int>(state.range(0));
  // What the server has in its own memory does not count.
  server().stop(PostgresServer::Stop::Fast);
  server().start();
  while (!fleet().store().info("of 50 MiB").ok()) {
  }
  for (auto _ : state) {
    std::vector<std::thread> threads;
    const double seconds = secondsOf([&] {
      for (int thread = 0; thread < inFlight; ++thread) {
        threads.emplace_back([&, thread] {
          for (store::ChunkNumber first = kPerRequest * static_cast<unsigned>(thread);
               first < kChunks; first += kPerRequest * static_cast<unsigned>(inFlight)) {
            std::vector<store::ChunkNumber> chunks(kPerRequest);
            std::iota(chunks.begin(), chunks.end(), first);
            const auto read = fleet().store().readChunks({.id = database.id,
                                                          .atTxid = database.head.txid,
                                                          .chunks = chunks,
                                                          .logAfter = {}});
            must(read.ok() && read->chunks.size() == kPerRequest, "no chunks");
          }
        });
      }
      for (std::thread& thread : threads) thread.join();
    });
    state.SetIterationTime(seconds);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * kChunks * kChunkBytes);
}
BENCHMARK(scan)
    ->ArgName("in_flight")
    ->Arg(1)
    ->Arg(2)
    ->UseManualTime()
    ->Iterations(3)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace skep

BENCHMARK_MAIN();
