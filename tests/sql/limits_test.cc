// Limits: steps, time, memory, lengths, the quota of a database; each with a clear error and a
// clean state behind it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "skep/backend/memory/memory_store.h"
#include "skep/sql/check.h"
#include "skep/testing/temp_directory.h"
#include "skep/testing/watched_world.h"
#include "skep/vfs/paged_file.h"
#include "skep/vfs/temporary_file.h"

namespace skep::sql {
namespace {

using skep::testing::scalar;
using skep::testing::WatchedWorld;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* kCount =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT "
    "count(*) FROM n";
constexpr const char* kCountShort =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT count(*) "
    "FROM n";

class LimitsTest : public ::testing::Test {
 protected:
  void run(Limits limits, const std::function<void(Database&)>& body) {
    world_.run([&] {
      DatabaseOptions options;
      options.limits = limits;
      auto db = world_.open("a", options);
      ASSERT_OK(db->run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v)"));
      body(*db);
      ASSERT_OK(db->close());
    });
  }
  WatchedWorld world_;
};

TEST_F(LimitsTest, a_statement_that_takes_too_many_steps_is_stopped) {
  run({.stepsMax = 50'000}, [](Database& db) {
    Result<Rows> stopped = db.execute(kCount);
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::LimitExceeded);
    EXPECT_EQ(stopped.error().sqliteCode & 0xff, SQLITE_INTERRUPT);
    EXPECT_THAT(stopped.error().message, HasSubstr("50000 steps"));
    EXPECT_EQ(scalar(db, kCountShort), "100");
    for (int i = 0; i < 200; ++i)
      ASSERT_EQ(scalar(db, kCountShort), "100");  // each run counts for itself
  });
}

TEST_F(LimitsTest, statements_that_run_in_turn_count_their_steps_apart) {
  run({.stepsMax = 100'000}, [](Database& db) {
    auto endless = db.prepare(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i % "
        "100 = 0");
    ASSERT_OK(endless);
    int rows = 0;
    while (true) {
      Result<bool> row = endless->step();
      if (!row) {
        EXPECT_EQ(row.error().code, ErrorCode::LimitExceeded);
        break;
      }
      ASSERT_EQ(scalar(db, kCountShort), "100");
      ASSERT_LT(++rows, 10'000);
    }
    EXPECT_GT(rows, 10);
  });
}

TEST_F(LimitsTest, a_stopped_write_undoes_the_transaction_that_it_was_in) {
  run({.stepsMax = 50'000}, [](Database& db) {
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('before')"));
    EXPECT_EQ(db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO "
                     "t(v) SELECT i FROM n")
                  .error()
                  .code,
              ErrorCode::LimitExceeded);
    EXPECT_EQ(db.run("INSERT INTO t(v) VALUES ('after')").error().code, ErrorCode::Aborted);
    EXPECT_EQ(db.commit().error().code, ErrorCode::Aborted);
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t"), "0");
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('fine')"));
  });
}

/// A world whose clock moves only when SQL calls tick(ms).
class ClockTest : public ::testing::Test {
 protected:
  void run(Limits limits, const std::function<void(Database&)>& body) {
    bool done = false;
    loop_.spawn("test", [&] {
      DatabaseOptions options;
      options.name = "a";
      options.limits = limits;
      auto db = Database::open(environment_, options);
      ASSERT_OK(db);
      auto tick = [](sqlite3_context* context, int, sqlite3_value** values) {
        static_cast<ManualClock*>(sqlite3_user_data(context))
            ->advance(std::chrono::milliseconds(sqlite3_value_int64(values[0])));
      };
      sqlite3_create_function((*db)->handle(), "tick", 1, SQLITE_UTF8, &clock_, tick, nullptr,
                              nullptr);
      body(**db);
      EXPECT_OK((*db)->close());
      pipeline_.close();
      done = true;
    });
    loop_.runUntil([&] { return done; });
  }

