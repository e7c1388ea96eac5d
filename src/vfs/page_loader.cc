// PagedFile's reading side: from chunks and log records to pages in memory.

#include <algorithm>
#include <cstring>
#include <optional>

#include "skep/store/delta.h"
#include "skep/vfs/paged_file.h"

namespace skep::vfs {
namespace {

// A load that overlaps a fold starts over. Folds are far rarer than loads; more than this in a row
// is a bug.
constexpr int kLoadAttemptsMax = 1000;
constexpr Duration kRetryDelay = std::chrono::milliseconds(10);

}  // namespace

Result<PageRef> PagedFile::committedPage(PageNumber page) {
  if (page == 0 || page > pageCount_) {
    return Error{ErrorCode::InvalidArgument, "page " + std::to_string(page) +
                                                 " is past the end of database '" + options_.name +
                                                 "' (" + std::to_string(pageCount_) + " pages)"};
  }
  if (PageBuffer* found = table_.find(page)) return PageRef(found);
  table_.shard().countMiss();
  PageRef loaded;
  const std::vector<store::ChunkNumber> chunks = planRead(store::chunkOf(page));
  if (chunks.size() == 1) hotChunks_.noteMiss(chunks[0]);
  SKEP_CHECK_OK(loadChunks(chunks, page, loaded));
  return loaded;
}

Status PagedFile::committedPages(const std::vector<PageNumber>& pages, std::vector<PageRef>& out) {
  for (std::size_t next = 0; next < pages.size(); ++next) {
    if (pages[next] > pageCount_) continue;  // a commit has cut it off while another was loaded
    if (PageBuffer* found = table_.find(pages[next])) {
      out.emplace_back(found);
      continue;
    }
    table_.shard().countMiss();
    std::vector<store::ChunkNumber> chunks;
    for (std::size_t ahead = next; ahead < pages.size() && chunks.size() < readAheadMax();
         ++ahead) {
      const store::ChunkNumber chunk = store::chunkOf(pages[ahead]);
      if (table_.find(pages[ahead]) == nullptr && (chunks.empty() || chunks.back() != chunk))
        chunks.push_back(chunk);
    }
    Status loaded = loadChunks(chunks, pages[next], out.emplace_back());
    if (!loaded && pages[next] <= pageCount_) return loaded;
  }
  return {};
}

/// Read-ahead must not push out of the cache what it has just brought in.
std::size_t PagedFile::readAheadMax() const {
  constexpr std::size_t kChunkMemory = store::kPagesPerChunk * sizeof(PageBuffer);
  const std::size_t affordable = environment_.cache.budgetBytes() / 4 / kChunkMemory;
  return std::clamp<std::size_t>(affordable, 1, environment_.options.readAheadChunksMax);
}

/// The chunks to read for a miss in `chunk`: itself, and what a scan will want next.
std::vector<store::ChunkNumber> PagedFile::planRead(store::ChunkNumber chunk) {
  const ReadAhead::Range range = readAhead_.plan(chunk, readAheadMax());
  const auto end = static_cast<store::ChunkNumber>(
      std::min<std::size_t>(store::chunkCountOf(pageCount_), range.first + range.count));
  std::vector<store::ChunkNumber> chunks;
  for (store::ChunkNumber each = range.first; each < end; ++each) {
    if (each == chunk || table_.find(store::firstPageOf(each)) == nullptr) chunks.push_back(each);
  }
  return chunks;
}

/// Reads `chunks` in one round trip and puts their pages into memory. `loaded` gets `wanted`, which
/// is in one of them.
Status PagedFile::loadChunks(const std::vector<store::ChunkNumber>& chunks, PageNumber wanted,
                             PageRef& loaded) {
  for (int attempt = 0; attempt < kLoadAttemptsMax; ++attempt) {
    const std::uint64_t generation = foldGeneration_;
    const bool withLog = !log_.isResident();
    const store::Txid durable = head_.txid;
    store::ChunkReadRequest request;
    request.id = id_;
    // Versions above the head belong to a transaction that was rolled back, until they are removed.
    request.atTxid = discardNeeded_ ? head_.txid : committedTxid_;
    request.chunks = chunks;
    if (withLog) request.logAfter = head_.logStart;
    ++counters_.storeReads;
    Result<store::ChunkRead> read =
        isReadOnly() ? environment_.store.readChunks(request) : readAsOwner(request);
    if (broken_) return *broken_;
    if (generation != foldGeneration_) continue;
    if (!read && read.error().code == ErrorCode::SnapshotGone && !isReadOnly()) {
      // A write that is under way has trimmed the log: as soon as its outcome is known, so is where
      // the log begins.
      fiber::sleepFor(kRetryDelay);
      continue;
    }
    if (!read) return std::move(read).error();
    counters_.chunksRead += read->chunks.size();
    if (withLog && !log_.isResident()) log_.reload(std::move(read->log));
    Status whole = log_.decodeAll();
    if (whole && withLog) whole = log_.checkSpan(head_.logStart, durable);
    if (!whole) {
      log_.drop();  // so that the next try reads it again
      return whole;
    }
    Status installed = installAll(chunks, *read, wanted, loaded);
    if (isReadOnly() && (!installed || !loaded || dependsOnFlip(chunks, *read)))
      SKEP_CHECK_OK(checkSnapshot());
    if (!installed) return installed;
    return loaded ? Status{} : Status(missingPage(wanted));
  }
  const std::string database = "database '" + options_.name + "': ";
  if (committing_) {
    return Error{ErrorCode::Unavailable,
                 database +
                     "the store does not tell what became of a write that may have moved "
                     "what is to be read"};
  }
  return Error{ErrorCode::Internal, database + "reads never caught up with folds"};
}

/// Reads chunks of the version that this owner has. Fenced, and broken, once another owner may have
/// changed them. While this owner takes a new epoch itself, it waits to learn it.
Result<store::ChunkRead> PagedFile::readAsOwner(store::ChunkReadRequest request) {
  while (true) {
    request.epoch = head_.epoch;
    Result<store::ChunkRead> read = environment_.store.readChunks(request);
    if (read || read.error().code != ErrorCode::Fenced) return read;
    if (broken_) return *broken_;
    if (head_.epoch != request.epoch) continue;
    if (retaking_) {
      fiber::sleepFor(kRetryDelay);
      continue;
    }
    // The commit fiber, if it runs, learns the same from its own write.
    if (!committing_) breakWith(read.error());
    return read;
  }
}

Status PagedFile::installAll(const std::vector<store::ChunkNumber>& chunks,
                             const store::ChunkRead& read, PageNumber wanted, PageRef& loaded) {
  auto stored = read.chunks.begin();
  for (store::ChunkNumber chunk : chunks) {
    const bool exists = stored != read.chunks.end() && stored->chunk == chunk;
    SKEP_CHECK_OK(install(chunk, exists ? &*stored++ : nullptr, wanted, loaded));
  }
  return {};
}

/// Whether what was read of a chunk is older than a flip in the log. What a flip changed stands in
/// no record: was this chunk among it, then the version that an observer needed may have been
/// removed, and nothing in the bytes says so.
bool PagedFile::dependsOnFlip(const std::vector<store::ChunkNumber>& chunks,
                              const store::ChunkRead& read) const {
  const store::Txid flip = log_.newestFlip();
  if (flip == 0) return false;
  return read.chunks.size() < chunks.size() ||
         std::any_of(read.chunks.begin(), read.chunks.end(),
                     [&](const auto& chunk) { return chunk.txid < flip; });
}

/// For an observer: SnapshotGone once its version is no longer the newest, so that parts of it may
/// be gone.
Status PagedFile::checkSnapshot() {
  Result<store::Head> now = environment_.store.readHead(id_);
  if (!now && now.error().code != ErrorCode::NotFound) return std::move(now).error();
  if (now && now->txid == head_.txid) return {};
  return Error{ErrorCode::SnapshotGone, "database '" + options_.name + "': txid " +
                                            std::to_string(head_.txid) +
                                            " was folded away by its owner; open it again"};
}

/// Puts every page of a chunk that is not in memory yet there. A page that can't be rebuilt is left
/// out: whoever asks for it learns so. `loaded` gets `wanted` if it is among them, at once: under
/// pressure the page that is installed next may push it out again.
Status PagedFile::install(store::ChunkNumber chunk, const store::StoredChunk* stored,
                          PageNumber wanted, PageRef& loaded) {
  std::optional<store::DecodedChunk> base;
  if (stored != nullptr) {
    SKEP_TRY(store::DecodedChunk decoded,
             store::decodeChunk(id_, chunk, stored->txid, stored->bytes));
    base.emplace(std::move(decoded));
  }
  const store::Txid version = stored != nullptr ? stored->txid : 0;
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber page = store::firstPageOf(chunk) + i;
    if (page > pageCount_) break;
    if (PageBuffer* found = table_.find(page)) {
      if (page == wanted) loaded = PageRef(found);
      continue;
    }
    PageRef buffer = table_.shard().allocate(page);
    SKEP_TRY(bool rebuilt, rebuild(page, base ? &*base : nullptr, version, buffer->data));
    if (!rebuilt) continue;
    if (page == wanted) loaded = buffer;
    table_.put(std::move(buffer));
  }
  return {};
}

