// skep sql: statements from the command line, files and pipes; output; errors.

#include <csignal>
#include <nlohmann/json.hpp>

#include "command_test.h"

namespace skep::cli {
namespace {

class SqlCommand : public CommandTest {};

TEST_F(SqlCommand, keeps_what_it_was_told_for_the_next_command) {
  EXPECT_EQ(
      ok({"sql", "tenant/acme", "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'x'), (2, NULL)"}),
      "");
  EXPECT_EQ(ok({"sql", "tenant/acme", "SELECT * FROM t"}),
            " a │ b\n"
            "───┼──────\n"
            " 1 │ x\n"
            " 2 │ NULL\n"
            "(2 rows)\n");
}

TEST_F(SqlCommand, prints_json_csv_and_lists) {
  const std::string query =
      "SELECT 9007199254740993 AS i, 'a,b' AS t, x'00ff' AS z, NULL AS n; SELECT 1 WHERE 0";
  EXPECT_EQ(ok({"sql", "db", query, "--mode", "json"}),
            "[{\"i\":9007199254740993,\"t\":\"a,b\",\"z\":{\"$blob\":\"AP8=\"},\"n\":null}]\n[]\n");
  EXPECT_EQ(ok({"sql", "db", query, "--mode", "csv"}),
            "i,t,z,n\r\n9007199254740993,\"a,b\",00ff,\r\n1\r\n");
  EXPECT_EQ(ok({"sql", "db", query, "--mode", "list"}), "9007199254740993|a,b|00ff|\n");
}

TEST_F(SqlCommand, runs_files_and_standard_input) {
  writeFile(
      "seed.sql",
      "\xef\xbb\xbf-- a comment; with a semicolon\nCREATE TABLE t(a);\nINSERT INTO t VALUES (1);\n"
      "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;\n");
  EXPECT_EQ(ok({"sql", "db", "--file", "seed.sql"}), "");
  EXPECT_EQ(ok({"sql", "db"}, "INSERT INTO t VALUES (2);\nSELECT sum(a) AS s FROM t"),
            " s\n───\n 3\n(1 row)\n");
  EXPECT_EQ(ok({"sql", "db", "-f", "-", "--mode", "list"}, "SELECT count(*) FROM t"), "2\n");
}

TEST_F(SqlCommand, an_empty_argument_is_SQL_that_does_nothing) {
  ok({"sql", "db", "CREATE TABLE t(a)"});
  EXPECT_EQ(ok({"sql", "db", ""}, "INSERT INTO t VALUES (1)"), "");
  EXPECT_EQ(ok({"sql", "db", "SELECT count(*) FROM t", "--mode", "list"}), "0\n");
  fails(2, {"sql", "db", "", "--file", "seed.sql"});
}

TEST_F(SqlCommand, a_database_becomes_as_large_as_it_may) {
  const std::string fill = "INSERT INTO t VALUES (zeroblob(200000))";
  ok({"sql", "db", "CREATE TABLE t(a)"});
  EXPECT_THAT(fails(1, {"sql", "db", fill, "--max-size", "100KiB"}),
              StartsWith("error: quota_exceeded: "));
  EXPECT_THAT(fails(1, {"sql", "db", fill, "--max-size", "100000"}),
              StartsWith("error: quota_exceeded: "));
  ok({"sql", "db", fill, "--max-size", "1MiB"});
  ok({"sql", "db", fill, "--max-size", "0"});
  for (const char* size : {"-1", "1parsec", "much"})
    fails(2, {"sql", "db", "SELECT 1", "--max-size", size});
}

TEST_F(SqlCommand, a_script_longer_than_any_statement_may_be_streams_through) {
  std::string script = "CREATE TABLE t(a INTEGER PRIMARY KEY, b); BEGIN;\n";
  constexpr int kRows = 20'000;
  const std::string filler(1000, 'x');
  for (int i = 0; i < kRows; ++i) script += "INSERT INTO t(b) VALUES ('" + filler + "');\n";
  script += "COMMIT; SELECT count(*), sum(length(b)) FROM t;";
  EXPECT_EQ(ok({"sql", "db", "--mode", "list"}, script), "20000|20000000\n");
}

TEST_F(SqlCommand, prints_the_rows_of_returning) {
  ok({"sql", "db", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"});
  EXPECT_EQ(
      ok({"sql", "db", "INSERT INTO t(b) VALUES ('x'), ('y') RETURNING a, b", "--mode", "list"}),
      "1|x\n2|y\n");
  EXPECT_EQ(ok({"sql", "db", "SELECT count(*) FROM t", "--mode", "list"}), "2\n");
}

TEST_F(SqlCommand, an_error_points_at_the_token_and_keeps_what_went_before) {
  const Outcome outcome =
      skep({"sql", "db", "CREATE TABLE t(a); SELECT nope FROM t; CREATE TABLE u(a)"});
  EXPECT_EQ(outcome.exitCode, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.errors,
            "error: sql: no such column: nope\n"
            "  SELECT nope FROM t;\n"
            "         ^\n");
  EXPECT_EQ(ok({"sql", "db", "SELECT name FROM sqlite_schema", "--mode", "list"}), "t\n");
}

TEST_F(SqlCommand, an_error_in_a_file_names_its_line) {
  writeFile("bad.sql", "CREATE TABLE t(a);\n\nINSERT INTO t\n  VALUES (1, 2);\n");
  EXPECT_THAT(fails(1, {"sql", "db", "--file", "bad.sql"}),
              StartsWith("error: bad.sql:3: sql: table t has 1 columns"));
  EXPECT_THAT(fails(1, {"sql", "db"}, "SELECT 1;\nSELECT * FROM nope"),
              StartsWith("error: <stdin>:2: sql: no such table: nope\n"));
}

TEST_F(SqlCommand, a_constraint_that_fails_changes_nothing) {
  ok({"sql", "db", "CREATE TABLE t(a PRIMARY KEY); INSERT INTO t VALUES (1)"});
  EXPECT_THAT(fails(1, {"sql", "db", "INSERT INTO t VALUES (2), (1)"}),
              HasSubstr("UNIQUE constraint failed: t.a"));
  EXPECT_EQ(ok({"sql", "db", "SELECT a FROM t", "--mode", "list"}), "1\n");
}

TEST_F(SqlCommand, transactions_commit_together_or_not_at_all) {
  ok({"sql", "db",
      "CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); COMMIT"});
  EXPECT_THAT(
      fails(1, {"sql", "db", "BEGIN; INSERT INTO t VALUES (3); SELECT * FROM nope; COMMIT"}),
      HasSubstr("no such table"));
  EXPECT_THAT(fails(1, {"sql", "db", "BEGIN; INSERT INTO t VALUES (4)"}), HasSubstr("rolled back"));
  EXPECT_EQ(ok({"sql", "db", "SELECT group_concat(a) FROM t", "--mode", "list"}), "1,2\n");
}

TEST_F(SqlCommand, read_only_and_must_exist_create_nothing) {
  EXPECT_THAT(fails(1, {"sql", "db", "SELECT 1", "--read-only"}), StartsWith("error: not_found: "));
  EXPECT_THAT(fails(1, {"sql", "db", "SELECT 1", "--must-exist"}),
              StartsWith("error: not_found: "));
  EXPECT_EQ(ok({"ls"}), "");
  ok({"sql", "db", "CREATE TABLE t(a)"});
  EXPECT_EQ(ok({"sql", "db", "SELECT count(*) FROM t", "--read-only", "--mode", "list"}), "0\n");
  EXPECT_EQ(skep({"sql", "db", "INSERT INTO t VALUES (1)", "--read-only"}).exitCode, 1);
  EXPECT_EQ(ok({"sql", "db", "SELECT count(*) FROM t", "--must-exist", "--mode", "list"}), "0\n");
}

TEST_F(SqlCommand, wrong_usage_has_its_own_exit_code) {
  fails(2, {"sql"});
  fails(2, {});
  fails(2, {"nonsense"});
  fails(2, {"sql", "db", "SELECT 1", "--mode", "xml"});
  fails(2, {"sql", "db", "SELECT 1", "--file", "x.sql"});
  fails(2, {"sql", "db", "SELECT 1", "--nonsense"});
  EXPECT_THAT(fails(2, {"sql", "db", "--file", "nowhere.sql"}),
              HasSubstr("nowhere.sql: No such file"));
  EXPECT_FALSE(std::filesystem::exists(path("data")));
}

TEST_F(SqlCommand, bad_names_are_refused_before_anything_is_made) {
  for (const std::string& name :
       {std::string(), std::string(1025, 'x'), std::string("a\nb"), std::string("a\x7f"),
        std::string("a\xff"), std::string("\xed\xa0\x80")}) {
    EXPECT_THAT(fails(2, {"sql", name, "SELECT 1"}),
                StartsWith("error: invalid_argument: a database name "));
  }
  EXPECT_FALSE(std::filesystem::exists(path("data")));
  EXPECT_EQ(ok({"sql", std::string(1024, 'x'), "SELECT 1", "--mode", "list"}), "1\n");
  EXPECT_EQ(ok({"sql", "名前 with spaces/'\"%", "SELECT 1", "--mode", "list"}), "1\n");
}

TEST_F(SqlCommand, a_statement_of_100_mb_is_refused_within_little_memory) {
  const std::string statement = "SELECT '" + std::string(100'000'000, 'x') + "'";
  const Outcome outcome = skep({"sql", "db"}, statement);
  EXPECT_EQ(outcome.exitCode, 1);
  EXPECT_THAT(outcome.errors,
              StartsWith("error: limit_exceeded: a statement may have at most 16777216 bytes"));
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // they take memory of their own
  EXPECT_LT(outcome.peakBytes, 300'000'000u);
#endif
}

TEST_F(SqlCommand, text_that_is_no_sql_is_refused) {
  EXPECT_THAT(fails(1, {"sql", "db"}, std::string_view("S\0E\0L\0", 6)),
              HasSubstr("NUL character"));
  EXPECT_THAT(fails(1, {"sql", "db", "SELEC 1"}),
              HasSubstr("near \"SELEC\": syntax error\n  SELEC 1\n  ^\n"));
}

TEST_F(SqlCommand, deep_and_wide_statements_do_not_overflow_a_stack) {
  const auto repeat = [](std::string_view text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  // Just below and far above SQLite's own limits of depth.
  for (int depth : {50, 400, 900, 5000, 100'000}) {
    for (const std::string& query :
         {"SELECT 1" + repeat("+1", depth),
          "SELECT " + repeat("(", depth) + "1" + repeat(")", depth),
          "SELECT " + repeat("(SELECT ", depth) + "1" + repeat(")", depth),
          "SELECT " + repeat("NOT ", depth) + "1",
          "SELECT abs(" + repeat("abs(", depth) + "1" + repeat(")", depth) + ")",
          "SELECT 1" + repeat(" UNION ALL SELECT 1", depth),
          "SELECT json('" + repeat("[", depth) + repeat("]", depth) + "')",
          "SELECT CASE " + repeat("WHEN 1 THEN 1 ", depth) + "END",
          "WITH " + repeat("a(x) AS (SELECT 1), ", depth) + "b(x) AS (SELECT 1) SELECT 1"}) {
      const Outcome outcome = skep({"sql", "db", "--mode", "list", "--store", "memory:"}, query);
      ASSERT_TRUE(outcome.exitCode == 0 || outcome.exitCode == 1)
          << depth << ": " << query.substr(0, 60) << ": exit code " << outcome.exitCode
          << outcome.errors.substr(0, 500);
    }
  }
}

TEST_F(SqlCommand, an_interrupt_stops_the_statement_and_leaves_the_database_whole) {
  ok({"sql", "db", "CREATE TABLE t(a); INSERT INTO t VALUES (1)"});
  Process process({skepBinary(), "sql", "db", "--mode", "list"}, folder_.path());
  process.write("BEGIN; DELETE FROM t; SELECT 'running';\n");
  ASSERT_TRUE(process.waitForOutput("running\n"));
  process.write(
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT sum(n) FROM c;\n");
  process.signal(SIGINT);
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.exitCode, 130);
  EXPECT_EQ(ok({"sql", "db", "SELECT a FROM t", "--mode", "list"}), "1\n");
}

TEST_F(SqlCommand, a_reader_that_goes_away_ends_it_quietly) {
  const std::string query =
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c";
  Process process(
      {"/bin/bash", "-c",
       skepBinary() + " sql db \"" + query + "\" --mode list | head -n 2; echo ${PIPESTATUS[0]}"},
      folder_.path());
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.out, "1\n2\n141\n");
  EXPECT_EQ(outcome.errors, "");
}

TEST_F(SqlCommand, a_full_disk_for_the_output_is_an_error) {
  Process process({"/bin/bash", "-c", skepBinary() + " sql db 'SELECT 1' > /dev/full"},
                  folder_.path());
  const Outcome outcome = process.finish();
  EXPECT_EQ(outcome.exitCode, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("No space left on device"));
}

TEST_F(SqlCommand, tells_the_time_on_request) {
  const Outcome outcome = skep({"sql", "db", "SELECT 1", "--timer", "--mode", "list"});
  EXPECT_EQ(outcome.out, "1\n");
  EXPECT_THAT(outcome.errors, MatchesRegex("time: [0-9.]+ ms, 1 row\n"));
}

TEST_F(SqlCommand, json_output_is_json_for_every_kind_of_value) {
  const std::string text =
      ok({"sql", "db",
          "SELECT 1e999 AS inf, 0.1 AS r, CAST(x'ff' AS TEXT) AS bad, char(7, 10, 0x1F600) AS c, "
          "-9223372036854775807 - 1 AS least, 1 AS a, 2 AS a, '' AS \"\"",
          "--mode", "json"});
  const nlohmann::json row = nlohmann::json::parse(text)[0];
  EXPECT_EQ(row["inf"]["$real"], "Infinity");
  EXPECT_EQ(row["r"], 0.1);
  EXPECT_EQ(row["c"], "\a\n😀");
  EXPECT_EQ(row["least"], std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(row["a"], 1);
  EXPECT_EQ(row["a:2"], 2);
  EXPECT_EQ(row[""], "");
}

}  // namespace
}  // namespace skep::cli
