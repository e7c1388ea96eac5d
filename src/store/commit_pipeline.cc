#include "skep/store/commit_pipeline.h"

#include <utility>

#include "skep/base/check.h"

namespace skep::store {

namespace {

Error closedError() {
  return {ErrorCode::Aborted, "the commit pipeline is closed"};
}
Error behindFailureError() {
  return {ErrorCode::Aborted, "an earlier write of the same database failed"};
}

}  // namespace

CommitPipeline::CommitPipeline(fiber::Loop& loop, PageStore& store, CommitPipelineOptions options)
    : loop_(loop), store_(store), options_(options) {
  SKEP_CHECK(
      options.batchesInFlightMax > 0 && options.batchWritesMax > 0 && options.queueWritesMax > 0,
      "a commit pipeline that can never write");
}

CommitPipeline::~CommitPipeline() {
  std::lock_guard lock(mutex_);
  SKEP_CHECK(isFinished(), "a commit pipeline is destroyed while it works: close() it first");
}

Status CommitPipeline::submit(DatabaseWrite write) {
  Pending pending{.write = std::move(write)};
  pending.bytes = pending.write.sizeBytes();
  pending.submitted = loop_.clock().monotonic();
  fiber::suspend([&](fiber::Waker waker) {
    pending.waker = waker;
    std::unique_lock lock(mutex_);
    const bool spawns = enqueue(pending);
    // A refused write is ours alone; any other may be reported, and gone, as soon as the mutex is
    // free.
    const bool refused = pending.lane == nullptr;
    lock.unlock();
    if (spawns) spawnPump();
    if (refused) waker.wake();
  });
  if (pending.failedLane) forgetFailure(*pending.lane);
  return std::move(pending.outcome);
}

void CommitPipeline::close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    if (isFinished()) return;
  }
  fiber::suspend([&](fiber::Waker waker) {
    std::lock_guard lock(mutex_);
    if (isFinished()) {
      waker.wake();
    } else {
      closers_.push_back(waker);
    }
  });
}

CommitPipelineStats CommitPipeline::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

bool CommitPipeline::enqueue(Pending& pending) {
  if (closed_) {
    ++stats_.writesAborted;
    pending.outcome = closedError();
    return false;
  }
  Lane& lane = lanes_[pending.write.id];
  if (lane.state == Lane::State::Failed) {
    ++stats_.writesAborted;
    pending.outcome = behindFailureError();
    return false;
  }
  lane.id = pending.write.id;
  pending.lane = &lane;
  lane.pending.append(pending);
  if (blocked_.empty() && hasRoomFor(pending)) {
    admit(pending);
  } else {
    pending.blockedAt = blocked_.insert(blocked_.end(), &pending);
    ++stats_.writesBlocked;
  }
  return wantsPump();
}

bool CommitPipeline::hasRoomFor(const Pending& pending) const {
  if (stats_.writesQueued == 0) return true;
  return stats_.writesQueued < options_.queueWritesMax &&
         stats_.bytesQueued + pending.bytes <= options_.queueBytesMax;
}

void CommitPipeline::admit(Pending& pending) {
  pending.admitted = true;
  ++stats_.writesQueued;
  stats_.bytesQueued += pending.bytes;
  Lane& lane = *pending.lane;
  if (lane.state == Lane::State::Idle) makeReady(lane);
}

void CommitPipeline::admitBlocked() {
  while (!blocked_.empty() && hasRoomFor(*blocked_.front())) {
    Pending& pending = *blocked_.front();
    blocked_.pop_front();
    --stats_.writesBlocked;
    admit(pending);
  }
}

void CommitPipeline::makeReady(Lane& lane) {
  lane.state = Lane::State::Ready;
  ready_.append(lane);
}

/// Invariant 4. Only one pump at a time is on its way: it takes what has gathered until it runs,
/// and calls the next one when that was more than a batch.
bool CommitPipeline::wantsPump() {
  if (ready_.isEmpty() || pumpOnItsWay_ || pumps_ == options_.batchesInFlightMax) return false;
  pumpOnItsWay_ = true;
  ++pumps_;
  return true;
}

void CommitPipeline::spawnPump() {
  loop_.spawn(
      "commit pump", [this] { pump(); }, fiber::Priority::Last);
}

void CommitPipeline::pump() {
  Batch batch = startPump();
  while (takeBatch(batch)) report(batch, store_.write(batch.writes));
}

