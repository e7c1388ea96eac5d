#include "skep/vfs/page_loader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "skep/fiber/fiber.h"
#include "skep/store/delta.h"

namespace skep::vfs {
namespace {

// A load that overlaps a fold starts over. Folds are far rarer than loads; more than this in a row
// is a bug.
constexpr int kLoadAttemptsMax = 1000;
constexpr Duration kRetryPause = std::chrono::milliseconds(10);

}  // namespace

Status PageLoader::installOpened(const std::vector<store::StoredChunk>& opened) {
  const std::vector<store::ChunkNumber>& hot = file_.properties.hotChunks;
  std::set<store::ChunkNumber> chunks(hot.begin(), hot.end());
  for (store::ChunkNumber chunk = 0; chunk < store::kFirstChunks; ++chunk) chunks.insert(chunk);
  PageRef first;
  auto stored = opened.begin();
  for (store::ChunkNumber chunk : chunks) {
    if (store::firstPageOf(chunk) > file_.pageCount) break;
    while (stored != opened.end() && stored->chunk < chunk) ++stored;
    const bool exists = stored != opened.end() && stored->chunk == chunk;
    SKEP_CHECK_OK(install(chunk, exists ? &*stored : nullptr, 1, first));
  }
  hotChunks_.markUnused(hot, file_.table);
  return {};
}

std::vector<store::ChunkNumber> PageLoader::chooseHotChunks() const {
  return hotChunks_.choose(file_.properties.hotChunks, file_.table, file_.pageCount);
}

Result<PageRef> PageLoader::page(PageNumber page) {
  if (page == 0 || page > file_.pageCount) {
    return Error{ErrorCode::InvalidArgument, "page " + std::to_string(page) +
                                                 " is past the end of " + file_.described() + " (" +
                                                 std::to_string(file_.pageCount) + " pages)"};
  }
  if (PageBuffer* found = file_.table.find(page)) return PageRef(found);
  file_.table.shard().countMiss();
  PageRef loaded;
  const std::vector<store::ChunkNumber> chunks = planRead(store::chunkOf(page));
  if (chunks.size() == 1) hotChunks_.noteMiss(chunks[0]);
  SKEP_CHECK_OK(load(chunks, page, loaded));
  return loaded;
}

Status PageLoader::pages(const std::vector<PageNumber>& pages, std::vector<PageRef>& out) {
  for (std::size_t next = 0; next < pages.size(); ++next) {
    if (pages[next] > file_.pageCount)
      continue;  // a commit has cut it off while another was loaded
    if (PageBuffer* found = file_.table.find(pages[next])) {
      out.emplace_back(found);
      continue;
    }
    file_.table.shard().countMiss();
    std::vector<store::ChunkNumber> chunks;
    for (std::size_t ahead = next; ahead < pages.size() && chunks.size() < readAheadMax();
         ++ahead) {
      const store::ChunkNumber chunk = store::chunkOf(pages[ahead]);
      if (file_.table.find(pages[ahead]) == nullptr && (chunks.empty() || chunks.back() != chunk))
        chunks.push_back(chunk);
    }
    Status loaded = load(chunks, pages[next], out.emplace_back());
    if (!loaded && pages[next] <= file_.pageCount) return loaded;
  }
  return {};
}

/// Read-ahead must not push out of the cache what it has just brought in.
std::size_t PageLoader::readAheadMax() const {
  constexpr std::size_t kChunkMemory = store::kPagesPerChunk * sizeof(PageBuffer);
  const std::size_t affordable = file_.environment.cache.budgetBytes() / 4 / kChunkMemory;
  return std::clamp<std::size_t>(affordable, 1, file_.environment.options.readAheadChunksMax);
}

/// The chunks to read for a miss in `chunk`: itself, and what a scan will want next.
std::vector<store::ChunkNumber> PageLoader::planRead(store::ChunkNumber chunk) {
  const ReadAhead::Range range = readAhead_.plan(chunk, readAheadMax());
  const auto end = static_cast<store::ChunkNumber>(
      std::min<std::size_t>(store::chunkCountOf(file_.pageCount), range.first + range.count));
  std::vector<store::ChunkNumber> chunks;
  for (store::ChunkNumber each = range.first; each < end; ++each) {
    if (each == chunk || file_.table.find(store::firstPageOf(each)) == nullptr)
      chunks.push_back(each);
  }
  return chunks;
}

Status PageLoader::bringLog() {
  if (file_.log.isResident()) return file_.log.decodeAll();
  PageRef first;
  return load({0}, 1, first);  // it comes along with a chunk
}

/// Reads `chunks` in one round trip and puts their pages into memory. `loaded` gets `wanted`, which
/// is in one of them.
Status PageLoader::load(const std::vector<store::ChunkNumber>& chunks, PageNumber wanted,
                        PageRef& loaded) {
  for (int attempt = 0; attempt < kLoadAttemptsMax; ++attempt) {
    const std::uint64_t generation = file_.removals;
    const bool withLog = !file_.log.isResident();
    const store::Txid durable = file_.head.txid;
    Result<store::ChunkRead> read = readChunks(chunks, withLog);
    if (file_.broken) return *file_.broken;
    if (generation != file_.removals) continue;
    if (!read && read.error().code == ErrorCode::SnapshotGone && !file_.isReadOnly()) {
      // A write that is under way has trimmed the log: as soon as its outcome is known, so is where
      // the log begins.
      fiber::sleepFor(kRetryPause);
      continue;
    }
    if (!read) return std::move(read).error();
    file_.counters.chunksRead += read->chunks.size();
    if (withLog && !file_.log.isResident()) file_.log.reload(std::move(read->log));
    Status whole = file_.log.decodeAll();
    if (whole && withLog) whole = file_.log.checkSpan(file_.head.logStart, durable);
    if (!whole) {
      file_.log.drop();  // so that the next try reads it again
      return file_.named(std::move(whole).error(), wanted);
    }
    Status installed = installAll(chunks, *read, wanted, loaded);
    if (file_.isReadOnly() && (!installed || !loaded || dependsOnFlip(chunks, *read)))
      SKEP_CHECK_OK(checkSnapshot());
    if (!installed) return installed;
    return loaded ? Status{} : Status(missingPage(wanted));
  }
  const std::string database = file_.described() + ": ";
  if (file_.isWriting) {
    return Error{ErrorCode::Unavailable,
                 database +
                     "the store does not tell what became of a write that may have moved "
                     "what is to be read"};
  }
  return Error{ErrorCode::Internal, database + "reads never caught up with folds"};
}

Result<store::ChunkRead> PageLoader::readChunks(const std::vector<store::ChunkNumber>& chunks,
                                                bool withLog) {
  store::ChunkReadRequest request;
  request.id = file_.id;
  // Versions above the head belong to a transaction that was rolled back, until they are removed.
  request.atTxid = file_.discardDue ? file_.head.txid : file_.committedTxid;
  request.chunks = chunks;
  if (withLog) request.logAfter = file_.head.logStart;
  ++file_.counters.storeReads;
  if (file_.isReadOnly()) return file_.environment.store.readChunks(request);
  return store_.readChunks(std::move(request));
}

Status PageLoader::installAll(const std::vector<store::ChunkNumber>& chunks,
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
bool PageLoader::dependsOnFlip(const std::vector<store::ChunkNumber>& chunks,
                               const store::ChunkRead& read) const {
  const store::Txid flip = file_.log.newestFlip();
  if (flip == 0) return false;
  return read.chunks.size() < chunks.size() ||
         std::any_of(read.chunks.begin(), read.chunks.end(),
                     [&](const auto& chunk) { return chunk.txid < flip; });
}

/// For an observer: SnapshotGone once its version is no longer the newest, so that parts of it may
/// be gone.
Status PageLoader::checkSnapshot() const {
  Result<store::Head> now = file_.environment.store.readHead(file_.id);
  if (!now && now.error().code != ErrorCode::NotFound) return std::move(now).error();
  if (now && now->txid == file_.head.txid) return {};
  return Error{ErrorCode::SnapshotGone, file_.described() + ": txid " +
                                            std::to_string(file_.head.txid) +
                                            " was folded away by its owner; open it again"};
}

/// Puts every page of a chunk that is not in memory yet there. A page that can't be rebuilt is left
/// out: whoever asks for it learns so. `loaded` gets `wanted` if it is among them, at once: under
/// pressure the page that is installed next may push it out again.
Status PageLoader::install(store::ChunkNumber chunk, const store::StoredChunk* stored,
                           PageNumber wanted, PageRef& loaded) {
  std::optional<store::DecodedChunk> base;
  if (stored != nullptr) {
    Result<store::DecodedChunk> decoded =
        store::decodeChunk(file_.id, chunk, stored->txid, stored->bytes);
    if (!decoded) {
      const bool isWanted = wanted != 0 && store::chunkOf(wanted) == chunk;
      return file_.named(std::move(decoded).error(), isWanted ? wanted : store::firstPageOf(chunk));
    }
    file_.compression.note(static_cast<std::size_t>(std::popcount(decoded->present())),
                           stored->bytes.size());
    base.emplace(std::move(*decoded));
  }
  const store::Txid version = stored != nullptr ? stored->txid : 0;
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber page = store::firstPageOf(chunk) + i;
    if (page > file_.pageCount) break;
    if (PageBuffer* found = file_.table.find(page)) {
      if (page == wanted) loaded = PageRef(found);
      continue;
    }
    PageRef buffer = file_.table.shard().allocate(page);
    SKEP_TRY(bool rebuilt, rebuild(page, base ? &*base : nullptr, version, buffer->data));
    if (!rebuilt) continue;
    if (page == wanted) loaded = buffer;
    file_.table.put(std::move(buffer));
  }
  return {};
}

/// Builds the newest content of `page` into `content`: its bytes in the chunk, and then every later
/// change. False when there is nothing to start from.
Result<bool> PageLoader::rebuild(PageNumber page, const store::DecodedChunk* base,
                                 store::Txid version, std::byte* content) const {
  bool known = false;
  store::Txid orphan = 0;  // of a delta without a version before it
  const std::size_t index = (page - 1) % store::kPagesPerChunk;
  if (base != nullptr && base->has(index)) {
    std::memcpy(content, base->page(index).data(), kPageBytes);
    known = true;
  }
  SKEP_CHECK_OK(file_.log.forEachChange(
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
            Status applied =
                store::applyDelta({previous, kPageBytes}, change.payload, {content, kPageBytes});
            if (applied) break;
            Error damage = std::move(applied).error();
            damage.message = "the record of txid " + std::to_string(txid) + ": " + damage.message;
            return file_.named(std::move(damage), page);
          }
        }
        known = true;
        return {};
      }));
  if (known || orphan == 0) return known;
  return Error{ErrorCode::Corrupt, file_.described() + ": page " + std::to_string(page) +
                                       " has a delta at txid " + std::to_string(orphan) +
                                       " but no version before it"};
}

Error PageLoader::missingPage(PageNumber page) const {
  return Error{ErrorCode::Corrupt, file_.described() + ": page " + std::to_string(page) +
                                       " is missing in the store at txid " +
                                       std::to_string(file_.committedTxid)};
}

}  // namespace skep::vfs
