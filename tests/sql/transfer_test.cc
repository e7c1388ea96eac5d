// Export and import: databases as ordinary SQLite files, and files as databases, the odd ones too.

#include "skep/sql/transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>
#include <utility>

#include "skep/testing/plain_sqlite.h"
#include "skep/testing/temp_directory.h"
#include "skep/testing/watched_world.h"
#include "skep/vfs/paged_file.h"

namespace skep::sql {
namespace {

using skep::testing::dump;
using skep::testing::PlainSqlite;
using skep::testing::scalar;
using skep::testing::WatchedWorld;
using ::testing::HasSubstr;

/// Tables, an index, a view, a trigger, a virtual table, and every type of value.
constexpr const char* kContent =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX tv ON t(v);"
    "CREATE TABLE w(a TEXT PRIMARY KEY, b) WITHOUT ROWID;"
    "CREATE VIEW big AS SELECT * FROM t WHERE v > 100;"
    "CREATE TRIGGER tr AFTER INSERT ON w BEGIN INSERT INTO t(v) VALUES (new.a); END;"
    "INSERT INTO t(v) VALUES (NULL), (-9223372036854775808), (0.1), ('t\xC3\xB6xt'), (x'00ff'), "
    "('');"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO "
    "t(v) SELECT i * 7919 % 300 FROM n;"
    "INSERT INTO t(v) VALUES (replace(hex(zeroblob(20000)), '0', 'long'));"
    "INSERT INTO w VALUES ('a', 1), ('b', 2);";

class TransferTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_ / name; }
  /// A file made by plain SQLite after `pragmas`, with kContent and `more`.
  std::string makeFile(const std::string& name, const std::string& pragmas,
                       const std::string& more = "") {
    PlainSqlite file(path(name));
    EXPECT_TRUE(file.run(pragmas)) << file.lastError();
    EXPECT_TRUE(file.run(kContent)) << file.lastError();
    EXPECT_TRUE(file.run(more)) << file.lastError();
    content_ = dump(file);
    return path(name);
  }
  /// A file as a crash leaves it in the middle of a transaction, with its journal beside it.
  void makeHotJournal(const std::string& name) {
    const std::string file = makeFile("writer.sqlite", "");
    PlainSqlite source(file);
    ASSERT_TRUE(
        source.run("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE t SET v = 'half' "
                   "WHERE id < 200"));
    ASSERT_TRUE(source.run("INSERT INTO t(v) SELECT randomblob(3000) FROM t"));
    for (const char* suffix : {"", "-journal"})
      std::filesystem::copy_file(file + suffix, path(name) + suffix);
    ASSERT_GT(read(path(name) + "-journal").size(), 1000u);
  }
  void expectImported(const std::string& file) {
    world_.run([&] {
      ASSERT_OK(importDatabase(world_.environment(), file, "imported"));
      auto db = world_.open("imported");
      EXPECT_TRUE(dump(*db) == content_) << file;
      EXPECT_EQ(scalar(*db, "PRAGMA page_size"), "4096");
      EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
      ASSERT_OK(db->run("INSERT INTO w VALUES ('new', 3)"));
      ASSERT_OK(db->close());
      ASSERT_OK(world_.store().destroy("imported"));
    });
  }
  /// The import fails with `code`, and there is no database afterwards. The error's message.
  std::string expectRefused(const std::string& file, ErrorCode code, Limits limits = {},
                            Progress progress = {}) {
    std::string message;
    world_.run([&] {
      Status refused = importDatabase(world_.environment(), file, "imported", limits, progress);
      ASSERT_FALSE(refused.ok()) << file;
      message = refused.error().message;
      EXPECT_EQ(refused.error().code, code) << message;
      EXPECT_EQ(world_.store().info("imported").error().code, ErrorCode::NotFound);
    });
    return message;
  }
  /// What another process does that opens the imported database and writes to it.
  void takeOver() {
    std::thread([&] {
      skep::testing::World other(world_.memoryStore());
      other.run([&] {
        auto db = other.open("imported");
        EXPECT_OK(db->run("CREATE TABLE theirs(x); INSERT INTO theirs VALUES ('acknowledged')"));
        EXPECT_OK(db->close());
      });
    }).join();
  }
  static void write(const std::string& to, const std::string& bytes) {
    std::ofstream(to, std::ios::binary) << bytes;
  }
  static std::string read(const std::string& from) {
    std::ifstream in(from, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  skep::testing::TempDirectory directory_;
  WatchedWorld world_;
  std::string content_;
};

// --- Export ---

TEST_F(TransferTest, an_exported_file_is_plain_sqlite_with_the_same_content) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run(kContent));
    ASSERT_OK(db->run("CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('some words')"));
    ASSERT_OK(db->run("PRAGMA user_version = 42"));
    ASSERT_OK(db->waitDurable());
    std::uint64_t reported = 0;
    ASSERT_OK(exportToFile(world_.environment(), "a", path("a.sqlite"), Overwrite::Never,
                           [&](std::uint64_t done, std::uint64_t total) {
                             EXPECT_LE(done, total);
                             reported = done;
                             return true;
                           }));
    EXPECT_EQ(reported, db->file().pageCount());
    PlainSqlite file(path("a.sqlite"));
    EXPECT_TRUE(dump(file) == dump(*db));
    EXPECT_EQ(file.query("PRAGMA integrity_check"), "tok|\n");
    EXPECT_EQ(file.query("PRAGMA user_version"), "i42|\n");
    EXPECT_EQ(file.query("SELECT x FROM f WHERE f MATCH 'words'"), "tsome words|\n");
    EXPECT_TRUE(file.run("INSERT INTO t(v) VALUES ('written by plain SQLite')"));
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('the owner was not disturbed')"));
    ASSERT_OK(db->close());
  });
}

