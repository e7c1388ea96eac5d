// The rows of an EmbeddedStore: round trips, order of keys, damage.

#include "skep/backend/embedded/row_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::backend::embedded {
namespace {

using store::DatabaseId;
using testing::codeOf;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

HeadRow largestHead() {
  return {.head = {.epoch = kMost,
                   .txid = kMost,
                   .pageCount = std::numeric_limits<std::uint32_t>::max(),
                   .digest = kMost,
                   .commitId = kMost - 1,
                   .logStart = 5,
                   .logBytes = kMost,
                   .alarmMs = std::numeric_limits<std::int64_t>::min(),
                   .stagingTxid = kMost,
                   .sweepTxid = 3},
          .expiredTxid = 2};
}

NameRow someName() {
  return {
      .id = {77},
      .createdMs = -1,
      .properties = {
          .retentionMs = 3, .metadata = std::string("m\0m", 3), .hotChunks = {1, 4'000'000'000}}};
}

TEST(RowFormat, rows_are_read_as_they_were_written) {
  for (const HeadRow& row : {HeadRow{}, largestHead()}) {
    const Bytes value = encodeHeadRow({9}, row);
    const auto read = decodeHeadRow({9}, asText(value));
    ASSERT_EQ(codeOf(read), "ok");
    EXPECT_EQ(*read, row);
  }
  const Bytes name = encodeNameRow("nacme", someName());
  const auto readName = decodeNameRow("nacme", asText(name));
  ASSERT_EQ(codeOf(readName), "ok");
  EXPECT_EQ(readName->id, someName().id);
  EXPECT_EQ(readName->createdMs, -1);
  EXPECT_EQ(readName->properties, someName().properties);
  EXPECT_EQ(*decodeIdRow("i", asText(encodeIdRow("i", "acme"))), "acme");
  EXPECT_EQ(*decodeNumber("c", asText(encodeNumber("c", kMost))), kMost);
  EXPECT_EQ(*decodeVersionValue(asText(encodeVersionValue(100'000))), 100'000u);
}

TEST(RowFormat, a_log_row_gives_the_commit_and_borrows_the_record) {
  const LogKey key = logKey({9}, 41);
  const store::CommitHead commit{
      .txid = 41, .pageCount = 7, .digest = kMost, .commitId = 5, .timeMs = -3};
  Bytes value = encodeLogPrefix(key.text(), commit, 1000);
  const Bytes record = testing::bytesOf("the record");
  value.insert(value.end(), record.begin(), record.end());
  const auto row = decodeLogRow(key.text(), asText(value));
  ASSERT_EQ(codeOf(row), "ok");
  EXPECT_EQ(row->commit.txid, 41u);
  EXPECT_EQ(row->commit.timeMs, -3);
  EXPECT_EQ(row->logBytes, 1000u);
  EXPECT_EQ(asText(row->record), "the record");
  store::Head head{.epoch = 3, .txid = 40, .logStart = 30, .alarmMs = 6};
  layOver(head, *row);
  EXPECT_EQ(head, (store::Head{.epoch = 3,
                               .txid = 41,
                               .pageCount = 7,
                               .digest = kMost,
                               .commitId = 5,
                               .logStart = 30,
                               .logBytes = 1000,
                               .alarmMs = 6}));
}

TEST(RowFormat, every_changed_byte_of_a_checked_row_is_found) {
  const Bytes head = encodeHeadRow({9}, largestHead());
  const Bytes name = encodeNameRow("nacme", someName());
  const LogKey key = logKey({9}, 41);
  const Bytes log = encodeLogPrefix(key.text(), {.txid = 41, .digest = 1}, 1000);
  const auto broken = [](Bytes value, std::size_t at) {
    value[at] ^= std::byte{0x40};
    return value;
  };
  for (std::size_t at = 0; at < head.size(); ++at) {
    EXPECT_EQ(codeOf(decodeHeadRow({9}, asText(broken(head, at)))),
              at == 0 ? "version_mismatch" : "corrupt");
  }
  for (std::size_t at = 0; at < name.size(); ++at) {
    EXPECT_EQ(codeOf(decodeNameRow("nacme", asText(broken(name, at)))),
              at == 0 ? "version_mismatch" : "corrupt");
  }
  for (std::size_t at = 0; at < log.size(); ++at) {
    EXPECT_EQ(codeOf(decodeLogRow(key.text(), asText(broken(log, at)))),
              at == 0 ? "version_mismatch" : "corrupt");
  }
}

TEST(RowFormat, a_row_that_is_cut_short_is_corrupt) {
  const Bytes head = encodeHeadRow({9}, largestHead());
  const Bytes name = encodeNameRow("nacme", someName());
  const LogKey key = logKey({9}, 41);
  const Bytes log = encodeLogPrefix(key.text(), {.txid = 41, .digest = 1}, 1000);
  for (std::size_t size = 0; size < head.size(); ++size) {
    EXPECT_EQ(codeOf(decodeHeadRow({9}, asText(head).substr(0, size))), "corrupt");
  }
  for (std::size_t size = 0; size < name.size(); ++size) {
    EXPECT_EQ(codeOf(decodeNameRow("nacme", asText(name).substr(0, size))), "corrupt");
  }
  for (std::size_t size = 0; size < log.size(); ++size) {
    EXPECT_EQ(codeOf(decodeLogRow(key.text(), asText(log).substr(0, size))), "corrupt");
  }
  EXPECT_EQ(codeOf(decodePlain("")), "corrupt");
  EXPECT_EQ(codeOf(decodeVersionValue("\x01")), "corrupt");
}

TEST(RowFormat, a_row_under_another_key_is_corrupt) {
  EXPECT_EQ(codeOf(decodeHeadRow({8}, asText(encodeHeadRow({9}, {})))), "corrupt");
  EXPECT_EQ(codeOf(decodeNameRow("nb", asText(encodeNameRow("na", someName())))), "corrupt");
  const Bytes log = encodeLogPrefix(logKey({9}, 41).text(), {.txid = 41}, 0);
  EXPECT_EQ(codeOf(decodeLogRow(logKey({9}, 42).text(), asText(log))), "corrupt");
}

TEST(RowFormat, keys_sort_as_what_they_stand_for) {
  const std::uint64_t numbers[] = {0,      1,          2,          255,       256,
                                   65'536, 1ull << 32, 1ull << 63, kMost - 1, kMost};
  for (const std::uint64_t a : numbers) {
    for (const std::uint64_t b : numbers) {
      EXPECT_EQ(logKey({7}, a).text() < logKey({7}, b).text(), a < b);
      EXPECT_EQ(logKey({a}, 5).text() < logKey({b}, 0).text(), a < b);
      EXPECT_EQ(versionKey({7}, 3, a).text() < versionKey({7}, 3, b).text(), a < b);
      EXPECT_EQ(chunkKey({7}, 3, a).text() < chunkKey({7}, 3, b).text(), a > b) << "newest first";
      const auto timeA = static_cast<std::int64_t>(a);
      const auto timeB = static_cast<std::int64_t>(b);
      EXPECT_EQ(alarmKey(timeA, {1}).text() < alarmKey(timeB, {1}).text(), timeA < timeB);
    }
  }
  EXPECT_LT(chunkKey({7}, 3, 0).text(), chunkKey({7}, 4, kMost).text());
  EXPECT_LT(chunkKey({7}, 0xffffffff, 0).text(), endOf({7}).text());
  EXPECT_LE(endOf({7}).text(), headKey({8}).text());
}

TEST(RowFormat, keys_are_taken_apart_again) {
  EXPECT_EQ(*txidOfLogKey(logKey({7}, 123).text()), 123u);
  EXPECT_EQ(fieldsOfChunkKey(chunkKey({7}, 9, 123).text())->chunk, 9u);
  EXPECT_EQ(fieldsOfChunkKey(chunkKey({7}, 9, 123).text())->txid, 123u);
  EXPECT_EQ(fieldsOfVersionKey(versionKey({7}, 9, 123).text())->txid, 123u);
  EXPECT_EQ(fieldsOfAlarmKey(alarmKey(-5, {7}).text())->alarmMs, -5);
  EXPECT_EQ(fieldsOfAlarmKey(alarmKey(-5, {7}).text())->id, DatabaseId{7});
  EXPECT_EQ(codeOf(txidOfLogKey("short")), "corrupt");
  EXPECT_EQ(codeOf(fieldsOfAlarmKey("short")), "corrupt");
  EXPECT_EQ(codeOf(fieldsOfChunkKey("short")), "corrupt");
}

}  // namespace
}  // namespace skep::backend::embedded
