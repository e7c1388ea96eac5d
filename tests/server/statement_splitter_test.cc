#include "skep/server/statement_splitter.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdlib>
#include <random>
#include <vector>

namespace skep::server {
namespace {

std::vector<std::string> split(std::string_view text, std::size_t bytesAtOnce = SIZE_MAX) {
  StatementSplitter splitter;
  std::vector<std::string> statements;
  const auto drain = [&] {
    while (auto piece = splitter.next()) statements.push_back(piece->text);
  };
  while (!text.empty()) {
    splitter.append(text.substr(0, bytesAtOnce));
    text.remove_prefix(std::min(bytesAtOnce, text.size()));
    drain();
  }
  splitter.finish();
  drain();
  return statements;
}

using Statements = std::vector<std::string>;

TEST(StatementSplitter, cuts_at_semicolons_and_drops_what_stands_between) {
  EXPECT_EQ(split("SELECT 1; \n -- note\n SELECT 2;;; /* end; */"),
            (Statements{"SELECT 1;", "SELECT 2;"}));
}

TEST(StatementSplitter, a_last_statement_needs_no_semicolon) {
  EXPECT_EQ(split("SELECT 1; SELECT 2"), (Statements{"SELECT 1;", "SELECT 2"}));
  EXPECT_EQ(split("  \n-- nothing here"), Statements{});
}

TEST(StatementSplitter, semicolons_in_quotes_and_comments_do_not_count) {
  const std::string text = "SELECT 'a;''b', \";\"\";\", `;`, [;] /* ; */ -- ;\n , 1;";
  EXPECT_EQ(split(text), (Statements{text}));
}

TEST(StatementSplitter, a_trigger_ends_with_its_end) {
  const std::string trigger =
      "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN UPDATE t SET a = CASE WHEN 1 THEN 2 END; "
      "DELETE FROM u; end ;";
  EXPECT_EQ(split(trigger + " SELECT 1;"), (Statements{trigger, "SELECT 1;"}));
  EXPECT_EQ(split("EXPLAIN QUERY PLAN " + trigger), (Statements{"EXPLAIN QUERY PLAN " + trigger}));
  EXPECT_EQ(split("CREATE TABLE trigger_log(a); SELECT 1;").size(), 2u);
}

TEST(StatementSplitter, says_in_which_line_a_statement_begins) {
  StatementSplitter splitter;
  splitter.append("\n-- one\nSELECT\n 1;/* a\nb */ SELECT 'x\ny'; SELECT 3;\n\nSELECT 4;");
  EXPECT_EQ(splitter.next()->line, 3u);
  EXPECT_EQ(splitter.next()->line, 5u);
  EXPECT_EQ(splitter.next()->line, 6u);
  EXPECT_EQ(splitter.next()->line, 8u);
}

TEST(StatementSplitter, knows_whether_a_statement_has_begun) {
  StatementSplitter splitter;
  EXPECT_TRUE(splitter.isBlank());
  splitter.append(" -- note\n");
  EXPECT_FALSE(splitter.next().has_value());
  EXPECT_TRUE(splitter.isBlank());
  splitter.append("/* open");
  EXPECT_FALSE(splitter.next().has_value());
  EXPECT_FALSE(splitter.isBlank());
  splitter.append("*/ SEL");
  EXPECT_FALSE(splitter.next().has_value());
  EXPECT_FALSE(splitter.isBlank());
  splitter.append("ECT 1;\n");
  EXPECT_EQ(splitter.next()->text, "SELECT 1;");
  EXPECT_FALSE(splitter.next().has_value());
  EXPECT_TRUE(splitter.isBlank());
}

TEST(StatementSplitter, gives_back_the_room_of_what_it_handed_out) {
  StatementSplitter splitter;
  const std::string statement = "INSERT INTO t VALUES (1, 'some text to have a length');\n";
  std::size_t count = 0;
  for (int i = 0; i < 100'000; ++i) {
    splitter.append(statement);
    while (splitter.next()) ++count;
    ASSERT_LT(splitter.pendingBytes(), 2 * statement.size());
  }
  EXPECT_EQ(count, 100'000u);
}

// The model is sqlite3_complete(); SKEP_TEST_SEED replays a run.
TEST(StatementSplitter, agrees_with_sqlite_on_where_statements_end) {
  const char* given = std::getenv("SKEP_TEST_SEED");
  const auto seed =
      given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
  SCOPED_TRACE("SKEP_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const std::vector<std::string> tokens = {
      "create", "TRIGGER", "temp", "temporary", "END", "begin", "explain", "query", "x",  "\n",
      " ",      "'",       "\"",   "`",         "[",   "]",     "--",      "/*",    "*/", "-",
      "/",      "*",       "1;",   ";",         "; ",  ";;",    "é",       "end;"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t i = random() % 14; i > 0; --i)
      text += tokens[random() % tokens.size()] + (random() % 2 ? " " : "");
    text += "\n";
    StatementSplitter splitter;
    splitter.append(text);
    std::size_t count = 0;
    while (splitter.next()) ++count;
    if (sqlite3_complete(text.c_str()) != 0) {
      EXPECT_TRUE(splitter.isBlank()) << text;
    } else if (splitter.isBlank()) {
      EXPECT_EQ(count, 0u) << text;  // a blank text is not complete to SQLite
    }
    // However the text arrives, the statements are the same.
    EXPECT_EQ(split(text), split(text, 1 + random() % 3)) << text;
  }
}

}  // namespace
}  // namespace skep::server
