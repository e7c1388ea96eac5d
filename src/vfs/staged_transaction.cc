#include "skep/vfs/staged_transaction.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>

#include "skep/base/check.h"
#include "skep/vfs/page_content.h"

namespace skep::vfs {
namespace {

constexpr std::size_t kStageBatchBytes = 2 * 1024 * 1024;

std::uint16_t bitOf(PageNumber page) {
  return static_cast<std::uint16_t>(1u << ((page - 1) % store::kPagesPerChunk));
}

}  // namespace

StagedTransaction::StagedTransaction(FileState& file, OwnedStore& store, PageLoader& loader)
    : file_(file), store_(store), loader_(loader), table_(file.table.shard()) {}

bool StagedTransaction::isPresent(PageNumber page) const {
  const auto present = presentPages_.find(store::chunkOf(page));
  return present != presentPages_.end() && (present->second & bitOf(page)) != 0;
}

void StagedTransaction::begin() {
  // The staged versions are numbered head + 1.
  SKEP_CHECK(file_.committedTxid == file_.head.txid, "staging on top of what is not durable");
  isActive_ = true;
  txid_ = file_.committedTxid + 1;
  digest_ = file_.head.digest;
  pageCount_ = file_.pageCount;
}

Status StagedTransaction::stage(PageMap<PageRef>& overlay) {
  std::lock_guard lock(store_.mutex());
  store::DatabaseWrite write = store_.newWrite();
  std::size_t bytes = 0;
  while (!overlay.empty()) {
    SKEP_TRY(store::StoredChunk chunk, stageChunk(store::chunkOf(overlay.begin()->first), overlay));
    bytes += chunk.bytes.size();
    write.chunks.push_back(std::move(chunk));
    if (bytes < kStageBatchBytes && !overlay.empty()) continue;
    file_.counters.chunksStaged += write.chunks.size();
    SKEP_CHECK_OK(store_.submitUntilCertain(write));
    write = store_.newWrite();
    bytes = 0;
  }
  return {};
}

/// Encodes one chunk as the transaction sees it, takes its pages out of the overlay, and keeps the
/// digest in step.
Result<store::StoredChunk> StagedTransaction::stageChunk(store::ChunkNumber chunk,
                                                         PageMap<PageRef>& overlay) {
  const auto before = presentPages_.find(chunk);
  const bool again = before != presentPages_.end();
  std::uint16_t present = again ? before->second : 0;
  std::array<PageRef, store::kPagesPerChunk> view;
  std::array<const std::byte*, store::kPagesPerChunk> contents{};
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber page = store::firstPageOf(chunk) + i;
    const auto written = overlay.find(page);
    PageRef old;
    if (again ? (present & bitOf(page)) != 0 : page <= file_.pageCount) {
      SKEP_TRY(old, again ? read(page) : loader_.page(page));
    }
    if (written != overlay.end()) {
      view[i] = written->second;
      if (old) digest_ -= old->contentHash();
      digest_ += view[i]->contentHash();
      pageMax_ = std::max(pageMax_, page);
    } else {
      view[i] = old;
    }
    if (!view[i]) continue;
    contents[i] = view[i]->data;
    present |= bitOf(page);
  }
  // A new database's first page comes last: other pages of its chunk may be staged before.
  if (chunk == 0 && view[0]) pageCount_ = headerPageCount(view[0]->view());
  store::StoredChunk staged{
      .chunk = chunk, .txid = txid_, .bytes = store::encodeChunk(file_.id, chunk, txid_, contents)};
  file_.compression.note(static_cast<std::size_t>(std::popcount(present)), staged.bytes.size());
  presentPages_[chunk] = present;
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber page = store::firstPageOf(chunk) + i;
    table_.erase(page);
    overlay.erase(page);
  }
  return staged;
}