CommitPipeline::Batch CommitPipeline::startPump() {
  std::lock_guard lock(mutex_);
  pumpOnItsWay_ = false;
  if (spareBatches_.empty()) return {};
  Batch batch = std::move(spareBatches_.back());
  spareBatches_.pop_back();
  return batch;
}

/// False when nothing is ready. The pump then has ended already: whoever submits from now on calls
/// a new one.
bool CommitPipeline::takeBatch(Batch& batch) {
  batch.writes.clear();
  batch.pendings.clear();
  batch.bytes = 0;
  std::unique_lock lock(mutex_);
  fillBatch(batch);
  if (batch.writes.empty()) {
    --pumps_;
    spareBatches_.push_back(std::move(batch));
    wakeClosers(lock);
    return false;
  }
  ++stats_.batchesInFlight;
  stats_.writesInFlight += batch.writes.size();
  const bool spawns = wantsPump();
  lock.unlock();
  if (spawns) spawnPump();
  return true;
}

/// Takes at least one write if any is ready, whatever its size.
void CommitPipeline::fillBatch(Batch& batch) {
  while (!ready_.isEmpty() && batch.writes.size() < options_.batchWritesMax) {
    Pending& pending = ready_.first().pending.first();
    if (!batch.writes.empty() && batch.bytes + pending.bytes > options_.batchBytesMax) return;
    Lane& lane = ready_.takeFirst();
    lane.pending.takeFirst();
    lane.state = Lane::State::InFlight;
    batch.writes.push_back(std::move(pending.write));
    batch.pendings.push_back(&pending);
    batch.bytes += pending.bytes;
    --stats_.writesQueued;
    stats_.bytesQueued -= pending.bytes;
    admitBlocked();
  }
}

void CommitPipeline::report(Batch& batch, std::vector<Status> outcomes) {
  SKEP_CHECK(outcomes.size() == batch.writes.size(),
             "the store reported %zu outcomes of %zu writes", outcomes.size(), batch.writes.size());
  const MonotonicTime now = loop_.clock().monotonic();
  fiber::WaitList<Pending> toWake;
  {
    std::lock_guard lock(mutex_);
    --stats_.batchesInFlight;
    ++stats_.batches;
    stats_.bytes += batch.bytes;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      Pending& pending = *batch.pendings[i];
      stats_.latencySum += now - pending.submitted;
      complete(pending, std::move(outcomes[i]), toWake);
    }
    // Aborted writes have made room.
    admitBlocked();
  }
  // A woken Pending may be gone at once: takeFirst() has unlinked it before.
  while (!toWake.isEmpty()) toWake.takeFirst().waker.wake();
}

void CommitPipeline::complete(Pending& pending, Status outcome, fiber::WaitList<Pending>& toWake) {
  Lane& lane = *pending.lane;
  --stats_.writesInFlight;
  ++stats_.writes;
  pending.outcome = std::move(outcome);
  toWake.append(pending);
  if (!pending.outcome.ok()) {
    ++stats_.writesFailed;
    lane.state = Lane::State::Failed;
    pending.failedLane = true;
    abortLane(lane, toWake);
  } else if (lane.pending.isEmpty()) {
    lanes_.erase(DatabaseId(lane.id));
  } else if (lane.pending.first().admitted) {
    makeReady(lane);
  } else {
    lane.state = Lane::State::Idle;
  }
}

void CommitPipeline::abortLane(Lane& lane, fiber::WaitList<Pending>& toWake) {
  while (!lane.pending.isEmpty()) {
    Pending& pending = lane.pending.takeFirst();
    if (pending.admitted) {
      --stats_.writesQueued;
      stats_.bytesQueued -= pending.bytes;
    } else {
      blocked_.erase(pending.blockedAt);
      --stats_.writesBlocked;
    }
    ++stats_.writesAborted;
    pending.outcome = behindFailureError();
    toWake.append(pending);
  }
}

void CommitPipeline::forgetFailure(Lane& lane) {
  std::unique_lock lock(mutex_);
  lanes_.erase(DatabaseId(lane.id));
  wakeClosers(lock);
}

/// Lets go of the mutex. A closer that was woken may destroy this at once: the last thing that is
/// done here.
void CommitPipeline::wakeClosers(std::unique_lock<std::mutex>& lock) {
  std::vector<fiber::Waker> closers;
  if (isFinished()) closers.swap(closers_);
  lock.unlock();
  for (fiber::Waker& closer : closers) closer.wake();
}

}  // namespace skep::store
