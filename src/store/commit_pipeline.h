// CommitPipeline: group commit. Gathers the writes of many databases into few store transactions.
//
// Each write waits in its database's lane. Pump fibers on `loop` take one write of each lane that
// has any, up to the bounds of a batch, call PageStore::write, and report. While the allowed number
// of batches is in flight the rest gathers, so batches grow with the load and a lone write goes at
// once. Invariants:
//
//   1. Writes of one database reach the store in the order of submit(), never two at once.
//   2. When one fails, every write of that database that was submitted before the failure was
//      reported (before its submit() returned) fails with Aborted and never reaches the store: it
//      was built on the failed one.
//   3. Nothing is retried or guessed: each write gets the Status that the store gave for it, also
//      UnknownOutcome.
//   4. While anything waits and fewer batches than allowed are in flight, a pump is on its way.
//
// Threading: submit(), close() and stats() from any fiber of any loop, or from a plain thread. The
// mutex inside is never held across a suspension. There are no threads of its own: on a simulated
// loop all of it is deterministic, and with batchWritesMax = 1 and batchesInFlightMax = 1 each
// write is a store transaction of its own. Lifetime: the loop and the store outlive the pipeline;
// close() it before it goes away.
//
//   CommitPipeline pipeline(loop, store);
//   Status outcome = pipeline.submit(std::move(write));

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "skep/base/clock.h"
#include "skep/base/result.h"
#include "skep/fiber/fiber.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/store/page_store.h"

namespace skep::store {

struct CommitPipelineOptions {
  // Small batches, many of them: while the store works on some, the loops' next commits gather, and a
  // database's pages are still in the processor's cache when its turn comes again.
  std::size_t batchesInFlightMax = 8;
  std::size_t batchWritesMax = 64;
  std::size_t batchBytesMax = 4 * 1024 * 1024;  // a larger write goes alone
  std::size_t queueWritesMax = 10'000;
  std::size_t queueBytesMax = 64 * 1024 * 1024;  // a larger write enters when the queue is empty
};

/// What has happened since the start, and what is the case now.
struct CommitPipelineStats {
  std::uint64_t batches = 0;       // reported by the store
  std::uint64_t writes = 0;        // reported by the store, the failed ones too
  std::uint64_t writesFailed = 0;  // reported by the store as failed
  std::uint64_t writesAborted =
      0;                    // never given to the store: invariant 2, or submitted after close()
  std::uint64_t bytes = 0;  // of `writes`, as sizeBytes() estimates
  Duration latencySum{};    // from submit() to the store's report, over `writes`
  std::size_t batchesInFlight = 0;
  std::size_t writesInFlight = 0;
  std::size_t writesQueued = 0;   // in the queue, at most queueWritesMax
  std::size_t bytesQueued = 0;    // in the queue
  std::size_t writesBlocked = 0;  // their submit() waits for room in the queue
};

class CommitPipeline {
 public:
  CommitPipeline(fiber::Loop& loop, PageStore& store, CommitPipelineOptions options = {});
  /// Nothing may be in progress: close() first.
  ~CommitPipeline();
  CommitPipeline(const CommitPipeline&) = delete;
  CommitPipeline& operator=(const CommitPipeline&) = delete;

  /// Suspends until the outcome of `write` is known: while the queue is full (first come, first
  /// served), while earlier writes of the database are under way, and while the store works.
  /// Aborted: see invariant 2, or the pipeline is closed; the write has certainly not happened.
  /// Everything else is the store's own Status.
  Status submit(DatabaseWrite write);

  /// Suspends. Refuses new writes and waits until those submitted so far have been reported.
  /// Idempotent.
  void close();

  CommitPipelineStats stats() const;

 private:
  struct Lane;

  /// One submit() in progress, on its caller's stack. Guarded by mutex_ until it is woken.
  struct Pending {
    DatabaseWrite write;
    std::size_t bytes = 0;
    MonotonicTime submitted;
    Lane* lane = nullptr;
    fiber::Waker waker;
    Status outcome;
    bool failedLane = false;  // invariant 2: the lane waits for this submit() to return
    bool admitted = false;    // counted in the queue; otherwise in blocked_ at `blockedAt`
    std::list<Pending*>::iterator blockedAt;
    Pending* next = nullptr;  // in the lane, then in the list of those to wake
  };

  /// The writes of one database. Exists while it has any, and while a failure is not yet reported.
  struct Lane {
    enum class State : std::uint8_t { Idle, Ready, InFlight, Failed };
    State state = State::Idle;
    DatabaseId id;
    fiber::WaitList<Pending> pending;  // in the order of submission; the admitted ones come first
    Lane* next = nullptr;              // in ready_
  };

  struct Batch {
    std::vector<DatabaseWrite> writes;
    std::vector<Pending*> pendings;  // in step with `writes`
    std::size_t bytes = 0;
  };

  struct IdHash {
    std::size_t operator()(DatabaseId id) const { return id.value * 0x9e3779b97f4a7c15U; }
  };

  // With mutex_ held. True: the caller spawns a pump after it has let go of the mutex.
  [[nodiscard]] bool enqueue(Pending& pending);
  bool hasRoomFor(const Pending& pending) const;
  void admit(Pending& pending);
  void admitBlocked();
  void makeReady(Lane& lane);
  [[nodiscard]] bool wantsPump();
  bool isFinished() const { return pumps_ == 0 && lanes_.empty(); }

  void spawnPump();
  void pump();
  Batch startPump();
  bool takeBatch(Batch& batch);
  void fillBatch(Batch& batch);
  void report(Batch& batch, std::vector<Status> outcomes);
  void complete(Pending& pending, Status outcome, fiber::WaitList<Pending>& toWake);
  void abortLane(Lane& lane, fiber::WaitList<Pending>& toWake);
  void forgetFailure(Lane& lane);
  void wakeClosers(std::unique_lock<std::mutex>& lock);

  fiber::Loop& loop_;
  PageStore& store_;
  const CommitPipelineOptions options_;

  mutable std::mutex mutex_;  // guards everything below
  std::unordered_map<DatabaseId, Lane, IdHash> lanes_;
  fiber::WaitList<Lane> ready_;      // lanes in the state Ready: their first write can go
  std::list<Pending*> blocked_;      // not admitted yet, in the order of submission
  std::size_t pumps_ = 0;            // pump fibers, at most batchesInFlightMax
  bool pumpOnItsWay_ = false;        // one has not taken its batch yet: it will take what comes now
  std::vector<Batch> spareBatches_;  // empty, for their buffers: at most one a pump
  bool closed_ = false;
  std::vector<fiber::Waker> closers_;
  CommitPipelineStats stats_;
};

}  // namespace skep::store
