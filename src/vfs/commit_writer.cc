#include "skep/vfs/commit_writer.h"

#include <algorithm>
#include <mutex>
#include <random>
#include <utility>

namespace skep::vfs {
namespace {

// Fewer misses than this after an open are not worth a store write when there is no commit to carry
// them.
constexpr std::size_t kHotMissesForWrite = 3;

// So many pages in a row that have to stay end the search for those that a commit has made evictable.
constexpr std::size_t kUnevictableAfterCommit = 256;

std::uint64_t newCommitId() {
  thread_local std::mt19937_64 random(std::random_device{}());
  return random();
}

}  // namespace

CommitWriter::~CommitWriter() {
  pending_.clear();
  flightPages_ = 0;
  releaseRoom();
}

Status CommitWriter::start() {
  wantedProperties_ = file_.properties;
  folds_.rebuild(file_.log);
  folds_.update();
  if (file_.isReadOnly()) return {};
  SKEP_CHECK_OK(cleaner_.start());
  if (cleaner_.isDue()) schedule();
  return {};
}

bool CommitWriter::hasWrites() const {
  return !pending_.empty() || flip_ || pendingAlarm_ || propertiesDue_ || cleaner_.isDue() ||
         file_.committedTxid != file_.head.txid || folds_.isDue();
}

/// Sees to it that the work gets done: by whoever waits for it first (waitDurable), or else by a
/// fiber of its own, which starts at the loop's next round.
void CommitWriter::schedule() {
  if (file_.isWriting || file_.broken || file_.isReadOnly() || !hasWork()) {
    CommitScheduler::remove(*this);
  } else {
    file_.environment.scheduler.add(*this);
  }
}

void CommitWriter::startCommits() {
  if (file_.isWriting || file_.broken || !hasWork() || !background_.tryEnter()) return;
  file_.isWriting = true;
  const auto write = [this] {
    writeWhile([this] { return hasWork(); });
    background_.leave();
  };
  file_.environment.loop.spawn("commit", write, fiber::Priority::Commit);
}

void CommitWriter::commit(AlarmChange alarm) {
  if (alarm) return setAlarm(*alarm);
  schedule();
}

void CommitWriter::takeReserved(std::size_t bytes) {
  roomBytes_ += bytes;
  releaseRoom();  // a page that had been changed before takes no more room now
}

void CommitWriter::releaseRoom() {
  const std::size_t needed = std::min(undurablePages() * kPageBytes, roomBytes_);
  file_.environment.cache.undurable().release(roomBytes_ - needed);
  roomBytes_ = needed;
}

void CommitWriter::commitStaged(StagedCommit staged, AlarmChange alarm) {
  if (alarm) ++alarmsSet_;
  flip_ = Flip{.staged = std::move(staged), .alarm = alarm, .alarmsThrough = alarmsSet_};
  schedule();
}

void CommitWriter::setAlarm(std::optional<std::int64_t> alarmMs) {
  pendingAlarm_ = alarmMs;
  ++alarmsSet_;
  schedule();
}

void CommitWriter::setProperties(store::Properties properties) {
  wantedProperties_ = std::move(properties);
  propertiesDue_ = true;
  schedule();
}

void CommitWriter::discardStaging() {
  file_.discardDue = true;
  schedule();
}

void CommitWriter::releaseMemory() {
  if (!isIdle()) return;
  folds_.drop();
  file_.log.drop();
}

void CommitWriter::keepHotChunks() {
  const bool rides = hasWork() && (!file_.isWriting || !pending_.empty());
  if (!rides && loader_.missCount() < kHotMissesForWrite) return;
  std::vector<store::ChunkNumber> chunks = loader_.chooseHotChunks();
  if (chunks == wantedProperties_.hotChunks) return;
  wantedProperties_.hotChunks = std::move(chunks);
  propertiesDue_ = true;
}

Status CommitWriter::waitDurable(store::Txid txid) {
  while (file_.head.txid < txid) {
    SKEP_CHECK_OK(file_.checkUsable());
    fiber::GateHolder holder(background_);
    if (file_.isWriting || !hasWork() || !holder) {
      file_.progress.wait();
      continue;
    }
    // Nobody writes yet: this fiber, which waits anyway, does.
    file_.isWriting = true;
    writeWhile([&] { return file_.head.txid < txid && hasWork(); });
  }
  return {};
}

Status CommitWriter::waitDurable() {
  const std::uint64_t alarms = alarmsSet_;
  SKEP_CHECK_OK(waitDurable(file_.committedTxid));
  while (alarmsDurable_ < alarms) {
    SKEP_CHECK_OK(file_.checkUsable());
    file_.progress.wait();
  }
  return {};
}

Status CommitWriter::waitIdle() {
  while (!isIdle()) {
    SKEP_CHECK_OK(file_.checkUsable());
    schedule();
    file_.progress.wait();
  }
  return file_.checkUsable();
}

/// Writes round after round on the calling fiber while `wanted()`. isWriting is set by the caller.
void CommitWriter::writeWhile(const std::function<bool()>& wanted) {
  while (!file_.broken && wanted()) {
    Status done = writeOnce();
    if (!done) file_.breakWith(std::move(done).error());
  }
  file_.isWriting = false;
  file_.progress.notifyAll();
  schedule();
}

Status CommitWriter::writeOnce() {
  std::lock_guard lock(store_.mutex());
  SKEP_CHECK_OK(cleaner_.clean());
  if (cleaner_.isExpiryDue() && (std::exchange(expiresNext_, false) || !hasWrites()))
    return cleaner_.expireSome();
  expiresNext_ = true;
  if (!hasWrites()) return {};

  Flight flight;
  std::vector<PageRef> foldPages;  // keeps them in memory until they are encoded
  if (!flip_ && folds_.isDue()) {
    Status loaded = loadFold(flight, foldPages);
    if (!loaded && !OwnedStore::isTransient(loaded.error().code)) return loaded;
    // Commits do not wait for a fold; it is tried again after them.
    const bool isAlone =
        file_.committedTxid == file_.head.txid && !pendingAlarm_ && !propertiesDue_;
    if (!loaded && isAlone) return store_.backOff(loaded.error());
    if (flip_) {
      // A staged transaction has committed meanwhile: its pages are not in memory any more.
      flight.folds = false;
      flight.folded.clear();
    }
  }
  store::DatabaseWrite write = encode(flight);
  foldPages.clear();
  flightPages_ = flight.pages.size();
  Status outcome = store_.submit(std::move(write));
  if (!outcome) return resolve(flight, outcome.error());
  finish(flight);
  return {};
}

/// Decides which chunks to fold, and brings their pages into memory.
Status CommitWriter::loadFold(Flight& flight, std::vector<PageRef>& pages) {
  if (!folds_.isKnown()) {
    SKEP_CHECK_OK(loader_.bringLog());
    folds_.rebuild(file_.log);
  }
  std::vector<store::ChunkNumber> chunks = folds_.candidates();
  std::vector<PageNumber> wanted;
  for (store::ChunkNumber chunk : chunks) {
    for (PageNumber i = 0; i < store::kPagesPerChunk; ++i) {
      const PageNumber page = store::firstPageOf(chunk) + i;
      if (page <= file_.pageCount) wanted.push_back(page);
    }
  }
  SKEP_CHECK_OK(loader_.pages(wanted, pages));
  flight.folds = true;
  flight.folded = std::move(chunks);
  return {};
}

/// Takes what is pending into `flight` and encodes it. No suspension: the write is one instant's
/// state.
store::DatabaseWrite CommitWriter::encode(Flight& flight) {
  store::DatabaseWrite write = store_.newWrite();
  flight.commits = file_.committedTxid != file_.head.txid;
  // A flip comes with the alarm of its own transaction; a later one follows with the next write.
  flight.alarm = flip_ ? flip_->alarm : std::exchange(pendingAlarm_, std::nullopt);
  flight.alarmsThrough = flip_ ? flip_->alarmsThrough : alarmsSet_;
  if (std::exchange(propertiesDue_, false)) flight.properties = wantedProperties_;
  write.alarmChanged = flight.alarm.has_value();
  if (flight.alarm) write.alarmMs = *flight.alarm;
  write.properties = flight.properties;
  if (flight.commits) encodeVersion(flight, write);
  if (flight.properties && flight.properties->retentionMs == 0 &&
      file_.properties.retentionMs != 0) {
    // History ends here: what it kept past the end of the database goes at once, older versions
    // and records with the sweep that follows.
    write.sweepDue = true;
    write.dropChunksFrom =
        store::chunkCountOf(flight.commits ? flight.commit.pageCount : file_.head.pageCount);
  }
  if (flight.folds) encodeFold(flight, write);
  return write;
}

void CommitWriter::encodeVersion(Flight& flight, store::DatabaseWrite& write) {
  const store::Head& head = file_.head;
  store::CommitHead& commit = flight.commit;
  commit.commitId = newCommitId();
  commit.timeMs = file_.environment.loop.clock().wallMs();
  store::RecordHeader header{
      .epoch = head.epoch,
      .firstTxid = head.txid + 1,
      .digestBefore = head.digest,
      .commitId = commit.commitId,
      .timeMs = commit.timeMs,
      .alarmMs = flight.alarm ? *flight.alarm : head.alarmMs,
  };
  if (flip_) {
    // The staged versions are all that this commit changes; what was committed on top of them
    // follows in the next.
    flight.flip = std::move(flip_->staged);
    flip_.reset();
    write.flip = header.flip = true;
    header.lastTxid = flight.flip->txid;
    header.pageCount = flight.flip->pageCount;
    header.digestAfter = flight.flip->digest;
    flight.record = store::encodeRecord(file_.id, header, {});
  } else {
    flight.pages = std::exchange(pending_, {});
    header.lastTxid = file_.committedTxid;
    header.pageCount = file_.pageCount;
    flight.record = encodeCommit(file_.id, header, flight.pages, file_.table);
  }
  commit.txid = header.lastTxid;
  commit.pageCount = header.pageCount;
  commit.digest = header.digestAfter;
  const std::uint32_t chunkCount = store::chunkCountOf(commit.pageCount);
  // A staged transaction may have grown past its own end, too.
  const bool stagedPastEnd =
      flight.flip && !flight.flip->chunks.empty() && flight.flip->chunks.back() >= chunkCount;
  if ((chunkCount < store::chunkCountOf(head.pageCount) || stagedPastEnd) &&
      file_.properties.retentionMs == 0) {
    write.dropChunksFrom = chunkCount;
    write.dropsAbout = store::chunkCountOf(head.pageCount) -
                       std::min(chunkCount, store::chunkCountOf(head.pageCount));
  }
  write.commit = commit;
  write.record = flight.record;
}

void CommitWriter::encodeFold(Flight& flight, store::DatabaseWrite& write) {
  const store::Txid txid = file_.committedTxid;
  const bool keepsHistory = file_.properties.retentionMs != 0;
  for (store::ChunkNumber chunk : flight.folded) {
    const PageNumber first = store::firstPageOf(chunk);
    if (first > file_.pageCount) continue;
    write.chunks.push_back(encodeFolded(file_.id, chunk, txid, file_.pageCount, file_.table));
    const std::size_t bytes = write.chunks.back().bytes.size();
    file_.counters.chunkBytes += bytes;
    file_.compression.note(
        std::min<std::size_t>(store::kPagesPerChunk, file_.pageCount - first + 1), bytes);
    if (!keepsHistory) write.superseded.push_back({.chunk = chunk, .txid = txid});
  }
  flight.trimThrough = folds_.trimThrough(flight.folded, txid, flight.pages);
  write.trimLogThrough = flight.trimThrough;
  write.expireThrough = keepsHistory ? 0 : flight.trimThrough;
}

/// The write is in the store.
void CommitWriter::finish(Flight& flight) {
  flightPages_ = 0;
  if (flight.alarm) file_.head.alarmMs = *flight.alarm;
  alarmsDurable_ = std::max(alarmsDurable_, flight.alarmsThrough);
  if (flight.commits) finishVersion(flight);
  folds_.forget(flight.folded);
  file_.counters.chunksFolded += flight.folded.size();
  file_.logTrimmedThrough(flight.trimThrough);
  if (flight.trimThrough == file_.head.txid) file_.head.logBytes = 0;
  if (!flight.folded.empty()) ++file_.removals;
  if (flight.properties) {
    const std::int64_t retentionMs = file_.properties.retentionMs;
    file_.properties = *flight.properties;
    cleaner_.noteRetention(retentionMs);
  }
  if (flight.folds || flight.flip) cleaner_.noteNewVersions();
  folds_.update();
  // What this made durable may go now, and nobody may ask for another page for long.
  file_.table.shard().trim(kUnevictableAfterCommit);
  releaseRoom();
  file_.progress.notifyAll();
}

void CommitWriter::finishVersion(Flight& flight) {
  store::Head& head = file_.head;
  head.txid = flight.commit.txid;
  head.pageCount = flight.commit.pageCount;
  head.digest = flight.commit.digest;
  head.commitId = flight.commit.commitId;
  head.logBytes += flight.record.size();
  ++file_.counters.recordsWritten;
  file_.counters.recordBytes += flight.record.size();
  file_.log.append({.txid = flight.commit.txid, .bytes = std::move(flight.record)});
  for (const auto& [page, taken] : flight.pages) {
    folds_.note(head.txid, page);
    PageBuffer* current = file_.table.find(page);
    if (current != nullptr && !pending_.contains(page)) current->pinned = false;
  }
  folds_.forgetPastEnd(head.pageCount);
  if (!flight.flip) return;
  folds_.forget(flight.flip->chunks);
  cleaner_.noteFlip(std::move(flight.flip->chunks));
}

/// A write that was not applied goes back to pending: the next round encodes it again, with what
/// came meanwhile.
void CommitWriter::restore(Flight& flight) {
  flightPages_ = 0;
  for (auto& [page, taken] : flight.pages) pending_.insert_or_assign(page, std::move(taken));
  propertiesDue_ |= flight.properties.has_value();
  if (flight.flip) {
    flip_ = Flip{.staged = std::move(*flight.flip),
                 .alarm = flight.alarm,
                 .alarmsThrough = flight.alarmsThrough};
  } else if (flight.alarm && !pendingAlarm_) {
    pendingAlarm_ = flight.alarm;
  }
}

/// A write that failed is tried again, or was applied after all, or ends the file.
Status CommitWriter::resolve(Flight& flight, const Error& reason) {
  if (OwnedStore::isTransient(reason.code)) {
    restore(flight);
    return store_.backOff(reason);
  }
  if (reason.code != ErrorCode::UnknownOutcome) return reason;
  const store::Txid before = file_.head.txid;
  SKEP_TRY(store::Head now, store_.retake());
  ++file_.counters.outcomesResolved;
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

}  // namespace skep::vfs
