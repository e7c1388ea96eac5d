#include "skep/store/chunk.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "format_fixtures.h"
#include "skep/testing/page_history/page_history.h"

namespace skep::store {
namespace {

constexpr DatabaseId kId{7001};
constexpr ChunkNumber kChunk = 5;
constexpr Txid kTxid = 1042;

/// The pages of a chunk to be; those without a value are absent.
using Pages = std::array<std::optional<PageBytes>, kPagesPerChunk>;

Bytes encode(const Pages& pages, int level = kChunkLevelDefault) {
  std::array<const std::byte*, kPagesPerChunk> pointers{};
  for (std::size_t i = 0; i < kPagesPerChunk; ++i)
    pointers[i] = pages[i] ? pages[i]->data() : nullptr;
  return encodeChunk(kId, kChunk, kTxid, pointers, level);
}

PageBytes compressiblePage(unsigned salt) {
  PageBytes page;
  for (std::size_t i = 0; i < kPageBytes; ++i) page[i] = static_cast<std::byte>(i / 64 + salt);
  return page;
}

Pages smallPages() {
  Pages pages;
  pages[0] = compressiblePage(0);
  pages[2] = compressiblePage(40);
  return pages;
}

/// The first pages of a database's file image.
Pages pagesOf(const Bytes& image, ChunkNumber chunk = 0) {
  Pages pages;
  for (std::size_t i = 0; i < kPagesPerChunk; ++i) {
    const auto page = static_cast<PageNumber>(firstPageOf(chunk) + i);
    if (page <= pageCountOf(image)) pages[i] = pageOf(image, page);
  }
  return pages;
}

void expectRoundTrip(const Pages& pages, int level = kChunkLevelDefault) {
  const Bytes bytes = encode(pages, level);
  ASSERT_LE(bytes.size(), kChunkBytesMax);
  const Result<DecodedChunk> decoded = decodeChunk(kId, kChunk, kTxid, bytes);
  ASSERT_TRUE(decoded) << decoded.error().message;
  for (std::size_t i = 0; i < kPagesPerChunk; ++i) {
    ASSERT_EQ(decoded->has(i), pages[i].has_value());
    const ByteView expected = pages[i] ? ByteView(*pages[i]) : ByteView();
    ASSERT_TRUE(std::ranges::equal(decoded->page(i), expected)) << "page " << i;
  }
}

TEST(Chunk, comes_back_as_it_went_in) {
  expectRoundTrip(Pages{});
  expectRoundTrip(smallPages());
  Pages full;
  for (auto& page : full) page = PageBytes{};
  expectRoundTrip(full);
}

TEST(Chunk, keeps_random_sets_of_pages) {
  const std::uint64_t seed = testSeed();
  Random random(seed);
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    Pages pages;
    for (auto& page : pages) {
      const std::uint64_t kind = below(random, 4);
      if (kind == 1) page = randomPage(random);
      if (kind == 2) page = compressiblePage(static_cast<unsigned>(random()));
      if (kind == 3) page = PageBytes{};
    }
    expectRoundTrip(pages, static_cast<int>(1 + below(random, 5)));
  }
}

TEST(Chunk, of_noise_stays_below_the_bound_and_comes_back) {
  Random random(4);
  Pages pages;
  for (auto& page : pages) page = randomPage(random);
  expectRoundTrip(pages);
  EXPECT_EQ(encode(pages).size(), kPagesPerChunk * kPageBytes + 12);
}

TEST(Chunk, of_a_database_with_one_small_table_takes_a_few_hundred_bytes) {
  testing::PageHistory history;
  history.run(
      "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO note VALUES (1, 'hello')");
  const Bytes image = history.image();
  ASSERT_EQ(pageCountOf(image), 2u);
  const std::size_t size = encode(pagesOf(image)).size();
  std::printf("a database of one table and one row: a chunk of %zu bytes\n", size);
  EXPECT_LE(size, 300u);
}

TEST(Chunk, keeps_the_pages_of_real_databases) {
  const std::uint64_t seed = testSeed();
  testing::RandomSql sql(seed);
  testing::PageHistory history;
  history.run(testing::RandomSql::schema());
  for (int commit = 0; commit < 600; ++commit) {
    history.run(sql.next());
    if (commit % 100 != 99) continue;
    const Bytes image = history.image();
    for (ChunkNumber chunk = 0; firstPageOf(chunk) <= pageCountOf(image); ++chunk) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", chunk " + std::to_string(chunk));
      expectRoundTrip(pagesOf(image, chunk));
    }
  }
}