  ManualClock clock_;
  fiber::Loop loop_{clock_};
  backend::MemoryStore store_{clock_};
  store::CommitPipeline pipeline_{loop_, store_};
  vfs::PageCache cache_{16 * 1024 * 1024};
  vfs::Environment environment_{loop_, store_, pipeline_, cache_, {}};
};

TEST_F(ClockTest, a_statement_that_takes_too_long_is_stopped) {
  run({.timeMsMax = 1000}, [](Database& db) {
    const std::string slow =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT "
        "count(tick(1)) FROM n";
    Result<Rows> stopped = db.execute(slow);
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::TimedOut);
    EXPECT_THAT(stopped.error().message, HasSubstr("1000 ms"));
    EXPECT_EQ(scalar(db, kCount), "100000");  // many steps, but no time
    for (int i = 0; i < 10; ++i) {
      ASSERT_EQ(scalar(db,
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                       "500) SELECT count(*) FROM n WHERE tick(1) IS NULL"),
                "500");
    }
  });
}

TEST_F(ClockTest, without_a_time_limit_nothing_is_stopped) {
  run({}, [](Database& db) {
    EXPECT_EQ(scalar(db,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                     "10000) SELECT count(*) FROM n WHERE tick(1000) IS NULL"),
              "10000");
  });
}

TEST_F(LimitsTest, a_long_statement_lets_other_fibers_run) {
  run({}, [&](Database& db) {
    bool counted = false;
    world_.loop().spawn("long", [&] {
      EXPECT_EQ(scalar(db,
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                       "3000000) SELECT count(*) FROM n"),
                "3000000");
      counted = true;
    });
    int rounds = 0;
    while (!counted) {
      fiber::yield();
      ++rounds;
    }
    EXPECT_GT(rounds, 5);
  });
}

// --- Memory ---

TEST_F(LimitsTest, memory_has_a_limit_and_a_refusal_leaves_things_clean) {
  run({.memoryBytesMax = 2 * 1024 * 1024}, [](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t VALUES (1, 'kept')"));
    const std::size_t before = db.memoryBytes();
    for (int i = 0; i < 3; ++i) {
      Result<Rows> refused = db.execute("SELECT length(hex(zeroblob(5000000)))");
      ASSERT_FALSE(refused.ok());
      EXPECT_EQ(refused.error().code, ErrorCode::LimitExceeded);
      EXPECT_EQ(refused.error().sqliteCode & 0xff, SQLITE_NOMEM);
      EXPECT_THAT(refused.error().message, HasSubstr("memory limit of 2097152 bytes"));
    }
    EXPECT_EQ(db.execute("INSERT INTO t VALUES (2, hex(zeroblob(5000000)))").error().code,
              ErrorCode::LimitExceeded);
    EXPECT_EQ(db.execute("SELECT ?", {Value(std::string(5'000'000, 'x'))}).error().code,
              ErrorCode::LimitExceeded);
    EXPECT_EQ(scalar(db, "SELECT group_concat(v) FROM t"), "kept");
    EXPECT_LT(db.memoryBytes(), before + 100'000);
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'new')"));
    EXPECT_EQ(scalar(db, "PRAGMA integrity_check"), "ok");
  });
}

TEST_F(LimitsTest, a_transaction_may_be_larger_than_the_memory_limit) {
  run({.memoryBytesMax = 4 * 1024 * 1024}, [](Database& db) {
    ASSERT_OK(db.begin());
    for (int i = 0; i < 300; ++i) ASSERT_OK(db.run("INSERT INTO t(v) VALUES (randomblob(100000))"));
    ASSERT_OK(db.commit());
    ASSERT_OK(
        db.run("CREATE INDEX tv ON t(substr(v, 1, 1000)); UPDATE t SET v = substr(v, 2); VACUUM"));
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t"), "300");
    EXPECT_EQ(scalar(db, "PRAGMA integrity_check"), "ok");
  });
}

TEST_F(LimitsTest, an_idle_database_holds_little_memory_and_a_closed_one_none) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX tv ON t(v)"));
    for (int i = 0; i < 300; ++i)
      ASSERT_OK(db->execute("INSERT INTO t(v) VALUES (?)", {Value(std::string(1000, 'a'))}));
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "300");
    ASSERT_OK(db->waitDurable());
    db->releaseMemory();
    EXPECT_LT(db->memoryBytes(), 64u * 1024);
    EXPECT_LE(world_.cache().stats().bytes, 2 * sizeof(vfs::PageBuffer));
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "300");  // and it can be used again
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('new')"));
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(db->close());
    EXPECT_EQ(db->memoryBytes(), 0u);
    EXPECT_EQ(world_.cache().stats().bytes, 0u);
  });
}

