// OwnedStore: the store as one database's owner uses it.
//
// Every write goes under the owner's epoch. One whose outcome is unknown is resolved by taking a
// new epoch, which shuts a late arrival out (Claim::Retake): nothing is guessed and nothing is
// repeated blindly. While the store is away, calls are repeated for as long as
// PagedFileOptions::commitRetry, with growing pauses.
//
//   std::lock_guard lock(store.mutex());
//   store::DatabaseWrite write = store.newWrite();
//   write.sweepDone = true;
//   SKEP_CHECK_OK(store.submitUntilCertain(write));
//
// Belongs to one PagedFile and its loop. All calls that touch the store suspend.

#pragma once

#include <optional>

#include "skep/base/clock.h"
#include "skep/fiber/sync.h"
#include "skep/vfs/file_state.h"

namespace skep::vfs {

class OwnedStore {
 public:
  explicit OwnedStore(FileState& file) : file_(file) {}

  /// One write at a time: held from newWrite() until the outcome is known.
  fiber::Mutex& mutex() { return mutex_; }
  /// A write that is accepted by the head as this owner knows it, and changes nothing.
  store::DatabaseWrite newWrite() const;

  /// One attempt, along with other databases' writes. Its outcome is the store's.
  Status submit(store::DatabaseWrite write);
  /// For a write without a commit (staging, sweeping), which may be repeated until it is certain.
  Status submitUntilCertain(const store::DatabaseWrite& write);
  /// Takes a new epoch, which ends every earlier write one way or the other. The head after that.
  Result<store::Head> retake();

  /// Chunks of a version that this owner has. Fenced, and the file broken, once another owner may
  /// have changed them. While this owner takes a new epoch itself, it waits to learn it.
  Result<store::ChunkRead> readChunks(store::ChunkReadRequest request);
  /// A read that a write depends on, repeated while the store is away. `read` gives a Result. An
  /// outage that began with this read ends with it; one that began before, with a write: reads may
  /// be answered while writes are not.
  template <class Read>
  auto readPatiently(Read read) -> decltype(read()) {
    const bool wasAway = unavailableSince_.has_value();
    while (true) {
      auto answer = read();
      if (answer && !wasAway) hasAnswered();
      if (answer || !isTransient(answer.error().code)) return answer;
      SKEP_CHECK_OK(backOff(answer.error()));
    }
  }

  /// Certainly not done, and worth another try. Aborted: an earlier write of the same database
  /// failed, that of a former owner in this process.
  static bool isTransient(ErrorCode code);
  /// Suspends for a growing while; `reason` once the store has been away for longer than
  /// commitRetry.
  Status backOff(const Error& reason);

 private:
  Result<store::Head> retakeUntilKnown();
  void hasAnswered();

  FileState& file_;
  fiber::Mutex mutex_;
  bool isRetaking_ = false;  // reads under the old epoch fail meanwhile
  Duration retryDelay_{};
  std::optional<MonotonicTime> unavailableSince_;
};

}  // namespace skep::vfs
