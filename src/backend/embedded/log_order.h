// LogOrder: RocksDB's write-ahead log as a sequence of files that become durable in their order.
//
// RocksDB goes on in a new log file without syncing the old one; only the next sync covers both.
// When the power goes out in between, the disk may have kept the beginning of the new file and not
// the end of the old one. That is a gap in the log, which nobody can tell from a log that was lost
// later, and which the store has to refuse at its next open (rocks.cc, SequenceCheck). So the old
// file is synced when the new one is made: once in walBytesMax. What is left to sync is then the
// newest file alone, which sync() does. (RocksDB's own SyncWAL is not used: after another thread's
// write to the file has failed it aborts, in builds with assertions, as Debian's is.)
//
// Any thread; blocks it. Outlives the RocksDB that uses its environment.
//
//   LogOrder order(*rocksdb::Env::Default());
//   options.env = order.env();
//   … db->Write(unsynced, &batch) …
//   rocksdb::Status durable = order.sync();

#pragma once

#include <rocksdb/env.h>

#include <memory>

namespace skep::backend::embedded {

class LogOrder {
 public:
  /// Over the files of `env`, which outlives it.
  explicit LogOrder(rocksdb::Env& env);
  ~LogOrder();
  LogOrder(const LogOrder&) = delete;
  LogOrder& operator=(const LogOrder&) = delete;

  rocksdb::Env* env() { return env_.get(); }
  /// Makes everything durable that RocksDB has written to its log before the call.
  rocksdb::Status sync();

 private:
  struct Newest;
  class LogFile;
  class Files;

  const std::shared_ptr<Newest> newest_;  // shared: the files of RocksDB may be closed last
  const std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace skep::backend::embedded