// A row here and there of a large table: each commit changes another chunk.
TEST_F(LimitsTest, an_idle_large_database_forgets_its_log_and_folds_it_later) {
  vfs::PagedFileOptions options;
  options.logBytesMin = options.logBytesMax = 96 * 1024;
  testing::WatchedWorld world(options);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(
        db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) "
                "INSERT INTO t SELECT i, zeroblob(3000) FROM n"));
    ASSERT_OK(db->waitDurable());
    const auto changeSome = [&](int remainder) {
      ASSERT_OK(db->run("UPDATE t SET v = randomblob(40) || substr(v, 41) WHERE id % 16 = " +
                        std::to_string(remainder)));
      ASSERT_OK(db->waitDurable());
    };
    changeSome(3);
    EXPECT_GT(db->file().logMemoryBytes(), 48u * 1024);
    db->releaseMemory();
    EXPECT_EQ(db->file().logMemoryBytes(), 0u);
    const std::uint64_t folded = db->file().counters().chunksFolded;
    for (int i = 4; i < 12; ++i) {
      changeSome(i);
      if (i % 3 == 0) db->releaseMemory();
    }
    EXPECT_GT(db->file().counters().chunksFolded, folded) << "from what the store has of the log";
    EXPECT_LE(db->head().logBytes, 4 * options.logBytesMax);
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(db->close());
    const auto checked = checkDatabase(world.environment(), "a");
    ASSERT_OK(checked);
    EXPECT_TRUE(checked->findings.empty());
  });
}

TEST_F(LimitsTest, an_idle_database_of_many_tables_holds_little_memory) {
  world_.run([&] {
    auto db = world_.open("a");
    for (int i = 0; i < 300; ++i) {
      const std::string name = "table_" + std::to_string(i);
      ASSERT_OK(db->run("CREATE TABLE " + name + "(id INTEGER PRIMARY KEY, a, b, c TEXT UNIQUE);" +
                        "CREATE INDEX " + name + "_ab ON " + name + "(a, b)"));
      ASSERT_OK(db->run("INSERT INTO " + name + "(a, c) VALUES (1, 'x')"));
    }
    ASSERT_OK(db->waitDurable());
    EXPECT_GT(db->memoryBytes(), 64u * 1024) << "the parsed schema alone";
    db->releaseMemory();
    EXPECT_LE(db->memoryBytes() + db->file().logMemoryBytes(), 64u * 1024);
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM table_299"), "1");  // and it can be used again
    ASSERT_OK(db->close());
  });
}

// What grew for it shrinks again, the tables of SQLite and ours alike.
TEST_F(LimitsTest, an_idle_database_holds_little_memory_after_a_large_transaction) {
  constexpr int kDatabases = 8;
  world_.run([&] {
    const auto fill = [&](Database& db) {
      ASSERT_OK(
          db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX tv ON t(v);"
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) "
                 "INSERT INTO t(v) SELECT randomblob(1000) FROM n"));
      ASSERT_OK(db.waitDurable());
    };
    {
      auto first = world_.open("first");  // what the process keeps for all
      fill(*first);
      first->releaseMemory();
      ASSERT_OK(first->close());
    }
    std::vector<std::unique_ptr<Database>> open;
    for (int i = 0; i < kDatabases; ++i) open.push_back(world_.open("a" + std::to_string(i)));
    for (auto& db : open) db->releaseMemory();
    for (auto& db : open) fill(*db);
    std::size_t inAll = 0;
    for (auto& db : open) {
      db->releaseMemory();
      inAll += db->memoryBytes() + db->file().logMemoryBytes() + db->file().tableMemoryBytes();
    }
    EXPECT_LE(inAll / kDatabases, 64u * 1024);
    for (auto& db : open) ASSERT_OK(db->close());
  });
}

