// LogSync: fsyncs of the write-ahead log, shared by the threads that wait for one at the same time.
//
// A write first goes to the log and to RocksDB's memory without a sync, and then waits here. While
// one fsync runs, others can write; whoever comes meanwhile shares the next one. (RocksDB's own
// synced writes hold up all writers, also those that want no fsync, until the disk has answered.)
//
// Any thread; blocks it.

#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "skep/backend/embedded/rocks.h"

namespace skep::backend::embedded {

class LogSync {
 public:
  explicit LogSync(Rocks& rocks) : rocks_(rocks), next_(std::make_shared<Round>()) {}

  /// Makes everything durable that was written before the call.
  rocksdb::Status sync();
  /// Whether one has ever failed: what was written may then be visible and never become durable.
  bool hasFailed() const { return failed_.load(std::memory_order_acquire); }

 private:
  // One fsync and those who wait for it: shared, since the last of them to wake is not known.
  struct Round {
    bool done = false;
    rocksdb::Status status;
  };

  Rocks& rocks_;
  std::mutex mutex_;
  std::condition_variable finished_;
  bool running_ = false;
  std::atomic<bool> failed_{false};
  std::shared_ptr<Round> next_;  // has not begun: begins after all writes of those who join it
};

}  // namespace skep::backend::embedded
