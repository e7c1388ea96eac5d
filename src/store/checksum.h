// The checksum at the end of every record and chunk, bound to the place where the bytes belong.
//
// XXH3-64 over the stored bytes, with a seed made from the place: a record of one database that
// turns up under another, or a chunk version under a wrong number or txid, fails its check just as
// a flipped bit does. It finds errors of hardware and of software; it is no defence against
// somebody who forges bytes.
//
//   seed = XXH3-64 of these 32 bytes:
//
//   offset  size
//   0       8    "SKEPREC1" or "SKEPCHK1"
//   8       8    database id
//   16      8    chunk number, or 0 for a record
//   24      8    txid, or 0 for a record
//
// Integers are little-endian.
//
// Any thread. Nothing here suspends.

#pragma once

#include <cstdint>

#include "skep/base/bytes.h"
#include "skep/store/page_store.h"

namespace skep::store {

inline constexpr std::size_t kChecksumBytes = 8;

/// The checksum of a commit record's bytes (without the checksum itself).
std::uint64_t recordChecksum(DatabaseId id, ByteView bytes);

/// The checksum of a chunk version's bytes (without the checksum itself).
std::uint64_t chunkChecksum(DatabaseId id, ChunkNumber chunk, Txid txid, ByteView bytes);

}  // namespace skep::store
