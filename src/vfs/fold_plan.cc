#include "skep/vfs/fold_plan.h"

#include <algorithm>

namespace skep::vfs {
namespace {

constexpr std::size_t kLargerFoldsMax = 4;

}  // namespace

FoldPlan::FoldPlan(const FileState& file) : file_(file), logBytesLimit_(logBytesLimit()) {}

void FoldPlan::drop() {
  oldestChange_.clear();
  isKnown_ = false;
}

void FoldPlan::rebuild(const LogTail& log) {
  oldestChange_.clear();
  isKnown_ = true;
  log.forEachPage([this](store::Txid txid, PageNumber page) { note(txid, page); });
}

void FoldPlan::forget(std::span<const store::ChunkNumber> chunks) {
  for (const store::ChunkNumber chunk : chunks) oldestChange_.erase(chunk);
}

void FoldPlan::forgetPastEnd(std::uint32_t pageCount) {
  oldestChange_.erase(oldestChange_.lower_bound(store::chunkCountOf(pageCount)),
                      oldestChange_.end());
}

std::size_t FoldPlan::logBytesLimit() const {
  const PagedFileOptions& options = file_.environment.options;
  // A log beside the chunks that it changes, and for the time of a fold beside their next versions:
  // together less than three times what the pages take, but for logBytesMin of a small database.
  const std::size_t bySize = std::size_t{file_.pageCount} * kPageBytes / 4;
  const std::size_t byContent = file_.compression.bytesOf(file_.pageCount) * 5 / 4;
  return std::clamp(std::min(bySize, byContent), options.logBytesMin, options.logBytesMax);
}

bool FoldPlan::isDue() const {
  return file_.head.logBytes > (isFolding_ ? logBytesLimit_ / 2 : logBytesLimit_);
}

void FoldPlan::update() {
  logBytesLimit_ = logBytesLimit();
  isFolding_ = isDue();
}

std::vector<store::ChunkNumber> FoldPlan::candidates() const {
  std::vector<std::pair<store::Txid, store::ChunkNumber>> byAge;
  byAge.reserve(oldestChange_.size());
  for (const auto& [chunk, txid] : oldestChange_) byAge.emplace_back(txid, chunk);
  // A log that grows although it is folded needs larger folds.
  const std::size_t behind = file_.head.logBytes / std::max<std::size_t>(1, logBytesLimit_);
  const std::size_t count =
      std::min(byAge.size(), file_.environment.options.foldChunksMax *
                                 std::clamp<std::size_t>(behind, 1, kLargerFoldsMax));
  std::partial_sort(byAge.begin(), byAge.begin() + static_cast<std::ptrdiff_t>(count), byAge.end());
  std::vector<store::ChunkNumber> chunks;
  for (std::size_t i = 0; i < count; ++i) chunks.push_back(byAge[i].second);
  std::sort(chunks.begin(), chunks.end());
  return chunks;
}

// The log is needed from the oldest record on that changes a chunk which was not folded at or after
// it.
store::Txid FoldPlan::trimThrough(std::span<const store::ChunkNumber> folded, store::Txid txid,
                                  const PendingPages& pages) const {
  const auto isFolded = [&](store::ChunkNumber chunk) {
    return std::binary_search(folded.begin(), folded.end(), chunk);
  };
  store::Txid neededFrom = txid + 1;
  for (const auto& [chunk, changed] : oldestChange_) {
    if (!isFolded(chunk)) neededFrom = std::min(neededFrom, changed);
  }
  for (const auto& [page, pending] : pages) {
    if (!isFolded(store::chunkOf(page))) neededFrom = std::min(neededFrom, txid);
  }
  return std::max(file_.head.logStart, neededFrom - 1);
}

}  // namespace skep::vfs
