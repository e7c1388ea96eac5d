// What SQLite does in the cases that a VFS gets wrong easily (the table in docs/ARCHITECTURE.md),
// and what we make of it. One commit of SQLite must be one txid: that is what the counts below are
// about.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include "skep/store/record.h"
#include "skep/testing/temp_directory.h"
#include "skep/testing/watched_world.h"
#include "skep/vfs/paged_file.h"

namespace skep::vfs {
namespace {

using skep::testing::scalar;
using skep::testing::WatchedWorld;
using sql::Database;
using sql::Statement;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Whether the journal of the open transaction is a file of the operating system (else it is in
/// memory).
bool journalsToFile(Database& db) {
  sqlite3_file* journal = nullptr;
  sqlite3_file_control(db.handle(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
  // SQLite's journal in memory leaves out the methods that only files need.
  return journal != nullptr && journal->pMethods != nullptr && journal->pMethods->xLock != nullptr;
}

/// `pages` pages of content that does not compress, in one transaction's worth of statements.
std::string fillPages(int pages) {
  return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
         std::to_string(pages / 10) + ") INSERT INTO t(v) SELECT randomblob(40000) FROM n";
}

constexpr const char* kTable = "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)";

TEST(Pitfalls, the_first_transaction_of_an_empty_file_is_one_commit) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    EXPECT_EQ(db->committedTxid(), 1u);
    EXPECT_EQ(db->file().pageCount(), 2u);
    ASSERT_OK(db->waitDurable());
    EXPECT_EQ(world.watch().calls().commits, 1u);
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT count(*) FROM t"), "0");
    ASSERT_OK(again->close());
  });
}

TEST(Pitfalls, a_first_transaction_that_spills_is_one_commit_and_a_rolled_back_one_is_none) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run(fillPages(6000)));
    ASSERT_OK(db->rollback());
    EXPECT_EQ(db->committedTxid(), 0u);
    EXPECT_EQ(db->file().pageCount(), 0u);
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM sqlite_schema"), "0");

    ASSERT_OK(db->begin());
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run(fillPages(6000)));
    auto txid = db->commit();
    ASSERT_OK(txid);
    EXPECT_EQ(*txid, 1u);
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT count(*) FROM t"), "600");
    EXPECT_EQ(scalar(*again, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(again->close());
  });
}

TEST(Pitfalls, a_transaction_of_3000_pages_stays_in_memory_and_is_one_batch) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run(fillPages(3000)));
    EXPECT_FALSE(journalsToFile(*db));
    auto txid = db->commit();
    ASSERT_OK(txid);
    EXPECT_EQ(*txid, 2u);
    EXPECT_GE(db->file().pageCount(), 3000u);
    ASSERT_OK(db->close());
  });
}

class SpilledTransaction : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Pitfalls, SpilledTransaction, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "staged" : "in_memory"; });

TEST_P(SpilledTransaction, goes_through_a_journal_and_is_still_one_commit) {
  PagedFileOptions options;
  options.transactionBytesMax = GetParam() ? 1024 * 1024 : 256 * 1024 * 1024;
  options.dirtyPagesMax = 1000;
  WatchedWorld world(options);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run(fillPages(3000)));
    EXPECT_TRUE(journalsToFile(*db));
    auto txid = db->commit();
    ASSERT_OK(txid);
    EXPECT_EQ(*txid, 2u);
    ASSERT_OK(db->waitDurable());
    EXPECT_EQ(db->durableTxid(), 2u);
    EXPECT_EQ(GetParam(), db->file().counters().chunksStaged > 0);
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT sum(length(v)) FROM t"), "12000000");
    EXPECT_EQ(scalar(*again, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(again->close());
  });
}

