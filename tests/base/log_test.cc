// Lines of the log, as people and as programs read them.

#include "skep/base/log.h"

#include <gtest/gtest.h>

namespace skep {
namespace {

constexpr std::int64_t kWallMs = 1'700'000'000'007;  // 2023-11-14

std::string json(LogFields fields) {
  return formatLogLine(LogFormat::Json, LogLevel::Warn, kWallMs, "actor", "it failed", fields);
}
std::string text(LogFields fields) {
  return formatLogLine(LogFormat::Text, LogLevel::Error, kWallMs, "actor", "it failed", fields);
}

TEST(LogTest, a_line_for_people_has_the_time_the_level_who_says_what_and_the_fields) {
  EXPECT_EQ(text({{"actor", "chat/lobby"}, {"count", 3}}),
            "2023-11-14T22:13:20.007Z error actor: it failed actor=chat/lobby count=3");
  EXPECT_EQ(text({{"error", "no \"such\" thing"}}),
            "2023-11-14T22:13:20.007Z error actor: it failed error=\"no \\\"such\\\" thing\"");
}

TEST(LogTest, a_line_for_programs_is_an_object_of_json_in_which_numbers_are_numbers) {
  EXPECT_EQ(json({{"actor", "chat/lobby"}, {"count", -3}, {"id", "42"}}),
            "{\"time\":\"2023-11-14T22:13:20.007Z\",\"level\":\"warn\",\"component\":\"actor\","
            "\"message\":\"it failed\",\"actor\":\"chat/lobby\",\"count\":-3,\"id\":\"42\"}");
}

TEST(LogTest, a_field_without_a_value_is_left_out) {
  EXPECT_EQ(text({{"request", ""}}), "2023-11-14T22:13:20.007Z error actor: it failed");
  EXPECT_EQ(json({{"request", ""}}), json({}));
}

TEST(LogTest, nothing_in_a_value_ends_the_line_or_reaches_the_terminal) {
  EXPECT_TRUE(text({{"error", "one\ntwo\x1b[2J"}}).ends_with(" error=\"one two [2J\""));
  EXPECT_TRUE(json({{"error", "one\ntwo\x1b\"\\\x7f"}})
                  .ends_with("\"error\":\"one\\ntwo\\u001b\\\"\\\\\\u007f\"}"));
}

TEST(LogTest, what_is_no_text_leaves_the_line_one_that_can_be_read) {
  EXPECT_TRUE(json({{"key", "a\xff\xfe"}}).ends_with("\"key\":\"a??\"}"));
  EXPECT_TRUE(json({{"key", "grün"}}).ends_with("\"key\":\"grün\"}"));
}

}  // namespace
}  // namespace skep