TEST_F(TransferTest, an_export_after_a_vacuum_has_the_right_length) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run(kContent));
    ASSERT_OK(db->run("DELETE FROM t; VACUUM"));
    ASSERT_OK(db->close());
    ASSERT_OK(exportToFile(world_.environment(), "a", path("a.sqlite")));
    EXPECT_EQ(std::filesystem::file_size(path("a.sqlite")), db->head().pageCount * 4096u);
    EXPECT_EQ(PlainSqlite(path("a.sqlite")).query("PRAGMA integrity_check"), "tok|\n");
  });
}

TEST_F(TransferTest, an_export_shows_one_moment_however_much_its_owner_writes_meanwhile) {
  vfs::PagedFileOptions folding;
  folding.logBytesMin = folding.logBytesMax = 0;
  folding.readAheadChunksMax = 1;
  WatchedWorld world(folding);
  world.run([&] {
    auto owner = world.open("busy");
    ASSERT_OK(
        owner->run("CREATE TABLE t(id INTEGER PRIMARY KEY, round, v);"
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
                   "INSERT INTO t(round, v) SELECT 0, randomblob(1000) FROM n"));
    ASSERT_OK(owner->waitDurable());
    int rounds = 0;
    world.watch().beforeRead = [&](const store::ChunkReadRequest& request) -> Status {
      if (request.epoch != 0) return {};  // the owner's own
      ++rounds;
      SKEP_CHECK_OK(owner->run("UPDATE t SET round = round + 1, v = randomblob(900 + round)"));
      if (rounds % 5 == 0) SKEP_CHECK_OK(owner->run("VACUUM"));
      return owner->waitDurable();
    };
    ASSERT_OK(exportToFile(world.environment(), "busy", path("busy.sqlite")));
    EXPECT_GT(rounds, 5);
    world.watch().forgetHooks();
    ASSERT_OK(owner->close());
  });
  PlainSqlite file(path("busy.sqlite"));
  EXPECT_THAT(file.query("PRAGMA integrity_check"), HasSubstr("ok"));
  EXPECT_THAT(file.query("SELECT count(*) || ' of round ' || min(round) || max(round) FROM t"),
              HasSubstr("1500 of round 00"));
}

