#include "skep/store/record.h"

#include <string>

#include "skep/base/check.h"
#include "skep/store/checksum.h"

namespace skep::store {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kCodecPlain = 0;
constexpr std::uint8_t kCodecZstd = 1;
constexpr std::uint8_t kFlagAlarm = 1;
constexpr std::uint8_t kFlagFlip = 2;

// A frame of less would save little, and most commits are a few short deltas.
constexpr std::size_t kCompressFromBytes = 512;
constexpr int kLevel = 1;

constexpr std::size_t kHeaderBytesMax = 3 + 3 * 10 + 5 + 3 * 8 + 2 * 10 + 3;
constexpr std::size_t kChangeBytesMax = 5 + 2;  // page distance, kind and size
constexpr std::size_t kChangeBytesMin = 2;

/// The difference of two times, which may be any numbers: modulo 2^64.
std::int64_t wrappingSum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t wrappingDifference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

std::size_t payloadBytesOf(PageChangeKind kind, std::uint64_t statedSize) {
  return kind == PageChangeKind::Full ? kPageBytes : statedSize;
}

// --- Encoding ---

void checkArguments(const RecordHeader& header, std::span<const PageChange> changes) {
  SKEP_CHECK(header.firstTxid >= 1 && header.firstTxid <= header.lastTxid,
             "record of txids %llu to %llu", static_cast<unsigned long long>(header.firstTxid),
             static_cast<unsigned long long>(header.lastTxid));
  SKEP_CHECK(changes.size() <= kRecordChangesMax, "record of %zu changes", changes.size());
  PageNumber previous = 0;
  for (const PageChange& change : changes) {
    SKEP_CHECK(change.page > previous, "page %u after page %u", change.page, previous);
    SKEP_CHECK(change.page <= header.pageCount, "page %u of %u", change.page, header.pageCount);
    const std::size_t size = change.payload.size();
    const bool sizeFits = change.kind == PageChangeKind::Full    ? size == kPageBytes
                          : change.kind == PageChangeKind::Delta ? size <= kPageBytes
                                                                 : size == 0;
    SKEP_CHECK(sizeFits, "page %u: change of kind %d with %zu bytes", change.page,
               static_cast<int>(change.kind), size);
    previous = change.page;
  }
}

void putHeader(const RecordHeader& header, ByteWriter& out) {
  out.varint(header.epoch);
  out.varint(header.lastTxid);
  out.varint(header.lastTxid - header.firstTxid);
  out.varint(header.pageCount);
  out.u64(header.digestBefore);
  out.u64(header.digestAfter);
  out.u64(header.commitId);
  out.varint(zigzag(header.timeMs));
  if (header.alarmMs) out.varint(zigzag(wrappingDifference(*header.alarmMs, header.timeMs)));
}

void putTable(std::span<const PageChange> changes, ByteWriter& out) {
  out.varint(changes.size());
  PageNumber previous = 0;
  for (const PageChange& change : changes) {
    const std::uint64_t statedSize =
        change.kind == PageChangeKind::Delta ? change.payload.size() : 0;
    out.varint(change.page - previous - 1);
    out.varint(statedSize << 2 | static_cast<std::uint64_t>(change.kind));
    previous = change.page;
  }
}

void putPayloads(std::span<const PageChange> changes, Bytes& out) {
  for (const PageChange& change : changes)
    out.insert(out.end(), change.payload.begin(), change.payload.end());
}

}  // namespace

Bytes encodeRecord(DatabaseId id, const RecordHeader& header, std::span<const PageChange> changes) {
  checkArguments(header, changes);
  std::size_t payloadBytes = 0;
  for (const PageChange& change : changes) payloadBytes += change.payload.size();

  RawBuffer compressed;
  if (payloadBytes >= kCompressFromBytes) {
    Bytes payloads;
    payloads.reserve(payloadBytes);
    putPayloads(changes, payloads);
    compressed = compress(payloads, kLevel);
  }
  const bool isCompressed = !compressed.view().empty();

  Bytes bytes;
  bytes.reserve(kHeaderBytesMax + changes.size() * kChangeBytesMax +
                (isCompressed ? compressed.view().size() : payloadBytes) + kChecksumBytes);
  ByteWriter out(bytes);
  out.u8(kVersion);
  out.u8(isCompressed ? kCodecZstd : kCodecPlain);
  out.u8((header.alarmMs ? kFlagAlarm : 0) | (header.flip ? kFlagFlip : 0));
  putHeader(header, out);
  putTable(changes, out);
  if (isCompressed) {
    out.bytes(compressed.view());
  } else {
    putPayloads(changes, bytes);
  }
  out.u64(recordChecksum(id, bytes));
  return bytes;
}

// --- Decoding ---

namespace {

class RecordReader {
 public:
  RecordReader(DatabaseId id, ByteView bytes) : id_(id), bytes_(bytes), in_({}) {}

