#include "skep/base/utf8.h"

#include <gtest/gtest.h>

namespace skep {
namespace {

TEST(Utf8, accepts_text_of_every_length_of_sequence) {
  EXPECT_TRUE(isValidUtf8("aé€😀"));
}

TEST(Utf8, refuses_overlong_surrogate_cut_and_too_high) {
  EXPECT_FALSE(isValidUtf8("\xc0\x80"));
  EXPECT_FALSE(isValidUtf8("\xed\xa0\x80"));
  EXPECT_FALSE(isValidUtf8("\xe2\x82"));
  EXPECT_FALSE(isValidUtf8("\xf4\x90\x80\x80"));
  EXPECT_FALSE(isValidUtf8("\x80"));
}

}  // namespace
}  // namespace skep