Result<PageRef> StagedTransaction::read(PageNumber page) {
  if (!isPresent(page)) {
    return Error{ErrorCode::InvalidArgument,
                 "page " + std::to_string(page) + " is past the end of " + file_.described()};
  }
  if (PageBuffer* found = table_.find(page)) return PageRef(found);
  const store::ChunkNumber chunk = store::chunkOf(page);
  table_.shard().countMiss();
  ++file_.counters.storeReads;
  SKEP_TRY(store::ChunkRead read,
           store_.readChunks({.id = file_.id, .atTxid = txid_, .chunks = {chunk}}));
  if (read.chunks.size() != 1 || read.chunks[0].txid != txid_) {
    return Error{ErrorCode::Corrupt, file_.described() + ": staged chunk " + std::to_string(chunk) +
                                         " of txid " + std::to_string(txid_) + " is missing"};
  }
  Result<store::DecodedChunk> decoded =
      store::decodeChunk(file_.id, chunk, txid_, read.chunks[0].bytes);
  if (!decoded) return file_.named(std::move(decoded).error(), page);
  PageRef wanted;
  for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
    const PageNumber each = store::firstPageOf(chunk) + i;
    if (!decoded->has(i) || table_.find(each) != nullptr) continue;
    PageRef buffer = table_.shard().allocate(each);
    std::memcpy(buffer->data, decoded->page(i).data(), kPageBytes);
    if (each == page) wanted = buffer;
    table_.put(std::move(buffer));
  }
  if (!wanted) return loader_.missingPage(page);
  return wanted;
}

Status StagedTransaction::finish(PageMap<PageRef>& overlay, std::uint32_t pageCount,
                                 std::size_t pagesMax) {
  overlay.erase(overlay.upper_bound(pageCount), overlay.end());
  SKEP_CHECK_OK(addUnwritten(overlay, pageCount, pagesMax));
  SKEP_CHECK_OK(stage(overlay));
  SKEP_CHECK_OK(cutOff(pageCount));
  pageCount_ = pageCount;
  isFinished_ = true;
  return {};
}

/// Pages that came into being without being written are zeros.
Status StagedTransaction::addUnwritten(PageMap<PageRef>& overlay, std::uint32_t pageCount,
                                       std::size_t pagesMax) {
  for (PageNumber page = file_.pageCount + 1; page <= pageCount; ++page) {
    if (overlay.contains(page) || isPresent(page)) continue;
    PageRef zero = table_.shard().allocate(page);
    std::memset(zero->data, 0, kPageBytes);
    overlay[page] = std::move(zero);
    if (overlay.size() >= pagesMax) SKEP_CHECK_OK(stage(overlay));
  }
  return {};
}

/// Takes the pages behind the end out of the digest.
Status StagedTransaction::cutOff(std::uint32_t pageCount) {
  for (PageNumber page = pageCount + 1; page <= std::max(file_.pageCount, pageMax_); ++page) {
    const bool isStaged = presentPages_.contains(store::chunkOf(page));
    if (isStaged ? !isPresent(page) : page > file_.pageCount) continue;
    SKEP_TRY(PageRef gone, isStaged ? read(page) : loader_.page(page));
    digest_ -= gone->contentHash();
  }
  return {};
}

StagedCommit StagedTransaction::commit() {
  SKEP_CHECK(isFinished_, "a staged transaction is finished before it commits");
  StagedCommit commit{.txid = txid_, .digest = digest_, .pageCount = pageCount_, .chunks = {}};
  for (const auto& [chunk, present] : presentPages_) {
    commit.chunks.push_back(chunk);
    for (PageNumber i = 0; i < store::kPagesPerChunk; ++i)
      file_.table.erase(store::firstPageOf(chunk) + i);
  }
  for (PageNumber page = pageCount_ + 1; page <= file_.pageCount; ++page) file_.table.erase(page);
  file_.pageCount = pageCount_;
  file_.committedTxid = txid_;
  drop();
  return commit;
}

void StagedTransaction::drop() {
  isActive_ = isFinished_ = false;
  presentPages_.clear();
  pageMax_ = 0;
  table_.clear();
}

}  // namespace skep::vfs
