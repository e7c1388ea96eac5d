#include "skep/backend/embedded/row_format.h"

#include <xxhash.h>

#include "skep/base/check.h"

namespace skep::backend::embedded {
namespace {

using store::ChunkNumber;
using store::DatabaseId;
using store::Txid;

constexpr std::size_t kChecksumBytes = 4;

enum HeadFlags : std::uint8_t {
  kHasAlarm = 1,    // followed by i64 alarmMs
  kHasStaging = 2,  // varint stagingTxid
  kHasSweep = 4,    // varint sweepTxid
};

std::uint64_t readBigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

Error corrupt(const std::string& what) {
  return Error{ErrorCode::Corrupt, "embedded store: " + what};
}

Error otherVersion(const char* what, std::uint8_t version) {
  return Error{ErrorCode::VersionMismatch,
               std::string("embedded store: a ") + what + " of version " + std::to_string(version) +
                   "; this Skep reads version " + std::to_string(kRowVersion)};
}

// Covers the key too: a row that ended up under another key is found out.
std::uint32_t checksumOf(std::string_view key, ByteView value) {
  return static_cast<std::uint32_t>(
      XXH3_64bits_withSeed(value.data(), value.size(), XXH3_64bits(key.data(), key.size())));
}

void seal(std::string_view key, Bytes& value) {
  const std::uint32_t checksum = checksumOf(key, value);
  ByteWriter(value).u32(checksum);
}

// Checks version and checksum; gives a reader of what stands between them.
Result<ByteReader> unseal(const char* what, std::string_view key, std::string_view value) {
  if (value.empty()) return corrupt(std::string("an empty ") + what);
  const auto version = static_cast<std::uint8_t>(value[0]);
  if (version != kRowVersion) return otherVersion(what, version);
  if (value.size() < 1 + kChecksumBytes) return corrupt(std::string("a short ") + what);
  const ByteView all = asBytes(value);
  const ByteView body = all.first(all.size() - kChecksumBytes);
  if (ByteReader(all.last(kChecksumBytes)).u32() != checksumOf(key, body)) {
    return corrupt(std::string("a ") + what + " fails its checksum");
  }
  return ByteReader(body.subspan(1));
}

Status finish(const char* what, const ByteReader& in) {
  if (!in.ok() || in.remaining() != 0)
    return corrupt(std::string("a ") + what + " of a wrong size");
  return {};
}

}  // namespace

std::string idKey(DatabaseId id) {
  return "i" + std::string(headKey(id).text());
}

std::string nameKey(std::string_view name) {
  std::string key = "n";
  key += name;
  return key;
}

std::string removedKey(DatabaseId id) {
  return "r" + std::string(headKey(id).text());
}

Result<Txid> txidOfLogKey(std::string_view key) {
  if (key.size() != 16) return corrupt("a log key of a wrong size");
  return readBigEndian(key.substr(8));
}

Result<DatabaseId> idOfRemovedKey(std::string_view key) {
  if (key.size() != 9) return corrupt("the key of a removed database of a wrong size");
  return DatabaseId{readBigEndian(key.substr(1))};
}

Result<ChunkKeyFields> fieldsOfVersionKey(std::string_view key) {
  if (key.size() != 20) return corrupt("a chunk key of a wrong size");
  return ChunkKeyFields{static_cast<ChunkNumber>(readBigEndian(key.substr(8, 4))),
                        readBigEndian(key.substr(12))};
}

Result<ChunkKeyFields> fieldsOfChunkKey(std::string_view key) {
  SKEP_TRY(ChunkKeyFields fields, fieldsOfVersionKey(key));
  fields.txid = ~fields.txid;
  return fields;
}

Result<AlarmKeyFields> fieldsOfAlarmKey(std::string_view key) {
  if (key.size() != 16) return corrupt("an alarm key of a wrong size");
  return AlarmKeyFields{static_cast<std::int64_t>(readBigEndian(key.substr(0, 8)) ^ (1ull << 63)),
                        {readBigEndian(key.substr(8))}};
}

Bytes encodeNumber(std::string_view key, std::uint64_t number) {
  Bytes value;
  ByteWriter out(value);
  out.u8(kRowVersion);
  out.u64(number);
  seal(key, value);
  return value;
}

Result<std::uint64_t> decodeNumber(std::string_view key, std::string_view value) {
  SKEP_TRY(ByteReader in, unseal("number", key, value));
  const std::uint64_t number = in.u64();
  SKEP_CHECK_OK(finish("number", in));
  return number;
}

Bytes encodeIdRow(std::string_view key, std::string_view name) {
  Bytes value;
  ByteWriter out(value);
  out.u8(kRowVersion);
  out.bytes(asBytes(name));
  seal(key, value);
  return value;
}

Result<std::string> decodeIdRow(std::string_view key, std::string_view value) {
  SKEP_TRY(ByteReader in, unseal("id row", key, value));
  return std::string(asText(in.bytes(in.remaining())));
}

Bytes encodeNameRow(std::string_view key, const NameRow& row) {
  Bytes value;
  value.reserve(32 + row.properties.metadata.size());
  ByteWriter out(value);
  out.u8(kRowVersion);
  out.u64(row.id.value);
  out.varint(zigzag(row.createdMs));
  out.varint(zigzag(row.properties.retentionMs));
  out.varint(row.properties.metadata.size());
  out.bytes(asBytes(row.properties.metadata));
  out.varint(row.properties.hotChunks.size());
  for (const ChunkNumber chunk : row.properties.hotChunks) out.varint(chunk);
  seal(key, value);
  return value;
}

Result<NameRow> decodeNameRow(std::string_view key, std::string_view value) {
  SKEP_TRY(ByteReader in, unseal("name row", key, value));
  NameRow row;
  row.id.value = in.u64();
  row.createdMs = unzigzag(in.varint());
  row.properties.retentionMs = unzigzag(in.varint());
  row.properties.metadata = asText(in.bytes(in.varint()));
  std::uint64_t hotChunks = in.varint();
  for (; in.ok() && hotChunks > 0; --hotChunks) {
    row.properties.hotChunks.push_back(static_cast<ChunkNumber>(in.varint()));
  }
  SKEP_CHECK_OK(finish("name row", in));
  return row;
}

Bytes encodeHeadRow(DatabaseId id, const HeadRow& row) {
  const store::Head& head = row.head;
  Bytes value;
  value.reserve(64);
  ByteWriter out(value);
  out.u8(kRowVersion);
  out.u8(static_cast<std::uint8_t>((head.alarmMs ? kHasAlarm : 0) |
                                   (head.stagingTxid != 0 ? kHasStaging : 0) |
                                   (head.sweepTxid != 0 ? kHasSweep : 0)));
  out.varint(head.epoch);
  out.varint(head.txid);
  out.varint(head.pageCount);
  out.u64(head.digest);
  out.u64(head.commitId);
  out.varint(head.txid - head.logStart);
  out.varint(head.logBytes);
  out.varint(head.txid - row.expiredTxid);
  if (head.alarmMs) out.varint(zigzag(*head.alarmMs));
  if (head.stagingTxid != 0) out.varint(head.stagingTxid);
  if (head.sweepTxid != 0) out.varint(head.sweepTxid);
  seal(headKey(id).text(), value);
  return value;
}

Result<HeadRow> decodeHeadRow(DatabaseId id, std::string_view value) {
  SKEP_TRY(ByteReader in, unseal("head row", headKey(id).text(), value));
  HeadRow row;
  store::Head& head = row.head;
  const std::uint8_t flags = in.u8();
  head.epoch = in.varint();
  head.txid = in.varint();
  head.pageCount = static_cast<std::uint32_t>(in.varint());
  head.digest = in.u64();
  head.commitId = in.u64();
  head.logStart = head.txid - in.varint();
  head.logBytes = in.varint();
  row.expiredTxid = head.txid - in.varint();
  if ((flags & kHasAlarm) != 0) head.alarmMs = unzigzag(in.varint());
  if ((flags & kHasStaging) != 0) head.stagingTxid = in.varint();
  if ((flags & kHasSweep) != 0) head.sweepTxid = in.varint();
  SKEP_CHECK_OK(finish("head row", in));
  return row;
}

void layOver(store::Head& head, const LogRow& row) {
  head.txid = row.commit.txid;
  head.pageCount = row.commit.pageCount;
  head.digest = row.commit.digest;
  head.commitId = row.commit.commitId;
  head.logBytes = row.logBytes;
}

Bytes encodeLogPrefix(std::string_view key, const store::CommitHead& commit,
                      std::uint64_t logBytes) {
  Bytes value;
  value.reserve(48);
  ByteWriter out(value);
  out.u8(kRowVersion);
  out.u64(commit.digest);
  out.u64(commit.commitId);
  out.varint(commit.pageCount);
  out.varint(zigzag(commit.timeMs));
  out.varint(logBytes);
  seal(key, value);
  return value;
}

Result<LogRow> decodeLogRow(std::string_view key, std::string_view value) {
  ByteReader in(asBytes(value));
  const std::uint8_t version = in.u8();
  if (in.ok() && version != kRowVersion) return otherVersion("log row", version);
  LogRow row;
  SKEP_TRY(row.commit.txid, txidOfLogKey(key));
  row.commit.digest = in.u64();
  row.commit.commitId = in.u64();
  row.commit.pageCount = static_cast<std::uint32_t>(in.varint());
  row.commit.timeMs = unzigzag(in.varint());
  row.logBytes = in.varint();
  const std::size_t prefixBytes = value.size() - in.remaining();
  const std::uint32_t checksum = in.u32();
  if (!in.ok()) return corrupt("a short log row");
  if (checksum != checksumOf(key, asBytes(value).first(prefixBytes)))
    return corrupt("a log row fails its checksum");
  row.record = in.bytes(in.remaining());
  return row;
}

Result<std::string_view> decodePlain(std::string_view value) {
  if (value.empty()) return corrupt("an empty row");
  const auto version = static_cast<std::uint8_t>(value[0]);
  if (version != kRowVersion) return otherVersion("row", version);
  return value.substr(1);
}

Bytes encodeVersionValue(std::size_t chunkBytes) {
  Bytes value;
  ByteWriter out(value);
  out.u8(kRowVersion);
  out.varint(chunkBytes);
  return value;
}

Result<std::uint32_t> decodeVersionValue(std::string_view value) {
  ByteReader in(asBytes(value));
  const std::uint8_t version = in.u8();
  if (in.ok() && version != kRowVersion) return otherVersion("version row", version);
  const auto size = static_cast<std::uint32_t>(in.varint());
  SKEP_CHECK_OK(finish("version row", in));
  return size;
}

}  // namespace skep::backend::embedded
