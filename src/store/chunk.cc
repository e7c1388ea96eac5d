#include "skep/store/chunk.h"

#include <cstring>
#include <memory>
#include <string>

#include "skep/base/check.h"
#include "skep/store/checksum.h"

namespace skep::store {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kCodecPlain = 0;
constexpr std::uint8_t kCodecZstd = 1;
constexpr std::size_t kHeadBytes = 4;
constexpr std::size_t kPagesBytesMax = kPagesPerChunk * kPageBytes;
static_assert(kHeadBytes + kPagesBytesMax + kChecksumBytes <= kChunkBytesMax);

/// 64 KiB of this thread, for pages on their way between their own buffers and zstd. Valid until
/// the next call.
std::span<std::byte, kPagesBytesMax> scratch() {
  thread_local const auto bytes = std::make_unique_for_overwrite<std::byte[]>(kPagesBytesMax);
  return std::span<std::byte, kPagesBytesMax>(bytes.get(), kPagesBytesMax);
}

struct ChunkName {
  DatabaseId id;
  ChunkNumber chunk;
  Txid txid;

  Error error(ErrorCode code, const std::string& what) const {
    return Error{code, "chunk " + std::to_string(chunk) + " of database " +
                           std::to_string(id.value) + " at txid " + std::to_string(txid) + ": " +
                           what};
  }
};

/// What stands in a chunk's bytes, once its checksum is right.
struct ChunkBody {
  std::uint8_t codec = 0;
  std::uint16_t present = 0;
  ByteView stored;            // as they are in the chunk
  std::size_t pageBytes = 0;  // the size of the pages that are there
};

Result<ChunkBody> readBody(const ChunkName& name, ByteView bytes) {
  if (bytes.empty()) return name.error(ErrorCode::Corrupt, "no bytes");
  const auto version = static_cast<std::uint8_t>(bytes[0]);
  if (version != kVersion) {
    return name.error(ErrorCode::VersionMismatch, "format version " + std::to_string(version) +
                                                      " is unknown to this version of Skep");
  }
  if (bytes.size() < kHeadBytes + kChecksumBytes)
    return name.error(ErrorCode::Corrupt, "cut short");
  const ByteView checked = bytes.first(bytes.size() - kChecksumBytes);
  const std::uint64_t stored = ByteReader(bytes.last(kChecksumBytes)).u64();
  if (stored != chunkChecksum(name.id, name.chunk, name.txid, checked)) {
    return name.error(ErrorCode::Corrupt,
                      "checksum mismatch: the bytes are damaged or belong elsewhere");
  }
  ChunkBody body;
  body.codec = static_cast<std::uint8_t>(checked[1]);
  body.present = static_cast<std::uint16_t>(static_cast<unsigned>(checked[2]) |
                                            static_cast<unsigned>(checked[3]) << 8);
  body.stored = checked.subspan(kHeadBytes);
  body.pageBytes = static_cast<std::size_t>(std::popcount(body.present)) * kPageBytes;
  const bool sizeFits = body.codec == kCodecPlain
                            ? body.stored.size() == body.pageBytes
                            : body.codec == kCodecZstd && body.stored.size() < body.pageBytes;
  if (!sizeFits)
    return name.error(ErrorCode::Corrupt, "codec and size do not fit the pages that it lists");
  return body;
}

Error badFrame(const ChunkName& name) {
  return name.error(ErrorCode::Corrupt, "the pages do not decompress");
}

void checkChunkNumber(ChunkNumber chunk) {
  SKEP_CHECK(chunk <= chunkOf(UINT32_MAX), "chunk number %u", chunk);
}

}  // namespace

Bytes encodeChunk(DatabaseId id, ChunkNumber chunk, Txid txid,
                  std::span<const std::byte* const, kPagesPerChunk> pages, int level) {
  checkChunkNumber(chunk);
  const auto gathered = scratch();
  std::size_t pageBytes = 0;
  std::uint16_t present = 0;
  for (std::size_t i = 0; i < kPagesPerChunk; ++i) {
    if (pages[i] == nullptr) continue;
    std::memcpy(gathered.data() + pageBytes, pages[i], kPageBytes);
    pageBytes += kPageBytes;
    present = static_cast<std::uint16_t>(present | 1u << i);
  }
  const ByteView plain = gathered.first(pageBytes);
  const RawBuffer compressed = compress(plain, level);
  const bool isCompressed = !compressed.view().empty();
  const ByteView stored = isCompressed ? compressed.view() : plain;

  Bytes bytes;
  bytes.reserve(kHeadBytes + stored.size() + kChecksumBytes);
  ByteWriter out(bytes);
  out.u8(kVersion);
  out.u8(isCompressed ? kCodecZstd : kCodecPlain);
  out.u8(static_cast<std::uint8_t>(present));
  out.u8(static_cast<std::uint8_t>(present >> 8));
  out.bytes(stored);
  out.u64(chunkChecksum(id, chunk, txid, bytes));
  return bytes;
}

Result<DecodedChunk> decodeChunk(DatabaseId id, ChunkNumber chunk, Txid txid, ByteView bytes) {
  const ChunkName name{id, chunk, txid};
  SKEP_TRY(const ChunkBody body, readBody(name, bytes));
  DecodedChunk decoded;
  decoded.present_ = body.present;
  decoded.pages_ = body.stored;
  if (body.codec == kCodecZstd) {
    decoded.buffer_ = RawBuffer(body.pageBytes);
    if (!decompressInto(body.stored, decoded.buffer_.span())) return badFrame(name);
    decoded.pages_ = decoded.buffer_.view();
  }
  return decoded;
}

}  // namespace skep::store
