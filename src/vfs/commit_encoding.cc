#include "skep/vfs/commit_encoding.h"

#include <array>

#include "skep/base/check.h"
#include "skep/store/chunk.h"
#include "skep/store/delta.h"
#include "skep/vfs/page_content.h"

namespace skep::vfs {
namespace {

// A delta that is nearly as long as the page is not worth the chain that it makes.
constexpr std::size_t kDeltaBytesMax = kPageBytes * 3 / 4;
constexpr std::size_t kScratchBytesKept = 256 * 1024;

/// Buffers of one encoding: those of a thread are used again and again.
struct Scratch {
  std::vector<store::PageChange> changes;
  Bytes deltas;
  std::vector<std::size_t>
      deltaBytes;  // `deltas` may move while it grows: payloads are set at the end

  static Scratch& cleared() {
    thread_local Scratch scratch;
    if (scratch.deltas.capacity() > kScratchBytesKept) scratch = {};
    scratch.changes.clear();
    scratch.deltas.clear();
    scratch.deltaBytes.clear();
    return scratch;
  }

  void add(PageNumber page, const PendingPage& pending, const PageBuffer& current) {
    const std::size_t start = deltas.size();
    if (pending.base &&
        store::encodeDelta(pending.base->view(), current.view(), kDeltaBytesMax, deltas)) {
      changes.push_back({.page = page, .kind = store::PageChangeKind::Delta, .payload = {}});
      deltaBytes.push_back(deltas.size() - start);
    } else if (isZeroPage(current.view())) {
      changes.push_back({.page = page, .kind = store::PageChangeKind::Zero, .payload = {}});
    } else {
      changes.push_back(
          {.page = page, .kind = store::PageChangeKind::Full, .payload = current.view()});
    }
  }

  void setDeltaPayloads() {
    ByteView rest(deltas);
    auto size = deltaBytes.begin();
    for (store::PageChange& change : changes) {
      if (change.kind != store::PageChangeKind::Delta) continue;
      change.payload = rest.first(*size);
      rest = rest.subspan(*size++);
    }
  }
};

}  // namespace

Bytes encodeCommit(store::DatabaseId id, store::RecordHeader& header, const PendingPages& pages,
                   const PageTable& table) {
  Scratch& scratch = Scratch::cleared();
  std::uint64_t digest = header.digestBefore;
  for (const auto& [page, pending] : pages) {
    if (pending.base) digest -= pending.base->contentHash();
    if (page > header.pageCount) continue;
    PageBuffer* current = table.find(page);
    SKEP_CHECK(current != nullptr, "page %u is pending but not in memory", page);
    digest += current->contentHash();
    scratch.add(page, pending, *current);
  }
  scratch.setDeltaPayloads();
  header.digestAfter = digest;
  return store::encodeRecord(id, header, scratch.changes);
}

store::StoredChunk encodeFolded(store::DatabaseId id, store::ChunkNumber chunk, store::Txid txid,
                                std::uint32_t pageCount, const PageTable& table) {
  std::array<const std::byte*, store::kPagesPerChunk> pages{};
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber page = store::firstPageOf(chunk) + i;
    if (page > pageCount) break;
    const PageBuffer* buffer = table.find(page);
    SKEP_CHECK(buffer != nullptr, "page %u left memory during a fold", page);
    pages[i] = buffer->data;
  }
  return {.chunk = chunk, .txid = txid, .bytes = store::encodeChunk(id, chunk, txid, pages)};
}

}  // namespace skep::vfs
