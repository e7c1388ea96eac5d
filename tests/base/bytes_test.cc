#include "skep/base/bytes.h"

#include <gtest/gtest.h>

namespace skep {
namespace {

TEST(Bytes, varints_of_every_length_come_back_as_they_went_in) {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    const std::uint64_t value = bits == 64 ? ~0ULL : (1ULL << bits) - (bits % 2);
    Bytes buffer;
    ByteWriter(buffer).varint(value);
    ByteReader in(buffer);
    EXPECT_EQ(in.varint(), value);
    EXPECT_TRUE(in.ok());
    EXPECT_EQ(in.remaining(), 0u);
  }
}

TEST(Bytes, a_read_past_the_end_turns_the_reader_bad_for_good) {
  Bytes buffer;
  ByteWriter(buffer).u32(7);
  ByteReader in(buffer);
  EXPECT_EQ(in.u64(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u32(), 0u);
  EXPECT_FALSE(in.ok());
}

TEST(Bytes, a_varint_longer_than_64_bits_is_bad) {
  Bytes buffer(11, std::byte{0xff});
  ByteReader in(buffer);
  in.varint();
  EXPECT_FALSE(in.ok());
}

TEST(Bytes, the_end_of_a_prefix_is_behind_all_that_begins_with_it) {
  EXPECT_EQ(endOfPrefix("na"), "nb");
  EXPECT_EQ(endOfPrefix("n"), "o");
  EXPECT_EQ(endOfPrefix("na\xff\xff"), "nb");
  EXPECT_EQ(endOfPrefix("n\xff"), "o");
  EXPECT_EQ(endOfPrefix("\xff\xff"), "");
  EXPECT_EQ(endOfPrefix(""), "");
}

TEST(Bytes, zigzag_makes_small_numbers_of_either_sign_small) {
  EXPECT_EQ(zigzag(0), 0u);
  EXPECT_EQ(zigzag(-1), 1u);
  EXPECT_EQ(zigzag(1), 2u);
  for (const std::int64_t n : {INT64_MIN, INT64_MIN + 1, std::int64_t{-300}, INT64_MAX})
    EXPECT_EQ(unzigzag(zigzag(n)), n);
}

}  // namespace
}  // namespace skep
