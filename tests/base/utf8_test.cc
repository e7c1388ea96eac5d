#include "skep/base/utf8.h"

#include <gtest/gtest.h>

namespace skep {
namespace {

TEST(Utf8, accepts_text_of_every_length_of_sequence) {
  EXPECT_TRUE(isValidUtf8("aé€😀"));
}

TEST(Utf8, sees_what_is_wrong_at_any_place) {
  for (std::size_t at = 0; at < 40; ++at) {
    std::string text(40, 'a');
    text.replace(at, 1, "é");
    EXPECT_TRUE(isValidUtf8(text)) << at;
    text[at] = '\xff';
    EXPECT_FALSE(isValidUtf8(text)) << at;
  }
}

TEST(Utf8, refuses_overlong_surrogate_cut_and_too_high) {
  EXPECT_FALSE(isValidUtf8("\xc0\x80"));
  EXPECT_FALSE(isValidUtf8("\xed\xa0\x80"));
  EXPECT_FALSE(isValidUtf8("\xe2\x82"));
  EXPECT_FALSE(isValidUtf8("\xf4\x90\x80\x80"));
  EXPECT_FALSE(isValidUtf8("\x80"));
}

TEST(Utf8, text_that_goes_on_may_end_within_a_character_that_can_be_finished) {
  EXPECT_EQ(unfinishedUtf8(""), 0u);
  EXPECT_EQ(unfinishedUtf8("aé"), 0u);
  EXPECT_EQ(unfinishedUtf8("a\xc3"), 1u);
  EXPECT_EQ(unfinishedUtf8("a\xf0\x9f\x90"), 3u);
  EXPECT_EQ(unfinishedUtf8("\xe0"), 1u);
  EXPECT_EQ(unfinishedUtf8("\xed\x9f"), 2u);
  for (const char* bad : {"\x80", "\xc1", "\xe0\x9f", "\xed\xa0", "\xf0\x8f", "\xf4\x90", "\xf5",
                          "\xe2(", "\xff a"}) {
    EXPECT_EQ(unfinishedUtf8(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace skep
