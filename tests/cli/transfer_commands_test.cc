// skep export, import and check: in and out of ordinary SQLite files. The other side is plain
// SQLite on its own VFS.

#include <sqlite3.h>
#include <sys/stat.h>

#include <random>

#include "command_test.h"

namespace skep::cli {
namespace {

class TransferCommands : public CommandTest {
 protected:
  /// Runs SQL on a file with plain SQLite; the values of the first column, a line each.
  std::string sqlite(const std::string& file, const std::string& sql) {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(path(file).c_str(), &database), SQLITE_OK);
    std::string rows;
    char* message = nullptr;
    const auto collect = [](void* out, int, char** values, char**) {
      *static_cast<std::string*>(out) +=
          std::string(values[0] != nullptr ? values[0] : "NULL") + "\n";
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), collect, &rows, &message), SQLITE_OK)
        << (message != nullptr ? message : "");
    sqlite3_free(message);
    EXPECT_EQ(sqlite3_close(database), SQLITE_OK);
    return rows;
  }

  static constexpr const char* kSample =
      "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c BLOB); CREATE INDEX i ON t(b);"
      "CREATE VIEW v AS SELECT b FROM t; CREATE VIRTUAL TABLE f USING fts5(x);"
      "INSERT INTO f VALUES ('some words to find');"
      "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 2000)"
      "INSERT INTO t SELECT k, 'row ' || k, randomblob(k % 300) FROM n;";
  static constexpr const char* kDigest =
      "SELECT count(*) || ' ' || sum(a) || ' ' || sum(length(b)) || ' ' || sum(length(c)) FROM t";
};

TEST_F(TransferCommands, an_export_is_an_ordinary_sqlite_file) {
  ok({"sql", "db", kSample});
  EXPECT_EQ(ok({"export", "db", "out.sqlite"}), "");
  EXPECT_EQ(sqlite("out.sqlite", "PRAGMA integrity_check"), "ok\n");
  EXPECT_EQ(sqlite("out.sqlite", kDigest), ok({"sql", "db", kDigest, "--mode", "list"}));
  EXPECT_EQ(sqlite("out.sqlite", "SELECT rowid FROM f WHERE f MATCH 'words'"), "1\n");
  // It is complete and can be written to.
  EXPECT_EQ(sqlite("out.sqlite", "INSERT INTO t(b) VALUES ('more'); SELECT count(*) FROM t"),
            "2001\n");
}

TEST_F(TransferCommands, an_export_to_standard_output_is_the_same_file) {
  ok({"sql", "db", kSample});
  ok({"export", "db", "out.sqlite"});
  EXPECT_EQ(ok({"export", "db", "-"}), readFile("out.sqlite"));
  Terminal terminal({skepBinary(), "export", "db", "-"}, folder_.path());
  EXPECT_TRUE(terminal.waitFor("not text for a terminal"));
  EXPECT_EQ(terminal.finish(), 2);
}

TEST_F(TransferCommands, an_export_replaces_a_file_only_when_told) {
  ok({"sql", "db", kSample});
  writeFile("out.sqlite", "precious");
  EXPECT_THAT(fails(1, {"export", "db", "out.sqlite"}), StartsWith("error: already_exists: "));
  EXPECT_EQ(readFile("out.sqlite"), "precious");
  ok({"export", "db", "out.sqlite", "--force"});
  EXPECT_EQ(sqlite("out.sqlite", "PRAGMA integrity_check"), "ok\n");
  EXPECT_THAT(fails(1, {"export", "nope", "out2.sqlite"}), StartsWith("error: not_found: "));
  EXPECT_FALSE(std::filesystem::exists(path("out2.sqlite")));
  EXPECT_EQ(skep({"export", "db", "no/such/folder/x.sqlite"}).exitCode, 1);
}

TEST_F(TransferCommands, an_export_of_an_empty_database_opens_too) {
  ok({"sql", "db", "SELECT 1"});
  ok({"export", "db", "out.sqlite"});
  EXPECT_EQ(sqlite("out.sqlite", "CREATE TABLE t(a); SELECT count(*) FROM sqlite_schema"), "1\n");
}

TEST_F(TransferCommands, what_is_imported_comes_out_the_same) {
  sqlite("in.sqlite", kSample);
  EXPECT_EQ(ok({"import", "in.sqlite", "db"}), "");
  EXPECT_EQ(ok({"sql", "db", kDigest, "--mode", "list"}), sqlite("in.sqlite", kDigest));
  EXPECT_THAT(ok({"check", "db", "--mode", "list"}), StartsWith("db|ok|"));
  EXPECT_THAT(fails(1, {"import", "in.sqlite", "db"}), StartsWith("error: already_exists: "));
  fails(2, {"import", "in.sqlite", "bad\nname"});
}

TEST_F(TransferCommands, a_file_larger_than_the_database_may_become_is_refused) {
  sqlite("in.sqlite", kSample);
  EXPECT_THAT(fails(1, {"import", "in.sqlite", "db", "--max-size", "16KiB"}),
              StartsWith("error: quota_exceeded: "));
  EXPECT_EQ(ok({"ls"}), "");
  ok({"import", "in.sqlite", "db", "--max-size", "1GiB"});
  ok({"import", "in.sqlite", "another", "--max-size", "0"});
}

