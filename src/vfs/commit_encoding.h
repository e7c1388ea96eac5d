// From pages that have changed to the bytes of a commit record or of a folded chunk. Pure work on
// pages in memory: nothing suspends.

#pragma once

#include "skep/store/record.h"
#include "skep/vfs/file_state.h"

namespace skep::vfs {

/// A page that has changed since the newest encoded write.
struct PendingPage {
  PageRef base;  // the version that the store's readers have; null: none
};
using PendingPages = PageMap<PendingPage>;

/// The record of a commit that changes `pages` to what `table` has of them, up to the header's page
/// count. Deltas where they are shorter than the page. Fills in header.digestAfter.
Bytes encodeCommit(store::DatabaseId id, store::RecordHeader& header, const PendingPages& pages,
                   const PageTable& table);

/// A chunk as of `txid`, all of whose pages up to `pageCount` are in `table`.
store::StoredChunk encodeFolded(store::DatabaseId id, store::ChunkNumber chunk, store::Txid txid,
                                std::uint32_t pageCount, const PageTable& table);

}  // namespace skep::vfs
