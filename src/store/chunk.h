// Chunks: up to 16 neighbouring pages, compressed together, as of one txid.
//
// Chunk c holds the pages c·16 + 1 … c·16 + 16. A page that the database does not have (yet) is
// absent, which is not the same as a page of zeros: reading an absent page within the page count is
// corruption. A chunk without any page is valid. Documented with an example in
// docs/formats/chunk.md.
//
//   offset  size
//   0       1    version: 1
//   1       1    codec: 0 plain, 1 zstd
//   2       2    present: bit i is set when page c·16 + 1 + i is there
//   4       …    the pages that are there, ascending, 4096 bytes each, or one zstd frame of them
//   end-8   8    checksum (checksum.h) of everything before it, seeded with database, chunk, txid
//
// Integers are little-endian. Neither chunk number nor txid are stored: they are the chunk's key in
// the store, and bytes under a wrong key fail the checksum. Any thread; nothing here suspends.
//
//   Bytes bytes = encodeChunk(id, chunk, txid, pages);   // pages[i] null: absent
//   SKEP_TRY(DecodedChunk decoded, decodeChunk(id, chunk, txid, bytes));
//   if (decoded.has(3)) use(decoded.page(3));

#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/store/compression.h"
#include "skep/store/page_store.h"

namespace skep::store {

/// zstd's level for chunks: chosen by measurement, see docs/benchmarks.md.
inline constexpr int kChunkLevelDefault = 2;

/// The bytes of a chunk version, at most kChunkBytesMax. pages[i] is page firstPageOf(chunk) + i:
/// kPageBytes bytes, or null when it is absent. Compresses on the calling thread.
Bytes encodeChunk(DatabaseId id, ChunkNumber chunk, Txid txid,
                  std::span<const std::byte* const, kPagesPerChunk> pages,
                  int level = kChunkLevelDefault);

/// A chunk that passed its checks. Pages are views into the decoded bytes, which must outlive this,
/// or, when those were compressed, into a buffer of this object (up to 64 KiB). Moves; does not
/// copy.
class DecodedChunk {
 public:
  /// Bit i is set when page i of the chunk is there.
  std::uint16_t present() const { return present_; }
  bool has(std::size_t i) const { return (present_ >> i & 1) != 0; }
  /// The kPageBytes of page i of the chunk (0 … 15); empty when it is absent.
  ByteView page(std::size_t i) const {
    if (!has(i)) return {};
    const auto before = static_cast<std::size_t>(std::popcount(present_ & ((1u << i) - 1)));
    return pages_.subspan(before * kPageBytes, kPageBytes);
  }

 private:
  friend Result<DecodedChunk> decodeChunk(DatabaseId id, ChunkNumber chunk, Txid txid,
                                          ByteView bytes);
  std::uint16_t present_ = 0;
  ByteView pages_;
  RawBuffer buffer_;
};

/// Checks and unpacks the bytes of chunk `chunk` of database `id` as of `txid`. Any bytes are safe
/// to pass. Corrupt when they are damaged or belong elsewhere, VersionMismatch when their version
/// is unknown.
Result<DecodedChunk> decodeChunk(DatabaseId id, ChunkNumber chunk, Txid txid, ByteView bytes);

}  // namespace skep::store
