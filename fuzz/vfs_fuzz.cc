// The VFS: a database over a MemoryStore with tiny bounds, beside plain SQLite, doing the same.
//
// Input: the first byte chooses the bounds. Then operations, each a byte and its two bytes of
// argument: statements, transactions, savepoints, VACUUM, and what plain SQLite does not notice:
// reopening, freeing memory, waiting. After each query, and at the end, both have the same content;
// at the end the database also passes its check.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "skep/backend/memory/memory_store.h"
#include "skep/base/bytes.h"
#include "skep/base/check.h"
#include "skep/sql/check.h"
#include "skep/sql/database.h"
#include "skep/testing/plain_sqlite.h"

namespace skep {
namespace {

using testing::PlainSqlite;

constexpr int kOperationsMax = 120;

vfs::PagedFileOptions boundsOf(unsigned choice) {
  vfs::PagedFileOptions options;
  options.logBytesMin = (choice & 1) != 0 ? 0 : 3000;
  options.logBytesMax = (choice & 1) != 0 ? 0 : 20'000;
  options.foldChunksMax = (choice & 2) != 0 ? 1 : 64;
  options.transactionBytesMax = (choice & 4) != 0 ? 4 * store::kPageBytes : 40 * store::kPageBytes;
  options.undurableBytesMax = (choice & 8) != 0 ? 2 * store::kPageBytes : 100 * store::kPageBytes;
  return options;
}

/// A blob literal of `bytes` bytes that hardly compress.
std::string blob(std::uint32_t seed, std::size_t bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "x'";
  for (std::size_t i = 0; i < bytes * 2; ++i) {
    seed = seed * 1664525 + 1013904223;
    text += kDigits[seed >> 28];
  }
  return text + "'";
}

class Session {
 public:
  Session(vfs::Environment& environment, std::size_t spillPages) : environment_(environment) {
    options_.name = "fuzzed";
    // A small memory limit lets SQLite write pages out in the middle of a transaction.
    options_.limits.memoryBytesMax =
        spillPages == 0 ? 0 : std::max<std::size_t>(spillPages * 4 * store::kPageBytes, 3'000'000);
    open();
    both(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, k, v); CREATE TABLE u(a PRIMARY KEY, b) WITHOUT "
        "ROWID");
  }

  void apply(unsigned operation, std::uint32_t argument) {
    const std::string id = std::to_string(argument % 64);
    const std::string k = std::to_string(argument % 5);
    switch (operation % 20) {
      case 0:
        return both("BEGIN");
      case 1:
        return both("COMMIT");
      case 2:
        return both("ROLLBACK");
      case 3:
        return both("SAVEPOINT s");
      case 4:
        return both("ROLLBACK TO s");
      case 5:
        return both("RELEASE s");
      case 6:
        return both("INSERT OR REPLACE INTO t VALUES (" + id + ", " + k + ", " +
                    blob(argument, argument % 20'000) + ")");
      case 7:
        return both("INSERT INTO t(k, v) VALUES (" + k + ", 'small'), (1, " + id + ")");
      case 8:
        return both("UPDATE t SET k = k + 1, v = substr(v, 1, 100) WHERE k = " + k);
      case 9:
        return both("DELETE FROM t WHERE id % 5 = " + k);
      case 10:
        return both("INSERT OR IGNORE INTO u SELECT id, v FROM t WHERE id < " + id);
      case 11:
        return both("DELETE FROM u WHERE a > " + id);
      case 12:
        return both((argument & 1) != 0 ? "CREATE INDEX tk ON t(k, v)" : "DROP INDEX tk");
      case 13:
        return both("INSERT INTO t(k, v) VALUES (" + k + ", " + blob(argument, 60'000) + ")");
      case 14:
        return both("VACUUM");
      case 15:
        return compare("SELECT count(*), sum(k), sum(length(v)), max(id) FROM t WHERE k >= " + k);
      case 16:
        return reopen();
      case 17:
        return database_->releaseMemory();
      case 18:
        return must(database_->waitDurable());
      default:
        for (std::uint32_t i = 0; i < argument % 8; ++i) fiber::yield();
    }
  }

  void finish() {
    if (database_->inTransaction()) both("ROLLBACK");
    compareAll();
    reopen();
    compareAll();
    compare("PRAGMA integrity_check");
    must(database_->close());
    Result<sql::CheckReport> checked = sql::checkDatabase(environment_, options_.name);
    must(checked);
    SKEP_CHECK(checked->ok(), "%s", checked->findings[0].message.c_str());
  }

 private:
  template <class T>
  static void must(const Result<T>& result) {
    SKEP_CHECK(result.ok(), "%s", result.error().toString().c_str());
  }
  void open() {
    Result<std::unique_ptr<sql::Database>> opened = sql::Database::open(environment_, options_);
    must(opened);
    database_ = std::move(opened).value();
  }
  void reopen() {
    if (database_->inTransaction()) SKEP_CHECK(model_.run("ROLLBACK"));
    must(database_->close());
    open();
  }
  void both(const std::string& sql) {
    const bool expected = model_.run(sql);
    const Status done = database_->run(sql);
    SKEP_CHECK(done.ok() == expected, "%.60s: %s", sql.c_str(),
               done ? model_.lastError().c_str() : done.error().toString().c_str());
  }
  void compare(const std::string& query) {
    const std::string found = testing::textOf(database_->execute(query));
    const std::string expected = model_.query(query);
    SKEP_CHECK(found == expected, "%s gives %.200s, not %.200s", query.c_str(), found.c_str(),
               expected.c_str());
  }
  void compareAll() {
    SKEP_CHECK(testing::dump(*database_) == testing::dump(model_), "another content");
  }

  vfs::Environment& environment_;
  sql::DatabaseOptions options_;
  PlainSqlite model_;
  std::unique_ptr<sql::Database> database_;
};

void runOn(fiber::Loop& loop, const std::function<void()>& body) {
  bool done = false;
  loop.spawn("fuzz", [&] {
    body();
    done = true;
  });
  loop.runUntil([&] { return done; });
}

}  // namespace
}  // namespace skep

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skep;
  ByteReader in(ByteView(reinterpret_cast<const std::byte*>(data), size));
  const unsigned choice = in.u8();
  SystemClock clock;
  fiber::Loop loop(clock);
  backend::MemoryStore store(clock);
  store::CommitPipeline pipeline(loop, store);
  vfs::PageCache cache((choice & 16) != 0 ? 10 * sizeof(vfs::PageBuffer) : 8 * 1024 * 1024);
  vfs::Environment environment{loop, store, pipeline, cache, boundsOf(choice)};
  runOn(loop, [&] {
    Session session(environment, (choice & 32) != 0 ? 8 : 0);
    for (int i = 0; i < kOperationsMax && in.ok() && in.remaining() >= 3; ++i) {
      const unsigned operation = in.u8();
      const unsigned low = in.u8();
      session.apply(operation, low | static_cast<unsigned>(in.u8()) << 8);
    }
    session.finish();
    pipeline.close();
  });
  return 0;
}