TEST_F(TransferCommands, other_page_sizes_and_wal_files_are_converted) {
  for (const char* setup :
       {"PRAGMA page_size = 512", "PRAGMA page_size = 1024", "PRAGMA page_size = 65536",
        "PRAGMA journal_mode = WAL", "PRAGMA auto_vacuum = FULL", "PRAGMA encoding = 'UTF-16le'"}) {
    SCOPED_TRACE(setup);
    std::filesystem::remove(path("in.sqlite"));
    sqlite("in.sqlite", std::string(setup) + ";" + kSample);
    const std::string before = readFile("in.sqlite");
    ok({"import", "in.sqlite", "db"});
    EXPECT_EQ(readFile("in.sqlite"), before) << "the file was changed";
    EXPECT_EQ(ok({"sql", "db", kDigest, "--mode", "list"}), sqlite("in.sqlite", kDigest));
    EXPECT_EQ(ok({"sql", "db", "PRAGMA integrity_check", "--mode", "list"}), "ok\n");
    ok({"rm", "db", "--yes"});
  }
}

TEST_F(TransferCommands, a_file_larger_than_a_transaction_in_memory_comes_in_and_out) {
  constexpr const char* kMany =
      "CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB);"
      "WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < 20000)"
      "INSERT INTO t SELECT k, randomblob(2000) FROM n;";
  constexpr const char* kContent =
      "SELECT count(*) || ' ' || sum(a) || ' ' || sum(length(b)) FROM t";
  sqlite("in.sqlite", kMany);
  ok({"import", "in.sqlite", "db"});
  EXPECT_EQ(ok({"sql", "db", kContent, "--mode", "list"}), sqlite("in.sqlite", kContent));
  EXPECT_THAT(ok({"check", "db", "--mode", "list"}), StartsWith("db|ok|"));
  ok({"export", "db", "out.sqlite"});
  EXPECT_EQ(sqlite("out.sqlite", "PRAGMA integrity_check"), "ok\n");
  EXPECT_EQ(sqlite("out.sqlite", kContent), sqlite("in.sqlite", kContent));
}

TEST_F(TransferCommands, files_that_are_no_database_are_refused_and_leave_nothing) {
  std::string noise(64 * 1024, '\0');  // what an encrypted file looks like
  std::mt19937 random(7);
  for (char& c : noise) c = static_cast<char>(random());
  writeFile("noise.sqlite", noise);
  writeFile("text.sqlite", "This is no database.\n");
  sqlite("short.sqlite", kSample);
  std::filesystem::resize_file(path("short.sqlite"), 20'000);
  for (const char* file : {"noise.sqlite", "text.sqlite", "short.sqlite", "missing.sqlite", "."}) {
    EXPECT_THAT(fails(1, {"import", file, "db"}), StartsWith("error: ")) << file;
    EXPECT_EQ(ok({"ls"}), "") << file;
  }
  EXPECT_THAT(fails(1, {"import", "missing.sqlite", "db"}), StartsWith("error: not_found: "));
}

TEST_F(TransferCommands, a_damaged_file_is_refused) {
  sqlite("in.sqlite", kSample);
  std::string content = readFile("in.sqlite");
  ASSERT_GT(content.size(), 20u * 4096);
  for (std::size_t page = 3; page < 12; ++page)
    content.replace(page * 4096, 100, std::string(100, '\x55'));
  writeFile("damaged.sqlite", content);
  EXPECT_THAT(fails(1, {"import", "damaged.sqlite", "db"}), StartsWith("error: corrupt: "));
  EXPECT_EQ(ok({"ls"}), "");
}

TEST_F(TransferCommands, a_file_that_cannot_be_read_is_refused) {
  EXPECT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_THAT(fails(1, {"import", "fifo", "db"}), StartsWith("error: "));
  EXPECT_EQ(ok({"ls"}), "");
}

TEST_F(TransferCommands, check_reports_on_each_database) {
  ok({"sql", "a", kSample});
  ok({"sql", "b", "CREATE TABLE t(a)"});
  EXPECT_THAT(ok({"check", "a", "b", "--mode", "csv"}),
              MatchesRegex("name,result,pages,records,chunk_versions,problem\r\n"
                           "a,ok,[0-9]+,[0-9]+,[0-9]+,\r\nb,ok,2,[0-9]+,[0-9]+,\r\n"));
  EXPECT_THAT(ok({"check", "--all", "--mode", "list"}), MatchesRegex("a\\|ok\\|.*\nb\\|ok\\|.*\n"));
  EXPECT_THAT(ok({"check", "--all", "--prefix", "b", "--mode", "list"}), StartsWith("b|ok|"));
  EXPECT_EQ(ok({"check", "--all", "--quiet", "--mode", "list"}), "");
  const Outcome missing = skep({"check", "a", "nope", "--mode", "list"});
  EXPECT_EQ(missing.exitCode, 3);
  EXPECT_THAT(missing.out, HasSubstr("nope|not_checked||||not_found: "));
  fails(2, {"check"});
  fails(2, {"check", "a", "--all"});
  EXPECT_THAT(fails(2, {"check", "a", "--prefix", "b"}), HasSubstr("--all"));
}

}  // namespace
}  // namespace skep::cli