  /// Checks version and checksum; the other steps follow in the order of the bytes.
  Status checkEnvelope() {
    if (bytes_.empty()) return corrupt("no bytes");
    const auto version = static_cast<std::uint8_t>(bytes_[0]);
    if (version != kVersion) {
      return Error{ErrorCode::VersionMismatch, name() + ": format version " +
                                                   std::to_string(version) +
                                                   " is unknown to this version of Skep"};
    }
    if (bytes_.size() < kChecksumBytes + 3) return corrupt("cut short");
    const ByteView body = bytes_.first(bytes_.size() - kChecksumBytes);
    const std::uint64_t stored = ByteReader(bytes_.last(kChecksumBytes)).u64();
    if (stored != recordChecksum(id_, body)) {
      return corrupt("checksum mismatch: the bytes are damaged or belong to another database");
    }
    in_ = ByteReader(body.subspan(1));
    return {};
  }

  Status readHeader(RecordHeader& header) {
    codec_ = in_.u8();
    const std::uint8_t flags = in_.u8();
    header.epoch = in_.varint();
    header.lastTxid = in_.varint();
    const std::uint64_t txidSpan = in_.varint();
    const std::uint64_t pageCount = in_.varint();
    header.digestBefore = in_.u64();
    header.digestAfter = in_.u64();
    header.commitId = in_.u64();
    header.timeMs = unzigzag(in_.varint());
    if ((flags & kFlagAlarm) != 0)
      header.alarmMs = wrappingSum(header.timeMs, unzigzag(in_.varint()));
    header.flip = (flags & kFlagFlip) != 0;
    if (!in_.ok()) return corrupt("header cut short");

    txid_ = header.lastTxid;
    if (codec_ > kCodecZstd) return corrupt("unknown codec " + std::to_string(codec_));
    if ((flags & ~(kFlagAlarm | kFlagFlip)) != 0)
      return corrupt("unknown flags " + std::to_string(flags));
    if (txidSpan >= header.lastTxid)
      return corrupt("covers no transaction, or one before the first");
    if (pageCount > UINT32_MAX) return corrupt("page count " + std::to_string(pageCount));
    header.firstTxid = header.lastTxid - txidSpan;
    header.pageCount = static_cast<std::uint32_t>(pageCount);
    return {};
  }

  /// Fills page and kind of each change, and `sizes` with the sizes of their payloads.
  Status readTable(std::uint32_t pageCount, std::vector<PageChange>& changes,
                   std::vector<std::uint16_t>& sizes) {
    const std::uint64_t count = in_.varint();
    if (!in_.ok() || count > kRecordChangesMax || count > pageCount ||
        count > in_.remaining() / kChangeBytesMin) {
      return corrupt("impossible number of changes");
    }
    changes.reserve(count);
    sizes.reserve(count);
    std::uint64_t page = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t distance = in_.varint();
      const std::uint64_t kindAndSize = in_.varint();
      if (!in_.ok()) return corrupt("table of changes cut short");
      if (distance >= pageCount - page) return corrupt("change of a page beyond the page count");
      page += distance + 1;
      const std::uint64_t size = kindAndSize >> 2;
      const auto kind = static_cast<PageChangeKind>(kindAndSize & 3);
      if (kind > PageChangeKind::Zero || size > (kind == PageChangeKind::Delta ? kPageBytes : 0)) {
        return corrupt("page " + std::to_string(page) + ": bad change");
      }
      changes.push_back({static_cast<PageNumber>(page), kind, {}});
      sizes.push_back(static_cast<std::uint16_t>(payloadBytesOf(kind, size)));
    }
    return {};
  }

  /// The payloads of all changes: what is left of the bytes, or what `buffer` got from
  /// decompression.
  Result<ByteView> readPayloads(std::size_t size, RawBuffer& buffer) {
    const ByteView rest = in_.bytes(in_.remaining());
    if (codec_ == kCodecPlain) {
      if (rest.size() != size) return corrupt("the payloads have another size than the table says");
      return rest;
    }
    // Refused before the allocation: compression is used only where it wins.
    if (rest.size() >= size) return corrupt("compressed payloads that are not smaller");
    buffer = RawBuffer(size);
    if (!decompressInto(rest, buffer.span())) return corrupt("the payloads do not decompress");
    return buffer.view();
  }

 private:
  std::string name() const {
    std::string name = "record of database " + std::to_string(id_.value);
    if (txid_ != 0) name += " at txid " + std::to_string(txid_);
    return name;
  }
  Error corrupt(const std::string& what) const {
    return Error{ErrorCode::Corrupt, name() + ": " + what};
  }

  const DatabaseId id_;
  const ByteView bytes_;
  ByteReader in_;
  std::uint8_t codec_ = 0;
  Txid txid_ = 0;  // 0 until it is known
};

}  // namespace

Result<DecodedRecord> decodeRecord(DatabaseId id, ByteView bytes) {
  DecodedRecord record;
  std::vector<std::uint16_t> sizes;
  RecordReader reader(id, bytes);
  SKEP_CHECK_OK(reader.checkEnvelope());
  SKEP_CHECK_OK(reader.readHeader(record.header));
  SKEP_CHECK_OK(reader.readTable(record.header.pageCount, record.changes, sizes));
  std::size_t payloadBytes = 0;
  for (std::uint16_t size : sizes) payloadBytes += size;
  SKEP_TRY(ByteView payloads, reader.readPayloads(payloadBytes, record.payloads_));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    record.changes[i].payload = payloads.first(sizes[i]);
    payloads = payloads.subspan(sizes[i]);
  }
  return record;
}

}  // namespace skep::store
