// EmbeddedStore against RocksDB itself and against its own goals.
//
//   writes      durable commits a second, as a share of raw RocksDB putting records of the same
//   size in the same
//               batches with an fsync each; both take turns within one run, so that a noisy disk
//               hits both
//   open        latency of opening one of many databases of 100 KB, from memory and from cold files
//   create      new databases a second, each with a first commit, many at once; bytes on disk for
//   each scan        MiB of pages a second of a 50 MiB database that no cache holds
//
// SKEP_BENCH_DIR says where (default: the system's temporary directory), SKEP_BENCH_DATABASES how
// many databases `create` makes (default 100,000).

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "skep/backend/embedded/embedded_store.h"
#include "skep/base/check.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"

namespace skep {
namespace {

using backend::EmbeddedStore;
using store::Claim;
using store::Create;
using store::DatabaseWrite;
using store::OpenedDatabase;

class BenchDirectory {
 public:
  BenchDirectory() {
    const char* wanted = std::getenv("SKEP_BENCH_DIR");
    std::string pattern =
        std::string(wanted != nullptr ? wanted : std::filesystem::temp_directory_path().c_str());
    pattern += "/skep-bench-XXXXXX";
    SKEP_CHECK(::mkdtemp(pattern.data()) != nullptr, "no directory %s", pattern.c_str());
    path_ = pattern;
  }
  ~BenchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const char* name) const { return path_ + "/" + name; }

  // What du would say.
  static std::uint64_t bytesIn(const std::string& directory) {
    std::uint64_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
      bytes += entry.file_size();
    return bytes;
  }
  // Drops the directory's files from the system's page cache.
  static void dropFromMemory(const std::string& directory) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      const int file = ::open(entry.path().c_str(), O_RDONLY);
      ::fsync(file);
      SKEP_CHECK(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0, "fadvise");
      ::close(file);
    }
  }

 private:
  std::string path_;
};

// Of all threads of this process.
double cpuSeconds() {
  timespec spent{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

double secondsNow(Clock& clock) {
  return static_cast<double>(clock.monotonic().ns) * 1e-9;
}

std::unique_ptr<EmbeddedStore> openStore(const std::string& directory, Clock& clock) {
  auto opened = EmbeddedStore::open({.directory = directory}, clock);
  SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
  return std::move(opened).value();
}

Bytes noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// Bytes of which about half is noise, as compressed records are not quite.
Bytes recordOf(std::size_t size, std::uint64_t seed) {
  Bytes bytes = noise(size, seed);
  for (std::size_t i = 0; i < size; i += 2) bytes[i] = std::byte{'r'};
  return bytes;
}

constexpr std::size_t kRecordBytes = 150;  // of a one-row commit

// Runs body(thread) on each of the threads; gives the seconds that all took.
template <class Body>
double timed(Clock& clock, int threadCount, Body body) {
  const double start = secondsNow(clock);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < threadCount; ++thread)
    threads.emplace_back([&, thread] { body(thread); });
  for (std::thread& thread : threads) thread.join();
  return secondsNow(clock) - start;
}

// Batches of `batch` commits, from `threads` threads at once, each with databases of its own.
void writes(benchmark::State& state) {
  const auto batch = static_cast<std::size_t>(state.range(0));
  const int threads = static_cast<int>(state.range(1));
  SystemClock clock;
  BenchDirectory directory;

  rocksdb::Options options;
  options.create_if_missing = true;
  options.allow_fallocate = false;
  options.max_total_wal_size = 32 << 20;
  options.write_buffer_size = 16 << 20;
  rocksdb::DB* opened = nullptr;
  SKEP_CHECK(rocksdb::DB::Open(options, directory / "raw", &opened).ok(), "raw RocksDB");
  const std::unique_ptr<rocksdb::DB> raw(opened);
  const auto store = openStore(directory / "store", clock);

  struct Lane {
    std::vector<DatabaseWrite> next;
    std::uint64_t rawKey = 0;
  };
  std::vector<Lane> lanes(static_cast<std::size_t>(threads));
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    for (std::size_t i = 0; i < batch; ++i) {
      const std::string name = "lane" + std::to_string(lane) + "/db" + std::to_string(i);
      const auto database =
          store->open({.name = name, .create = Create::IfMissing, .claim = Claim::Take});
      DatabaseWrite write;
      write.id = database->id;
      write.epoch = database->head.epoch;
      write.record = recordOf(kRecordBytes, lane * 1000 + i);
      write.commit = store::CommitHead{
          .txid = 1, .pageCount = 5, .digest = 77, .commitId = 99, .timeMs = clock.wallMs()};
      lanes[lane].next.push_back(std::move(write));
    }
  }

  const int rounds = 40;
  double rawSeconds = 0;
  double storeSeconds = 0;
  double rawCpu = 0;
  double storeCpu = 0;
  for (auto _ : state) {
    const double cpuBefore = cpuSeconds();
    rawSeconds += timed(clock, threads, [&](int thread) {
      Lane& lane = lanes[static_cast<std::size_t>(thread)];
      for (int round = 0; round < rounds; ++round) {
        rocksdb::WriteBatch puts;
        for (std::size_t i = 0; i < batch; ++i) {
          std::uint64_t key[2] = {__builtin_bswap64(static_cast<std::uint64_t>(thread) * batch + i),
                                  __builtin_bswap64(++lane.rawKey)};
          const Bytes& record = lane.next[i].record;
          puts.Put(rocksdb::Slice(reinterpret_cast<const char*>(key), sizeof key),
                   rocksdb::Slice(reinterpret_cast<const char*>(record.data()), record.size()));
        }
        rocksdb::WriteOptions durable;
        durable.sync = true;
        SKEP_CHECK(raw->Write(durable, &puts).ok(), "raw write");
      }
    });
    const double cpuBetween = cpuSeconds();
    storeSeconds += timed(clock, threads, [&](int thread) {
      Lane& lane = lanes[static_cast<std::size_t>(thread)];
      for (int round = 0; round < rounds; ++round) {
        for (const Status& status : store->write(lane.next)) {
          SKEP_CHECK(status.ok(), "%s", status.error().message.c_str());
        }
        for (DatabaseWrite& write : lane.next) {
          write.expectedTxid = write.commit->txid++;
          write.trimLogThrough = write.expireThrough = 0;
          // A fold now and then, as in life: the log of a database does not grow without end.
          if (write.expectedTxid % 64 == 0)
            write.trimLogThrough = write.expireThrough = write.expectedTxid;
        }
      }
    });
    rawCpu += cpuBetween - cpuBefore;
    storeCpu += cpuSeconds() - cpuBetween;
  }
  const double commits =
      static_cast<double>(batch) * threads * rounds * static_cast<double>(state.iterations());
  state.counters["raw/s"] = commits / rawSeconds;
  state.counters["store/s"] = commits / storeSeconds;
  state.counters["ratio"] = rawSeconds / storeSeconds;
  state.counters["raw_cpu_us"] = rawCpu / commits * 1e6;
  state.counters["store_cpu_us"] = storeCpu / commits * 1e6;
}
BENCHMARK(writes)
    ->ArgNames({"batch", "threads"})
    ->ArgsProduct({{1, 10, 100, 1000}, {1, 4}})
    ->Unit(benchmark::kMillisecond)
    ->MinTime(2)
    ->UseRealTime();