TEST_F(TransferTest, an_export_that_fails_leaves_no_file) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run(kContent));
    ASSERT_OK(db->close());
    EXPECT_EQ(exportToFile(world_.environment(), "nobody", path("x")).error().code,
              ErrorCode::NotFound);
    EXPECT_EQ(exportToFile(world_.environment(), "a", path("no/such/folder/x")).error().code,
              ErrorCode::NotFound);
    write(path("there"), "mine");
    EXPECT_EQ(exportToFile(world_.environment(), "a", path("there")).error().code,
              ErrorCode::AlreadyExists);
    EXPECT_EQ(read(path("there")), "mine");
    auto givingUp = [](std::uint64_t, std::uint64_t) { return false; };
    EXPECT_EQ(
        exportToFile(world_.environment(), "a", path("x"), Overwrite::Never, givingUp).error().code,
        ErrorCode::Aborted);
    auto full = [](ByteView) -> Status { return Error{ErrorCode::StoreFull, "no room"}; };
    EXPECT_EQ(exportDatabase(world_.environment(), "a", full).error().code, ErrorCode::StoreFull);
  });
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path(".")))
    names.push_back(entry.path().filename());
  EXPECT_THAT(names, ::testing::ElementsAre("there"));
}

TEST_F(TransferTest, an_empty_database_exports_as_an_empty_file_and_comes_back) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->close());
    ASSERT_OK(exportToFile(world_.environment(), "a", path("a.sqlite")));
    ASSERT_OK(importDatabase(world_.environment(), path("a.sqlite"), "b"));
    auto back = world_.open("b");
    EXPECT_EQ(scalar(*back, "SELECT count(*) FROM sqlite_schema"), "0");
    ASSERT_OK(back->run(kContent));
    ASSERT_OK(back->close());
  });
}

TEST_F(TransferTest, what_is_exported_can_be_imported_again_the_runtimes_tables_too) {
  world_.run([&] {
    DatabaseOptions options;
    options.trust = DatabaseOptions::Trust::System;
    auto db = world_.open("a", options);
    ASSERT_OK(db->run(kContent));
    ASSERT_OK(db->run("CREATE TABLE _skep_kv(k, v); INSERT INTO _skep_kv VALUES (1, 2)"));
    content_ = dump(*db);
    ASSERT_OK(db->close());
    ASSERT_OK(exportToFile(world_.environment(), "a", path("a.sqlite")));
    ASSERT_OK(importDatabase(world_.environment(), path("a.sqlite"), "b"));
    auto back = world_.open("b");
    EXPECT_TRUE(dump(*back) == content_);
    ASSERT_OK(back->close());
  });
}

// --- Import ---

TEST_F(TransferTest, an_ordinary_file_is_imported_in_one_commit_and_reports_progress) {
  const std::string file = makeFile("a.sqlite", "");
  expectImported(file);
  world_.run([&] {
    std::uint64_t last = 0;
    ASSERT_OK(importDatabase(world_.environment(), file, "b", {},
                             [&](std::uint64_t done, std::uint64_t total) {
                               EXPECT_LE(last, done);
                               EXPECT_LE(done, total);
                               last = done;
                               return true;
                             }));
    EXPECT_GT(last, 10u);
    EXPECT_EQ(world_.store().info("b")->head.txid, 1u);
  });
}

class PageSizeTest : public TransferTest, public ::testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(TransferTest, PageSizeTest,
                         ::testing::Values(512, 1024, 2048, 4096, 8192, 16384, 32768, 65536));

TEST_P(PageSizeTest, files_of_any_page_size_are_imported) {
  const std::string size = "PRAGMA page_size = " + std::to_string(GetParam()) + ";";
  expectImported(makeFile("a.sqlite", size));
  EXPECT_EQ(PlainSqlite(path("a.sqlite")).query("PRAGMA page_size"),
            "i" + std::to_string(GetParam()) + "|\n");
  expectImported(makeFile("wal.sqlite", size + "PRAGMA journal_mode = WAL;"));
  expectImported(makeFile("vacuum.sqlite", size + "PRAGMA auto_vacuum = FULL;",
                          "DELETE FROM t WHERE id > 100"));
}

