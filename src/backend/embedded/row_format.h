// The rows of an EmbeddedStore: keys and values as docs/formats/embedded.md lays them out.
//
// Keys are big-endian, so that RocksDB's byte order is the order of the numbers. A chunk's key ends
// in the inverted txid: the newest version at or below a txid is the first key at or after the one
// looked for. Values begin with a version byte; rows that only this file interprets end in a
// checksum over key and value. Records and chunks carry checksums of their own.
//
//   family   key                            value
//   meta     'f'                            u8 version, u64 format, u32 checksum
//   meta     'c'                            u8 version, u64 first id never given out, u32 checksum
//   meta     'i' id                         u8 version, name, u32 checksum
//   meta     'n' name                       u8 version, u64 id, createdMs, properties, u32 checksum
//   meta     'r' id                         u8 version: removed, its files are still to be rewritten
//   head     u64 id                         u8 version, base, u32 checksum
//   log      u64 id, u64 txid               u8 version, commit, u32 checksum, record
//   chunk    u64 id, u32 chunk, u64 ~txid   u8 version, chunk
//   version  u64 id, u32 chunk, u64 txid    u8 version, varint size of the chunk
//   alarm    u64 alarmMs, u64 id            u8 version, name      (sign bit of alarmMs flipped)
//
// A commit that only appends its record writes one row, in the log family: the row says what the
// head is after it. The row in the head family, the base, is written by everything else (claims,
// folds, staging, alarms) and says what the head was then. So the head is the base with the newest
// log row above the base's txid laid over it.
//
// Pure functions, any thread.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/store/page_store.h"

namespace skep::backend::embedded {

inline constexpr std::uint32_t kFormatVersion = 1;  // of the store as a whole: which rows there are
inline constexpr std::uint8_t kRowVersion = 1;      // of each value

/// A key of exactly `Size` bytes, built on the stack.
template <std::size_t Size>
class FixedKey {
 public:
  FixedKey& u32(std::uint32_t value) { return bigEndian(value); }
  FixedKey& u64(std::uint64_t value) { return bigEndian(value); }
  std::string_view text() const { return {bytes_.data(), used_}; }

 private:
  template <class T>
  FixedKey& bigEndian(T value) {
    for (std::size_t i = 0; i < sizeof value; ++i) {
      bytes_[used_ + i] = static_cast<char>(value >> (8 * (sizeof value - 1 - i)));
    }
    used_ += sizeof value;
    return *this;
  }
  std::array<char, Size> bytes_;
  std::size_t used_ = 0;
};

using HeadKey = FixedKey<8>;
using LogKey = FixedKey<16>;
using ChunkKey = FixedKey<20>;
using AlarmKey = FixedKey<16>;

inline HeadKey headKey(store::DatabaseId id) {
  return HeadKey().u64(id.value);
}
inline LogKey logKey(store::DatabaseId id, store::Txid txid) {
  return LogKey().u64(id.value).u64(txid);
}
inline ChunkKey chunkKey(store::DatabaseId id, store::ChunkNumber chunk, store::Txid txid) {
  return ChunkKey().u64(id.value).u32(chunk).u64(~txid);
}
inline ChunkKey versionKey(store::DatabaseId id, store::ChunkNumber chunk, store::Txid txid) {
  return ChunkKey().u64(id.value).u32(chunk).u64(txid);
}
inline AlarmKey alarmKey(std::int64_t alarmMs, store::DatabaseId id) {
  return AlarmKey().u64(static_cast<std::uint64_t>(alarmMs) ^ (1ull << 63)).u64(id.value);
}
/// The first key of no database up to `id`: the end of all keys that begin with `id`.
inline HeadKey endOf(store::DatabaseId id) {
  return HeadKey().u64(id.value + 1);
}

inline constexpr std::string_view kFormatKey = "f";
inline constexpr std::string_view kCounterKey = "c";
std::string idKey(store::DatabaseId id);
std::string nameKey(std::string_view name);
std::string removedKey(store::DatabaseId id);

/// What log, chunk, version and alarm keys say. The key comes from the store itself: a wrong size
/// is Corrupt.
Result<store::Txid> txidOfLogKey(std::string_view key);
Result<store::DatabaseId> idOfRemovedKey(std::string_view key);
struct ChunkKeyFields {
  store::ChunkNumber chunk = 0;
  store::Txid txid = 0;
};
Result<ChunkKeyFields> fieldsOfChunkKey(std::string_view key);
Result<ChunkKeyFields> fieldsOfVersionKey(std::string_view key);
struct AlarmKeyFields {
  std::int64_t alarmMs = 0;
  store::DatabaseId id;
};
Result<AlarmKeyFields> fieldsOfAlarmKey(std::string_view key);

struct NameRow {
  store::DatabaseId id;
  std::int64_t createdMs = 0;
  store::Properties properties;
};

struct HeadRow {
  store::Head head;
  store::Txid expiredTxid = 0;  // of the newest record that was deleted
  friend bool operator==(const HeadRow&, const HeadRow&) = default;
};

struct LogRow {
  store::CommitHead commit;
  std::uint64_t logBytes = 0;  // the head's, after this commit
  ByteView record;             // borrowed from the value
};

/// The head after the commit of `row`, which is newer than `head`.
void layOver(store::Head& head, const LogRow& row);

Bytes encodeNumber(std::string_view key, std::uint64_t number);
Result<std::uint64_t> decodeNumber(std::string_view key, std::string_view value);

Bytes encodeIdRow(std::string_view key, std::string_view name);
Result<std::string> decodeIdRow(std::string_view key, std::string_view value);

Bytes encodeNameRow(std::string_view key, const NameRow& row);
Result<NameRow> decodeNameRow(std::string_view key, std::string_view value);

Bytes encodeHeadRow(store::DatabaseId id, const HeadRow& row);
Result<HeadRow> decodeHeadRow(store::DatabaseId id, std::string_view value);

/// What stands before the record in a log value.
Bytes encodeLogPrefix(std::string_view key, const store::CommitHead& commit,
                      std::uint64_t logBytes);
Result<LogRow> decodeLogRow(std::string_view key, std::string_view value);

/// Chunk and alarm values: the version byte and the rest.
inline constexpr char kPlainPrefix[1] = {kRowVersion};
Result<std::string_view> decodePlain(std::string_view value);

Bytes encodeVersionValue(std::size_t chunkBytes);
Result<std::uint32_t> decodeVersionValue(std::string_view value);

}  // namespace skep::backend::embedded
