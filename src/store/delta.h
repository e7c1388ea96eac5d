// Page deltas: how a page of 4096 bytes changed, in as few bytes as one look at it can find.
//
// A delta is a list of operations in page order, against the page's previous content (the base).
// What no operation covers stays as it was. An operation either brings new bytes or copies bytes
// from another place of the base: inserting a cell into a b-tree page shifts the cell pointers
// behind it by two bytes, and deleting or defragmenting moves whole cells.
//
//   operation:  number   distance << 1 | kind    distance: unchanged bytes since the last operation
//                                                kind: 0 new bytes, 1 copy
//               number   length - 1
//               kind 0:  `length` new bytes
//               kind 1:  number   zigzag(source - target), both offsets into the page
//
//   number:     0 … 127 in one byte, up to 16383 in two: low seven bits with 0x80 set, then the
//               high seven
//   zigzag:     n ≥ 0 → 2n, n < 0 → -2n - 1
//
// An empty delta changes nothing. A delta has no checksum of its own: it always stands inside a
// record that has one. Any thread; nothing here suspends. Documented with an example in
// docs/formats/delta.md.
//
//   Bytes delta;
//   if (!encodeDelta(before, after, 2048, delta)) useFullPage();
//   SKEP_CHECK_OK(applyDelta(before, delta, page));

#pragma once

#include <cstddef>
#include <span>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/store/page_store.h"

namespace skep::store {

/// Appends to `out` the delta that turns `base` into `next` (both kPageBytes). Gives up and returns
/// false, leaving `out` as it was, when it would take more than `bytesMax`. A delta never takes
/// more than kPageBytes: a higher bytesMax means that.
bool encodeDelta(ByteView base, ByteView next, std::size_t bytesMax, Bytes& out);

/// Writes `base` as changed by `delta` to `out` (kPageBytes; must not overlap base). Any bytes are
/// safe to pass as a delta: Corrupt when they are none, and then `out` holds no page.
Status applyDelta(ByteView base, ByteView delta, std::span<std::byte> out);

}  // namespace skep::store