TEST_F(TransferTest,
       what_is_still_in_a_write_ahead_log_is_imported_and_the_source_stays_as_it_was) {
  const std::string file = path("a.sqlite");
  {
    PlainSqlite source(file);
    ASSERT_TRUE(source.run("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0"));
    ASSERT_TRUE(source.run(kContent));
    content_ = dump(source);
    // As a crash would leave it: the log with everything, the file nearly empty.
    for (const char* suffix : {"", "-wal"})
      std::filesystem::copy_file(file + suffix, path("crashed.sqlite") + suffix);
  }
  const std::string before = read(path("crashed.sqlite"));
  const std::string log = read(path("crashed.sqlite-wal"));
  ASSERT_GT(log.size(), 10'000u);
  expectImported(path("crashed.sqlite"));
  EXPECT_EQ(read(path("crashed.sqlite")), before);
  EXPECT_EQ(read(path("crashed.sqlite-wal")), log);
}

TEST_F(TransferTest, a_hot_journal_is_rolled_back_first) {
  makeHotJournal("crashed.sqlite");
  expectImported(path("crashed.sqlite"));
}

TEST_F(TransferTest, a_file_with_reserved_bytes_is_imported) {
  const std::string file = path("a.sqlite");
  {
    PlainSqlite source(file);
    int reserved = 32;
    ASSERT_EQ(sqlite3_file_control(source.handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved),
              SQLITE_OK);
    ASSERT_TRUE(source.run(kContent));
    content_ = dump(source);
  }
  EXPECT_EQ(read(file)[20], 32);
  expectImported(file);
}

TEST_F(TransferTest, auto_vacuum_stays_and_works) {
  const std::string file = makeFile("a.sqlite", "PRAGMA auto_vacuum = INCREMENTAL");
  expectImported(file);
  world_.run([&] {
    ASSERT_OK(importDatabase(world_.environment(), file, "b"));
    auto db = world_.open("b");
    EXPECT_EQ(scalar(*db, "PRAGMA auto_vacuum"), "2");
    const std::uint32_t before = db->file().pageCount();
    ASSERT_OK(db->run("DELETE FROM t; PRAGMA incremental_vacuum"));
    EXPECT_LT(db->file().pageCount(), before);
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(db->close());
    db = world_.open("b");
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(db->close());
  });
}

TEST_F(TransferTest, a_utf16_file_is_imported) {
  expectImported(makeFile("a.sqlite", "PRAGMA encoding = 'UTF-16le'"));
}

TEST_F(TransferTest, an_empty_file_is_an_empty_database) {
  write(path("empty"), "");
  world_.run([&] {
    ASSERT_OK(importDatabase(world_.environment(), path("empty"), "imported"));
    auto db = world_.open("imported");
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM sqlite_schema"), "0");
    ASSERT_OK(db->run("CREATE TABLE t(x)"));
    ASSERT_OK(db->close());
  });
}

TEST_F(TransferTest, what_is_no_sqlite_file_is_refused) {
  write(path("text"), std::string(10'000, 'x'));
  EXPECT_THAT(expectRefused(path("text"), ErrorCode::InvalidArgument),
              HasSubstr("not a SQLite database"));
  write(path("short"), "SQLite format 3");
  EXPECT_THAT(expectRefused(path("short"), ErrorCode::InvalidArgument), HasSubstr(path("short")));
  // As an encrypted one looks: the same length, nothing to recognise.
  std::string encrypted = read(makeFile("plain.sqlite", ""));
  unsigned state = 1;
  for (char& c : encrypted)
    c = static_cast<char>(c ^ static_cast<char>((state = state * 1664525 + 1013904223) >> 24));
  write(path("encrypted"), encrypted);
  EXPECT_THAT(expectRefused(path("encrypted"), ErrorCode::InvalidArgument), HasSubstr("encrypted"));
  EXPECT_EQ(read(path("encrypted")), encrypted);
}

TEST_F(TransferTest, a_damaged_file_is_refused) {
  const std::string good = read(makeFile("good.sqlite", ""));
  write(path("truncated"), good.substr(0, good.size() / 2));
  expectRefused(path("truncated"), ErrorCode::Corrupt);
  std::string damaged = good;
  for (std::size_t i = 4096; i < good.size(); i += 4096) damaged[i] = 0x55;
  write(path("damaged"), damaged);
  expectRefused(path("damaged"), ErrorCode::Corrupt);
  std::string schema = good;
  std::fill(schema.begin() + 100, schema.begin() + 4096, '\x07');
  write(path("schema"), schema);
  expectRefused(path("schema"), ErrorCode::Corrupt);
}

TEST_F(TransferTest, a_file_that_was_cut_off_is_refused_wherever_the_cut_is) {
  // The last page is the end of a long value: what is missing of it SQLite reads as zeros, and
  // finds no fault.
  const std::string blob =
      "CREATE TABLE long(v); INSERT INTO long VALUES (replace(hex(zeroblob(30000)), '0', 'x'))";
  for (const char* pragmas : {"", "PRAGMA page_size = 8192;", "PRAGMA journal_mode = WAL;",
                              "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL;"}) {
    std::filesystem::remove(path("good.sqlite"));
    const std::string good = read(makeFile("good.sqlite", pragmas, blob));
    for (const std::size_t missing : {1, 300, 1000, 1024, 4096, 5000, 16384}) {
      write(path("cut.sqlite"), good.substr(0, good.size() - missing));
      expectRefused(path("cut.sqlite"), ErrorCode::Corrupt);
      // The page count in a header that another version of SQLite wrote does not count: then the
      // file's own length does.
      std::string unsure = good.substr(0, good.size() - missing);
      unsure[92] = static_cast<char>(unsure[92] ^ 1);
      write(path("unsure.sqlite"), unsure);
      expectRefused(path("unsure.sqlite"), ErrorCode::Corrupt);
    }
  }
}

TEST_F(TransferTest, bytes_behind_the_last_page_are_ignored_as_by_sqlite) {
  for (const char* pragmas : {"", "PRAGMA page_size = 8192;", "PRAGMA journal_mode = WAL;"}) {
    std::filesystem::remove(path("good.sqlite"));
    const std::string good = read(makeFile("good.sqlite", pragmas));
    for (const std::size_t more : {1, 4096, 10'000}) {
      write(path("longer.sqlite"), good + std::string(more, 'x'));
      expectImported(path("longer.sqlite"));
    }
  }
}

TEST_F(TransferTest, a_file_cut_within_a_page_is_refused_beside_a_write_ahead_log_too) {
  const std::string file = makeFile("a.sqlite", "PRAGMA journal_mode = WAL;");
  {
    PlainSqlite source(file);
    ASSERT_TRUE(source.run("PRAGMA wal_autocheckpoint = 0; CREATE TABLE later(x)"));
    for (const char* suffix : {"", "-wal"})
      std::filesystem::copy_file(file + suffix, path("crashed.sqlite") + suffix);
  }
  const std::string good = read(path("crashed.sqlite"));
  write(path("crashed.sqlite"), good.substr(0, good.size() - 4096 - 100));
  expectRefused(path("crashed.sqlite"), ErrorCode::Corrupt);
}

TEST_F(TransferTest, what_can_not_be_read_or_named_is_refused) {
  const std::string file = makeFile("a.sqlite", "");
  expectRefused(path("missing"), ErrorCode::NotFound);
  expectRefused(path("."), ErrorCode::InvalidArgument);
  world_.run([&] {
    auto db = world_.open("taken");
    ASSERT_OK(db->run("CREATE TABLE mine(x)"));
    ASSERT_OK(db->close());
    EXPECT_EQ(importDatabase(world_.environment(), file, "taken").error().code,
              ErrorCode::AlreadyExists);
    EXPECT_EQ(world_.store().info("taken")->head.txid, 1u);
    for (const std::string& name :
         {std::string(), std::string(2000, 'x'), std::string("a\0b", 3), std::string("\xff")}) {
      EXPECT_EQ(importDatabase(world_.environment(), file, name).error().code,
                ErrorCode::InvalidArgument);
    }
  });
}

TEST_F(TransferTest, an_import_that_fails_half_way_leaves_nothing) {
  const std::string file =
      makeFile("a.sqlite", "", "INSERT INTO t(v) SELECT randomblob(3000) FROM t, t LIMIT 3000");
  EXPECT_THAT(expectRefused(file, ErrorCode::QuotaExceeded, {.databaseBytesMax = 50 * 4096}),
              HasSubstr("quota of 204800 bytes"));
  bool copying = false;
  expectRefused(file, ErrorCode::Aborted, {}, [&](std::uint64_t done, std::uint64_t total) {
    return !std::exchange(copying, done > total / 2);
  });
  EXPECT_TRUE(copying);
  world_.watch().beforeWrite = [](const store::DatabaseWrite&) -> Status {
    return Error{ErrorCode::StoreFull, "the disk is full"};
  };
  expectRefused(file, ErrorCode::StoreFull);
  world_.watch().beforeWrite = nullptr;
  expectImported(file);
}

TEST_F(TransferTest, an_import_that_lost_its_database_leaves_the_new_owners_data_alone) {
  const std::string file = makeFile("a.sqlite", "");
  // A second owner takes the new database over, and commits, just before the import's own commit.
  bool taken = false;
  world_.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    if (!std::exchange(taken, true)) takeOver();
    return {};
  };
  world_.run([&] {
    const Status refused = importDatabase(world_.environment(), file, "imported");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::Fenced) << refused.error().message;
    auto db = world_.open("imported");
    EXPECT_EQ(scalar(*db, "SELECT x FROM theirs"), "acknowledged");
    ASSERT_OK(db->close());
  });
}

TEST_F(TransferTest,
       an_import_that_is_taken_over_between_its_failure_and_the_removal_removes_nothing) {
  const std::string file = makeFile("a.sqlite", "");
  bool failed = false;
  world_.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    if (std::exchange(failed, true)) return {};
    return Error{ErrorCode::StoreFull, "the disk is full"};
  };
  world_.watch().beforeDestroy = [&](std::string_view) -> Status {
    takeOver();
    return {};
  };
  world_.run([&] {
    const Status refused = importDatabase(world_.environment(), file, "imported");
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr("the disk is full"))
        << "not the removal's error";
    auto db = world_.open("imported");
    EXPECT_EQ(scalar(*db, "SELECT x FROM theirs"), "acknowledged");
    ASSERT_OK(db->close());
  });
}

