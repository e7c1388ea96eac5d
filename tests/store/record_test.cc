#include "skep/store/record.h"

#include <gtest/gtest.h>

#include <deque>

#include "format_fixtures.h"

namespace skep::store {
namespace {

constexpr DatabaseId kId{7001};

RecordHeader typicalHeader() {
  return {.epoch = 3,
          .firstTxid = 1042,
          .lastTxid = 1042,
          .pageCount = 212,
          .digestBefore = 0x1122334455667788,
          .digestAfter = 0x99aabbccddeeff00,
          .commitId = 0x0123456789abcdef,
          .timeMs = 1'700'000'000'123,
          .alarmMs = std::nullopt,
          .flip = false};
}

/// A record to be, with the bytes that its changes borrow.
struct Draft {
  RecordHeader header = typicalHeader();
  std::vector<PageChange> changes;
  std::deque<Bytes> payloads;

  Draft& change(PageNumber page, PageChangeKind kind, Bytes payload) {
    payloads.push_back(std::move(payload));
    changes.push_back({page, kind, payloads.back()});
    return *this;
  }
  Bytes encode() const { return encodeRecord(kId, header, changes); }
};

Bytes compressiblePage(unsigned salt) {
  Bytes page(kPageBytes);
  for (std::size_t i = 0; i < kPageBytes; ++i) page[i] = static_cast<std::byte>(i / 64 + salt);
  return page;
}

Draft typicalDraft() {
  Draft draft;
  draft.change(1, PageChangeKind::Delta, fromHex("30002a8601002a"));
  draft.change(57, PageChangeKind::Delta, fromHex("080205ab01540103e0"));
  return draft;
}

void expectSameChanges(const DecodedRecord& decoded, const Draft& draft) {
  EXPECT_EQ(decoded.header, draft.header);
  ASSERT_EQ(decoded.changes.size(), draft.changes.size());
  for (std::size_t i = 0; i < draft.changes.size(); ++i) {
    EXPECT_EQ(decoded.changes[i].page, draft.changes[i].page);
    EXPECT_EQ(decoded.changes[i].kind, draft.changes[i].kind);
    EXPECT_TRUE(std::ranges::equal(decoded.changes[i].payload, draft.changes[i].payload)) << i;
  }
}

void expectRoundTrip(const Draft& draft) {
  const Bytes bytes = draft.encode();
  const Result<DecodedRecord> decoded = decodeRecord(kId, bytes);
  ASSERT_TRUE(decoded) << decoded.error().message;
  expectSameChanges(*decoded, draft);
}

TEST(Record, comes_back_as_it_went_in) {
  expectRoundTrip(Draft{});
  expectRoundTrip(typicalDraft());
}

TEST(Record, keeps_every_kind_of_change) {
  Draft draft;
  draft.header.flip = true;
  draft.header.firstTxid = 1;
  draft.change(1, PageChangeKind::Full, compressiblePage(1))
      .change(2, PageChangeKind::Zero, {})
      .change(3, PageChangeKind::Delta, {})
      .change(200, PageChangeKind::Delta, Bytes(kPageBytes, std::byte{5}))
      .change(212, PageChangeKind::Full, compressiblePage(2));
  expectRoundTrip(draft);
}

TEST(Record, keeps_extreme_numbers) {
  for (std::int64_t time :
       {INT64_MIN, INT64_MIN + 1, std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
    for (std::int64_t alarm : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
      Draft draft;
      draft.header = {.epoch = UINT64_MAX,
                      .firstTxid = 1,
                      .lastTxid = UINT64_MAX,
                      .pageCount = UINT32_MAX,
                      .digestBefore = UINT64_MAX,
                      .digestAfter = 0,
                      .commitId = UINT64_MAX,
                      .timeMs = time,
                      .alarmMs = alarm,
                      .flip = true};
      draft.change(UINT32_MAX, PageChangeKind::Zero, {});
      expectRoundTrip(draft);
    }
  }
}

TEST(Record, keeps_random_changes) {
  const std::uint64_t seed = testSeed();
  Random random(seed);
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    Draft draft;
    draft.header.pageCount = static_cast<std::uint32_t>(1 + below(random, 5000));
    draft.header.lastTxid = 1 + (random() >> below(random, 64)) % UINT64_MAX;
    draft.header.firstTxid = 1 + below(random, draft.header.lastTxid);
    draft.header.timeMs = static_cast<std::int64_t>(random());
    if (below(random, 2) == 0) draft.header.alarmMs = static_cast<std::int64_t>(random());
    std::uint64_t page = 0;
    while ((page += 1 + below(random, 1 + draft.header.pageCount / 10)) <= draft.header.pageCount) {
      const auto kind = static_cast<PageChangeKind>(below(random, 3));
      Bytes payload;
      if (kind == PageChangeKind::Full) payload = compressiblePage(static_cast<unsigned>(random()));
      if (kind == PageChangeKind::Delta) {
        payload.resize(below(random, below(random, 3) == 0 ? kPageBytes + 1 : 60));
        fillRandomly(random, payload);
      }
      draft.change(static_cast<PageNumber>(page), kind, std::move(payload));
    }
    expectRoundTrip(draft);
  }
}

TEST(Record, that_moves_keeps_its_payloads) {
  Draft draft;
  draft.change(1, PageChangeKind::Full, compressiblePage(1));
  const Bytes bytes = draft.encode();
  Result<DecodedRecord> decoded = decodeRecord(kId, bytes);
  ASSERT_TRUE(decoded);
  const DecodedRecord moved = std::move(*decoded);
  expectSameChanges(moved, draft);
}

TEST(Record, of_two_deltas_has_little_overhead) {
  const Draft draft = typicalDraft();
  const std::size_t deltaBytes = draft.payloads[0].size() + draft.payloads[1].size();
  const std::size_t overhead = draft.encode().size() - deltaBytes;
  std::printf("a record of two deltas: %zu bytes besides the deltas\n", overhead);
  EXPECT_LE(overhead, 60u);
}

TEST(Record, of_compressible_pages_is_compressed_and_of_noise_is_not) {
  Draft compressible;
  compressible.change(1, PageChangeKind::Full, compressiblePage(1));
  EXPECT_LT(compressible.encode().size(), 500u);

  Random random(9);
  Draft noise;
  const PageBytes page = randomPage(random);
  noise.change(1, PageChangeKind::Full, toBytes(page));
  EXPECT_LE(noise.encode().size(), kPageBytes + 60);
  expectRoundTrip(noise);
}

TEST(Record, with_any_flipped_bit_is_refused) {
  Draft compressed;
  compressed.change(3, PageChangeKind::Full, compressiblePage(1));
  for (const Bytes& bytes : {typicalDraft().encode(), compressed.encode()}) {
    forEachFlippedBit(bytes, [](const Bytes& damaged, std::size_t bit) {
      const Result<DecodedRecord> decoded = decodeRecord(kId, damaged);
      ASSERT_FALSE(decoded) << "bit " << bit;
      EXPECT_EQ(decoded.error().code, bit < 8 ? ErrorCode::VersionMismatch : ErrorCode::Corrupt);
    });
  }
}

TEST(Record, that_is_cut_short_or_too_long_is_refused) {
  Bytes bytes = typicalDraft().encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_FALSE(decodeRecord(kId, ByteView(bytes).first(size))) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_FALSE(decodeRecord(kId, bytes));
}

TEST(Record, of_another_database_is_refused) {
  const Bytes bytes = typicalDraft().encode();
  const Result<DecodedRecord> decoded = decodeRecord({7002}, bytes);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::Corrupt);
  EXPECT_THAT(decoded.error().message, ::testing::HasSubstr("database 7002"));
}

TEST(Record, of_an_unknown_version_says_so) {
  Bytes bytes = typicalDraft().encode();
  bytes[0] = std::byte{2};
  const Result<DecodedRecord> decoded = decodeRecord(kId, bytes);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, ErrorCode::VersionMismatch);
  EXPECT_THAT(decoded.error().message, ::testing::HasSubstr("version 2"));
}

