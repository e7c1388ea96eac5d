// Commit records: what one storage commit changed in one database.
//
// A record covers the transactions firstTxid … lastTxid, which became durable together. For each
// page that differs between the version before and the version after it holds the new content, as a
// delta against the content before, as a full page, or as "all zeros". Records are the log of a
// database: applied in order to older chunks they give the newest pages. Documented with an example
// in docs/formats/record.md.
//
//   offset  size
//   0       1       version: 1
//   1       1       codec of the payloads: 0 plain, 1 zstd
//   2       1       flags: 1 alarm present,
//                          2 flip (the staged chunk versions of lastTxid become visible)
//   3       varint  epoch
//           varint  lastTxid
//           varint  lastTxid - firstTxid
//           varint  pageCount after the commit
//           8       digest before       8  digest after       8  commit id
//           varint  zigzag(timeMs)
//           varint  zigzag(alarmMs - timeMs), modulo 2^64     (only with the alarm flag)
//           varint  number of changes, then for each, by ascending page:
//             varint  page - page of the change before - 1    (the page before the first is 0)
//             varint  payload size << 2 | kind                kind: 0 full page, 1 delta, 2 zeros;
//                                                             the size is 0 unless kind is 1
//           rest    the payloads of all changes one after the other, or one zstd frame of them
//   end-8   8       checksum (checksum.h) of everything before it
//
// Integers are little-endian, varints LEB128, zigzag: n ≥ 0 → 2n, n < 0 → -2n - 1.
// Any thread; nothing here suspends.
//
//   Bytes bytes = encodeRecord(id, header, changes);
//   SKEP_TRY(DecodedRecord record, decodeRecord(id, bytes));
//   for (const PageChange& change : record.changes) apply(change);

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/store/compression.h"
#include "skep/store/page_store.h"

namespace skep::store {

/// Changes that one record may hold: 64 MiB of full pages. A bigger commit is staged as chunks.
inline constexpr std::size_t kRecordChangesMax = 16 * 1024;

struct RecordHeader {
  Epoch epoch = 0;
  Txid firstTxid = 0;  // 1 ≤ firstTxid ≤ lastTxid
  Txid lastTxid = 0;
  std::uint32_t pageCount = 0;     // after the commit
  std::uint64_t digestBefore = 0;  // of the version firstTxid - 1 (digest.h)
  std::uint64_t digestAfter = 0;   // of the version lastTxid
  std::uint64_t commitId = 0;
  std::int64_t timeMs = 0;              // wall time of the commit, Unix ms
  std::optional<std::int64_t> alarmMs;  // the database's next timer after the commit, Unix ms
  bool flip = false;                    // this commit makes staged chunk versions visible
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

/// Whether a record with the header `next` goes on exactly where the one of `before` ended.
inline bool followsRecord(const RecordHeader& before, const RecordHeader& next) {
  return next.firstTxid == before.lastTxid + 1 && next.digestBefore == before.digestAfter &&
         next.epoch >= before.epoch;
}

enum class PageChangeKind : std::uint8_t {
  Full = 0,   // payload: kPageBytes
  Delta = 1,  // payload: a delta (delta.h) against the page's content before, at most kPageBytes
  Zero = 2,   // the page is all zeros now; no payload
};

struct PageChange {
  PageNumber page = 0;
  PageChangeKind kind = PageChangeKind::Full;
  ByteView payload;  // borrowed
};

/// The bytes of a record. `changes` ascend by page, without doubles, within 1 … header.pageCount,
/// at most kRecordChangesMax. Aborts when an argument breaks a rule: a process that would write
/// such a record has a bug.
Bytes encodeRecord(DatabaseId id, const RecordHeader& header, std::span<const PageChange> changes);

/// A record that passed its checks. The payloads are views into the decoded bytes, which must
/// outlive this, or, when those were compressed, into a buffer of this object. Moves; does not
/// copy.
class DecodedRecord {
 public:
  RecordHeader header;
  std::vector<PageChange> changes;  // ascending by page

 private:
  friend Result<DecodedRecord> decodeRecord(DatabaseId id, ByteView bytes);
  RawBuffer payloads_;
};

/// Checks and takes apart the bytes of a record of database `id`. Any bytes are safe to pass.
/// Corrupt when they are damaged or belong to another database, VersionMismatch when their version
/// is unknown. A delta's own operations are checked when it is applied. Allocates at most 24 bytes
/// and, if compressed, kPageBytes for each change that the bytes list.
Result<DecodedRecord> decodeRecord(DatabaseId id, ByteView bytes);

}  // namespace skep::store
