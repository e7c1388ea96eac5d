#include "skep/base/raw_value.h"

#include <gtest/gtest.h>

#include <string>

namespace skep {
namespace {

std::string json(std::string_view text) {
  const auto value = takeRawJson(text);
  return value ? std::string(*value) + "|" + std::string(text) : "none";
}

/// How many bytes the first CBOR value takes; -1: there is none.
int cbor(std::string_view bytes) {
  const auto value = takeRawCbor(bytes);
  return value ? static_cast<int>(value->size()) : -1;
}

TEST(RawJson, a_value_ends_where_its_last_bracket_or_quote_is) {
  EXPECT_EQ(json(" [1,[2,\"]\"]] , 3"), "[1,[2,\"]\"]]| , 3");
  EXPECT_EQ(json("{\"a\":\"}\"}x"), "{\"a\":\"}\"}|x");
  EXPECT_EQ(json("\"a\\\"b\\\\\",1"), "\"a\\\"b\\\\\"|,1");
  EXPECT_EQ(json("-1.5e3}"), "-1.5e3|}");
  EXPECT_EQ(json("null"), "null|");
}

TEST(RawJson, what_does_not_end_or_begin_is_none) {
  for (const char* bad :
       {"", "  ", "[", "[1", "{\"a\":[}", "\"abc", "\"abc\\", "\"abc\\\"", ",", "]", "}"}) {
    EXPECT_EQ(json(bad), "none") << bad;
  }
}

TEST(RawJson, nesting_is_bounded) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(json(nested(kNestingMax)), nested(kNestingMax) + "|");
  EXPECT_EQ(json(nested(kNestingMax + 1)), "none");
}

TEST(RawCbor, a_value_ends_where_its_head_says) {
  using namespace std::string_view_literals;
  EXPECT_EQ(cbor("\x00\x01"sv), 1);
  EXPECT_EQ(cbor("\x18\xff\x00"sv), 2);
  EXPECT_EQ(cbor("\x1b\0\0\0\0\0\0\0\x01!"sv), 9);
  EXPECT_EQ(cbor("\x63"
                 "abcd"sv),
            4);
  EXPECT_EQ(cbor("\x83\x01\x82\x02\x03\x04!"sv), 6);
  EXPECT_EQ(cbor("\xa1\x61"
                 "a\x01!"sv),
            4);
  EXPECT_EQ(cbor("\x9f\x01\x02\xff!"sv), 4);
  EXPECT_EQ(cbor("\x7f\x61"
                 "a\x61"
                 "b\xff!"sv),
            6);
  EXPECT_EQ(cbor("\xc1\x01!"sv), 2);
  EXPECT_EQ(cbor("\xf6!"sv), 1);
  EXPECT_EQ(cbor("\xfb\0\0\0\0\0\0\0\0!"sv), 9);
}

TEST(RawCbor, what_is_cut_short_or_reserved_is_none) {
  using namespace std::string_view_literals;
  for (const std::string_view bad :
       {""sv, "\x18"sv, "\x1b\0\0"sv,
        "\x63"
        "ab"sv,
        "\x82\x01"sv, "\xa1\x01"sv, "\x9f\x01"sv, "\x1c"sv, "\x1f"sv, "\xff"sv,
        "\x9b\xff\xff\xff\xff\xff\xff\xff\xff"sv, "\xbb\x7f\xff\xff\xff\xff\xff\xff\xff"sv,
        "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"sv}) {
    EXPECT_EQ(cbor(bad), -1);
  }
  EXPECT_EQ(cbor(std::string(1'000'000, '\x81')), -1);
  EXPECT_EQ(cbor(std::string(kNestingMax, '\x81') + "\x01"), static_cast<int>(kNestingMax) + 1);
}

}  // namespace
}  // namespace skep