TEST_F(LimitsTest, an_empty_TMPDIR_is_as_none) {
  const auto set = [](const char* name, const std::optional<std::string>& value) {
    value ? setenv(name, value->c_str(), 1) : unsetenv(name);
  };
  const auto get = [](const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
  };
  const auto before = get("TMPDIR");
  const auto sqliteBefore = get("SQLITE_TMPDIR");
  set("TMPDIR", "");
  set("SQLITE_TMPDIR", "");
  EXPECT_TRUE(std::filesystem::is_directory(testing::TempDirectory().path()));
  EXPECT_EQ(vfs::temporaryFilesFull().message.find("''"), std::string::npos);
  run({.memoryBytesMax = 4 << 20}, [](Database& db) {  // it sorts in a file
    EXPECT_EQ(scalar(db,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                     "20000) SELECT count(*) FROM (SELECT hex(randomblob(500)) AS v FROM n ORDER "
                     "BY v LIMIT 19000)"),
              "19000");
  });
  set("TMPDIR", before);
  set("SQLITE_TMPDIR", sqliteBefore);
}

TEST_F(LimitsTest, a_value_above_the_memory_limit_does_not_disturb_a_statement_that_waits) {
  run({}, [](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (randomblob(200000)), (randomblob(200000))"));
  });
  run({.memoryBytesMax = 1024 * 1024}, [&](Database& db) {
    auto other = db.prepare("SELECT length(?)");
    ASSERT_OK(other);
    fiber::Event changed;
    bool isReading = false;
    bool mayRead = false;
    world_.watch().beforeRead = [&](const store::ChunkReadRequest&) -> Status {
      isReading = true;
      changed.notifyAll();
      fiber::waitUntil(changed, [&] { return mayRead; });
      return {};
    };
    std::string sum;
    bool isDone = false;
    world_.loop().spawn("reader", [&] {
      sum = scalar(db, "SELECT sum(length(v)) FROM t");
      isDone = true;
      changed.notifyAll();
    });
    fiber::waitUntil(changed, [&] { return isReading || isDone; });
    ASSERT_TRUE(isReading);
    Status bound = other->bind(1, ValueView(std::string(2'000'000, 'a')));
    ASSERT_FALSE(bound.ok());
    EXPECT_EQ(bound.error().code, ErrorCode::LimitExceeded);
    EXPECT_EQ(bound.error().sqliteCode, 7) << "SQLITE_NOMEM";
    mayRead = true;
    changed.notifyAll();
    fiber::waitUntil(changed, [&] { return isDone; });
    EXPECT_EQ(sum, "400000");
    world_.watch().beforeRead = nullptr;
  });
}

TEST_F(LimitsTest, memory_is_given_back_in_the_middle_of_reading_and_of_a_transaction) {
  run({}, [&](Database& db) {
    ASSERT_OK(
        db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
               "INSERT INTO t(v) SELECT randomblob(3000) FROM n"));
    ASSERT_OK(db.waitDurable());
    const std::string sum = scalar(db, "SELECT sum(length(v)) FROM t");
    auto reader = db.prepare("SELECT length(v) FROM t");
    ASSERT_OK(reader);
    std::int64_t total = 0;
    for (int i = 0; i < 500; ++i) {
      auto row = reader->step();
      ASSERT_OK(row);
      ASSERT_TRUE(*row);
      total += reader->integer(0);
      if (i % 50 == 0) db.releaseMemory();
    }
    EXPECT_EQ(std::to_string(total), sum);
    ASSERT_OK(db.begin());
    for (int i = 0; i < 20; ++i) {
      ASSERT_OK(
          db.execute("UPDATE t SET v = ? WHERE id = ?", {Value("changed"), Value(i * 20 + 1)}));
      db.releaseMemory();
    }
    ASSERT_OK(db.commit());
    db.releaseMemory();
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t WHERE v = 'changed'"), "20");
    EXPECT_EQ(scalar(db, "PRAGMA integrity_check"), "ok");
  });
}

// --- Lengths ---