TEST_P(SpilledTransaction, leaves_no_trace_when_it_is_rolled_back_as_a_whole_or_to_a_savepoint) {
  PagedFileOptions options;
  options.transactionBytesMax = GetParam() ? 1024 * 1024 : 256 * 1024 * 1024;
  WatchedWorld world(options);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('kept')"));
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('before'); SAVEPOINT s"));
    ASSERT_OK(db->run(fillPages(6000)));
    ASSERT_OK(db->run("ROLLBACK TO s; RELEASE s"));
    EXPECT_EQ(scalar(*db, "SELECT group_concat(v) FROM t"), "kept,before");
    auto txid = db->commit();
    ASSERT_OK(txid);
    EXPECT_EQ(*txid, 3u);
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run(fillPages(6000)));
    ASSERT_OK(db->rollback());
    EXPECT_EQ(db->committedTxid(), 3u);
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT group_concat(v) FROM t"), "kept,before");
    EXPECT_EQ(scalar(*again, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(again->close());
  });
}

TEST(Pitfalls, small_transactions_after_a_spilled_one_journal_in_memory_again) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run(fillPages(6000)));
    ASSERT_TRUE(journalsToFile(*db));
    ASSERT_OK(db->commit());
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK(db->begin());
      ASSERT_OK(db->run("UPDATE t SET v = 'small' WHERE id = 1"));
      EXPECT_FALSE(journalsToFile(*db));
      ASSERT_OK(db->commit());
    }
    EXPECT_EQ(scalar(*db, "PRAGMA journal_mode"), "delete");
    ASSERT_OK(db->close());
  });
}

class Vacuum : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Pitfalls, Vacuum, ::testing::Values(100, 6000),
                         [](const auto& each) { return std::to_string(each.param) + "_pages"; });

TEST_P(Vacuum, is_one_commit_and_the_file_ends_at_the_right_page) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run(fillPages(GetParam())));
    ASSERT_OK(db->run("DELETE FROM t WHERE id % 5 != 0"));
    ASSERT_OK(db->waitDurable());
    const store::Txid before = db->committedTxid();
    const std::uint32_t pagesBefore = db->file().pageCount();
    ASSERT_OK(db->run("VACUUM"));
    EXPECT_EQ(db->committedTxid(), before + 1);
    EXPECT_LT(db->file().pageCount(), pagesBefore / 4);
    EXPECT_EQ(scalar(*db, "PRAGMA page_count"), std::to_string(db->file().pageCount()));
    ASSERT_OK(db->waitDurable());
    EXPECT_EQ(db->head().pageCount, db->file().pageCount());
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES (zeroblob(100000))"));
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT count(*) FROM t"), std::to_string(GetParam() / 50 + 1));
    EXPECT_EQ(scalar(*again, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(again->close());
  });
}

TEST(Pitfalls, a_second_file_can_not_join_a_transaction) {
  skep::testing::TempDirectory directory;
  const std::string path = std::string(directory.path()) + "/other.sqlite";
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    for (const std::string& sql :
         {"ATTACH '" + path + "' AS other", std::string("ATTACH ':memory:' AS other"),
          std::string("ATTACH '' AS other"), "VACUUM INTO '" + path + "'",
          "VACUUM main INTO '" + path + "'", std::string("DETACH main")}) {
      Status refused = db->run(sql);
      ASSERT_FALSE(refused.ok()) << sql;
      EXPECT_EQ(refused.error().code, ErrorCode::Sql) << sql;
      EXPECT_EQ(refused.error().sqliteCode & 0xff, SQLITE_AUTH) << sql;
      EXPECT_THAT(refused.error().message, HasSubstr("not available")) << sql;
    }
    EXPECT_NE(access(path.c_str(), F_OK), 0);
    ASSERT_OK(db->run("INSERT INTO t VALUES (1, 2); VACUUM"));
    ASSERT_OK(db->close());
  });
}