TEST(Record, has_exactly_the_bytes_that_the_documentation_shows) {
  Draft draft = typicalDraft();
  EXPECT_EQ(toHex(draft.encode()),
            "01000003920800d401887766554433221100ffeeddccbbaa99efcdab8967452301f6a1ab"
            "fef96202001d372530002a8601002a080205ab01540103e050109c1c1509ac94");
  draft.header.alarmMs = draft.header.timeMs + 60'000;
  draft.header.flip = true;
  draft.changes.clear();
  EXPECT_EQ(toHex(draft.encode()),
            "01000303920800d401887766554433221100ffeeddccbbaa99efcdab8967452301f6a1ab"
            "fef962c0a907000c554dce2da687ee");
}

TEST(Record, with_compressed_payloads_of_an_older_build_is_read) {
  // Written once; zstd may compress otherwise one day, but must read this for ever.
  const Bytes stored = fromHex(
      "01010003920800d401887766554433221100ffeeddccbbaa99efcdab8967452301f6a1ab"
      "fef96201020028b52ffd60000f1504001404010102030405060708090a0b0c0d0e0f1011"
      "12131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435"
      "363738393a3b3c3d3e3f4040140027141e19854746e191517864141e19854746e1915178"
      "64141e19854746e191517864141e19854746e191517864141e19854746e191517864141e"
      "d9daba2ebc778c340e9a");
  Draft draft;
  draft.change(3, PageChangeKind::Full, compressiblePage(1));
  const Result<DecodedRecord> decoded = decodeRecord(kId, stored);
  ASSERT_TRUE(decoded) << decoded.error().message << "\n" << toHex(draft.encode());
  expectSameChanges(*decoded, draft);
}

TEST(RecordDeathTest, arguments_that_break_a_rule_are_bugs) {
  Draft unordered;
  unordered.change(2, PageChangeKind::Zero, {}).change(2, PageChangeKind::Zero, {});
  EXPECT_DEATH(unordered.encode(), "page 2 after page 2");
  Draft beyond;
  beyond.change(213, PageChangeKind::Zero, {});
  EXPECT_DEATH(beyond.encode(), "page 213 of 212");
  Draft shortPage;
  shortPage.change(2, PageChangeKind::Full, Bytes(100));
  EXPECT_DEATH(shortPage.encode(), "100 bytes");
  Draft backwards;
  backwards.header.firstTxid = backwards.header.lastTxid + 1;
  EXPECT_DEATH(backwards.encode(), "record of txids");
}

}  // namespace
}  // namespace skep::store
