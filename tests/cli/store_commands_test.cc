// skep ls, info, rm; stores and processes: what persists, who may open what.

#include <csignal>
#include <nlohmann/json.hpp>

#include "command_test.h"

namespace skep::cli {
namespace {

class StoreCommands : public CommandTest {
 protected:
  void makeDatabases(const std::vector<std::string>& names) {
    for (const std::string& name : names)
      ok({"sql", name, "CREATE TABLE t(a); INSERT INTO t VALUES (1)"});
  }
};

TEST_F(StoreCommands, ls_lists_names_by_prefix_and_in_pages) {
  makeDatabases({"tenant/b", "tenant/a", "other", "tenant/日"});
  EXPECT_EQ(ok({"ls"}), "other\ntenant/a\ntenant/b\ntenant/日\n");
  EXPECT_EQ(ok({"ls", "tenant/"}), "tenant/a\ntenant/b\ntenant/日\n");
  EXPECT_EQ(ok({"ls", "tenant/", "--limit", "2"}), "tenant/a\ntenant/b\n");
  EXPECT_EQ(ok({"ls", "tenant/", "--after", "tenant/a"}), "tenant/b\ntenant/日\n");
  EXPECT_EQ(ok({"ls", "nothing"}), "");
  EXPECT_EQ(ok({"ls", "o", "--mode", "csv"}), "name\r\nother\r\n");
  const auto rows = nlohmann::json::parse(ok({"ls", "--long", "--mode", "json"}));
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0]["name"], "other");
  EXPECT_EQ(rows[0]["bytes"], 8192);
  EXPECT_GE(rows[0]["txid"], 1);
  EXPECT_THAT(rows[0]["created"], MatchesRegex("20..-..-..T..:..:..\\....Z"));
  fails(2, {"ls", "--limit", "-3"});
}

TEST_F(StoreCommands, info_tells_what_the_store_knows) {
  makeDatabases({"db"});
  const auto rows = nlohmann::json::parse(ok({"info", "db", "--mode", "json"}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0]["name"], "db");
  EXPECT_EQ(rows[0]["pages"], 2);
  EXPECT_EQ(rows[0]["bytes"], 8192);
  EXPECT_GT(rows[0]["stored_bytes"], 0);
  EXPECT_THAT(ok({"info", "db"}), HasSubstr("│ db\n"));
  EXPECT_THAT(fails(1, {"info", "nope"}), StartsWith("error: not_found: "));
  fails(2, {"info", ""});
}

TEST_F(StoreCommands, rm_removes_what_it_was_told_and_asks_first) {
  makeDatabases({"a", "b", "c"});
  EXPECT_THAT(fails(2, {"rm", "a"}), HasSubstr("--yes"));
  EXPECT_EQ(ok({"ls"}), "a\nb\nc\n");
  ok({"rm", "a", "b", "--yes"});
  EXPECT_EQ(ok({"ls"}), "c\n");
  EXPECT_THAT(fails(1, {"rm", "a", "--yes"}), StartsWith("error: not_found: "));

  Terminal terminal({skepBinary(), "rm", "c"}, folder_.path());
  ASSERT_TRUE(terminal.waitFor("Remove 'c' with all its data? [y/N] "));
  terminal.type("n\n");
  EXPECT_EQ(terminal.finish(), 1);
  EXPECT_EQ(ok({"ls"}), "c\n");
  Terminal again({skepBinary(), "rm", "c"}, folder_.path());
  ASSERT_TRUE(again.waitFor("[y/N] "));
  again.type("y\n");
  EXPECT_EQ(again.finish(), 0);
  EXPECT_EQ(ok({"ls"}), "");
}

TEST_F(StoreCommands, a_removed_name_can_be_used_again) {
  makeDatabases({"a"});
  ok({"rm", "a", "--yes"});
  EXPECT_EQ(ok({"sql", "a", "SELECT count(*) FROM sqlite_schema", "--mode", "list"}), "0\n");
}