// Databases as of 100 KB: two chunks and a few records.
void fillDatabases(EmbeddedStore& store, int count) {
  std::vector<DatabaseWrite> batch;
  for (int i = 0; i < count; ++i) {
    const auto opened = store.open(
        {.name = "tenant/" + std::to_string(i), .create = Create::IfMissing, .claim = Claim::Take});
    DatabaseWrite write;
    write.id = opened->id;
    write.epoch = opened->head.epoch;
    write.commit = store::CommitHead{.txid = 1, .pageCount = 25};
    write.record = recordOf(kRecordBytes, static_cast<std::uint64_t>(i));
    write.chunks = {{0, 1, noise(16'000, static_cast<std::uint64_t>(i))},
                    {1, 1, noise(9'000, static_cast<std::uint64_t>(i))}};
    batch.push_back(std::move(write));
    if (batch.size() == 100 || i + 1 == count) {
      for (const Status& status : store.write(batch)) SKEP_CHECK(status.ok(), "fill");
      batch.clear();
    }
  }
}

void reportPercentiles(benchmark::State& state, std::vector<double>& micros) {
  std::sort(micros.begin(), micros.end());
  state.counters["p50_us"] = micros[micros.size() / 2];
  state.counters["p99_us"] = micros[micros.size() * 99 / 100];
}

// Takes over random databases, on a fiber. cold: neither RocksDB nor the system has their bytes in
// memory.
void open(benchmark::State& state) {
  const bool cold = state.range(0) != 0;
  const bool claim = state.range(1) != 0;
  constexpr int kDatabases = 4000;
  SystemClock clock;
  BenchDirectory directory;
  auto store = openStore(directory / "store", clock);
  fillDatabases(*store, kDatabases);
  SKEP_CHECK(store->compact().ok(), "compact");
  if (cold) {
    store.reset();
    BenchDirectory::dropFromMemory(directory / "store");
    store = openStore(directory / "store", clock);
  }
  std::mt19937_64 random(7);
  std::vector<double> micros;
  fiber::runOnFreshLoop(clock, [&](fiber::Loop&) {
    for (auto _ : state) {
      const double start = secondsNow(clock);
      const auto opened = store->open({.name = "tenant/" + std::to_string(random() % kDatabases),
                                       .claim = claim ? Claim::Take : Claim::None});
      SKEP_CHECK(opened.ok() && opened->chunks.size() == 2, "open");
      micros.push_back((secondsNow(clock) - start) * 1e6);
    }
  });
  reportPercentiles(state, micros);
}
BENCHMARK(open)
    ->ArgNames({"cold", "claim"})
    ->Args({0, 0})
    ->Args({0, 1})
    ->Args({1, 0})
    ->Args({1, 1})
    ->Iterations(3000)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

// Many fibers open new databases; their first commits gather in batches, as group commit does.
void create(benchmark::State& state) {
  const char* wanted = std::getenv("SKEP_BENCH_DATABASES");
  const int databases = wanted != nullptr ? std::atoi(wanted) : 100'000;
  constexpr int kFibers = 16;
  constexpr int kBatch = 100;
  SystemClock clock;
  for (auto _ : state) {
    BenchDirectory directory;
    const auto store = openStore(directory / "store", clock);
    const double start = secondsNow(clock);
    int next = 0;
    int running = kFibers;
    fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
      for (int fiber = 0; fiber < kFibers; ++fiber) {
        loop.spawn("create", [&] {
          while (next < databases) {
            std::vector<DatabaseWrite> batch;
            for (int i = 0; i < kBatch && next < databases; ++i) {
              const int number = next++;
              const auto opened = store->open({.name = "tenant/" + std::to_string(number) + "/main",
                                               .create = Create::MustBeNew,
                                               .claim = Claim::Take});
              SKEP_CHECK(opened.ok(), "create");
              DatabaseWrite write;
              write.id = opened->id;
              write.epoch = opened->head.epoch;
              write.commit = store::CommitHead{
                  .txid = 1,
                  .pageCount = 2,
                  .digest = static_cast<std::uint64_t>(number) * 0x9e3779b97f4a7c15,
                  .commitId = static_cast<std::uint64_t>(number) * 0xc2b2ae3d27d4eb4f,
                  .timeMs = clock.wallMs()};
              write.record = recordOf(kRecordBytes, static_cast<std::uint64_t>(number));
              batch.push_back(std::move(write));
            }
            for (const Status& status : store->write(batch))
              SKEP_CHECK(status.ok(), "first commit");
          }
          --running;
        });
      }
      while (running > 0) fiber::sleepFor(std::chrono::milliseconds(1));
    });
    const double seconds = secondsNow(clock) - start;
    state.SetIterationTime(seconds);
    state.counters["created/s"] = databases / seconds;
    state.counters["disk_B_each"] =
        static_cast<double>(BenchDirectory::bytesIn(directory / "store")) / databases;
    SKEP_CHECK(store->compact().ok(), "compact");
    state.counters["compacted_B_each"] =
        static_cast<double>(BenchDirectory::bytesIn(directory / "store")) / databases;
  }
}
BENCHMARK(create)->Iterations(1)->Unit(benchmark::kMillisecond)->UseManualTime();

// All chunks of a 50 MiB database in order, `chunks` a request. The chunks take `bytes` each,
// encoded.
void scan(benchmark::State& state) {
  const auto chunksAtOnce = static_cast<store::ChunkNumber>(state.range(0));
  const auto chunkBytes = static_cast<std::size_t>(state.range(1));
  constexpr store::ChunkNumber kChunks = 800;  // of 64 KiB of pages
  SystemClock clock;
  BenchDirectory directory;
  store::DatabaseId id;
  {
    const auto store = openStore(directory / "store", clock);
    fillDatabases(*store, 500);
    const auto opened =
        store->open({.name = "large", .create = Create::IfMissing, .claim = Claim::Take});
    id = opened->id;
    DatabaseWrite write;
    write.id = id;
    write.epoch = opened->head.epoch;
    write.commit = store::CommitHead{.txid = 1};
    write.record = Bytes(1);
    for (store::ChunkNumber chunk = 0; chunk < kChunks; ++chunk) {
      write.chunks.push_back({chunk, 1, noise(chunkBytes, chunk)});
      if (write.chunks.size() < 64 && chunk + 1 < kChunks) continue;
      SKEP_CHECK(store->write({&write, 1}).front().ok(), "fill");
      write.chunks.clear();
      write.commit.reset();
      write.record.clear();
      write.expectedTxid = 1;
    }
    SKEP_CHECK(store->compact().ok(), "compact");
  }
  double seconds = 0;
  for (auto _ : state) {
    BenchDirectory::dropFromMemory(directory / "store");
    const auto store = openStore(directory / "store", clock);
    const double start = secondsNow(clock);
    fiber::runOnFreshLoop(clock, [&](fiber::Loop&) {
      for (store::ChunkNumber first = 0; first < kChunks; first += chunksAtOnce) {
        store::ChunkReadRequest request{.id = id, .atTxid = 1, .chunks = {}};
        for (store::ChunkNumber i = 0; i < chunksAtOnce; ++i) request.chunks.push_back(first + i);
        const auto read = store->readChunks(request);
        SKEP_CHECK(read.ok() && read->chunks.size() == chunksAtOnce, "scan");
      }
    });
    const double took = secondsNow(clock) - start;
    state.SetIterationTime(took);
    seconds += took;
  }
  state.counters["MiB/s"] = 50.0 * static_cast<double>(state.iterations()) / seconds;
}
BENCHMARK(scan)
    ->ArgNames({"chunks", "bytes"})
    ->ArgsProduct({{1, 4, 16, 32}, {60'000, 20'000}})
    ->Iterations(5)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime();

}  // namespace
}  // namespace skep

BENCHMARK_MAIN();
