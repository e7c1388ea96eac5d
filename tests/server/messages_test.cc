// What people read besides results: errors with carets, progress, completions.

#include <gtest/gtest.h>

#include "skep/server/display_text.h"
#include "skep/server/dot_commands.h"
#include "skep/server/error_text.h"
#include "skep/server/line_editor.h"
#include "skep/server/progress.h"

namespace skep::server {
namespace {

Error sqlError(int offset) {
  return {ErrorCode::Sql, "no such column: nam", 1, offset};
}

TEST(SqlErrorText, points_at_the_token) {
  EXPECT_EQ(sqlErrorText(sqlError(7), {.text = "SELECT nam FROM user", .line = 1}, {}),
            "error: sql: no such column: nam\n"
            "  SELECT nam FROM user\n"
            "         ^\n");
}

TEST(SqlErrorText, counts_lines_from_the_start_of_the_script) {
  EXPECT_EQ(sqlErrorText(sqlError(17), {.text = "SELECT 1,\n  'é',\tnam\nFROM user", .line = 3},
                         "seed.sql"),
            "error: seed.sql:4: sql: no such column: nam\n"
            "    'é',\\tnam\n"
            "        ^\n");
}

TEST(SqlErrorText, shows_a_part_of_a_long_line) {
  const std::string text = "SELECT " + std::string(200, 'x') + ", nam, " + std::string(200, 'y');
  const std::string shown = sqlErrorText(sqlError(209), {.text = text, .line = 1}, {});
  EXPECT_EQ(shown, "error: sql: no such column: nam\n  …" + std::string(58, 'x') + ", nam, " +
                       std::string(55, 'y') + "…\n" + std::string(63, ' ') + "^\n");
}

TEST(SqlErrorText, without_an_offset_there_is_no_caret) {
  EXPECT_EQ(sqlErrorText(sqlError(-1), {.text = "SELECT 1", .line = 9}, "a.sql"),
            "error: a.sql:9: sql: no such column: nam\n");
  EXPECT_EQ(sqlErrorText(sqlError(500), {.text = "SELECT 1", .line = 1}, {}),
            "error: sql: no such column: nam\n");
}

TEST(DisplayText, measures_what_a_terminal_shows) {
  EXPECT_EQ(displayWidth("abc"), 3u);
  EXPECT_EQ(displayWidth("日本"), 4u);
  EXPECT_EQ(displayWidth("e\xcc\x81"), 1u);  // e and a combining accent
  EXPECT_EQ(displayText("日本語", 5).text, "日本…");
  EXPECT_EQ(displayText("日本語", 5).width, 5u);
  EXPECT_EQ(displayText("日本語", 6).text, "日本語");
  EXPECT_EQ(displayText("a\xe2\x80\xae"
                        "b")
                .text,
            "a\\u202eb");  // would turn the rest of the line around
  EXPECT_EQ(displayText("\xc3").text, "\xef\xbf\xbd");
  EXPECT_EQ(displayText("\xed\xa0\x80").width, 3u);  // a surrogate: three bytes that are not UTF-8
}

TEST(ProgressLine, shows_the_share_that_is_done) {
  EXPECT_EQ(progressLine("importing", 0, 0), "importing  0");
  EXPECT_EQ(progressLine("importing", 1234567, 0), "importing  1,234,567");
  EXPECT_EQ(progressLine("x", 500, 1000), "x  ████████████░░░░░░░░░░░░  50%  500 of 1,000");
  EXPECT_EQ(progressLine("x", 2000, 1000), "x  ████████████████████████ 100%  1,000 of 1,000");
}

TEST(Completions, ignore_case_and_come_sorted_and_once) {
  const std::vector<std::string> words = {"SELECT", "orders", "Order_items", "orders"};
  EXPECT_EQ(completionsOf(words, "ord"), (std::vector<std::string>{"Order_items", "orders"}));
  EXPECT_EQ(completionsOf(words, "sel"), std::vector<std::string>{"SELECT"});
  EXPECT_TRUE(completionsOf(words, "x").empty());
}

TEST(DotCommands, words_may_be_quoted) {
  EXPECT_EQ(splitWords(".read  'my file.sql' \"x\"y"),
            (std::vector<std::string>{".read", "my file.sql", "xy"}));
  EXPECT_TRUE(splitWords("  ").empty());
}

}  // namespace
}  // namespace skep::server
