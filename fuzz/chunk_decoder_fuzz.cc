// Chunk decoder: any bytes, and any bytes under a checksum that fits them.
//
// What decodes must survive being encoded again.

#include <array>
#include <cstdint>

#include "skep/base/check.h"
#include "skep/store/checksum.h"
#include "skep/store/chunk.h"

namespace skep::store {
namespace {

constexpr DatabaseId kId{7001};
constexpr ChunkNumber kChunk = 5;
constexpr Txid kTxid = 1042;

void checkChunk(const DecodedChunk& chunk) {
  std::array<const std::byte*, kPagesPerChunk> pages{};
  for (std::size_t i = 0; i < kPagesPerChunk; ++i) {
    if (chunk.has(i)) pages[i] = chunk.page(i).data();
  }
  const Bytes encoded = encodeChunk(kId, kChunk, kTxid, pages);
  SKEP_CHECK(encoded.size() <= kChunkBytesMax, "a chunk of %zu bytes", encoded.size());
  const Result<DecodedChunk> again = decodeChunk(kId, kChunk, kTxid, encoded);
  SKEP_CHECK(again.ok() && again->present() == chunk.present(), "a chunk changed on its way");
  for (std::size_t i = 0; i < kPagesPerChunk; ++i) {
    SKEP_CHECK(asText(again->page(i)) == asText(chunk.page(i)), "page %zu changed on its way", i);
  }
}

void decode(ByteView bytes) {
  const Result<DecodedChunk> chunk = decodeChunk(kId, kChunk, kTxid, bytes);
  if (chunk.ok()) {
    checkChunk(*chunk);
  } else {
    SKEP_CHECK(chunk.error().code == ErrorCode::Corrupt ||
                   chunk.error().code == ErrorCode::VersionMismatch,
               "%s", chunk.error().message.c_str());
  }
}

}  // namespace
}  // namespace skep::store

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skep;
  const ByteView input(reinterpret_cast<const std::byte*>(data), size);
  store::decode(input);
  Bytes withChecksum = toBytes(input);
  ByteWriter(withChecksum)
      .u64(store::chunkChecksum(store::kId, store::kChunk, store::kTxid, input));
  store::decode(withChecksum);
  return 0;
}