TEST_F(LimitsTest, a_text_of_100_mb_is_refused_by_default_and_runs_when_it_may) {
  const std::string prefix = "INSERT INTO t(v) VALUES (length('";
  std::string huge = prefix + std::string(100'000'000, 'x') + "'))";
  run({}, [&](Database& db) {
    for (const Error& refused :
         {db.run(huge).error(), db.execute(huge).error(), db.prepare(huge).error()}) {
      EXPECT_EQ(refused.code, ErrorCode::LimitExceeded);
      EXPECT_THAT(refused.message, HasSubstr("the limit is 1000000"));
    }
    EXPECT_LT(db.memoryBytes(), 1'000'000u);
  });
  run({.sqlBytesMax = 200'000'000, .memoryBytesMax = 150'000'000}, [&](Database& db) {
    EXPECT_EQ(db.run(huge).error().code, ErrorCode::LimitExceeded);  // SQLite's copies of it
  });
  run({.sqlBytesMax = 0, .memoryBytesMax = 0}, [&](Database& db) {
    ASSERT_OK(db.run(huge));
    EXPECT_EQ(scalar(db, "SELECT v FROM t"), "100000000");
    huge.back() = '(';
    Status failed = db.run(huge);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::Sql);
    EXPECT_LT(failed.error().message.size(), 1000u);
  });
}

TEST_F(LimitsTest, a_value_has_a_largest_length) {
  run({.valueBytesMax = 1'000'000}, [](Database& db) {
    EXPECT_EQ(scalar(db, "SELECT length(zeroblob(1000000))"), "1000000");
    Result<Rows> refused = db.execute("SELECT zeroblob(1000001)");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::LimitExceeded);
    EXPECT_EQ(refused.error().sqliteCode & 0xff, SQLITE_TOOBIG);
    EXPECT_EQ(db.execute("SELECT ?", {Value(std::string(1'000'001, 'x'))}).error().code,
              ErrorCode::LimitExceeded);
    EXPECT_EQ(db.execute("SELECT ?", {Value(Bytes(1'000'001))}).error().code,
              ErrorCode::LimitExceeded);
  });
}

TEST_F(LimitsTest, a_result_has_a_largest_size_and_a_statement_reads_on_without_one) {
  run({.resultBytesMax = 100'000}, [](Database& db) {
    const std::string rows =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) ";
    const std::string query = rows + "SELECT printf('%0900d', i) FROM n";
    EXPECT_OK(db.execute(query + " LIMIT 100"));
    const Result<Rows> refused = db.execute(query);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::LimitExceeded);
    EXPECT_THAT(refused.error().message, HasSubstr("larger than 100000 bytes"));
    auto statement = db.prepare(query);
    ASSERT_OK(statement);
    int count = 0;
    for (bool row = true; row; ++count) {
      auto stepped = statement->step();
      ASSERT_OK(stepped);
      row = *stepped;
    }
    EXPECT_EQ(count, 1001);
    // Rows that are made without a look at anything else count as well.
    std::string parts = "SELECT printf('%050000d', 1)";
    for (int i = 0; i < 4; ++i) parts += " UNION ALL SELECT printf('%050000d', 2)";
    EXPECT_EQ(db.execute(parts).error().code, ErrorCode::LimitExceeded);
    EXPECT_EQ(scalar(db, "SELECT 1"), "1");
  });
}

TEST_F(LimitsTest, a_write_whose_rows_are_too_large_a_result_writes_nothing) {
  run({.resultBytesMax = 100'000}, [](Database& db) {
    const std::string insert =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
        "INSERT INTO t(v) SELECT printf('%0900d', i) FROM n";
    ASSERT_OK(db.execute(insert));
    ASSERT_OK(db.run("DELETE FROM t"));
    EXPECT_EQ(db.execute(insert + " RETURNING v").error().code, ErrorCode::LimitExceeded);
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t"), "0");
    EXPECT_OK(db.waitDurable());
    ASSERT_OK(db.beginTurn());
    EXPECT_EQ(db.execute(insert + " RETURNING v").error().code, ErrorCode::LimitExceeded);
    ASSERT_OK(db.rollbackTurn());
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t"), "0");
    ASSERT_OK(db.execute("INSERT INTO t(v) VALUES ('small') RETURNING v"));
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t"), "1");
  });
}

