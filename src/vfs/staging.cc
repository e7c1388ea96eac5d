// Huge transactions: pages that outgrow memory go to the store as chunk versions above the head,
// and one small commit makes them visible (the flip). A crash in between leaves versions that
// nobody sees; the next owner removes them.

#include <array>
#include <bit>
#include <cstring>

#include "skep/base/log.h"
#include "skep/vfs/page_content.h"
#include "skep/vfs/paged_file.h"

namespace skep::vfs {
namespace {

constexpr std::size_t kStageBatchBytes = 2 * 1024 * 1024;
constexpr std::size_t kSweepBatch = 1000;
// Old versions are looked for this often in the time that they are kept: so much longer they stay.
constexpr std::int64_t kSweepsPerRetention = 8;

std::uint16_t bitOf(PageNumber page) {
  return static_cast<std::uint16_t>(1u << ((page - 1) % store::kPagesPerChunk));
}

}  // namespace

bool PagedFile::isStaged(PageNumber page) const {
  return staging_.chunks.contains(store::chunkOf(page));
}

Status PagedFile::stageOverlay() {
  if (!staging_.active) {
    // The staged versions are numbered head + 1, so everything before must be in the store.
    SKEP_CHECK_OK(waitAllDurable());
    staging_.active = true;
    staging_.txid = committedTxid_ + 1;
    staging_.digest = head_.digest;
    staging_.pageCount = pageCount_;
  }
  std::lock_guard lock(writing_);
  store::DatabaseWrite write = newWrite();
  std::size_t bytes = 0;
  while (!overlay_.empty()) {
    SKEP_TRY(store::StoredChunk chunk, stageChunk(store::chunkOf(overlay_.begin()->first)));
    bytes += chunk.bytes.size();
    write.chunks.push_back(std::move(chunk));
    if (bytes < kStageBatchBytes && !overlay_.empty()) continue;
    counters_.chunksStaged += write.chunks.size();
    SKEP_CHECK_OK(submitCertain(write));
    write = newWrite();
    bytes = 0;
  }
  return {};
}

/// Encodes one chunk as the transaction sees it, takes its pages out of the overlay, and keeps the
/// digest in step.
Result<store::StoredChunk> PagedFile::stageChunk(store::ChunkNumber chunk) {
  const bool again = staging_.chunks.contains(chunk);
  std::array<PageRef, store::kPagesPerChunk> view;
  std::array<const std::byte*, store::kPagesPerChunk> contents{};
  std::uint16_t mask = again ? staging_.chunks[chunk] : 0;
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber page = store::firstPageOf(chunk) + i;
    auto written = overlay_.find(page);
    PageRef before;
    if (again ? (mask & bitOf(page)) != 0 : page <= pageCount_) {
      SKEP_TRY(before, again ? readStaged(page) : committedPage(page));
    }
    if (written != overlay_.end()) {
      view[i] = written->second;
      if (before) staging_.digest -= before->contentHash();
      staging_.digest += view[i]->contentHash();
      staging_.pageMax = std::max(staging_.pageMax, page);
    } else {
      view[i] = before;
    }
    if (!view[i]) continue;
    contents[i] = view[i]->data;
    mask |= bitOf(page);
  }
  // A new database's first page comes last: other pages of its chunk may be staged before.
  if (chunk == 0 && contents[0] != nullptr) staging_.pageCount = headerPageCount(view[0]->view());
  store::StoredChunk staged{.chunk = chunk,
                            .txid = staging_.txid,
                            .bytes = store::encodeChunk(id_, chunk, staging_.txid, contents)};
  staging_.chunks[chunk] = mask;
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber page = store::firstPageOf(chunk) + i;
    stagedTable_.erase(page);
    overlay_.erase(page);
  }
  return staged;
}

Result<PageRef> PagedFile::readStaged(PageNumber page) {
  const store::ChunkNumber chunk = store::chunkOf(page);
  if ((staging_.chunks[chunk] & bitOf(page)) == 0) {
    return Error{
        ErrorCode::InvalidArgument,
        "page " + std::to_string(page) + " is past the end of database '" + options_.name + "'"};
  }
  if (PageBuffer* found = stagedTable_.find(page)) return PageRef(found);
  table_.shard().countMiss();
  ++counters_.storeReads;
  SKEP_TRY(store::ChunkRead read,
           readAsOwner({.id = id_, .atTxid = staging_.txid, .chunks = {chunk}}));
  if (read.chunks.size() != 1 || read.chunks[0].txid != staging_.txid) {
    return Error{ErrorCode::Corrupt, "database '" + options_.name + "': staged chunk " +
                                         std::to_string(chunk) + " of txid " +
                                         std::to_string(staging_.txid) + " is missing"};
  }
  SKEP_TRY(store::DecodedChunk decoded,
           store::decodeChunk(id_, chunk, staging_.txid, read.chunks[0].bytes));
  PageRef wanted;
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber each = store::firstPageOf(chunk) + i;
    if (!decoded.has(i) || stagedTable_.find(each) != nullptr) continue;
    PageRef buffer = table_.shard().allocate(each);
    std::memcpy(buffer->data, decoded.page(i).data(), kPageBytes);
    if (each == page) wanted = buffer;
    stagedTable_.put(std::move(buffer));
  }
  if (!wanted) return missingPage(page);
  return wanted;
}

