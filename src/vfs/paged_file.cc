#include "skep/vfs/paged_file.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "skep/base/log.h"
#include "skep/vfs/page_content.h"

namespace skep::vfs {
namespace {

constexpr std::uint32_t kFirstChunks = store::OpenRequest{}.firstChunks;
// Fewer misses than this after an open are not worth a store write when there is no commit to carry
// them.
constexpr std::size_t kHotMissesForWrite = 3;

}  // namespace

PagedFile::PagedFile(Environment& environment, OpenFile options)
    : environment_(environment),
      options_(std::move(options)),
      table_(environment.cache.shard(environment.loop)),
      stagedTable_(environment.cache.shard(environment.loop)),
      log_(store::DatabaseId{}) {}

Result<std::unique_ptr<PagedFile>> PagedFile::open(Environment& environment, OpenFile options) {
  std::unique_ptr<PagedFile> file(new PagedFile(environment, std::move(options)));
  store::OpenRequest request;
  request.name = file->options_.name;
  request.create = file->isReadOnly() ? store::Create::Never : file->options_.create;
  request.claim = file->isReadOnly() ? store::Claim::None : store::Claim::Take;
  SKEP_TRY(store::OpenedDatabase opened, environment.store.open(request));
  SKEP_CHECK_OK(file->adopt(std::move(opened)));
  return file;
}

Status PagedFile::adopt(store::OpenedDatabase opened) {
  id_ = opened.id;
  head_ = opened.head;
  properties_ = std::move(opened.properties);
  created_ = opened.created;
  pageCount_ = head_.pageCount;
  committedTxid_ = head_.txid;

  log_ = LogTail(id_);
  log_.reload(std::move(opened.log));
  SKEP_CHECK_OK(log_.verify(head_));
  log_.forEachPage([&](store::Txid txid, PageNumber page) {
    firstTouch_.try_emplace(store::chunkOf(page), txid);
  });

  std::set<store::ChunkNumber> chunks(properties_.hotChunks.begin(), properties_.hotChunks.end());
  for (store::ChunkNumber chunk = 0; chunk < kFirstChunks; ++chunk) chunks.insert(chunk);
  PageRef first;
  auto stored = opened.chunks.begin();
  for (store::ChunkNumber chunk : chunks) {
    if (store::firstPageOf(chunk) > pageCount_) break;
    while (stored != opened.chunks.end() && stored->chunk < chunk) ++stored;
    const bool exists = stored != opened.chunks.end() && stored->chunk == chunk;
    SKEP_CHECK_OK(install(chunk, exists ? &*stored : nullptr, 1, first));
  }
  hotChunks_.markUnused(properties_.hotChunks, table_);

  if (isReadOnly()) return {};
  if (head_.stagingTxid != 0) SKEP_CHECK_OK(discardStaging());
  sweepNeedsList_ = head_.sweepTxid != 0;
  if (head_.sweepTxid != 0) kick();
  return {};
}

PagedFile::~PagedFile() {
  SKEP_CHECK(!committing_, "a PagedFile is closed before it is destroyed");
}

Status PagedFile::checkUsable() const {
  if (broken_) return *broken_;
  return {};
}

void PagedFile::breakWith(Error error) {
  if (broken_) return;
  const ErrorCode code = error.code == ErrorCode::Fenced ? ErrorCode::Fenced : ErrorCode::Broken;
  std::string message = "database '" + options_.name + "' must be opened again: " + error.message;
  logWarn("vfs", "database broken",
          {{"database", options_.name},
           {"code", errorCodeName(error.code)},
           {"reason", error.message}});
  broken_ = Error{code, std::move(message)};
  progress_.notifyAll();
}

PageBuffer* PagedFile::findPage(PageNumber page) {
  if (!overlay_.empty()) {
    auto written = overlay_.find(page);
    if (written != overlay_.end()) return written->second.get();
  }
  PageBuffer* found =
      staging_.active && isStaged(page) ? stagedTable_.find(page) : table_.find(page);
  if (found != nullptr) {
    found->recentlyUsed = true;
    table_.shard().countHit();
  }
  return found;
}

Result<PageRef> PagedFile::readPage(PageNumber page) {
  SKEP_CHECK_OK(checkUsable());
  if (PageBuffer* found = findPage(page)) return PageRef(found);
  if (staging_.active && isStaged(page)) return readStaged(page);
  return committedPage(page);
}

Status PagedFile::writePage(PageNumber page, ByteView content) {
  SKEP_CHECK(content.size() == kPageBytes);
  SKEP_CHECK_OK(checkUsable());
  if (doomed_) return {};
  // SQLite fills a new last page that it never wrote with zeros, and after an atomic batch does so
  // once more.
  if (isPrepared_ && page == newPageCount() && isZeroPage(content)) return {};
  isPrepared_ = false;
  PageRef& slot = overlay_[page];
  if (!slot || slot->references > 1) slot = table_.shard().allocate(page);
  slot->hashKnown = false;
  std::memcpy(slot->data, content.data(), kPageBytes);
  if (overlay_.size() <= transactionPagesMax()) return {};
  Status staged = stageOverlay();
  return staged ? staged : Status(doom(std::move(staged).error()));
}

std::uint32_t PagedFile::newPageCount() const {
  auto written = overlay_.find(1);
  if (written != overlay_.end()) return headerPageCount(written->second->view());
  if (staging_.active && isStaged(1)) return staging_.pageCount;
  return pageCount_;
}

Status PagedFile::prepareCommit() {
  SKEP_CHECK_OK(checkUsable());
  if (doomed_) return *doomed_;
  prepared_.clear();
  Status prepared = hasUncommitted() ? prepareChanges() : Status{};
  isPrepared_ = prepared.ok();
  return prepared ? prepared : Status(doom(std::move(prepared).error()));
}

Error PagedFile::doom(Error reason) {
  dropPages();
  doomed_ = reason;
  return reason;
}

Status PagedFile::prepareChanges() {
  const std::uint32_t newCount = newPageCount();
  if (newCount == 0)
    return Error{ErrorCode::Internal, "the transaction leaves a database without pages"};
  if (options_.databaseBytesMax != 0 && newCount > pageCount_ &&
      static_cast<std::uint64_t>(newCount) * kPageBytes > options_.databaseBytesMax) {
    return Error{ErrorCode::QuotaExceeded,
                 "database '" + options_.name + "' would pass its quota of " +
                     std::to_string(options_.databaseBytesMax) + " bytes"};
  }
  // A write that is under way may come back to be merged with what came after it.
  while (pending_.size() + flightPages_ > undurablePagesMax()) {
    progress_.wait();
    SKEP_CHECK_OK(checkUsable());
  }
  // Pages that come into being or vanish without being written count as the transaction's own.
  const std::uint32_t untouched =
      newCount > pageCount_ ? newCount - pageCount_ : pageCount_ - newCount;
  const bool isHuge = untouched > transactionPagesMax();
  if (!staging_.active && isHuge) SKEP_CHECK_OK(stageOverlay());
  if (staging_.active) return finishStaging(newCount);
  return prepareBases(newCount);
}

// Together at most what one record may hold: the pages that wait, those of one transaction, and
// those that it cuts off or adds without writing them.
std::size_t PagedFile::transactionPagesMax() const {
  return std::min(environment_.options.transactionBytesMax / kPageBytes,
                  store::kRecordChangesMax / 4);
}

std::size_t PagedFile::undurablePagesMax() const {
  return std::min(environment_.options.undurableBytesMax / kPageBytes,
                  store::kRecordChangesMax / 2);
}

Status PagedFile::prepareBases(std::uint32_t newCount) {
  std::vector<PageNumber> bases;
  for (const auto& [page, written] : overlay_) {
    if (page <= pageCount_) bases.push_back(page);
  }
  for (PageNumber page = newCount + 1; page <= pageCount_; ++page) {
    if (!overlay_.contains(page)) bases.push_back(page);
  }
  return committedPages(bases, prepared_);
}

store::Txid PagedFile::commitLocal() {
  isPrepared_ = false;
  if (staging_.active) return commitStaged();
  const std::uint32_t newCount = newPageCount();
  bool changed = newCount != pageCount_ || transactionAlarm_.has_value();
  auto supersede = [&](PageNumber page) {
    PageBuffer* base = page <= pageCount_ ? table_.find(page) : nullptr;
    SKEP_CHECK(base != nullptr || page > pageCount_, "page %u has no version to build on", page);
    pending_.try_emplace(page, PendingPage{PageRef(base)});
    changed = true;
  };
  for (auto& [page, written] : overlay_) {
    if (page > newCount) continue;
    PageBuffer* base = page <= pageCount_ ? table_.find(page) : nullptr;
    if (base != nullptr && std::memcmp(base->data, written->data, kPageBytes) == 0) continue;
    supersede(page);
    written->pinned = true;
    table_.put(std::move(written));
  }
  for (PageNumber page = pageCount_ + 1; page <= newCount; ++page) {
    if (overlay_.contains(page)) continue;
    // Grown over without being written: SQLite does so with pages that went straight to its free
    // list.
    PageRef zero = table_.shard().allocate(page);
    std::memset(zero->data, 0, kPageBytes);
    zero->pinned = true;
    supersede(page);
    table_.put(std::move(zero));
  }
  for (PageNumber page = newCount + 1; page <= pageCount_; ++page) {
    supersede(page);
    table_.erase(page);
  }
  overlay_.clear();
  prepared_.clear();
  if (!changed) return committedTxid_;
  pageCount_ = newCount;
  ++committedTxid_;
  takeAlarm();
  kick();
  return committedTxid_;
}

store::Txid PagedFile::commitStaged() {
  SKEP_CHECK(staging_.prepared && overlay_.empty(),
             "a staged transaction is prepared before it commits");
  for (const auto& [chunk, mask] : staging_.chunks) {
    for (PageNumber i = 0; i < store::kPagesPerChunk; ++i)
      table_.erase(store::firstPageOf(chunk) + i);
  }
  for (PageNumber page = staging_.pageCount + 1; page <= pageCount_; ++page) table_.erase(page);
  stagedTable_.clear();
  pageCount_ = staging_.pageCount;
  committedTxid_ = staging_.txid;
  flip_ = std::exchange(staging_, Staging{});
  if (transactionAlarm_) ++alarmsSet_;
  flip_->alarm = std::exchange(transactionAlarm_, std::nullopt);
  flip_->alarmsThrough = alarmsSet_;
  kick();
  return committedTxid_;
}

void PagedFile::rollback() {
  transactionAlarm_.reset();
  dropPages();
}

void PagedFile::dropPages() {
  overlay_.clear();
  isPrepared_ = false;
  doomed_.reset();
  prepared_.clear();
  if (!staging_.active) return;
  staging_ = Staging{};
  stagedTable_.clear();
  discardNeeded_ = true;
  kick();
}

void PagedFile::setAlarm(std::optional<std::int64_t> alarmMs) {
  transactionAlarm_ = alarmMs;
}

void PagedFile::takeAlarm() {
  if (!transactionAlarm_) return;
  pendingAlarm_ = std::exchange(transactionAlarm_, std::nullopt);
  ++alarmsSet_;
}

void PagedFile::flushAlarm() {
  if (!transactionAlarm_) return;
  takeAlarm();
  kick();
}

void PagedFile::setProperties(store::Properties properties) {
  pendingProperties_ = std::move(properties);
  kick();
}

Status PagedFile::waitDurable(store::Txid txid) {
  while (head_.txid < txid) {
    SKEP_CHECK_OK(checkUsable());
    fiber::GateHolder holder(background_);
    if (committing_ || !hasWork() || !holder) {
      progress_.wait();
      continue;
    }
    // Nobody writes yet: this fiber, which waits anyway, does.
    committing_ = true;
    commitWhile([&] { return head_.txid < txid && hasWork(); });
  }
  return {};
}

Status PagedFile::waitDurable() {
  const std::uint64_t alarms = alarmsSet_;
  SKEP_CHECK_OK(waitDurable(committedTxid_));
  while (alarmsDurable_ < alarms) {
    SKEP_CHECK_OK(checkUsable());
    progress_.wait();
  }
  return {};
}

Status PagedFile::waitAllDurable() {
  while (committing_ || hasWork()) {
    SKEP_CHECK_OK(checkUsable());
    kick();
    progress_.wait();
  }
  return checkUsable();
}

/// Remembers with the store which chunks were wanted soon after the open: with a commit that is due
/// anyway, and for several of them by a write of its own.
void PagedFile::keepHotChunks() {
  const bool rides = hasWork() && (!committing_ || !pending_.empty());
  if (!rides && hotChunks_.missCount() < kHotMissesForWrite) return;
  store::Properties& properties =
      pendingProperties_ ? *pendingProperties_ : pendingProperties_.emplace(properties_);
  properties.hotChunks = hotChunks_.choose(properties_.hotChunks, table_, pageCount_);
  if (properties == properties_) pendingProperties_.reset();
}

void PagedFile::releaseMemory() {
  table_.evictUnpinned();
  if (isReadOnly() || (!committing_ && !hasWork())) log_.drop();
}

Status PagedFile::close() {
  rollback();
  if (!isReadOnly() && !broken_) keepHotChunks();
  Status durable = isReadOnly() ? Status{} : waitAllDurable();
  background_.close();
  table_.clear();
  return durable;
}

std::optional<Error> PagedFile::takeLastError() {
  return std::exchange(lastError_, std::nullopt);
}

}  // namespace skep::vfs