TEST_F(TransferTest, the_reason_of_a_failed_import_is_told_when_the_removal_fails_too) {
  const std::string file = makeFile("a.sqlite", "");
  world_.watch().beforeWrite = [](const store::DatabaseWrite&) -> Status {
    return Error{ErrorCode::StoreFull, "the disk is full"};
  };
  world_.watch().beforeDestroy = [](std::string_view) -> Status {
    return Error{ErrorCode::Unavailable, "no answer"};
  };
  world_.run([&] {
    const Status refused = importDatabase(world_.environment(), file, "imported");
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr("the disk is full"));
  });
  // What is left is empty, and no hindrance.
  world_.watch().beforeWrite = nullptr;
  world_.watch().beforeDestroy = nullptr;
  expectImported(file);
}

TEST_F(TransferTest, a_database_in_which_nothing_was_ever_stored_is_no_hindrance) {
  const std::string file = makeFile("a.sqlite", "");
  world_.run([&] {
    auto db = world_.open("imported");
    ASSERT_OK(db->close());
    db = world_.open("timer");
    ASSERT_OK(db->setAlarm(5));
    ASSERT_OK(db->close());
    EXPECT_EQ(importDatabase(world_.environment(), file, "timer").error().code,
              ErrorCode::AlreadyExists);
  });
  expectImported(file);
}

