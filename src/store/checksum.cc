#include "skep/store/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace skep::store {

namespace {

// "SKEPREC1" and "SKEPCHK1", read as little-endian integers.
constexpr std::uint64_t kRecordTag = 0x3143455250454b53;
constexpr std::uint64_t kChunkTag = 0x314b484350454b53;

std::uint64_t checksumAt(std::uint64_t tag, std::uint64_t database, std::uint64_t chunk,
                         std::uint64_t txid, ByteView bytes) {
  const std::uint64_t place[4] = {tag, database, chunk, txid};
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), XXH3_64bits(place, sizeof place));
}

}  // namespace

std::uint64_t recordChecksum(DatabaseId id, ByteView bytes) {
  return checksumAt(kRecordTag, id.value, 0, 0, bytes);
}

std::uint64_t chunkChecksum(DatabaseId id, ChunkNumber chunk, Txid txid, ByteView bytes) {
  return checksumAt(kChunkTag, id.value, chunk, txid, bytes);
}

}  // namespace skep::store