TEST_F(StoreCommands, the_store_is_chosen_by_option_then_environment_then_default) {
  const Environment elsewhere = {{"SKEP_STORE", "embedded:./elsewhere"}};
  EXPECT_EQ(skep({"sql", "db", "CREATE TABLE t(a)"}, {}, elsewhere).exitCode, 0);
  EXPECT_TRUE(std::filesystem::exists(path("elsewhere")));
  EXPECT_EQ(ok({"ls"}), "");
  EXPECT_EQ(ok({"ls", "--store", "embedded:elsewhere"}), "db\n");
  EXPECT_EQ(ok({"--store", "embedded:elsewhere", "ls"}), "db\n");
  EXPECT_EQ(skep({"ls", "--store", "embedded:data"}, {}, elsewhere).out, "");
  EXPECT_EQ(ok({"ls", "--store", "memory:"}), "");
}

TEST_F(StoreCommands, a_wrong_store_url_is_wrong_usage) {
  for (const char* url : {"mysql://h/d", "embedded:", "./data", "memory:x", "postgres:x"}) {
    EXPECT_THAT(fails(2, {"ls", "--store", url}), StartsWith("error: invalid_argument: ")) << url;
  }
  EXPECT_EQ(skep({"ls"}, {}, {{"SKEP_STORE", "nonsense:"}}).exitCode, 2);
  EXPECT_THAT(fails(2, {"ls", "--store", "mysql://u:s3cret@h"}), Not(HasSubstr("s3cret")));
}

TEST_F(StoreCommands, a_store_that_cannot_be_opened_is_an_error) {
  writeFile("file", "not a directory");
  const std::string message = fails(1, {"ls", "--store", "embedded:file"});
  EXPECT_THAT(message, StartsWith("error: "));
  EXPECT_EQ(readFile("file"), "not a directory");
  const std::string refused =
      fails(1, {"ls", "--store", "postgres://ann:s3cret@127.0.0.1:1/nowhere?connect_timeout=2"});
  EXPECT_THAT(refused, StartsWith("error: unavailable: "));
  EXPECT_THAT(refused, Not(HasSubstr("s3cret")));
}

TEST_F(StoreCommands, a_second_process_on_one_directory_is_told_so) {
  Process first({skepBinary(), "sql", "db", "--mode", "list"}, folder_.path());
  first.write("SELECT 'open';\n");
  ASSERT_TRUE(first.waitForOutput("open\n"));
  EXPECT_THAT(fails(1, {"ls"}), StartsWith("error: locked: "));
  EXPECT_EQ(first.finish("SELECT 2;").exitCode, 0);
  EXPECT_EQ(ok({"ls"}), "db\n");
}

TEST_F(StoreCommands, what_was_shown_survives_kill_9) {
  ok({"sql", "db", "CREATE TABLE t(a)"});
  for (int round = 1; round <= 5; ++round) {
    Process process({skepBinary(), "sql", "db", "--mode", "list"}, folder_.path());
    const std::string mark = "round " + std::to_string(round) + "\n";
    process.write("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2) RETURNING 'round " +
                  std::to_string(round) + "';\n");
    ASSERT_TRUE(process.waitForOutput(mark));
    process.write("BEGIN; INSERT INTO t VALUES (3); SELECT 'not committed';\n");
    ASSERT_TRUE(process.waitForOutput("not committed\n"));
    process.signal(SIGKILL);
    EXPECT_EQ(process.finish().exitCode, 128 + SIGKILL);
    EXPECT_EQ(ok({"sql", "db", "SELECT count(*), sum(a) FROM t", "--mode", "list"}),
              std::to_string(2 * round) + "|" + std::to_string(3 * round) + "\n");
    EXPECT_THAT(ok({"check", "db", "--mode", "list"}), StartsWith("db|ok|"));
  }
}

TEST_F(StoreCommands, help_and_version_say_what_there_is) {
  const std::string help = ok({"--help"});
  for (const char* command : {"sql", "ls", "info", "rm", "export", "import", "check", "version"}) {
    EXPECT_THAT(help, HasSubstr(std::string("\n  ") + command + " "));
    EXPECT_THAT(ok({command, "--help"}), HasSubstr("Usage: "));
  }
  EXPECT_THAT(ok({"version"}), MatchesRegex("skep [0-9.]+ \\(SQLite 3\\.[0-9.]+\\)\n"));
}

}  // namespace
}  // namespace skep::cli