TEST(Pitfalls, pragmas_that_the_vfs_relies_on_can_be_read_but_not_changed) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    for (const char* sql :
         {"PRAGMA synchronous = OFF", "PRAGMA main.synchronous = 0", "pragma SYNCHRONOUS(0)",
          "PRAGMA journal_mode = WAL", "PRAGMA journal_mode = OFF",
          "PRAGMA main.journal_mode = MEMORY", "PRAGMA journal_mode(PERSIST)",
          "PRAGMA page_size = 512", "PRAGMA locking_mode = NORMAL", "PRAGMA temp_store = MEMORY",
          "PRAGMA cache_size = 100", "PRAGMA cache_spill = OFF", "PRAGMA mmap_size = 0",
          "PRAGMA writable_schema = ON", "PRAGMA encoding = 'UTF-16'", "PRAGMA schema_version = 7",
          "PRAGMA max_page_count = 10"}) {
      Status refused = db->run(sql);
      ASSERT_FALSE(refused.ok()) << sql;
      EXPECT_EQ(refused.error().sqliteCode & 0xff, SQLITE_AUTH) << sql;
      EXPECT_THAT(refused.error().message, HasSubstr("can be read but not changed")) << sql;
    }
    EXPECT_EQ(scalar(*db, "PRAGMA synchronous"), "1");
    EXPECT_EQ(scalar(*db, "PRAGMA journal_mode"), "delete");
    EXPECT_EQ(scalar(*db, "PRAGMA page_size"), "4096");
    EXPECT_EQ(scalar(*db, "PRAGMA locking_mode"), "exclusive");
    ASSERT_OK(db->close());
  });
}

// SQLite would answer an IOERR of the batch by committing again through a journal, and report
// success.
TEST(Pitfalls,
     a_store_error_while_a_commit_is_prepared_rolls_back_and_is_not_tried_through_a_journal) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('old')"));
    ASSERT_OK(db->waitDurable());
    const store::Txid before = db->committedTxid();

    ASSERT_OK(db->begin());
    ASSERT_OK(db->run("UPDATE t SET v = 'new'"));
    db->file().releaseMemory();  // what the commit's delta needs is in the store alone
    world.watch().beforeRead = [](const store::ChunkReadRequest&) -> Status {
      return Error{ErrorCode::Unavailable, "the store is away"};
    };
    Result<store::Txid> failed = db->commit();
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::Unavailable);
    EXPECT_EQ(failed.error().sqliteCode & 0xff, SQLITE_FULL);
    EXPECT_EQ(db->committedTxid(), before);
    EXPECT_FALSE(db->inTransaction());
    EXPECT_EQ(db->brokenBy(), nullptr);

    world.watch().beforeRead = nullptr;
    EXPECT_EQ(scalar(*db, "SELECT v FROM t"), "old");
    ASSERT_OK(db->run("UPDATE t SET v = 'newer'"));
    EXPECT_EQ(db->committedTxid(), before + 1);
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT v FROM t"), "newer");
    EXPECT_EQ(scalar(*again, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(again->close());
  });
}

TEST(Pitfalls, a_store_error_under_a_commit_that_spilled_rolls_back_too) {
  PagedFileOptions options;
  options.transactionBytesMax = 256 * 1024 * 1024;
  WatchedWorld world(options);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run(fillPages(5000)));
    ASSERT_OK(db->waitDurable());
    const store::Txid before = db->committedTxid();
    const std::string sum = scalar(*db, "SELECT sum(unicode(hex(v))) FROM t");
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run("UPDATE t SET v = randomblob(40000)"));
    ASSERT_TRUE(journalsToFile(*db));
    db->file().releaseMemory();
    world.watch().beforeRead = [](const store::ChunkReadRequest&) -> Status {
      return Error{ErrorCode::Unavailable, "the store is away"};
    };
    Result<store::Txid> failed = db->commit();
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::Unavailable);
    EXPECT_EQ(db->committedTxid(), before);
    world.watch().beforeRead = nullptr;
    EXPECT_EQ(scalar(*db, "SELECT sum(unicode(hex(v))) FROM t"), sum);
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(db->run("UPDATE t SET v = 'x' WHERE id = 1"));
    EXPECT_EQ(db->committedTxid(), before + 1);
    ASSERT_OK(db->close());
  });
}

