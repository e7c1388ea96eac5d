// PagedFile's writing side: from versions in memory to versions in the store.
//
// One fiber a database, alive while there is something to write. Each round encodes everything that
// was committed since the last one into one store write (a commit, often with a fold), submits it,
// and settles its outcome.

#include <algorithm>
#include <cstring>
#include <random>

#include "skep/store/delta.h"
#include "skep/store/record.h"
#include "skep/vfs/page_content.h"
#include "skep/vfs/paged_file.h"

namespace skep::vfs {
namespace {

// A delta that is nearly as long as the page is not worth the chain that it makes.
constexpr std::size_t kDeltaBytesMax = kPageBytes * 3 / 4;
constexpr std::size_t kScratchBytesKept = 256 * 1024;
constexpr Duration kRetryFirst = std::chrono::milliseconds(10);
constexpr Duration kRetryMost = std::chrono::seconds(1);

std::uint64_t newCommitId() {
  thread_local std::mt19937_64 random(std::random_device{}());
  return random();
}

}  // namespace

/// Buffers of one encoding, which does not suspend: those of a thread are used again and again.
struct PagedFile::EncodeScratch {
  std::vector<store::PageChange> changes;
  Bytes deltas;
  std::vector<std::size_t>
      deltaBytes;  // `deltas` may move while it grows: payloads are set at the end

  static EncodeScratch& cleared() {
    thread_local EncodeScratch scratch;
    if (scratch.deltas.capacity() > kScratchBytesKept) scratch = {};
    scratch.changes.clear();
    scratch.deltas.clear();
    scratch.deltaBytes.clear();
    return scratch;
  }
};

bool PagedFile::isTransient(ErrorCode code) {
  return code == ErrorCode::Unavailable || code == ErrorCode::Overloaded ||
         code == ErrorCode::Aborted;
}

bool PagedFile::hasWrites() const {
  return !pending_.empty() || flip_ || pendingAlarm_ || pendingProperties_ || discardNeeded_ ||
         head_.sweepTxid != 0 || committedTxid_ != head_.txid || foldDue();
}

/// Sees to it that the work gets done: by whoever waits for it first (waitDurable), or else by a
/// fiber of its own, which starts at the loop's next round.
void PagedFile::kick() {
  if (committing_ || broken_ || isReadOnly() || !hasWork()) {
    CommitKicker::remove(*this);
  } else {
    environment_.kicker.add(*this);
  }
}

void PagedFile::startCommits() {
  if (committing_ || broken_ || !hasWork() || !background_.tryEnter()) return;
  committing_ = true;
  environment_.loop.spawn("commit", [this] {
    commitWhile([this] { return hasWork(); });
    background_.leave();
  });
}

/// Writes round after round on the calling fiber while `wanted()`. committing_ is set by the
/// caller.
void PagedFile::commitWhile(const std::function<bool()>& wanted) {
  while (!broken_ && wanted()) {
    Status done = commitOnce();
    if (!done) breakWith(std::move(done).error());
  }
  committing_ = false;
  progress_.notifyAll();
  kick();
}

Status PagedFile::commitOnce() {
  std::lock_guard lock(writing_);
  if (discardNeeded_) SKEP_CHECK_OK(discardStaging());
  if (head_.sweepTxid != 0) SKEP_CHECK_OK(sweep());
  if (expiryDue_ && (expiresNext_ || !hasWrites())) {
    expiresNext_ = false;
    return expireHistory();
  }
  expiresNext_ = true;
  if (!hasWrites()) return {};

  Flight flight;
  std::vector<PageRef> foldPages;  // keeps them in memory until they are encoded
  if (!flip_ && foldDue()) {
    flight.folds = true;
    flight.folded = foldCandidates();
    std::vector<PageNumber> pages;
    for (store::ChunkNumber chunk : flight.folded) {
      for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
        const PageNumber page = store::firstPageOf(chunk) + i;
        if (page <= pageCount_) pages.push_back(page);
      }
    }
    Status read = committedPages(pages, foldPages);
    if (!read && !isTransient(read.error().code)) return read;
    if (!read) {
      // Commits do not wait for a fold; it is tried again after them.
      flight.folds = false;
      flight.folded.clear();
      if (committedTxid_ == head_.txid && !pendingAlarm_ && !pendingProperties_)
        return backOff(read.error());
    }
  }
  store::DatabaseWrite write = encode(flight);
  foldPages.clear();
  flightPages_ = flight.pages.size();
  Status outcome = environment_.pipeline.submit(std::move(write));
  if (!outcome) return settle(flight, outcome.error());
  finish(flight);
  return {};
}

