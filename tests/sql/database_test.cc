#include "skep/sql/database.h"

#include <gtest/gtest.h>

#include "skep/testing/world.h"
#include "skep/vfs/paged_file.h"

namespace skep::sql {
namespace {

using skep::testing::scalar;
using skep::testing::World;

TEST(Database, what_was_committed_is_there_after_it_was_closed_and_opened_again) {
  World world;
  world.run([&] {
    auto db = world.open("tenant/acme");
    ASSERT_OK(db->run(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y')"));
    ASSERT_OK(db->close());
  });
  world.run([&] {
    auto db = world.open("tenant/acme");
    EXPECT_EQ(scalar(*db, "SELECT group_concat(b) FROM t"), "x,y");
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(db->close());
  });
}

TEST(Database, every_type_of_value_comes_back_as_it_went_in) {
  World world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"));
    const std::vector<Value> values{nullptr,   INT64_MIN,
                                    INT64_MAX, -0.5,
                                    "",        std::string("a\0b", 3),
                                    Bytes{},   Bytes{std::byte{0}, std::byte{255}}};
    for (const Value& value : values)
      ASSERT_OK(db->execute("INSERT INTO t(v) VALUES (?)", {value}));
    Result<Rows> rows = db->execute("SELECT v FROM t ORDER BY id");
    ASSERT_OK(rows);
    ASSERT_EQ(rows->rows.size(), values.size());
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(rows->rows[i][0], values[i]) << i;
    ASSERT_OK(db->close());
  });
}

TEST(Database, many_commits_fold_the_log_and_lose_nothing) {
  vfs::PagedFileOptions options;
  options.logBytesMin = 4096;
  World world(options);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX tv ON t(v)"));
    for (int i = 0; i < 2000; ++i) {
      ASSERT_OK(db->execute("INSERT INTO t(v) VALUES (?)",
                            {Value("value " + std::to_string(i * 7919 % 2000))}));
      if (i % 10 == 0) ASSERT_OK(db->waitDurable());
    }
    ASSERT_OK(db->waitDurable());
    EXPECT_GT(db->file().counters().chunksFolded, 0u);
    EXPECT_LE(db->head().logBytes, 64 * 1024u);
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT count(*) FROM t"), "2000");
    EXPECT_EQ(scalar(*again, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(again->close());
  });
}

TEST(Database, a_transaction_larger_than_memory_is_staged_and_appears_at_once) {
  vfs::PagedFileOptions options;
  options.transactionBytesMax = 64 * 4096;
  World world(options, 1024 * 1024);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)"));
    ASSERT_OK(db->begin());
    for (int i = 0; i < 3000; ++i)
      ASSERT_OK(db->execute("INSERT INTO t(v) VALUES (randomblob(2000))"));
    auto committed = db->commit();
    ASSERT_OK(committed);
    ASSERT_OK(db->waitDurable());
    EXPECT_GT(db->file().counters().chunksStaged, 0u);
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "3000");
    ASSERT_OK(db->run("DELETE FROM t WHERE id % 2 = 0; VACUUM"));
    ASSERT_OK(db->waitDurable());
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT count(*) FROM t"), "1500");
    EXPECT_EQ(scalar(*again, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(again->close());
  });
}

TEST(Database, a_rolled_back_transaction_leaves_nothing_behind_however_large) {
  for (int rows : {3, 3000}) {
    vfs::PagedFileOptions options;
    options.transactionBytesMax = 64 * 4096;
    World world(options);
    world.run([&] {
      auto db = world.open("a");
      ASSERT_OK(db->run(
          "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t(v) VALUES ('kept')"));
      ASSERT_OK(db->begin());
      for (int i = 0; i < rows; ++i)
        ASSERT_OK(db->execute("INSERT INTO t(v) VALUES (randomblob(2000))"));
      ASSERT_OK(db->rollback());
      EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "1");
      ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('after')"));
      ASSERT_OK(db->close());
      auto again = world.open("a");
      EXPECT_EQ(scalar(*again, "SELECT group_concat(v) FROM t"), "kept,after");
      EXPECT_EQ(scalar(*again, "PRAGMA integrity_check"), "ok");
      ASSERT_OK(again->close());
    });
  }
}

TEST(Database, a_second_owner_fences_the_first_which_learns_it_at_its_next_commit) {
  World world;
  world.run([&] {
    auto first = world.open("a");
    ASSERT_OK(first->run("CREATE TABLE t(x)"));
    ASSERT_OK(first->waitDurable());
    auto second = world.open("a");
    ASSERT_OK(first->run("INSERT INTO t VALUES ('lost')"));
    Status lost = first->waitDurable();
    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(lost.error().code, ErrorCode::Fenced);
    EXPECT_EQ(first->run("SELECT 1").error().code, ErrorCode::Fenced);
    ASSERT_OK(second->run("INSERT INTO t VALUES ('kept')"));
    ASSERT_OK(second->close());
    (void)first->close();
    auto third = world.open("a");
    EXPECT_EQ(scalar(*third, "SELECT group_concat(x) FROM t"), "kept");
    ASSERT_OK(third->close());
  });
}

TEST(Database, a_turn_gathers_its_writes_into_one_commit) {
  World world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(x)"));
    const store::Txid before = db->committedTxid();
    ASSERT_OK(db->beginTurn());
    ASSERT_OK(db->execute("INSERT INTO t VALUES (1)"));
    ASSERT_OK(db->execute("INSERT INTO t VALUES (2)"));
    Status refused = db->run("COMMIT");
    ASSERT_FALSE(refused.ok());
    auto txid = db->commitTurn();
    ASSERT_OK(txid);
    EXPECT_EQ(*txid, before + 1);
    ASSERT_OK(db->beginTurn());
    ASSERT_OK(db->execute("INSERT INTO t VALUES (3)"));
    ASSERT_OK(db->rollbackTurn());
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "2");
    ASSERT_OK(db->close());
  });
}

}  // namespace
}  // namespace skep::sql