TEST(Pitfalls, a_quota_error_at_commit_rolls_back_and_the_connection_goes_on) {
  WatchedWorld world;
  world.run([&] {
    sql::DatabaseOptions options;
    options.limits.databaseBytesMax = 40 * 4096;
    auto db = world.open("a", options);
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('old')"));
    const store::Txid before = db->committedTxid();
    Status failed = db->run(fillPages(100));
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::QuotaExceeded);
    EXPECT_THAT(failed.error().message, HasSubstr("quota of 163840 bytes"));
    EXPECT_EQ(db->committedTxid(), before);
    EXPECT_EQ(scalar(*db, "SELECT group_concat(v) FROM t"), "old");
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('new')"));
    EXPECT_EQ(db->committedTxid(), before + 1);
    ASSERT_OK(db->close());
  });
}

TEST(Pitfalls,
     a_commit_refused_because_a_statement_still_writes_can_be_tried_again_and_is_one_commit) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    const store::Txid before = db->committedTxid();
    ASSERT_OK(db->run("BEGIN"));
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('first')"));
    auto writing = db->prepare("INSERT INTO t(v) VALUES ('second'), ('third') RETURNING id");
    ASSERT_OK(writing);
    auto row = writing->step();
    ASSERT_OK(row);
    ASSERT_TRUE(*row);
    Status refused = db->run("COMMIT");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().sqliteCode & 0xff, SQLITE_BUSY);
    EXPECT_EQ(db->committedTxid(), before);
    EXPECT_TRUE(db->inTransaction());
    while (*row) {
      row = writing->step();
      ASSERT_OK(row);
    }
    ASSERT_OK(db->run("COMMIT"));
    EXPECT_EQ(db->committedTxid(), before + 1);
    *writing = Statement();
    ASSERT_OK(db->close());
    auto again = world.open("a");
    EXPECT_EQ(scalar(*again, "SELECT group_concat(v) FROM t"), "first,second,third");
    ASSERT_OK(again->close());
  });
}

TEST(Pitfalls, page_1_is_not_written_again_at_every_commit) {
  WatchedWorld world;
  std::vector<std::vector<PageNumber>> commits;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('row')"));
    ASSERT_OK(db->waitDurable());
    const store::DatabaseId id = db->file().id();
    world.watch().beforeWrite = [&](const store::DatabaseWrite& write) -> Status {
      if (!write.commit) return {};
      SKEP_TRY(store::DecodedRecord record, store::decodeRecord(id, write.record));
      commits.emplace_back();
      for (const store::PageChange& change : record.changes) commits.back().push_back(change.page);
      return {};
    };
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK(db->execute("UPDATE t SET v = ?", {sql::Value(i)}));
      ASSERT_OK(db->waitDurable());
    }
    ASSERT_OK(db->close());
  });
  EXPECT_THAT(commits, ElementsAre(ElementsAre(2u), ElementsAre(2u), ElementsAre(2u)));
}

TEST(Pitfalls, a_page_that_the_store_lost_is_an_error_that_names_it_and_never_zeros) {
  PagedFileOptions options;
  options.logBytesMin = 0;  // everything is folded into chunks
  options.logBytesMax = 0;
  WatchedWorld world(options);
  world.run([&] {
    auto db = world.open("tenant/acme");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run(fillPages(200)));
    ASSERT_OK(db->close());
    world.watch().afterRead = [](const store::ChunkReadRequest&, store::ChunkRead& read) {
      std::erase_if(read.chunks, [](const store::StoredChunk& chunk) { return chunk.chunk == 7; });
    };
    auto again = world.open("tenant/acme");
    Result<sql::Rows> rows = again->execute("SELECT sum(length(v)), max(v) FROM t");
    ASSERT_FALSE(rows.ok());
    EXPECT_EQ(rows.error().code, ErrorCode::Corrupt);
    EXPECT_THAT(rows.error().message, HasSubstr("tenant/acme"));
    EXPECT_THAT(rows.error().message, HasSubstr("page 1"));  // one of 113 … 128
    EXPECT_THAT(rows.error().message, HasSubstr("txid 2"));
    world.watch().afterRead = nullptr;
    EXPECT_EQ(scalar(*again, "SELECT count(*) FROM t"), "20");
    ASSERT_OK(again->close());
  });
}