store::DatabaseWrite PagedFile::newWrite() const {
  store::DatabaseWrite write;
  write.id = id_;
  write.epoch = head_.epoch;
  write.expectedTxid = head_.txid;
  return write;
}

/// Takes what is pending into `flight` and encodes it. No suspension: the write is one instant's
/// state.
store::DatabaseWrite PagedFile::encode(Flight& flight) {
  store::DatabaseWrite write = newWrite();
  flight.commits = committedTxid_ != head_.txid;
  // A flip comes with the alarm of its own transaction; a later one follows with the next write.
  std::optional<std::optional<std::int64_t>>& alarm = flip_ ? flip_->alarm : pendingAlarm_;
  flight.alarmsThrough = flip_ ? flip_->alarmsThrough : alarmsSet_;
  flight.alarmChanged = alarm.has_value();
  if (alarm) flight.alarmMs = flip_ ? *alarm : *std::exchange(alarm, std::nullopt);
  flight.properties = std::exchange(pendingProperties_, std::nullopt);
  write.alarmChanged = flight.alarmChanged;
  write.alarmMs = flight.alarmMs;
  write.properties = flight.properties;
  if (flight.commits) encodeCommit(flight, write);
  if (flight.properties && flight.properties->retentionMs == 0 && properties_.retentionMs != 0) {
    // History ends here: what it kept past the end of the database goes at once, older versions
    // and records with the sweep that follows.
    write.sweepDue = true;
    write.dropChunksFrom =
        store::chunkCountOf(flight.commits ? flight.commit.pageCount : head_.pageCount);
  }
  if (flight.folds) encodeFold(flight, write);
  return write;
}

void PagedFile::encodeCommit(Flight& flight, store::DatabaseWrite& write) {
  EncodeScratch& scratch = EncodeScratch::cleared();
  if (flip_) {
    // The staged versions are all that this commit changes; what was committed on top of them
    // follows in the next.
    flight.flip = std::exchange(flip_, std::nullopt);
    flight.commit.txid = flight.flip->txid;
    flight.commit.pageCount = flight.flip->pageCount;
    flight.commit.digest = flight.flip->digest;
    write.flip = true;
  } else {
    flight.pages = std::exchange(pending_, {});
    flight.commit.txid = committedTxid_;
    flight.commit.pageCount = pageCount_;
    encodeChanges(flight, scratch);
  }
  flight.commit.commitId = newCommitId();
  flight.commit.timeMs = environment_.loop.clock().wallMs();
  const std::uint32_t chunkCount = store::chunkCountOf(flight.commit.pageCount);
  // A staged transaction may have grown past its own end, too.
  const bool stagedPastEnd = flight.flip && !flight.flip->chunks.empty() &&
                             flight.flip->chunks.rbegin()->first >= chunkCount;
  if ((chunkCount < store::chunkCountOf(head_.pageCount) || stagedPastEnd) &&
      properties_.retentionMs == 0) {
    write.dropChunksFrom = chunkCount;
  }
  const store::RecordHeader header{.epoch = head_.epoch,
                                   .firstTxid = head_.txid + 1,
                                   .lastTxid = flight.commit.txid,
                                   .pageCount = flight.commit.pageCount,
                                   .digestBefore = head_.digest,
                                   .digestAfter = flight.commit.digest,
                                   .commitId = flight.commit.commitId,
                                   .timeMs = flight.commit.timeMs,
                                   .alarmMs = flight.alarmChanged ? flight.alarmMs : head_.alarmMs,
                                   .flip = write.flip};
  write.commit = flight.commit;
  write.record = store::encodeRecord(id_, header, scratch.changes);
  flight.record = write.record;
}