/// Stages the rest of the transaction and settles which pages there are, so that the flip has
/// nothing left to decide.
Status PagedFile::finishStaging(std::uint32_t newCount) {
  overlay_.erase(overlay_.upper_bound(newCount), overlay_.end());
  for (PageNumber page = pageCount_ + 1; page <= newCount; ++page) {
    auto staged = staging_.chunks.find(store::chunkOf(page));
    if (overlay_.contains(page) ||
        (staged != staging_.chunks.end() && (staged->second & bitOf(page)) != 0))
      continue;
    PageRef zero = table_.shard().allocate(page);
    std::memset(zero->data, 0, kPageBytes);
    overlay_[page] = std::move(zero);
    if (overlay_.size() >= transactionPagesMax()) SKEP_CHECK_OK(stageOverlay());
  }
  SKEP_CHECK_OK(stageOverlay());
  for (PageNumber page = newCount + 1; page <= std::max(pageCount_, staging_.pageMax); ++page) {
    auto staged = staging_.chunks.find(store::chunkOf(page));
    if (staged == staging_.chunks.end() && page > pageCount_) continue;
    if (staged != staging_.chunks.end() && (staged->second & bitOf(page)) == 0) continue;
    SKEP_TRY(PageRef gone,
             staged != staging_.chunks.end() ? readStaged(page) : committedPage(page));
    staging_.digest -= gone->contentHash();
  }
  staging_.pageCount = newCount;
  staging_.prepared = true;
  return {};
}

/// Removes the staged versions of a transaction that never committed. writing_ is held, or nobody
/// else runs yet.
Status PagedFile::discardStaging() {
  while (true) {
    store::DatabaseWrite write = newWrite();
    write.discardStaging = true;
    SKEP_CHECK_OK(submitCertain(write));
    SKEP_TRY(store::Head now, readPatiently([&] { return environment_.store.readHead(id_); }));
    if (now.epoch != head_.epoch)
      return Error{ErrorCode::Fenced, "another owner has taken the database"};
    head_.stagingTxid = now.stagingTxid;
    if (head_.stagingTxid == 0) break;
  }
  discardNeeded_ = false;
  ++foldGeneration_;
  return {};
}

/// Removes the versions that a flip, or the end of history, made superfluous. writing_ is held.
Status PagedFile::sweep() {
  if (properties_.retentionMs == 0) {
    SKEP_CHECK_OK(sweepNeedsList_ ? sweepAll() : sweepFlip());
  }
  sweepChunks_.clear();
  sweepNeedsList_ = false;
  store::DatabaseWrite write = newWrite();
  write.sweepDone = true;
  SKEP_CHECK_OK(submitCertain(write));
  head_.sweepTxid = 0;
  return {};
}

/// What this owner's own flip superseded.
Status PagedFile::sweepFlip() {
  while (!sweepChunks_.empty()) {
    store::DatabaseWrite write = newWrite();
    for (std::size_t i = 0; i < kSweepBatch && !sweepChunks_.empty(); ++i) {
      write.superseded.push_back({.chunk = sweepChunks_.back(), .txid = head_.sweepTxid});
      sweepChunks_.pop_back();
    }
    SKEP_CHECK_OK(submitCertain(write));
  }
  return {};
}

/// What only a look at the store can tell: after a crash, or when history was turned off.
Status PagedFile::sweepAll() {
  HistorySweep sweep(environment_.store, id_, Horizon::at(head_));
  while (true) {
    SKEP_TRY(std::optional<HistorySweep::Removal> removal,
             readPatiently([&] { return sweep.next(); }));
    if (!removal) return {};
    SKEP_CHECK_OK(removeHistory(std::move(*removal)));
  }
}

Status PagedFile::removeHistory(HistorySweep::Removal removal) {
  store::DatabaseWrite write = newWrite();
  write.superseded = std::move(removal.superseded);
  write.expireThrough = removal.expireThrough;
  return submitCertain(write);
}

/// One step of removing what is older than the retention. Reads that fail put it off to the next
/// fold: history may stay a little longer. writing_ is held.
Status PagedFile::expireHistory() {
  Result<std::optional<HistorySweep::Removal>> removal = nextExpired();
  if (!removal || !*removal) {
    if (!removal) {
      logWarn("vfs", "old versions are kept for now",
              {{"database", options_.name}, {"why", removal.error().message}});
    }
    historySweep_.reset();
    expiryDue_ = false;
    return {};
  }
  return removeHistory(std::move(**removal));
}

Result<std::optional<HistorySweep::Removal>> PagedFile::nextExpired() {
  if (historySweep_ == nullptr) {
    Clock& clock = environment_.loop.clock();
    nextExpiry_ = clock.monotonic() +
                  std::chrono::milliseconds(properties_.retentionMs / kSweepsPerRetention);
    SKEP_TRY(std::optional<Horizon> horizon,
             Horizon::at(environment_.store, id_, head_, clock.wallMs() - properties_.retentionMs));
    if (!horizon) return std::optional<HistorySweep::Removal>();
    historySweep_ = std::make_unique<HistorySweep>(environment_.store, id_, *horizon);
  }
  return historySweep_->next();
}

}  // namespace skep::vfs