TEST_F(LimitsTest, zero_means_no_limit) {
  run({.sqlBytesMax = 0,
       .valueBytesMax = 0,
       .memoryBytesMax = 0,
       .stepsMax = 0,
       .timeMsMax = 0,
       .databaseBytesMax = 0},
      [](Database& db) {
        ASSERT_OK(db.run("INSERT INTO t(v) VALUES (zeroblob(3000000))"));
        EXPECT_EQ(scalar(db, "SELECT length(v) FROM t"), "3000000");
        EXPECT_EQ(scalar(db, kCount), "100000");
      });
}

// --- The quota ---

TEST_F(LimitsTest, a_full_database_changes_nothing_and_works_again_after_delete_and_vacuum) {
  run({.databaseBytesMax = 100 * 4096}, [](Database& db) {
    int inserted = 0;
    Status status;
    while (status.ok()) {
      status = db.run("INSERT INTO t(v) VALUES (randomblob(20000))");
      if (status.ok()) ++inserted;
      ASSERT_LT(inserted, 100);
    }
    EXPECT_EQ(status.error().code, ErrorCode::QuotaExceeded);
    EXPECT_THAT(status.error().message, HasSubstr("quota of 409600 bytes"));
    EXPECT_GT(inserted, 10);
    const store::Txid full = db.committedTxid();
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t"), std::to_string(inserted));
    EXPECT_EQ(db.run("INSERT INTO t(v) VALUES (randomblob(20000))").error().code,
              ErrorCode::QuotaExceeded);
    EXPECT_EQ(db.committedTxid(), full);
    ASSERT_OK(db.run("UPDATE t SET v = 'small' WHERE id = 1"));  // no growth
    ASSERT_OK(db.run("DELETE FROM t WHERE id > 5; VACUUM"));
    EXPECT_LT(db.file().pageCount(), 60u);
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (randomblob(20000))"));
    ASSERT_OK(db.waitDurable());
    EXPECT_EQ(db.head().pageCount, db.file().pageCount());
    EXPECT_EQ(scalar(db, "PRAGMA integrity_check"), "ok");
  });
}

TEST_F(LimitsTest,
       a_transaction_far_past_the_quota_is_stopped_early_and_leaves_nothing_in_the_store) {
  vfs::PagedFileOptions options;
  options.transactionBytesMax = 16 * 4096;
  WatchedWorld world(options);
  world.run([&] {
    DatabaseOptions open;
    open.limits.databaseBytesMax = 100 * 4096;
    auto db = world.open("a", open);
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"));
    ASSERT_OK(db->begin());
    Status status;
    for (int i = 0; i < 1000 && status.ok(); ++i)
      status = db->run("INSERT INTO t(v) VALUES (randomblob(100000))");
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::QuotaExceeded);
    ASSERT_OK(db->rollback());
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "0");
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('fine')"));
    ASSERT_OK(db->close());
    auto info = world.store().info("a");
    ASSERT_OK(info);
    EXPECT_EQ(info->head.stagingTxid, 0u);
    EXPECT_LT(info->storedBytes, 100'000u);
  });
}

TEST_F(LimitsTest, a_database_above_a_quota_that_was_lowered_can_be_read_and_shrunk) {
  run({}, [](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (randomblob(1000000)), ('small')"));
  });
  run({.databaseBytesMax = 20 * 4096}, [](Database& db) {
    EXPECT_EQ(scalar(db, "SELECT sum(length(v)) FROM t"), "1000005");
    EXPECT_EQ(db.run("INSERT INTO t(v) VALUES (randomblob(100000))").error().code,
              ErrorCode::QuotaExceeded);
    ASSERT_OK(db.run("DELETE FROM t WHERE id = 1; VACUUM"));
    EXPECT_LT(db.file().pageCount(), 5u);
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (randomblob(10000))"));
    EXPECT_EQ(db.run("INSERT INTO t(v) VALUES (randomblob(100000))").error().code,
              ErrorCode::QuotaExceeded);
  });
}

