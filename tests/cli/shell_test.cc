// The interactive shell, on a pseudo terminal.

#include "command_test.h"

namespace skep::cli {
namespace {

class ShellTest : public CommandTest {
 protected:
  std::vector<std::string> shell(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {skepBinary(), "sql", "tenant/acme"});
    return more;
  }
};

#define EXPECT_SCREEN(terminal, text) ASSERT_TRUE((terminal).waitFor(text)) << (terminal).screen()

TEST_F(ShellTest, runs_statements_that_may_span_lines) {
  Terminal terminal(shell(), folder_.path());
  EXPECT_SCREEN(terminal, "Skep shell on tenant/acme, a new database.");
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("CREATE TABLE t(a, b);\n");
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("INSERT INTO t\n");
  EXPECT_SCREEN(terminal, "        ...> ");
  terminal.type("VALUES (1, 'ä;\n");
  EXPECT_SCREEN(terminal, "        ...> ");
  terminal.type("日本'); SELECT a FROM t;\n");
  EXPECT_SCREEN(terminal, " a\r\n───\r\n 1\r\n(1 row)\r\n");
  terminal.type("SELECT hex(b) FROM t;\n");
  EXPECT_SCREEN(terminal, "C3A43B0AE697A5E69CAC");
  terminal.type("\x04");
  EXPECT_EQ(terminal.finish(), 0);
  EXPECT_EQ(ok({"sql", "tenant/acme", "SELECT count(*) FROM t", "--mode", "list"}), "1\n");
}

TEST_F(ShellTest, goes_on_after_an_error) {
  Terminal terminal(shell(), folder_.path());
  EXPECT_SCREEN(terminal, "> ");
  terminal.type("SELECT nope; SELECT 'not run';\n");
  EXPECT_SCREEN(terminal, "error: sql: no such column: nope\r\n  SELECT nope;\r\n         ^\r\n");
  terminal.type("SELECT 6 * 7;\n");
  EXPECT_SCREEN(terminal, " 42\r\n(1 row)\r\n");
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type(".quit\n");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(ShellTest, shows_an_open_transaction_and_rolls_it_back_at_the_end) {
  Terminal terminal(shell(), folder_.path());
  EXPECT_SCREEN(terminal, "> ");
  terminal.type("CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES (1);\n");
  EXPECT_SCREEN(terminal, "tenant/acme*> ");
  terminal.type("\x04");
  EXPECT_SCREEN(terminal, "rolled back");
  EXPECT_EQ(terminal.finish(), 0);
  EXPECT_EQ(ok({"sql", "tenant/acme", "SELECT count(*) FROM t", "--mode", "list"}), "0\n");
}

TEST_F(ShellTest, has_commands_for_looking_round) {
  ok({"sql", "tenant/acme",
      "CREATE TABLE user(id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX by_name ON user(name);"
      "CREATE TABLE zebra(a); CREATE VIEW names AS SELECT name FROM user"});
  writeFile("more.sql", "INSERT INTO user(name) VALUES ('Ada');\nSELECT name FROM user;\n");
  Terminal terminal(shell(), folder_.path());
  EXPECT_SCREEN(terminal, "> ");
  terminal.type(".tables\n");
  EXPECT_SCREEN(terminal, "names\r\nuser\r\nzebra\r\n");
  terminal.type(".tables z%\n");
  EXPECT_SCREEN(terminal, "zebra\r\n");
  terminal.type(".schema user\n");
  EXPECT_SCREEN(terminal,
                "CREATE TABLE user(id INTEGER PRIMARY KEY, name TEXT);\r\nCREATE INDEX by_name ON "
                "user(name);\r\n");
  terminal.type(".indexes\n");
  EXPECT_SCREEN(terminal, "by_name  on user\r\n");
  terminal.type(".mode json\n");
  terminal.type(".read more.sql\n");
  EXPECT_SCREEN(terminal, "[{\"name\":\"Ada\"}]\r\n");
  terminal.type(".mode nonsense\n");
  EXPECT_SCREEN(terminal, "error: the modes are table, json, csv and list");
  terminal.type(".timer on\nSELECT 1;\n");
  EXPECT_SCREEN(terminal, " ms, 1 row\r\n");
  terminal.type(".read nowhere.sql\n");
  EXPECT_SCREEN(terminal, "cannot open nowhere.sql: No such file or directory");
  terminal.type(".nonsense\n");
  EXPECT_SCREEN(terminal, "error: no such command; .help lists them");
  terminal.type(".help\n");
  EXPECT_SCREEN(terminal, ".schema [TABLE]");
  terminal.type(".exit\n");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(ShellTest, ctrl_c_drops_what_was_typed) {
  Terminal terminal(shell(), folder_.path());
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("SELECT 'first line\n");
  EXPECT_SCREEN(terminal, "...> ");
  terminal.type("half a wor\x03");
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("SELECT 6 * 7;\n");
  EXPECT_SCREEN(terminal, " 42\r\n");
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("\x04");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(ShellTest, ctrl_c_stops_a_statement) {
  Terminal terminal(shell({"--mode", "list"}), folder_.path());
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type(
      "SELECT 'running'; WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT "
      "sum(n) FROM c;\n");
  EXPECT_SCREEN(terminal, "running\r\n");
  terminal.type("\x03");
  EXPECT_SCREEN(terminal, "error: aborted: ");
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("SELECT 6 * 7;\n");
  EXPECT_SCREEN(terminal, "42\r\n");
  terminal.type("\x04");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(ShellTest, remembers_what_was_typed_for_the_next_time) {
  {
    Terminal terminal(shell(), folder_.path());
    EXPECT_SCREEN(terminal, "tenant/acme> ");
    terminal.type("SELECT\n40 + 2;\n");
    EXPECT_SCREEN(terminal, " 42\r\n");
    terminal.type("\x04");
    EXPECT_EQ(terminal.finish(), 0);
  }
  const std::filesystem::path history = folder_.path() / ".local" / "state" / "skep" / "history";
  ASSERT_TRUE(std::filesystem::exists(history));
  EXPECT_EQ(std::filesystem::status(history).permissions() & std::filesystem::perms::all,
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  Terminal terminal(shell(), folder_.path());
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("\x1b[A");
  EXPECT_SCREEN(terminal, "SELECT 40 + 2;");
  terminal.type("\n");
  EXPECT_SCREEN(terminal, " 42\r\n");
  terminal.type("\x04");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(ShellTest, completes_keywords_and_names) {
  ok({"sql", "tenant/acme",
      "CREATE TABLE customers(id, given_name); INSERT INTO customers VALUES (1, 'Ada')"});
  Terminal terminal(shell(), folder_.path());
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("sele\tgiv\tFR\tcust\t;\n");
  EXPECT_SCREEN(terminal, " Ada\r\n");
  terminal.type("\x04");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(ShellTest, what_is_typed_ahead_counts) {
  Terminal terminal(shell({"--mode", "list"}), folder_.path());
  terminal.type("SELECT 6\n* 7;\nSELECT 'last';\n\x04");
  EXPECT_SCREEN(terminal, "42\r\n");
  EXPECT_SCREEN(terminal, "last\r\n");
  EXPECT_EQ(terminal.finish(), 0);
}

TEST_F(ShellTest, works_in_a_locale_that_is_not_utf_8) {
  Terminal terminal(shell({"--mode", "list"}), folder_.path(), {{"LANG", "C"}, {"LC_ALL", "C"}});
  EXPECT_SCREEN(terminal, "tenant/acme> ");
  terminal.type("SELECT hex('é');\n");
  EXPECT_SCREEN(terminal, "C3A9\r\n");
  terminal.type("\x04");
  EXPECT_EQ(terminal.finish(), 0);
}

}  // namespace
}  // namespace skep::cli
