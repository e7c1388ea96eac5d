#include "skep/backend/postgres/decode.h"

#include <algorithm>

#include "skep/backend/postgres/statements.h"
#include "skep/base/check.h"

namespace skep::backend::postgres {
namespace {

constexpr std::size_t kNumbersBeforeHotChunks = 11;

// The array of numbers that Load, ReadHead, Info and List share; see their texts.
void decodeNumbers(const std::vector<std::int64_t>& numbers, store::Head& head,
                   store::Properties& properties, store::Incarnation& owner) {
  SKEP_CHECK(numbers.size() >= kNumbersBeforeHotChunks, "a head of %zu numbers", numbers.size());
  const auto number = [&](std::size_t i) { return static_cast<std::uint64_t>(numbers[i]); };
  head.epoch = number(0);
  head.txid = number(1);
  head.pageCount = static_cast<std::uint32_t>(number(2));
  head.digest = number(3);
  head.commitId = number(4);
  head.logStart = number(5);
  head.logBytes = number(6);
  head.stagingTxid = number(7);
  head.sweepTxid = number(8);
  properties.retentionMs = numbers[9];
  owner = number(10);
  for (std::size_t i = kNumbersBeforeHotChunks; i < numbers.size(); ++i) {
    properties.hotChunks.push_back(static_cast<store::ChunkNumber>(numbers[i]));
  }
}

Bytes ownedBytes(const Row& row, int column) {
  return toBytes(asBytes(row.bytes(column)));
}

store::StoredRecord decodeRecord(const Row& row) {
  return {.txid = row.uint8(2), .bytes = ownedBytes(row, 3)};
}

store::StoredChunk decodeChunk(const Row& row) {
  return {.chunk = static_cast<store::ChunkNumber>(row.int8(1)),
          .txid = row.uint8(2),
          .bytes = ownedBytes(row, 3)};
}

// The parts of a UNION ALL come in no promised order; usually this finds everything sorted.
void sortRows(std::vector<store::StoredRecord>& log, std::vector<store::StoredChunk>& chunks) {
  const auto byTxid = [](const auto& a, const auto& b) { return a.txid < b.txid; };
  const auto byChunk = [](const auto& a, const auto& b) { return a.chunk < b.chunk; };
  if (!std::is_sorted(log.begin(), log.end(), byTxid)) std::sort(log.begin(), log.end(), byTxid);
  if (!std::is_sorted(chunks.begin(), chunks.end(), byChunk)) {
    std::sort(chunks.begin(), chunks.end(), byChunk);
  }
}

}  // namespace

std::optional<store::OpenedDatabase> decodeLoad(const PgResult& result) {
  if (rowCount(result) == 0) return std::nullopt;
  store::OpenedDatabase opened;
  for (int i = 0; i < rowCount(result); ++i) {
    const Row row = rowAt(result, i);
    switch (row.int8(0)) {
      case kHeadRow:
        opened.id = {row.uint8(1)};
        opened.head.alarmMs = row.optionalInt8(2);
        opened.properties.metadata = row.bytes(3);
        decodeNumbers(row.int8Array(4), opened.head, opened.properties, opened.owner);
        break;
      case kRecordRow:
        opened.log.push_back(decodeRecord(row));
        break;
      default:
        opened.chunks.push_back(decodeChunk(row));
    }
  }
  sortRows(opened.log, opened.chunks);
  return opened;
}

std::optional<DecodedChunkRead> decodeChunkRead(const PgResult& result) {
  if (rowCount(result) == 0) return std::nullopt;
  DecodedChunkRead decoded;
  for (int i = 0; i < rowCount(result); ++i) {
    const Row row = rowAt(result, i);
    switch (row.int8(0)) {
      case kHeadRow:
        decoded.epoch = row.uint8(1);
        decoded.expiredTxid = row.uint8(2);
        break;
      case kRecordRow:
        decoded.read.log.push_back(decodeRecord(row));
        break;
      default:
        decoded.read.chunks.push_back(decodeChunk(row));
    }
  }
  sortRows(decoded.read.log, decoded.read.chunks);
  return decoded;
}

store::Head decodeHead(const Row& row) {
  store::Head head;
  store::Properties none;
  store::Incarnation owner = 0;
  head.alarmMs = row.optionalInt8(0);
  decodeNumbers(row.int8Array(1), head, none, owner);
  return head;
}

store::DatabaseInfo decodeInfo(const Row& row) {
  store::DatabaseInfo info;
  info.id = {row.uint8(0)};
  info.createdMs = row.int8(1);
  info.head.alarmMs = row.optionalInt8(2);
  info.properties.metadata = row.bytes(3);
  decodeNumbers(row.int8Array(4), info.head, info.properties, info.owner);
  info.name = row.bytes(5);
  info.storedBytes = row.uint8(6);
  return info;
}

}  // namespace skep::backend::postgres