/// What changed since the newest encoded write, page by page; the payloads point into
/// `scratch.deltas` and the page cache.
void PagedFile::encodeChanges(Flight& flight, EncodeScratch& scratch) {
  auto& [changes, deltas, deltaBytes] = scratch;
  std::uint64_t digest = head_.digest;
  for (auto& [page, pending] : flight.pages) {
    if (pending.base) digest -= pending.base->contentHash();
    if (page > pageCount_) continue;
    PageBuffer* current = table_.find(page);
    SKEP_CHECK(current != nullptr, "page %u is pending but not in memory", page);
    digest += current->contentHash();
    const std::size_t start = deltas.size();
    if (pending.base &&
        store::encodeDelta(pending.base->view(), current->view(), kDeltaBytesMax, deltas)) {
      changes.push_back({.page = page, .kind = store::PageChangeKind::Delta, .payload = {}});
      deltaBytes.push_back(deltas.size() - start);
    } else if (isZeroPage(current->view())) {
      changes.push_back({.page = page, .kind = store::PageChangeKind::Zero, .payload = {}});
    } else {
      changes.push_back(
          {.page = page, .kind = store::PageChangeKind::Full, .payload = current->view()});
    }
  }
  flight.commit.digest = digest;
  ByteView rest(deltas);
  auto size = deltaBytes.begin();
  for (store::PageChange& change : changes) {
    if (change.kind != store::PageChangeKind::Delta) continue;
    change.payload = rest.first(*size);
    rest = rest.subspan(*size++);
  }
}

std::size_t PagedFile::logBytesLimit() const {
  const std::size_t share = static_cast<std::size_t>(pageCount_) * kPageBytes / 4;
  return std::clamp(share, environment_.options.logBytesMin, environment_.options.logBytesMax);
}

bool PagedFile::foldDue() const {
  return head_.logBytes > (folding_ ? logBytesLimit() / 2 : logBytesLimit());
}

/// The chunks that hold the log's oldest records: folding them lets the log be trimmed.
std::vector<store::ChunkNumber> PagedFile::foldCandidates() const {
  std::vector<std::pair<store::Txid, store::ChunkNumber>> byAge;
  byAge.reserve(firstTouch_.size());
  for (const auto& [chunk, txid] : firstTouch_) byAge.emplace_back(txid, chunk);
  const std::size_t count = std::min(byAge.size(), environment_.options.foldChunksMax);
  std::partial_sort(byAge.begin(), byAge.begin() + static_cast<std::ptrdiff_t>(count), byAge.end());
  std::vector<store::ChunkNumber> chunks;
  for (std::size_t i = 0; i < count; ++i) chunks.push_back(byAge[i].second);
  std::sort(chunks.begin(), chunks.end());
  return chunks;
}

