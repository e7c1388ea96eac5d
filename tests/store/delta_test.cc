#include "skep/store/delta.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "format_fixtures.h"
#include "skep/testing/page_history/page_history.h"

namespace skep::store {
namespace {

/// The delta from base to next, after a check that it leads there.
Bytes deltaOf(const PageBytes& base, const PageBytes& next) {
  Bytes delta;
  EXPECT_TRUE(encodeDelta(base, next, kPageBytes, delta));
  PageBytes applied;
  const Status status = applyDelta(base, delta, applied);
  EXPECT_TRUE(status) << status.error().message;
  EXPECT_TRUE(applied == next);
  return delta;
}

PageBytes countingPage() {
  PageBytes page;
  for (std::size_t i = 0; i < kPageBytes; ++i) page[i] = static_cast<std::byte>(i * 7 % 251);
  return page;
}

ErrorCode codeOf(const Status& status) {
  return status ? ErrorCode::Internal : status.error().code;
}

TEST(Delta, of_equal_pages_is_empty) {
  EXPECT_TRUE(deltaOf(countingPage(), countingPage()).empty());
}

TEST(Delta, of_one_byte_takes_a_few_bytes_wherever_it_stands) {
  const PageBytes base = countingPage();
  for (std::size_t at = 0; at < kPageBytes; ++at) {
    PageBytes next = base;
    next[at] ^= std::byte{0xff};
    ASSERT_LE(deltaOf(base, next).size(), 4u) << at;
  }
}

TEST(Delta, of_an_insertion_into_an_array_is_a_copy) {
  Random random(3);
  const PageBytes base = randomPage(random);
  PageBytes next = base;
  // As SQLite inserts a cell pointer at offset 100 into an array that ends at 700.
  std::memmove(next.data() + 102, next.data() + 100, 600);
  next[100] = std::byte{1};
  next[101] = std::byte{2};
  EXPECT_LE(deltaOf(base, next).size(), 10u);
  EXPECT_LE(deltaOf(next, base).size(), 10u);  // and removes it
}

TEST(Delta, finds_content_that_moved_anywhere) {
  const std::uint64_t seed = testSeed();
  Random random(seed);
  for (int round = 0; round < 500; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    const PageBytes base = randomPage(random);
    PageBytes next = base;
    const std::size_t length = 200 + below(random, 1000);
    const std::size_t from = below(random, kPageBytes - length);
    const std::size_t to = below(random, kPageBytes - length);
    std::memcpy(next.data() + to, base.data() + from, length);
    ASSERT_LE(deltaOf(base, next).size(), 24u) << length << " bytes from " << from << " to " << to;
  }
}

TEST(Delta, finds_content_that_moved_from_one_end_of_the_page_to_the_other) {
  Random random(4);
  const PageBytes base = randomPage(random);
  for (const std::size_t to : {std::size_t{0}, kPageBytes - 200}) {
    PageBytes next = base;
    const std::size_t from = kPageBytes - 200 - to;
    std::memcpy(next.data() + to, base.data() + from, 200);
    // Two changes within, so that the search goes on at the distance that it has found.
    next[to + 90] ^= std::byte{1};
    next[to + 180] ^= std::byte{1};
    EXPECT_LE(deltaOf(base, next).size(), 24u) << to;
  }
}

TEST(Delta, leads_to_the_next_page_whatever_the_two_pages_are) {
  const std::uint64_t seed = testSeed();
  Random random(seed);
  for (int round = 0; round < 4000; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    PageBytes base{};
    if (below(random, 4) != 0) base = randomPage(random);
    // Few distinct bytes make accidental matches and broken-up ranges.
    const std::uint64_t alphabet = std::uint64_t{1} << below(random, 9);
    for (std::byte& b : base) b = static_cast<std::byte>(static_cast<unsigned>(b) % alphabet);
    PageBytes next = base;
    for (std::uint64_t edits = below(random, 30); edits > 0; --edits) {
      const std::size_t length = 1 + below(random, below(random, 8) == 0 ? 2000 : 60);
      const std::size_t to = below(random, kPageBytes - length);
      if (below(random, 2) == 0) {
        std::memmove(next.data() + to, next.data() + below(random, kPageBytes - length), length);
      } else {
        for (std::size_t i = 0; i < length; ++i)
          next[to + i] = static_cast<std::byte>(below(random, alphabet));
      }
    }
    Bytes delta;
    if (!encodeDelta(base, next, kPageBytes, delta)) continue;
    PageBytes applied;
    ASSERT_TRUE(applyDelta(base, delta, applied));
    ASSERT_TRUE(applied == next);
  }
}

TEST(Delta, leads_from_commit_to_commit_of_real_databases) {
  const std::uint64_t seed = testSeed();
  testing::RandomSql sql(seed);
  testing::PageHistory history;
  history.run(testing::RandomSql::schema());
  Bytes before = history.image();
  std::size_t encodedPages = 0;
  for (int commit = 0; commit < 1500; ++commit) {
    const std::string statement = sql.next();
    history.run(statement);
    const Bytes after = history.image();
    const PageNumber shared = std::min(pageCountOf(before), pageCountOf(after));
    for (PageNumber page = 1; page <= shared; ++page) {
      const PageBytes base = pageOf(before, page);
      const PageBytes next = pageOf(after, page);
      if (base == next) continue;
      Bytes delta;
      if (!encodeDelta(base, next, kPageBytes, delta)) continue;
      ++encodedPages;
      PageBytes applied;
      ASSERT_TRUE(applyDelta(base, delta, applied));
      ASSERT_TRUE(applied == next)
          << "seed " << seed << ", page " << page << " after " << statement;
    }
    before = after;
  }
  EXPECT_GT(encodedPages, 1500u);
}

TEST(Delta, of_a_one_row_insert_is_about_as_big_as_the_row) {
  testing::PageHistory history;
  history.run(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, value INTEGER);"
      "CREATE INDEX tByName ON t(name);"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
      "INSERT INTO t SELECT i, 'name ' || (i * 7919 % 10007), i FROM n");
  std::vector<std::size_t> commitBytes;
  Bytes before = history.image();
  for (int i = 0; i < 300; ++i) {
    history.run("INSERT INTO t(name, value) VALUES ('name ' || abs(random() % 1000000), 1)");
    const Bytes after = history.image();
    std::size_t bytes = 0;
    for (PageNumber page = 1; page <= pageCountOf(after); ++page) {
      const PageBytes base = pageOf(before, page);
      const PageBytes next = pageOf(after, page);
      if (base != next) bytes += deltaOf(base, next).size();
    }
    commitBytes.push_back(bytes);
    before = after;
  }
  std::sort(commitBytes.begin(), commitBytes.end());
  std::printf("page deltas of a one-row INSERT: median %zu bytes, 90th percentile %zu, most %zu\n",
              commitBytes[150], commitBytes[270], commitBytes[299]);
  EXPECT_GE(commitBytes[0], 20u);
  EXPECT_LE(commitBytes[150], 150u);
}

TEST(Delta, that_would_be_too_long_is_given_up_and_leaves_the_output_alone) {
  Random random(5);
  const PageBytes base = randomPage(random);
  PageBytes next = base;
  fillRandomly(random, std::span(next).subspan(1000, 500));
  Bytes out = {std::byte{42}};
  for (std::size_t bytesMax : {0, 1, 100, 499, 502}) {
    EXPECT_FALSE(encodeDelta(base, next, bytesMax, out)) << bytesMax;
    EXPECT_EQ(out, Bytes{std::byte{42}});
  }
  EXPECT_TRUE(encodeDelta(base, next, 504, out));
  EXPECT_EQ(out.size(), 505u);
  EXPECT_FALSE(encodeDelta(base, randomPage(random), 1'000'000, out));
  EXPECT_EQ(out.size(), 505u);
}

TEST(Delta, has_exactly_the_bytes_that_the_documentation_shows) {
  PageBytes base{};
  for (std::size_t i = 0; i < 40; ++i) base[200 + i] = static_cast<std::byte>(0x80 + i);
  PageBytes next = base;
  next[4] = std::byte{9};
  std::memmove(next.data() + 202, next.data() + 200, 40);
  next[200] = std::byte{0xaa};
  next[201] = std::byte{0xbb};
  EXPECT_EQ(toHex(deltaOf(base, next)), "080009860301aabb012703");
}

TEST(Delta, that_is_malformed_is_corrupt) {
  const PageBytes base = countingPage();
  PageBytes out;
  const auto apply = [&](std::string_view hex) {
    return codeOf(applyDelta(base, fromHex(hex), out));
  };
  EXPECT_EQ(apply("08"), ErrorCode::Corrupt);          // no length
  EXPECT_EQ(apply("0803aabbcc"), ErrorCode::Corrupt);  // four new bytes, three there
  EXPECT_EQ(apply("88"), ErrorCode::Corrupt);          // half a number
  EXPECT_EQ(apply("88808000aa"), ErrorCode::Corrupt);  // a number of three bytes
  EXPECT_EQ(apply("ffff7f00aa"), ErrorCode::Corrupt);  // target beyond the page
  EXPECT_EQ(apply("feff0000aa"), ErrorCode::Corrupt);
  EXPECT_EQ(apply("0100"), ErrorCode::Corrupt);             // a copy without a source
  EXPECT_EQ(apply("010001"), ErrorCode::Corrupt);           // a copy from before the page
  EXPECT_EQ(apply("0101fe3f"), ErrorCode::Corrupt);         // a copy that ends after the page
  EXPECT_EQ(apply("01ff1f02"), ErrorCode::Corrupt);         // 4096 bytes from offset 1
  EXPECT_TRUE(applyDelta(base, fromHex("01ff1f00"), out));  // 4096 bytes from offset 0
  EXPECT_TRUE(out == base);
}

TEST(Delta, of_random_bytes_never_harms) {
  const std::uint64_t seed = testSeed();
  Random random(seed);
  const PageBytes base = countingPage();
  PageBytes out;
  for (int round = 0; round < 50'000; ++round) {
    Bytes delta(below(random, 40));
    fillRandomly(random, delta);
    const Status status = applyDelta(base, delta, out);
    ASSERT_TRUE(status.ok() || status.error().code == ErrorCode::Corrupt);
  }
}

}  // namespace
}  // namespace skep::store