TEST_F(TransferTest, an_import_can_be_given_up_while_the_file_is_checked_and_converted) {
  const std::string rows = "INSERT INTO t(v) SELECT randomblob(3000) FROM t, t LIMIT 9000";
  const std::string file = makeFile("a.sqlite", "PRAGMA page_size = 8192", rows);
  for (int third : {0, 1}) {
    std::uint64_t at = 0;
    std::uint64_t all = 0;
    expectRefused(file, ErrorCode::Aborted, {}, [&](std::uint64_t done, std::uint64_t total) {
      at = done;
      all = total;
      return done <= total * static_cast<std::uint64_t>(third) / 3;
    });
    EXPECT_GT(at, all * static_cast<std::uint64_t>(third) / 3);
    EXPECT_LE(at, all * static_cast<std::uint64_t>(third + 1) / 3) << "told before the phase ended";
  }
}

TEST_F(TransferTest, an_import_leaves_no_file_behind) {
  ::setenv("TMPDIR", path("tmp").c_str(), 1);
  std::filesystem::create_directory(path("tmp"));
  makeFile("wal.sqlite", "PRAGMA journal_mode = WAL;");
  expectImported(path("wal.sqlite"));
  EXPECT_FALSE(std::filesystem::exists(path("wal.sqlite-wal")));
  EXPECT_FALSE(std::filesystem::exists(path("wal.sqlite-shm")));
  EXPECT_TRUE(std::filesystem::is_empty(path("tmp")));
  // And what needs no conversion needs no temporary file.
  std::filesystem::remove(path("tmp"));
  expectImported(makeFile("plain.sqlite", ""));
  EXPECT_EQ(importDatabase(world_.environment(), path("wal.sqlite"), "x").error().code,
            ErrorCode::NotFound);
  ::unsetenv("TMPDIR");
}