void PagedFile::encodeFold(Flight& flight, store::DatabaseWrite& write) {
  const store::Txid txid = committedTxid_;
  for (store::ChunkNumber chunk : flight.folded) {
    if (store::firstPageOf(chunk) > pageCount_) continue;
    std::array<const std::byte*, store::kPagesPerChunk> pages{};
    for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
      const PageNumber page = store::firstPageOf(chunk) + i;
      if (page > pageCount_) break;
      PageBuffer* buffer = table_.find(page);
      SKEP_CHECK(buffer != nullptr, "page %u left memory during a fold", page);
      pages[i] = buffer->data;
    }
    write.chunks.push_back(
        {.chunk = chunk, .txid = txid, .bytes = store::encodeChunk(id_, chunk, txid, pages)});
    counters_.chunkBytes += write.chunks.back().bytes.size();
    if (properties_.retentionMs == 0) write.superseded.push_back({.chunk = chunk, .txid = txid});
  }
  // The log is needed from the oldest record on that touches a chunk which was not folded at or
  // after it.
  auto isFolded = [&](store::ChunkNumber chunk) {
    return std::binary_search(flight.folded.begin(), flight.folded.end(), chunk);
  };
  store::Txid neededFrom = txid + 1;
  for (const auto& [chunk, touched] : firstTouch_) {
    if (!isFolded(chunk)) neededFrom = std::min(neededFrom, touched);
  }
  for (const auto& [page, pending] : flight.pages) {
    if (!isFolded(store::chunkOf(page))) neededFrom = std::min(neededFrom, txid);
  }
  flight.trimThrough = std::max(head_.logStart, neededFrom - 1);
  write.trimLogThrough = flight.trimThrough;
  write.expireThrough = properties_.retentionMs == 0 ? flight.trimThrough : 0;
}

void PagedFile::finish(Flight& flight) {
  unavailableSince_.reset();
  retryDelay_ = Duration{};
  flightPages_ = 0;
  if (flight.alarmChanged) head_.alarmMs = flight.alarmMs;
  alarmsDurable_ = std::max(alarmsDurable_, flight.alarmsThrough);
  if (flight.commits) {
    head_.txid = flight.commit.txid;
    head_.pageCount = flight.commit.pageCount;
    head_.digest = flight.commit.digest;
    head_.commitId = flight.commit.commitId;
    head_.logBytes += flight.record.size();
    ++counters_.recordsWritten;
    counters_.recordBytes += flight.record.size();
    log_.append({.txid = flight.commit.txid, .bytes = std::move(flight.record)});
    for (const auto& [page, pending] : flight.pages) {
      firstTouch_.try_emplace(store::chunkOf(page), flight.commit.txid);
      PageBuffer* current = table_.find(page);
      if (current != nullptr && !pending_.contains(page)) current->pinned = false;
    }
    firstTouch_.erase(firstTouch_.lower_bound(store::chunkCountOf(head_.pageCount)),
                      firstTouch_.end());
  }
  for (store::ChunkNumber chunk : flight.folded) firstTouch_.erase(chunk);
  if (flight.flip) {
    for (const auto& [chunk, mask] : flight.flip->chunks) {
      firstTouch_.erase(chunk);
      sweepChunks_.push_back(chunk);
    }
    head_.sweepTxid = flight.commit.txid;
    ++foldGeneration_;
  }
  if (flight.properties) adoptProperties(*flight.properties);
  const bool mayExpire = properties_.retentionMs != 0 && (flight.folds || flight.flip);
  if (mayExpire && environment_.loop.clock().monotonic() >= nextExpiry_) expiryDue_ = true;
  counters_.chunksFolded += flight.folded.size();
  if (flight.trimThrough > head_.logStart) {
    head_.logStart = flight.trimThrough;
    log_.trimThrough(flight.trimThrough);
    if (log_.isResident()) head_.logBytes = log_.bytes();
  }
  if (flight.trimThrough == head_.txid) head_.logBytes = 0;
  if (!flight.folded.empty()) ++foldGeneration_;
  folding_ = foldDue();
  progress_.notifyAll();
}

/// The head is that of the write that carried them.
void PagedFile::adoptProperties(const store::Properties& properties) {
  if (properties.retentionMs != properties_.retentionMs) {
    historySweep_.reset();  // its horizon is another now
    expiryDue_ = false;
    nextExpiry_ = {};
    if (properties.retentionMs == 0) {
      head_.sweepTxid = head_.txid;
      sweepNeedsList_ = true;
    }
  }
  properties_ = properties;
}

