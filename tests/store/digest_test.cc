#include "skep/store/digest.h"

#include <gtest/gtest.h>

#include <map>

#include "format_fixtures.h"

namespace skep::store {
namespace {

std::uint64_t digestOf(const std::map<PageNumber, PageBytes>& pages) {
  std::uint64_t digest = 0;
  for (const auto& [number, content] : pages) digest += pageHash(number, content);
  return digest;
}

TEST(Digest, a_rolling_digest_equals_the_digest_of_all_pages) {
  const std::uint64_t seed = testSeed();
  Random random(seed);
  std::map<PageNumber, PageBytes> pages;
  std::uint64_t rolling = 0;
  for (int step = 0; step < 300; ++step) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
    const auto pageCount = static_cast<PageNumber>(pages.size());
    if (pageCount > 0 && below(random, 4) == 0) {  // cut the last page off
      rolling -= pageHash(pageCount, pages[pageCount]);
      pages.erase(pageCount);
    } else {
      const auto page = static_cast<PageNumber>(below(random, pageCount + 1) + 1);
      const PageBytes content = randomPage(random);
      if (page > pageCount) {
        rolling += pageHash(page, content);
      } else {
        rolling += pageHash(page, content) - pageHash(page, pages[page]);
      }
      pages[page] = content;
    }
    ASSERT_EQ(rolling, digestOf(pages));
  }
}

TEST(Digest, two_pages_that_changed_places_change_the_digest) {
  Random random(1);
  const PageBytes a = randomPage(random);
  const PageBytes b = randomPage(random);
  EXPECT_NE(digestOf({{1, a}, {2, b}}), digestOf({{1, b}, {2, a}}));
}

TEST(Digest, pages_of_zeros_count) {
  const PageBytes zeros{};
  EXPECT_NE(pageHash(1, zeros), 0u);
  EXPECT_NE(digestOf({{1, zeros}}), digestOf({{1, zeros}, {2, zeros}}));
  EXPECT_NE(pageHash(1, zeros), pageHash(2, zeros));
}

TEST(Digest, every_flipped_bit_of_a_page_changes_its_hash) {
  Random random(2);
  PageBytes page = randomPage(random);
  const std::uint64_t hash = pageHash(7, page);
  for (std::size_t bit = 0; bit < kPageBytes * 8; ++bit) {
    const auto mask = static_cast<std::byte>(1u << (bit % 8));
    page[bit / 8] ^= mask;
    ASSERT_NE(pageHash(7, page), hash) << "bit " << bit;
    page[bit / 8] ^= mask;
  }
}

TEST(Digest, stays_what_it_is_from_one_version_of_skep_to_the_next) {
  PageBytes counting;
  for (std::size_t i = 0; i < kPageBytes; ++i) counting[i] = static_cast<std::byte>(i * 7 % 251);
  EXPECT_EQ(pageHash(1, PageBytes{}), 0xeca1fdafb7b0bd2au);
  EXPECT_EQ(pageHash(1, counting), 0x941fe88f1e2a913bu);
  EXPECT_EQ(pageHash(0xffffffff, counting), 0xfc45f3c9ce2674f5u);
}

TEST(DigestDeathTest, page_0_is_a_bug) {
  const PageBytes zeros{};
  EXPECT_DEATH(pageHash(0, zeros), "page numbers start at 1");
}

}  // namespace
}  // namespace skep::store
