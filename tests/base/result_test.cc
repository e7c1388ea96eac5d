#include "skep/base/result.h"

#include <gtest/gtest.h>

namespace skep {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error{ErrorCode::InvalidArgument, "odd"};
  return n / 2;
}

Result<int> quarter(int n) {
  SKEP_TRY(int h, half(n));
  SKEP_CHECK_OK(half(h));
  return half(h);
}

TEST(Result, try_hands_the_first_error_up) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(quarter(7).error().toString(), "invalid_argument: odd");
}

TEST(ResultDeathTest, the_value_of_an_error_aborts_the_process) {
  EXPECT_DEATH((void)half(3).value(), "value\\(\\) of a failed result: odd");
}

TEST(ErrorCode, every_code_has_a_name) {
  for (int code = 0; code <= static_cast<int>(ErrorCode::Internal); ++code) {
    EXPECT_FALSE(errorCodeName(static_cast<ErrorCode>(code)).empty());
  }
}

}  // namespace
}  // namespace skep