/// Builds the newest content of `page` into `content`: its bytes in the chunk, and then every later
/// change. False when there is nothing to start from.
Result<bool> PagedFile::rebuild(PageNumber page, const store::DecodedChunk* base,
                                store::Txid version, std::byte* content) const {
  bool known = false;
  store::Txid orphan = 0;  // of a delta without a version before it
  const std::size_t index = (page - 1) % store::kPagesPerChunk;
  if (base != nullptr && base->has(index)) {
    std::memcpy(content, base->page(index).data(), kPageBytes);
    known = true;
  }
  SKEP_CHECK_OK(log_.forEachChange(
      page, version, [&](store::Txid txid, const store::PageChange& change) -> Status {
        switch (change.kind) {
          case store::PageChangeKind::Full:
            std::memcpy(content, change.payload.data(), kPageBytes);
            break;
          case store::PageChangeKind::Zero:
            std::memset(content, 0, kPageBytes);
            break;
          case store::PageChangeKind::Delta: {
            if (!known) {
              // No harm when the page was cut off later, and its chunk dropped: it came back whole,
              // if it came back.
              orphan = txid;
              return {};
            }
            std::byte previous[kPageBytes];
            std::memcpy(previous, content, kPageBytes);
            SKEP_CHECK_OK(
                store::applyDelta({previous, kPageBytes}, change.payload, {content, kPageBytes}));
            break;
          }
        }
        known = true;
        return {};
      }));
  if (known || orphan == 0) return known;
  return Error{ErrorCode::Corrupt, "database '" + options_.name + "': page " +
                                       std::to_string(page) + " has a delta at txid " +
                                       std::to_string(orphan) + " but no version before it"};
}

Error PagedFile::missingPage(PageNumber page) const {
  return Error{ErrorCode::Corrupt, "database '" + options_.name + "': page " +
                                       std::to_string(page) + " is missing in the store at txid " +
                                       std::to_string(committedTxid_)};
}

}  // namespace skep::vfs