TEST_F(LimitsTest, temporary_tables_are_within_the_quota_too) {
  for (const char* make :
       {"CREATE TEMP TABLE big(x)", "CREATE TEMP TABLE big AS SELECT 1 AS x",
        "CREATE TABLE temp.big(x)", "CREATE VIRTUAL TABLE temp.big USING fts5(x)"}) {
    run({.databaseBytesMax = 50 * 4096}, [make](Database& db) {
      ASSERT_OK(db.run(make));
      const Status refused = db.run("INSERT INTO big SELECT hex(randomblob(500000))");
      ASSERT_FALSE(refused.ok()) << make;
      EXPECT_EQ(refused.error().code, ErrorCode::QuotaExceeded) << make;
      EXPECT_THAT(refused.error().message, HasSubstr("temporary")) << make;
      ASSERT_OK(db.run("INSERT INTO big VALUES ('small'); INSERT INTO t(v) VALUES ('kept')"));
    });
  }
}

/// While it lives, nothing can be written to SQLite's own files: their disk is full.
class FullDisk {
 public:
  FullDisk() {
    for (std::size_t i = 0; i < std::size(kCalls); ++i) {
      before_[i] = vfs_->xGetSystemCall(vfs_, kCalls[i].name);
      vfs_->xSetSystemCall(vfs_, kCalls[i].name, kCalls[i].failing);
    }
  }
  ~FullDisk() {
    for (std::size_t i = 0; i < std::size(kCalls); ++i)
      vfs_->xSetSystemCall(vfs_, kCalls[i].name, before_[i]);
  }

 private:
  static ssize_t write(int, const void*, std::size_t) {
    errno = ENOSPC;
    return -1;
  }
  static ssize_t writeAt(int, const void*, std::size_t, off_t) {
    errno = ENOSPC;
    return -1;
  }
  struct Call {
    const char* name;
    sqlite3_syscall_ptr failing;
  };
  static inline const Call kCalls[] = {
      {"write", reinterpret_cast<sqlite3_syscall_ptr>(write)},
      {"pwrite", reinterpret_cast<sqlite3_syscall_ptr>(writeAt)},
      {"pwrite64", reinterpret_cast<sqlite3_syscall_ptr>(writeAt)},
  };
  sqlite3_vfs* vfs_ = sqlite3_vfs_find("unix");
  sqlite3_syscall_ptr before_[std::size(kCalls)]{};
};

TEST_F(LimitsTest, a_full_disk_of_temporary_files_is_not_taken_for_the_quota) {
  vfs::PagedFileOptions options;
  options.dirtyPagesMax = 16;  // so that a transaction spills soon, and needs a journal
  WatchedWorld world(options);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(
        db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX tv ON t(v);"
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                "300) INSERT INTO t(v) SELECT hex(randomblob(1000)) FROM n"));
    for (const char* sql : {"UPDATE t SET v = hex(randomblob(1000))",
                            "CREATE TEMP TABLE big AS SELECT a.v FROM t a, t b LIMIT 5000",
                            "SELECT DISTINCT substr(a.v, 2) || b.v FROM t a, t b ORDER BY 1"}) {
      const Status refused = [&] {
        const FullDisk full;
        return db->run(sql);
      }();
      ASSERT_FALSE(refused.ok()) << sql;
      EXPECT_EQ(refused.error().code, ErrorCode::StoreFull) << refused.error().message;
      EXPECT_THAT(refused.error().message, HasSubstr("temporary files")) << sql;
    }
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "300");
    ASSERT_OK(db->close());
  });
}

TEST_F(LimitsTest, an_open_that_runs_out_of_memory_anywhere_says_so) {
  run({}, [](Database& db) { ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)")); });
  world_.run([&] {
    int failed = 0;
    for (std::size_t bytes = 1000;; bytes += 500) {
      DatabaseOptions options;
      options.name = "a";
      options.limits.memoryBytesMax = bytes;
      auto db = Database::open(world_.environment(), options);
      if (db) {
        ASSERT_OK((*db)->close());
        break;
      }
      ++failed;
      EXPECT_EQ(db.error().code, ErrorCode::LimitExceeded) << db.error().toString();
      ASSERT_LT(bytes, 1'000'000u);
    }
    EXPECT_GT(failed, 10);
  });
}

}  // namespace
}  // namespace skep::sql
