#include "skep/vfs/read_ahead.h"

#include <gtest/gtest.h>

#include <set>

namespace skep::vfs {
namespace {

/// Counts the misses of chunks that are wanted in an order, when what was read stays in memory.
class Reader {
 public:
  void want(store::ChunkNumber chunk) {
    if (have_.contains(chunk)) return;
    const ReadAhead::Range range = ahead_.plan(chunk, 32);
    ASSERT_LE(range.first, chunk);
    ASSERT_LT(chunk, range.first + range.count);
    ASSERT_LE(range.count, 32u);
    for (std::size_t i = 0; i < range.count; ++i)
      have_.insert(range.first + static_cast<store::ChunkNumber>(i));
    ++misses;
  }
  std::size_t read() const { return have_.size(); }
  int misses = 0;

 private:
  ReadAhead ahead_;
  std::set<store::ChunkNumber> have_;
};

TEST(ReadAhead, doubles_with_each_miss_of_a_scan) {
  Reader reader;
  for (store::ChunkNumber chunk = 10; chunk < 810; ++chunk) reader.want(chunk);
  EXPECT_LE(reader.misses, 800 / 32 + 6);
  EXPECT_LE(reader.read(), 832u);
}

TEST(ReadAhead, reads_one_chunk_for_a_miss_here_and_there) {
  Reader reader;
  for (store::ChunkNumber i = 0; i < 200; ++i) reader.want(i * 7919 % 100'003);
  EXPECT_EQ(reader.read(), 200u);
}

TEST(ReadAhead, follows_several_scans_at_once) {
  Reader reader;
  for (store::ChunkNumber i = 0; i < 400; ++i) {
    reader.want(i);
    reader.want(10'000 + i);
    reader.want(20'000 + i);
  }
  EXPECT_LE(reader.misses, 3 * (400 / 32 + 7));
}

TEST(ReadAhead, keeps_up_with_a_scan_that_looks_a_little_ahead_and_back) {
  Reader reader;
  for (store::ChunkNumber i = 0; i < 400; i += 10) {
    reader.want(i + 3);
    for (store::ChunkNumber j = 0; j < 10; ++j) reader.want(i + j);
  }
  EXPECT_LE(reader.misses, 400 / 32 + 15);
}

TEST(ReadAhead, keeps_to_the_most_that_is_affordable) {
  ReadAhead ahead;
  for (store::ChunkNumber chunk = 0; chunk < 100; ++chunk) {
    const ReadAhead::Range range = ahead.plan(chunk, 1);
    EXPECT_EQ(range.first, chunk);
    EXPECT_EQ(range.count, 1u);
  }
}

}  // namespace
}  // namespace skep::vfs
