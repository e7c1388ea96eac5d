// Several fibers in one database, interruption, and readers beside an owner.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <atomic>
#include <thread>

#include "skep/testing/watched_world.h"
#include "skep/vfs/paged_file.h"

namespace skep::sql {
namespace {

using skep::testing::scalar;
using skep::testing::WatchedWorld;
using ::testing::HasSubstr;

constexpr const char* kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, v)";
constexpr const char* kEndless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

/// Every page miss lets the loop's other fibers run for a while.
void slowReads(WatchedWorld& world) {
  world.watch().beforeRead = [](const store::ChunkReadRequest&) -> Status {
    for (int i = 0; i < 5; ++i) fiber::yield();
    return {};
  };
}

TEST(Fibers, of_one_database_read_and_write_at_once_and_lose_nothing) {
  vfs::PagedFileOptions options;
  options.logBytesMin = 2048;
  WatchedWorld world(options, 40 * sizeof(vfs::PageBuffer));  // hardly anything stays in memory
  slowReads(world);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    constexpr int kFibers = 8;
    constexpr int kRounds = 60;
    int running = kFibers;
    fiber::Event done;
    for (int f = 0; f < kFibers; ++f) {
      world.loop().spawn("worker", [&, f] {
        for (int i = 0; i < kRounds; ++i) {
          EXPECT_OK(db->execute("INSERT INTO t(id, v) VALUES (?, ?)",
                                {Value(f * 1000 + i), Value(std::string(500, 'a' + f))}));
          auto statement = db->prepare("SELECT count(*) FROM t WHERE id BETWEEN ? AND ?");
          EXPECT_OK(statement);
          EXPECT_OK(statement->bind(1, f * 1000));
          EXPECT_OK(statement->bind(2, f * 1000 + 999));
          auto row = statement->step();
          EXPECT_OK(row);
          EXPECT_EQ(statement->integer(0), i + 1);
          if (i % 10 == f) {
            EXPECT_OK(db->waitDurable());
          }
          fiber::yield();
        }
        --running;
        done.notifyAll();
      });
    }
    fiber::waitUntil(done, [&] { return running == 0; });
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), std::to_string(kFibers * kRounds));
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    EXPECT_EQ(db->counters().commits, 1u + kFibers * kRounds);
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT count(*) FROM t"), std::to_string(kFibers * kRounds));
    ASSERT_OK(again->close());
  });
}

TEST(Fibers, drop_statements_while_another_one_is_inside_the_database) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(
        db->run("INSERT INTO t VALUES (1, 'one'), (2, 'two'); CREATE TABLE u(x); INSERT INTO u "
                "VALUES (1)"));
    ASSERT_OK(db->waitDurable());
    const store::Txid before = db->committedTxid();
    auto plain = db->prepare("SELECT * FROM t");
    auto running = db->prepare("SELECT * FROM t");
    ASSERT_OK(running->step());
    auto cached = db->cached("SELECT v FROM t");
    ASSERT_OK(cached->step());
    auto writing = db->prepare("INSERT INTO t(v) VALUES ('three'), ('four') RETURNING id");
    ASSERT_OK(writing->step());

    bool inside = false;
    bool mayGo = false;
    fiber::Event go;
    world.watch().beforeRead = [&](const store::ChunkReadRequest&) -> Status {
      inside = true;
      fiber::waitUntil(go, [&] { return mayGo; });
      return {};
    };
    db->releaseMemory();
    bool finished = false;
    world.loop().spawn("inside", [&] {
      EXPECT_EQ(scalar(*db, "SELECT count(*) FROM u"), "1");
      finished = true;
      go.notifyAll();
    });
    for (int i = 0; i < 10; ++i) fiber::yield();
    EXPECT_TRUE(inside);
    EXPECT_FALSE(finished);
    *plain = Statement();
    *running = Statement();
    *cached = Statement();
    *writing = Statement();
    mayGo = true;
    go.notifyAll();
    fiber::waitUntil(go, [&] { return finished; });
    ASSERT_OK(db->waitDurable());
    EXPECT_EQ(db->durableTxid(), before + 1);
    EXPECT_EQ(scalar(*db, "SELECT group_concat(v) FROM t"), "one,two,three,four");
    ASSERT_OK(db->close());
  });
}

TEST(Fibers, interrupt_a_statement_of_another_one) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    db->interrupt();  // nothing runs: forgotten
    EXPECT_EQ(scalar(*db, "SELECT 1"), "1");
    bool stopped = false;
    world.loop().spawn("endless", [&] {
      Result<Rows> result = db->execute(kEndless);
      EXPECT_FALSE(result.ok());
      EXPECT_EQ(result.error().code, ErrorCode::Aborted);
      EXPECT_EQ(result.error().message, "interrupted");
      stopped = true;
    });
    for (int i = 0; i < 5; ++i) fiber::yield();
    EXPECT_FALSE(stopped);
    db->interrupt();
    while (!stopped) fiber::yield();
    EXPECT_EQ(scalar(*db, "SELECT 1"), "1");
    ASSERT_OK(db->close());
  });
}

TEST(Threads, interrupt_a_statement) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('gone')"));
    std::atomic<bool> stopped{false};
    std::thread interrupter([&] {
      while (!stopped) {
        db->interrupt();
        std::this_thread::yield();
      }
    });
    Status result = db->run(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO t(v) SELECT i "
        "FROM n");
    stopped = true;
    interrupter.join();
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::Aborted);
    EXPECT_EQ(db->commit().error().code, ErrorCode::Aborted);
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "0");
    ASSERT_OK(db->close());
  });
}

// --- Readers beside an owner ---

DatabaseOptions readOnly() {
  DatabaseOptions options;
  options.mode = DatabaseOptions::Mode::ReadOnly;
  return options;
}