/// A write that was not applied goes back to pending: the next round encodes it again, with what
/// came meanwhile.
void PagedFile::restore(Flight& flight) {
  flightPages_ = 0;
  for (auto& [page, taken] : flight.pages) pending_.insert_or_assign(page, std::move(taken));
  if (flight.alarmChanged && !flight.flip && !pendingAlarm_) pendingAlarm_ = flight.alarmMs;
  if (flight.properties && !pendingProperties_) pendingProperties_ = std::move(flight.properties);
  if (flight.flip) flip_ = std::move(flight.flip);
}

Status PagedFile::settle(Flight& flight, const Error& reason) {
  if (isTransient(reason.code)) {
    restore(flight);
    return backOff(reason);
  }
  if (reason.code != ErrorCode::UnknownOutcome) return reason;
  const store::Txid before = head_.txid;
  SKEP_TRY(store::Head now, retake());
  ++counters_.outcomesResolved;
  if (flight.commits && now.txid == flight.commit.txid && now.commitId == flight.commit.commitId) {
    finish(flight);
    return {};
  }
  if (now.txid != before) {
    return Error{ErrorCode::Internal,
                 "the store is at txid " + std::to_string(now.txid) + ", which nobody here wrote"};
  }
  // Not applied, or a write without a commit, which may be repeated.
  restore(flight);
  return {};
}

Result<store::Head> PagedFile::retake() {
  retaking_ = true;
  Result<store::Head> taken = retakeUntilKnown();
  retaking_ = false;
  return taken;
}

Result<store::Head> PagedFile::retakeUntilKnown() {
  while (true) {
    Result<store::OpenedDatabase> opened = environment_.store.open({.name = options_.name,
                                                                    .create = store::Create::Never,
                                                                    .claim = store::Claim::Retake,
                                                                    .retakeId = id_,
                                                                    .retakeEpoch = head_.epoch,
                                                                    .firstChunks = 0});
    if (opened) {
      head_.epoch = opened->head.epoch;
      head_.stagingTxid = opened->head.stagingTxid;
      head_.sweepTxid = opened->head.sweepTxid;
      if (opened->head.logStart > head_.logStart) {
        // A fold with an unknown outcome was applied: what it trimmed is gone.
        head_.logStart = opened->head.logStart;
        log_.trimThrough(head_.logStart);
        if (log_.isResident()) head_.logBytes = log_.bytes();
        ++foldGeneration_;
      }
      return opened->head;
    }
    // Taken after all, the epoch has moved, and the next try is Fenced: that may as well have been
    // somebody else.
    const Error& error = opened.error();
    if (!isTransient(error.code) && error.code != ErrorCode::UnknownOutcome) return error;
    SKEP_CHECK_OK(backOff(error));
  }
}

Status PagedFile::backOff(const Error& reason) {
  const MonotonicTime now = environment_.loop.clock().monotonic();
  if (!unavailableSince_) unavailableSince_ = now;
  if (now - *unavailableSince_ > environment_.options.commitRetry) return reason;
  retryDelay_ = retryDelay_ == Duration{} ? kRetryFirst : std::min(retryDelay_ * 2, kRetryMost);
  fiber::sleepFor(retryDelay_);
  return {};
}

Status PagedFile::submitCertain(const store::DatabaseWrite& write) {
  while (true) {
    store::DatabaseWrite attempt = write;
    attempt.epoch = head_.epoch;
    Status outcome = environment_.pipeline.submit(std::move(attempt));
    if (outcome) {
      unavailableSince_.reset();
      retryDelay_ = Duration{};
      return {};
    }
    const Error& error = outcome.error();
    if (error.code == ErrorCode::UnknownOutcome) {
      // A late arrival of this attempt would overwrite the next: a new epoch shuts it out.
      SKEP_CHECK_OK(retake());
      ++counters_.outcomesResolved;
    } else if (isTransient(error.code)) {
      SKEP_CHECK_OK(backOff(error));
    } else {
      return error;
    }
  }
}

}  // namespace skep::vfs