TEST_F(TransferTest, an_empty_TMPDIR_is_as_none) {
  ::setenv("TMPDIR", "", 1);
  makeFile("wal.sqlite", "PRAGMA journal_mode = WAL;");
  expectImported(path("wal.sqlite"));  // a copy of it is made, and not in the root directory
  ::unsetenv("TMPDIR");
}

TEST_F(TransferTest, an_exported_file_has_the_permissions_that_the_umask_gives) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run(kContent));
    ASSERT_OK(db->close());
    for (const mode_t mask : {mode_t{077}, mode_t{02}}) {
      const std::string file = path("mask" + std::to_string(mask));
      const mode_t before = ::umask(mask);
      ASSERT_OK(exportToFile(world_.environment(), "a", file));
      ::umask(before);
      struct stat status {};
      ASSERT_EQ(::stat(file.c_str(), &status), 0);
      EXPECT_EQ(status.st_mode & 0777u, 0666u & ~mask);
    }
  });
}

TEST_F(TransferTest, an_export_that_fails_keeps_the_file_that_it_would_replace) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run(kContent));
    ASSERT_OK(db->close());
    write(path("out"), "precious");
    auto givingUp = [](std::uint64_t, std::uint64_t) { return false; };
    EXPECT_EQ(exportToFile(world_.environment(), "a", path("out"), Overwrite::Replace, givingUp)
                  .error()
                  .code,
              ErrorCode::Aborted);
    EXPECT_EQ(read(path("out")), "precious");
    ASSERT_OK(exportToFile(world_.environment(), "a", path("out"), Overwrite::Replace));
    EXPECT_EQ(PlainSqlite(path("out")).query("PRAGMA integrity_check"), "tok|\n");
    // Nor does it leave its part when there is no replacing.
    std::filesystem::create_directory(path("folder"));
    EXPECT_FALSE(exportToFile(world_.environment(), "a", path("folder"), Overwrite::Replace).ok());
  });
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path(".")))
    names.insert(entry.path().filename());
  EXPECT_THAT(names, ::testing::ElementsAre("folder", "out"));
}