TEST(Chunk, that_moves_keeps_its_pages) {
  const Bytes bytes = encode(smallPages());
  Result<DecodedChunk> decoded = decodeChunk(kId, kChunk, kTxid, bytes);
  ASSERT_TRUE(decoded);
  const DecodedChunk moved = std::move(*decoded);
  EXPECT_TRUE(std::ranges::equal(moved.page(2), *smallPages()[2]));
}

TEST(Chunk, with_any_flipped_bit_is_refused) {
  forEachFlippedBit(encode(smallPages()), [](const Bytes& damaged, std::size_t bit) {
    const Result<DecodedChunk> decoded = decodeChunk(kId, kChunk, kTxid, damaged);
    ASSERT_FALSE(decoded) << "bit " << bit;
    EXPECT_EQ(decoded.error().code, bit < 8 ? ErrorCode::VersionMismatch : ErrorCode::Corrupt);
  });
}

TEST(Chunk, that_is_cut_short_or_too_long_is_refused) {
  Bytes bytes = encode(smallPages());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(decodeChunk(kId, kChunk, kTxid, ByteView(bytes).first(size))) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(decodeChunk(kId, kChunk, kTxid, bytes));
}

TEST(Chunk, under_another_key_is_refused) {
  const Bytes bytes = encode(smallPages());
  EXPECT_FALSE(decodeChunk({kId.value + 1}, kChunk, kTxid, bytes));
  EXPECT_FALSE(decodeChunk(kId, kChunk + 1, kTxid, bytes));
  const Result<DecodedChunk> stale = decodeChunk(kId, kChunk, kTxid + 1, bytes);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::Corrupt);
  EXPECT_THAT(stale.error().message, ::testing::HasSubstr("chunk 5 of database 7001 at txid 1043"));
}

TEST(Chunk, of_an_unknown_version_says_so) {
  Bytes bytes = encode(smallPages());
  bytes[0] = std::byte{9};
  const Result<DecodedChunk> decoded = decodeChunk(kId, kChunk, kTxid, bytes);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::VersionMismatch);
}

TEST(Chunk, without_pages_has_exactly_the_bytes_that_the_documentation_shows) {
  EXPECT_EQ(toHex(encode(Pages{})), "010000006d038483cf8363e0");
}

TEST(Chunk, of_noise_begins_and_ends_with_the_bytes_that_the_format_says) {
  Random random(8);
  Pages pages;
  pages[9] = randomPage(random);
  const Bytes bytes = encode(pages);
  EXPECT_EQ(toHex(ByteView(bytes).first(4)), "01000002");
  EXPECT_TRUE(std::ranges::equal(ByteView(bytes).subspan(4, kPageBytes), *pages[9]));
  EXPECT_EQ(toHex(ByteView(bytes).last(8)), "5b49bc90b12833fe");
}

TEST(Chunk, that_an_older_build_has_compressed_is_read) {
  // Written once; zstd may compress otherwise one day, but must read this for ever.
  const Bytes stored = fromHex(
      "0101050028b52ffd60001ff50500140800000102030405060708090a0b0c0d0e0f101112"
      "131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30313233343536"
      "3738393a3b3c3d3e3f28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142"
      "434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f60616263646566"
      "6780809410f0070027244992244992248924499224499224912449922449922492244992"
      "244992449224499224499248922449922449124992344b01d5ee41353e57016a");
  const Result<DecodedChunk> decoded = decodeChunk(kId, kChunk, kTxid, stored);
  ASSERT_TRUE(decoded) << decoded.error().message << "\n" << toHex(encode(smallPages()));
  EXPECT_EQ(decoded->present(), 0b101);
  EXPECT_TRUE(std::ranges::equal(decoded->page(0), *smallPages()[0]));
  EXPECT_TRUE(std::ranges::equal(decoded->page(2), *smallPages()[2]));
}

TEST(ChunkDeathTest, a_chunk_number_beyond_the_last_page_is_a_bug) {
  const std::array<const std::byte*, kPagesPerChunk> none{};
  EXPECT_DEATH(encodeChunk(kId, 1u << 28, kTxid, none), "chunk number");
}

}  // namespace
}  // namespace skep::store
