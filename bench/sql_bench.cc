// What a database in a page store costs beside plain SQLite: the same SQLite build, in the same
// run.
//
//   build/bench/sql_bench                     all
//   build/bench/sql_bench --benchmark_filter=select
//
// Pairs of the form plain_* / skep_* are to be read as ratios. commit_* counts CPU time of the
// thread, with a store that does nothing, so that only Skep's own work is in it.

#include <benchmark/benchmark.h>
#include <malloc.h>
#include <sqlite3.h>

#include <algorithm>
#include <ctime>

#include "skep/backend/memory/memory_store.h"
#include "skep/sql/database.h"
#include "skep/testing/world.h"
#include "skep/vfs/paged_file.h"
#include "skep/vfs/sqlite_vfs.h"

namespace skep {
namespace {

using skep::testing::World;

constexpr const char* kSchema =
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b INTEGER, c TEXT); CREATE INDEX tb ON t(b)";
constexpr const char* kInsert = "INSERT INTO t(b, c) VALUES (?, ?)";
constexpr const char* kSelect = "SELECT b, c FROM t WHERE a = ?";
constexpr int kRows = 10'000;
const char kText[] = "some forty bytes of text as a row has it";

void must(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "sql_bench: %s failed\n", what);
  std::abort();
}
template <class T>
T must(Result<T> result) {
  if (!result) must(false, result.error().toString().c_str());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

std::uint64_t spread(std::uint64_t i) {
  return (i * 0x9E3779B97F4A7C15ULL) >> 20;
}

/// Takes commits and forgets them, after the first one: for the cost of everything else.
class ForgetfulStore final : public store::PageStore {
 public:
  explicit ForgetfulStore(Clock& clock) : inner_(clock) {}
  Result<store::OpenedDatabase> open(const store::OpenRequest& request) override {
    return inner_.open(request);
  }
  std::vector<Status> write(std::span<const store::DatabaseWrite> writes) override {
    if (!forgets) return inner_.write(writes);
    for (const auto& write : writes) recordBytes.push_back(write.record.size());
    return std::vector<Status>(writes.size());
  }
  Result<store::ChunkRead> readChunks(const store::ChunkReadRequest& request) override {
    return inner_.readChunks(request);
  }
  Result<store::Head> readHead(store::DatabaseId id) override { return inner_.readHead(id); }
  Result<store::DatabaseInfo> info(std::string_view name) override { return inner_.info(name); }
  Result<store::ListPage> list(std::string_view p, std::string_view a, std::size_t l) override {
    return inner_.list(p, a, l);
  }
  Result<std::vector<store::StoredRecord>> readLog(store::DatabaseId i, store::Txid t,
                                                   std::size_t b) override {
    return inner_.readLog(i, t, b);
  }
  Result<std::vector<store::ChunkVersion>> listChunkVersions(store::DatabaseId i,
                                                             std::optional<store::ChunkVersion> a,
                                                             std::size_t l) override {
    return inner_.listChunkVersions(i, a, l);
  }
  Result<store::VersionAt> versionAt(store::DatabaseId i, std::int64_t t) override {
    return inner_.versionAt(i, t);
  }
  Status destroy(std::string_view name,
                 std::optional<store::Ownership> onlyAs = std::nullopt) override {
    return inner_.destroy(name, onlyAs);
  }
  Result<std::vector<store::DueAlarm>> dueAlarms(std::int64_t n, std::size_t l) override {
    return inner_.dueAlarms(n, l);
  }
  Result<std::unique_ptr<store::PageStore>> snapshot() override { return inner_.snapshot(); }
  std::string_view kind() const override { return "forgetful"; }

  bool forgets = false;
  std::vector<std::size_t> recordBytes;

 private:
  backend::MemoryStore inner_;
};

class PlainDatabase {
 public:
  PlainDatabase() {
    vfs::registerVfs();  // the same allocator and settings as Skep's
    must(sqlite3_open(":memory:", &handle_) == SQLITE_OK, "open");
    run(kSchema);
  }
  ~PlainDatabase() { sqlite3_close_v2(handle_); }
  void run(const char* sql) {
    must(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) == SQLITE_OK, sql);
  }
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    must(sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr) == SQLITE_OK, sql);
    return statement;
  }
  void fill(int rows) {
    run("BEGIN");
    sqlite3_stmt* insert = prepare(kInsert);
    for (int i = 0; i < rows; ++i) {
      sqlite3_bind_int64(insert, 1,
                         static_cast<sqlite3_int64>(spread(static_cast<std::uint64_t>(i))));
      sqlite3_bind_text(insert, 2, kText, sizeof kText - 1, SQLITE_STATIC);
      sqlite3_step(insert);
      sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    run("COMMIT");
  }

 private:
  sqlite3* handle_ = nullptr;
};

void fill(sql::Database& db, int rows, std::uint64_t from = 0) {
  must(db.begin());
  sql::Statement insert = must(db.prepare(kInsert));
  for (int i = 0; i < rows; ++i) {
    must(insert.bind(1, static_cast<std::int64_t>(spread(from + static_cast<std::uint64_t>(i)))));
    must(insert.bind(2, kText));
    must(insert.step());
  }
  must(db.commit());
}

void plain_select(benchmark::State& state) {
  PlainDatabase db;
  db.fill(kRows);
  sqlite3_stmt* select = db.prepare(kSelect);
  std::uint64_t i = 0;
  for (auto _ : state) {
    sqlite3_bind_int64(select, 1, static_cast<sqlite3_int64>(spread(++i) % kRows + 1));
    must(sqlite3_step(select) == SQLITE_ROW, "select");
    benchmark::DoNotOptimize(sqlite3_column_int64(select, 0));
    benchmark::DoNotOptimize(sqlite3_column_text(select, 1));
    benchmark::DoNotOptimize(sqlite3_column_bytes(select, 1));
    sqlite3_reset(select);
  }
  sqlite3_finalize(select);
}
BENCHMARK(plain_select);