TEST_F(TransferTest, an_export_beside_the_log_of_a_killed_writer_is_refused_or_takes_it_away) {
  // What a writer in WAL mode that was killed leaves: the file, and its newest commits in the log.
  {
    PlainSqlite killed(path("wal.sqlite"));
    ASSERT_TRUE(killed.run("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0"));
    ASSERT_TRUE(killed.run(kContent));
    for (const char* suffix : {"", "-wal", "-shm"})
      std::filesystem::copy_file(path("wal.sqlite") + suffix, path("a.sqlite") + suffix);
  }
  std::filesystem::copy_file(path("a.sqlite-wal"), path("gone.sqlite-wal"));
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run("CREATE TABLE ours(x); INSERT INTO ours VALUES ('exported')"));
    ASSERT_OK(db->close());
    const std::string log = read(path("a.sqlite-wal"));
    for (const char* name : {"a.sqlite", "gone.sqlite"}) {
      const Status refused = exportToFile(world_.environment(), "a", path(name));
      ASSERT_FALSE(refused.ok()) << name;
      EXPECT_EQ(refused.error().code, ErrorCode::AlreadyExists);
    }
    EXPECT_FALSE(std::filesystem::exists(path("gone.sqlite")));
    EXPECT_TRUE(read(path("gone.sqlite-wal")) == log);
    EXPECT_TRUE(read(path("a.sqlite-wal")) == log);
    for (const char* name : {"a.sqlite", "gone.sqlite"}) {
      ASSERT_OK(exportToFile(world_.environment(), "a", path(name), Overwrite::Replace));
      EXPECT_FALSE(std::filesystem::exists(path(name) + "-wal"));
      EXPECT_FALSE(std::filesystem::exists(path(name) + "-shm"));
      PlainSqlite file(path(name));
      EXPECT_EQ(file.query("SELECT x FROM ours"), "texported|\n") << name;
      EXPECT_EQ(file.query("PRAGMA integrity_check"), "tok|\n") << name;
    }
  });
}

TEST_F(TransferTest, an_export_beside_a_hot_journal_is_refused_or_takes_it_away) {
  makeHotJournal("a.sqlite");
  std::filesystem::remove(path("a.sqlite"));
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run("CREATE TABLE ours(x); INSERT INTO ours VALUES ('exported')"));
    ASSERT_OK(db->close());
    const Status refused = exportToFile(world_.environment(), "a", path("a.sqlite"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::AlreadyExists);
    EXPECT_THAT(refused.error().message, HasSubstr(path("a.sqlite-journal")));
    EXPECT_FALSE(std::filesystem::exists(path("a.sqlite")));
    EXPECT_GT(read(path("a.sqlite-journal")).size(), 1000u);
    ASSERT_OK(exportToFile(world_.environment(), "a", path("a.sqlite"), Overwrite::Replace));
    PlainSqlite file(path("a.sqlite"));
    EXPECT_EQ(file.query("SELECT x FROM ours"), "texported|\n");
    EXPECT_EQ(file.query("PRAGMA integrity_check"), "tok|\n");
  });
}

TEST_F(TransferTest, a_large_file_is_staged_and_still_one_commit) {
  vfs::PagedFileOptions options;
  options.transactionBytesMax = 64 * 4096;
  WatchedWorld world(options);
  const std::string file =
      makeFile("a.sqlite", "", "INSERT INTO t(v) SELECT randomblob(3000) FROM t, t LIMIT 3000");
  world.run([&] {
    ASSERT_OK(importDatabase(world.environment(), file, "b"));
    EXPECT_EQ(world.store().info("b")->head.txid, 1u);
    auto db = world.open("b");
    EXPECT_TRUE(dump(*db) == content_);
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(db->close());
  });
}

}  // namespace
}  // namespace skep::sql
