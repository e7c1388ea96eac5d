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

}  // namespace
}  // namespace skep