void skep_select(benchmark::State& state) {
  World world;
  world.run([&] {
    auto db = world.open("a");
    must(db->run(kSchema));
    fill(*db, kRows);
    must(db->waitDurable());
    {
      sql::Statement select = must(db->prepare(kSelect));
      std::uint64_t i = 0;
      for (auto _ : state) {
        must(select.bind(1, static_cast<std::int64_t>(spread(++i) % kRows + 1)));
        must(must(select.step()), "select");
        benchmark::DoNotOptimize(select.integer(0));
        benchmark::DoNotOptimize(select.text(1));
        select.reset();
      }
    }
    must(db->close());
  });
}
BENCHMARK(skep_select);

void plain_insert_in_transaction(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    PlainDatabase db;
    state.ResumeTiming();
    db.fill(kRows);
  }
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(plain_insert_in_transaction)->Unit(benchmark::kMillisecond);

void skep_insert_in_transaction(benchmark::State& state) {
  World world;
  world.run([&] {
    int n = 0;
    for (auto _ : state) {
      state.PauseTiming();
      auto db = world.open("db" + std::to_string(++n));
      must(db->run(kSchema));
      must(db->waitDurable());
      state.ResumeTiming();
      fill(*db, kRows);
      state.PauseTiming();
      must(db->close());
      db.reset();
      state.ResumeTiming();
    }
  });
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK(skep_insert_in_transaction)->Unit(benchmark::kMillisecond);

double threadCpuUs() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

/// One row, one commit, made durable before the next one, beside the same INSERT in plain SQLite.
void skep_commit_one_row(benchmark::State& state) {
  SystemClock clock;
  ForgetfulStore store(clock);
  World world(store);
  world.run([&] {
    auto db = world.open("a");
    must(db->run(kSchema));
    fill(*db, kRows);
    must(db->waitDurable());
    store.forgets = true;
    std::uint64_t i = kRows;
    {
      sql::Statement insert = must(db->prepare(kInsert));
      const double before = threadCpuUs();
      for (auto _ : state) {
        must(insert.bind(1, static_cast<std::int64_t>(spread(++i))));
        must(insert.bind(2, kText));
        must(insert.step());
        must(db->waitDurable());
      }
      state.counters["cpu_us"] = (threadCpuUs() - before) / static_cast<double>(state.iterations());
    }
    std::sort(store.recordBytes.begin(), store.recordBytes.end());
    state.counters["record_bytes_median"] =
        static_cast<double>(store.recordBytes[store.recordBytes.size() / 2]);
    must(db->close());
  });
}
BENCHMARK(skep_commit_one_row)->Iterations(20000);

void plain_commit_one_row(benchmark::State& state) {
  PlainDatabase db;
  db.fill(kRows);
  sqlite3_stmt* insert = db.prepare(kInsert);
  std::uint64_t i = kRows;
  const double before = threadCpuUs();
  for (auto _ : state) {
    sqlite3_bind_int64(insert, 1, static_cast<sqlite3_int64>(spread(++i)));
    sqlite3_bind_text(insert, 2, kText, sizeof kText - 1, SQLITE_STATIC);
    must(sqlite3_step(insert) == SQLITE_DONE, "insert");
    sqlite3_reset(insert);
  }
  state.counters["cpu_us"] = (threadCpuUs() - before) / static_cast<double>(state.iterations());
  sqlite3_finalize(insert);
}
BENCHMARK(plain_commit_one_row)->Iterations(20000);

/// Memory of open, idle databases: of the whole process, divided by their number.
void idle_database_memory(benchmark::State& state) {
  World world({}, std::size_t{1} << 30);
  constexpr int kDatabases = 1000;
  for (auto _ : state) {
    world.run([&] {
      std::vector<std::unique_ptr<sql::Database>> open;
      open.reserve(kDatabases);
      auto make = [&](int i) {
        auto db = world.open("db" + std::to_string(i));
        must(db->run(
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t(b) VALUES ('x')"));
        must(db->close());
      };
      for (int i = 0; i < kDatabases; ++i) make(i);
      const std::size_t before = mallinfo2().uordblks;
      for (int i = 0; i < kDatabases; ++i) {
        open.push_back(world.open("db" + std::to_string(i)));
        must(open.back()->execute("SELECT * FROM t"));
      }
      const std::size_t warm = mallinfo2().uordblks;
      for (auto& db : open) db->releaseMemory();
      const std::size_t idle = mallinfo2().uordblks;
      state.counters["warm_bytes"] = static_cast<double>(warm - before) / kDatabases;
      state.counters["idle_bytes"] = static_cast<double>(idle - before) / kDatabases;
      for (auto& db : open) must(db->close());
    });
  }
}
BENCHMARK(idle_database_memory)->Iterations(1)->Unit(benchmark::kMillisecond);

void open_and_close(benchmark::State& state) {
  World world;
  world.run([&] {
    auto db = world.open("a");
    must(db->run(kSchema));
    fill(*db, 1000);
    must(db->close());
    for (auto _ : state) {
      auto again = world.open("a");
      must(again->execute(kSelect, {sql::Value(1)}));
      must(again->close());
    }
  });
}
BENCHMARK(open_and_close)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace skep

BENCHMARK_MAIN();