TEST(Pitfalls, a_truncation_tells_the_store_how_much_it_removes) {
  PagedFileOptions options;
  options.logBytesMin = options.logBytesMax = 0;
  WatchedWorld world(options);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run(fillPages(400)));
    ASSERT_OK(db->waitDurable());
    const std::uint32_t before = db->head().pageCount;
    std::uint32_t removed = 0;
    world.watch().beforeWrite = [&](const store::DatabaseWrite& write) -> Status {
      removed += write.dropsAbout;
      return {};
    };
    ASSERT_OK(db->run("DELETE FROM t"));
    ASSERT_OK(db->run("VACUUM"));
    ASSERT_OK(db->waitDurable());
    EXPECT_EQ(removed, store::chunkCountOf(before) - store::chunkCountOf(db->head().pageCount));
    EXPECT_GT(removed, 20u);
    ASSERT_OK(db->close());
  });
}

TEST(Pitfalls, damaged_bytes_are_an_error_that_names_the_database_the_page_and_the_txid) {
  PagedFileOptions options;
  options.logBytesMin = options.logBytesMax = 0;
  WatchedWorld world(options);
  const auto flip = [](Bytes& bytes) { bytes[bytes.size() / 2] ^= std::byte{1}; };
  const auto expectNamed = [](const Error& error, const std::string& page) {
    EXPECT_EQ(error.code, ErrorCode::Corrupt);
    EXPECT_THAT(error.message, HasSubstr("database 'tenant/acme'"));
    EXPECT_THAT(error.message, HasSubstr(page));
    EXPECT_THAT(error.message, HasSubstr("txid 2"));
  };
  world.run([&] {
    auto db = world.open("tenant/acme");
    ASSERT_OK(db->run(kTable));
    ASSERT_OK(db->run(fillPages(200)));
    ASSERT_OK(db->close());
    auto again = world.open("tenant/acme");
    world.watch().afterRead = [&](const store::ChunkReadRequest&, store::ChunkRead& read) {
      for (store::StoredChunk& chunk : read.chunks) {
        if (chunk.chunk == 7) flip(chunk.bytes);
      }
    };
    const auto rows = again->execute("SELECT sum(length(v)), max(v) FROM t");
    ASSERT_FALSE(rows.ok());
    expectNamed(rows.error(), "page 1");  // one of 113 … 128
    world.watch().afterRead = nullptr;
    ASSERT_OK(again->close());
  });
}

TEST(Pitfalls, a_damaged_record_is_an_error_that_names_the_database_and_the_txid) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("tenant/acme");
    ASSERT_OK(db->run("CREATE TABLE t(v)"));
    ASSERT_OK(db->waitDurable());
    ASSERT_OK(db->run("INSERT INTO t VALUES (1)"));
    ASSERT_OK(db->close());
    world.watch().afterOpen = [&](store::OpenedDatabase& opened) {
      Bytes& bytes = opened.log.at(1).bytes;
      bytes[bytes.size() / 2] ^= std::byte{1};
    };
    const auto opened = sql::Database::open(world.environment(), {.name = "tenant/acme"});
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, ErrorCode::Corrupt);
    EXPECT_THAT(opened.error().message, HasSubstr("database 'tenant/acme'"));
    EXPECT_THAT(opened.error().message, HasSubstr("txid 2"));
    world.watch().forgetHooks();
  });
}

}  // namespace
}  // namespace skep::vfs
