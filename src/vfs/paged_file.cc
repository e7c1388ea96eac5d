#include "skep/vfs/paged_file.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "skep/base/check.h"
#include "skep/vfs/page_content.h"

namespace skep::vfs {

PagedFile::PagedFile(Environment& environment, OpenFile options)
    : file_(environment, std::move(options)),
      store_(file_),
      loader_(file_, store_),
      staged_(file_, store_, loader_),
      writer_(file_, store_, loader_) {}

Result<std::unique_ptr<PagedFile>> PagedFile::open(Environment& environment, OpenFile options) {
  std::unique_ptr<PagedFile> file(new PagedFile(environment, std::move(options)));
  store::OpenRequest request;
  request.name = file->name();
  request.create = file->isReadOnly() ? store::Create::Never : file->file_.options.create;
  request.claim = file->isReadOnly() ? store::Claim::None : store::Claim::Take;
  if (environment.lease != nullptr && !file->isReadOnly()) {
    request.owner = environment.lease->incarnation();
    if (!environment.lease->isHeldBy(request.owner)) {
      return Error{ErrorCode::Unavailable, "this node has no lease now, and claims no database"};
    }
    file->file_.claimedBy = request.owner;
  }
  Result<store::OpenedDatabase> opened = environment.store.open(request);
  if (!opened && opened.error().code == ErrorCode::Fenced && request.owner != 0) {
    // Not this database is lost, but the node, which comes back; nothing has happened yet.
    return Error{ErrorCode::Unavailable, opened.error().message};
  }
  if (!opened) return std::move(opened).error();
  SKEP_CHECK_OK(file->adopt(std::move(opened).value()));
  return file;
}

Status PagedFile::adopt(store::OpenedDatabase opened) {
  file_.id = opened.id;
  file_.head = opened.head;
  file_.properties = std::move(opened.properties);
  file_.pageCount = file_.head.pageCount;
  file_.committedTxid = file_.head.txid;
  file_.log = LogTail(file_.id);
  file_.log.reload(std::move(opened.log));
  if (Status whole = file_.log.verify(file_.head); !whole)
    return file_.named(std::move(whole).error());
  SKEP_CHECK_OK(loader_.installOpened(opened.chunks));
  return writer_.start();
}

PagedFile::~PagedFile() {
  SKEP_CHECK(!file_.isWriting, "a PagedFile is closed before it is destroyed");
  unreserve();
}

PageBuffer* PagedFile::findPage(PageNumber page) {
  if (!overlay_.empty()) {
    auto written = overlay_.find(page);
    if (written != overlay_.end()) return written->second.get();
  }
  PageBuffer* found = staged_.has(page) ? staged_.find(page) : file_.table.find(page);
  if (found != nullptr) {
    found->recentlyUsed = true;
    file_.table.shard().countHit();
  }
  return found;
}

Result<PageRef> PagedFile::readPage(PageNumber page) {
  SKEP_CHECK_OK(file_.checkUsable());
  if (PageBuffer* found = findPage(page)) return PageRef(found);
  return staged_.has(page) ? staged_.read(page) : loader_.page(page);
}

Status PagedFile::writePage(PageNumber page, ByteView content) {
  SKEP_CHECK(content.size() == kPageBytes);
  SKEP_CHECK_OK(file_.checkUsable());
  if (failure_) return {};
  // SQLite fills a new last page that it never wrote with zeros, and after an atomic batch does so
  // once more.
  if (isPrepared_ && page == newPageCount() && isZeroPage(content)) return {};
  isPrepared_ = false;
  PageRef& slot = overlay_[page];
  if (!slot || slot->references > 1) slot = file_.table.shard().allocate(page);
  slot->hashKnown = false;
  std::memcpy(slot->data, content.data(), kPageBytes);
  if (overlay_.size() <= transactionPagesMax()) return {};
  Status staged = stage();
  return staged ? staged : Status(failTransaction(std::move(staged).error()));
}

Status PagedFile::stage() {
  if (!staged_.isActive()) {
    SKEP_CHECK_OK(writer_.waitIdle());
    staged_.begin();
  }
  return staged_.stage(overlay_);
}

std::uint32_t PagedFile::newPageCount() const {
  auto written = overlay_.find(1);
  if (written != overlay_.end()) return headerPageCount(written->second->view());
  return staged_.has(1) ? staged_.pageCount() : file_.pageCount;
}

Status PagedFile::prepareCommit() {
  SKEP_CHECK_OK(file_.checkUsable());
  if (failure_) return *failure_;
  prepared_.clear();
  Status prepared = hasUncommitted() ? prepareChanges() : Status{};
  isPrepared_ = prepared.ok();
  return prepared ? prepared : Status(failTransaction(std::move(prepared).error()));
}

/// The open transaction can only be rolled back from now on.
Error PagedFile::failTransaction(Error reason) {
  dropPages();
  failure_ = reason;
  return reason;
}

Status PagedFile::prepareChanges() {
  const std::uint32_t newCount = newPageCount();
  if (newCount == 0)
    return Error{ErrorCode::Internal, "the transaction leaves a database without pages"};
  const std::uint64_t quota = file_.options.databaseBytesMax;
  if (quota != 0 && newCount > file_.pageCount &&
      static_cast<std::uint64_t>(newCount) * kPageBytes > quota) {
    return Error{ErrorCode::QuotaExceeded, file_.described() + " would pass its quota of " +
                                               std::to_string(quota) + " bytes"};
  }
  // A write that is under way may come back to be merged with what came after it.
  while (writer_.undurablePages() > undurablePagesMax()) {
    file_.progress.wait();
    SKEP_CHECK_OK(file_.checkUsable());
  }
  // Pages that come into being or vanish without being written count as the transaction's own.
  const std::uint32_t untouched =
      newCount > file_.pageCount ? newCount - file_.pageCount : file_.pageCount - newCount;
  if (!staged_.isActive() && untouched > transactionPagesMax()) SKEP_CHECK_OK(stage());
  if (staged_.isActive()) return staged_.finish(overlay_, newCount, transactionPagesMax());
  SKEP_CHECK_OK(reserve(overlay_.size() + untouched));
  return prepareBases(newCount);
}

/// Takes room among the undurable pages of all databases. A transaction that is prepared again takes
/// it anew.
Status PagedFile::reserve(std::size_t pages) {
  unreserve();
  Environment& environment = file_.environment;
  const std::size_t bytes = pages * kPageBytes;
  const std::size_t limit = environment.options.allUndurableBytesMax;
  if (!environment.cache.undurable().acquire(environment.loop,
                                             {.bytes = bytes, .limitBytes = limit},
                                             environment.options.commitRetry)) {
    return Error{ErrorCode::Overloaded,
                 file_.described() + " can't commit now: " + std::to_string(limit) +
                     " bytes of this process's commits wait for the store, which is too slow"};
  }
  reservedBytes_ = bytes;
  return file_.checkUsable();
}

void PagedFile::unreserve() {
  file_.environment.cache.undurable().release(std::exchange(reservedBytes_, 0));
}

// Together at most what one record may hold: the pages that wait, those of one transaction, and
// those that it cuts off or adds without writing them.
std::size_t PagedFile::transactionPagesMax() const {
  return std::min(file_.environment.options.transactionBytesMax / kPageBytes,
                  store::kRecordChangesMax / 4);
}

std::size_t PagedFile::undurablePagesMax() const {
  return std::min(file_.environment.options.undurableBytesMax / kPageBytes,
                  store::kRecordChangesMax / 2);
}

Status PagedFile::prepareBases(std::uint32_t newCount) {
  std::vector<PageNumber> bases;
  for (const auto& [page, written] : overlay_) {
    if (page <= file_.pageCount) bases.push_back(page);
  }
  for (PageNumber page = newCount + 1; page <= file_.pageCount; ++page) {
    if (!overlay_.contains(page)) bases.push_back(page);
  }
  return loader_.pages(bases, prepared_);
}

store::Txid PagedFile::commitLocal() {
  isPrepared_ = false;
  CommitWriter::AlarmChange alarm = transactionAlarm_;
  if (staged_.isActive()) {
    transactionAlarm_.reset();
    SKEP_CHECK(overlay_.empty(), "a staged transaction is prepared before it commits");
    writer_.commitStaged(staged_.commit(), alarm);
    return file_.committedTxid;
  }
  const bool changed = commitOverlay(newPageCount());
  overlay_.clear();
  prepared_.clear();
  writer_.takeReserved(std::exchange(reservedBytes_, 0));
  if (!changed && !alarm) return file_.committedTxid;
  transactionAlarm_.reset();
  ++file_.committedTxid;
  writer_.commit(alarm);
  return file_.committedTxid;
}

/// Makes the overlay, and pages that come and go without being written, the newest version. Whether
/// that is another one.
bool PagedFile::commitOverlay(std::uint32_t newCount) {
  const std::uint32_t oldCount = file_.pageCount;
  bool changed = newCount != oldCount;
  const auto supersede = [&](PageNumber page) {
    PageBuffer* base = page <= oldCount ? file_.table.find(page) : nullptr;
    SKEP_CHECK(base != nullptr || page > oldCount, "page %u has no version to build on", page);
    writer_.addChange(page, base);
    changed = true;
  };
  for (auto& [page, written] : overlay_) {
    if (page > newCount) continue;
    PageBuffer* base = page <= oldCount ? file_.table.find(page) : nullptr;
    if (base != nullptr && std::memcmp(base->data, written->data, kPageBytes) == 0) continue;
    supersede(page);
    written->pinned = true;
    file_.table.put(std::move(written));
  }
  for (PageNumber page = oldCount + 1; page <= newCount; ++page) {
    if (overlay_.contains(page)) continue;
    // Grown over without being written: SQLite does so with pages that went straight to its free
    // list.
    PageRef zero = file_.table.shard().allocate(page);
    std::memset(zero->data, 0, kPageBytes);
    zero->pinned = true;
    supersede(page);
    file_.table.put(std::move(zero));
  }
  for (PageNumber page = newCount + 1; page <= oldCount; ++page) {
    supersede(page);
    file_.table.erase(page);
  }
  file_.pageCount = newCount;
  return changed;
}

void PagedFile::rollback() {
  transactionAlarm_.reset();
  dropPages();
}

void PagedFile::dropPages() {
  overlay_.clear();
  unreserve();
  isPrepared_ = false;
  failure_.reset();
  prepared_.clear();
  if (!staged_.isActive()) return;
  staged_.drop();
  writer_.discardStaging();
}

void PagedFile::setAlarm(std::optional<std::int64_t> alarmMs) {
  transactionAlarm_ = alarmMs;
}

void PagedFile::flushAlarm() {
  if (!transactionAlarm_) return;
  writer_.setAlarm(*std::exchange(transactionAlarm_, std::nullopt));
}

std::size_t PagedFile::tableMemoryBytes() const {
  return file_.table.memoryBytes() + overlay_.capacity() * sizeof(*overlay_.begin()) +
         prepared_.capacity() * sizeof(PageRef);
}

void PagedFile::releaseMemory() {
  file_.table.evictUnpinned();
  overlay_.shrink_to_fit();
  prepared_.shrink_to_fit();
  if (isReadOnly()) return file_.log.drop();
  writer_.releaseMemory();
}

Status PagedFile::waitDurable(store::Txid txid) {
  SKEP_CHECK_OK(writer_.waitDurable(txid));
  return checkLease();
}

Status PagedFile::waitDurable() {
  SKEP_CHECK_OK(writer_.waitDurable());
  return checkLease();
}

Status PagedFile::checkLease() {
  const store::Incarnation owner = file_.claimedBy;
  if (owner == 0 || file_.environment.lease->isHeldBy(owner)) return {};
  file_.breakWith(Error{ErrorCode::Fenced, "the lease of its node, incarnation " +
                                               std::to_string(owner) + ", ran out"});
  return *file_.broken;
}

/// Any node may claim it now. Should this not arrive, it stays ours, as long as this node lives.
void PagedFile::release() {
  const std::lock_guard lock(store_.mutex());
  store::DatabaseWrite write = store_.newWrite();
  write.release = true;
  (void)store_.submit(std::move(write));
}

Status PagedFile::close() {
  rollback();
  if (!isReadOnly() && !file_.broken) writer_.keepHotChunks();
  Status durable = isReadOnly() ? Status{} : writer_.waitIdle();
  writer_.close();
  if (durable && file_.claimedBy != 0 && !file_.broken) release();
  file_.table.clear();
  return durable;
}

std::optional<Error> PagedFile::takeLastError() {
  return std::exchange(lastError_, std::nullopt);
}

}  // namespace skep::vfs