TEST(ReadOnly, a_reader_sees_the_version_of_its_open_while_the_owner_goes_on) {
  WatchedWorld world;
  world.run([&] {
    auto owner = world.open("a");
    ASSERT_OK(owner->run(kTable));
    ASSERT_OK(owner->run("INSERT INTO t(v) VALUES (1)"));
    ASSERT_OK(owner->waitDurable());
    auto reader = world.open("a", readOnly());
    EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM t"), "1");
    for (int i = 0; i < 10; ++i) {
      ASSERT_OK(owner->run("INSERT INTO t(v) VALUES (1)"));
      ASSERT_OK(owner->waitDurable());
      EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM t"), "1");
      reader->releaseMemory();
    }
    auto later = world.open("a", readOnly());
    EXPECT_EQ(scalar(*later, "SELECT count(*) FROM t"), "11");
    EXPECT_EQ(scalar(*later, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(later->close());
    ASSERT_OK(reader->close());
    ASSERT_OK(owner->close());
    EXPECT_EQ(owner->brokenBy(), nullptr);
  });
}

TEST(ReadOnly, a_reader_writes_nothing_whatever_it_is_asked) {
  vfs::PagedFileOptions options;
  options.logBytesMin = 0;  // a fold would be due at every chance
  options.logBytesMax = 0;
  WatchedWorld world(options);
  world.run([&] {
    auto owner = world.open("a");
    ASSERT_OK(owner->run(kTable));
    ASSERT_OK(owner->run("INSERT INTO t(v) VALUES (1)"));
    ASSERT_OK(owner->waitDurable());
    const std::uint64_t writes = world.watch().calls().writes;
    const auto before = world.store().info("a");
    auto reader = world.open("a", readOnly());
    for (const char* sql : {"INSERT INTO t(v) VALUES (2)", "CREATE TABLE u(x)",
                            "PRAGMA user_version = 7", "VACUUM", "DROP TABLE t"}) {
      Status refused = reader->run(sql);
      ASSERT_FALSE(refused.ok()) << sql;
      EXPECT_EQ(refused.error().code, ErrorCode::ReadOnly) << sql;
    }
    EXPECT_EQ(reader->setAlarm(1).error().code, ErrorCode::ReadOnly);
    ASSERT_OK(reader->run("CREATE TEMP TABLE mine(x); INSERT INTO mine VALUES (1)"));
    EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM mine, t"), "1");
    ASSERT_OK(reader->beginTurn());
    EXPECT_FALSE(reader->run("INSERT INTO t(v) VALUES (2)").ok());
    ASSERT_OK(reader->rollbackTurn());
    reader->releaseMemory();
    EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM t"), "1");
    ASSERT_OK(reader->close());
    EXPECT_EQ(world.watch().calls().writes, writes);
    EXPECT_EQ(world.store().info("a")->head, before->head);
    ASSERT_OK(owner->close());
  });
}

TEST(ReadOnly, a_reader_neither_creates_nor_claims) {
  WatchedWorld world;
  world.run([&] {
    EXPECT_EQ(Database::open(world.environment(),
                             [] {
                               auto options = readOnly();
                               options.name = "nobody";
                               return options;
                             }())
                  .error()
                  .code,
              ErrorCode::NotFound);
    EXPECT_EQ(world.store().info("nobody").error().code, ErrorCode::NotFound);
    auto owner = world.open("empty");
    auto reader = world.open("empty", readOnly());
    EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM sqlite_schema"), "0");
    EXPECT_EQ(reader->run("CREATE TABLE t(x)").error().code, ErrorCode::ReadOnly);
    ASSERT_OK(reader->close());
    ASSERT_OK(owner->run(kTable));
    ASSERT_OK(owner->close());
  });
}

TEST(ReadOnly, a_version_that_was_folded_away_is_gone_and_that_is_what_the_error_says) {
  vfs::PagedFileOptions options;
  options.logBytesMin = 0;
  options.logBytesMax = 0;
  for (bool keepsLog : {false, true}) {
    WatchedWorld world(options);
    world.run([&] {
      auto owner = world.open("a");
      ASSERT_OK(owner->run(kTable));
      ASSERT_OK(owner->run(
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
          "INSERT INTO t(v) SELECT randomblob(3000) FROM n"));
      ASSERT_OK(owner->waitDurable());
      // The reader's version ends in a record whose deltas need chunks that the owner then folds
      // away.
      vfs::PagedFileOptions noFold;
      noFold.logBytesMin = noFold.logBytesMax = std::size_t{1} << 40;
      vfs::Environment other{world.loop(), world.store(), world.environment().pipeline,
                             world.cache(), noFold};
      ASSERT_OK(owner->close());
      DatabaseOptions open;
      open.name = "a";
      auto changer = Database::open(other, open);
      ASSERT_OK(changer);
      ASSERT_OK((*changer)->run("UPDATE t SET v = zeroblob(3000) WHERE id % 7 = 0"));
      ASSERT_OK((*changer)->close());
      auto reader = world.open("a", readOnly());
      if (!keepsLog) reader->releaseMemory();
      owner = world.open("a");
      ASSERT_OK(owner->run("UPDATE t SET v = randomblob(3000)"));
      ASSERT_OK(owner->close());
      auto rows = reader->execute("SELECT sum(length(v)) FROM t");
      ASSERT_FALSE(rows.ok());
      EXPECT_EQ(rows.error().code, ErrorCode::SnapshotGone) << rows.error().message;
      (void)reader->close();
      auto again = world.open("a", readOnly());
      EXPECT_EQ(scalar(*again, "SELECT sum(length(v)) FROM t"), "1200000");
      ASSERT_OK(again->close());
    });
  }
}

}  // namespace
}  // namespace skep::sql
