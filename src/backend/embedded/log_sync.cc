#include "skep/backend/embedded/log_sync.h"

#include <utility>

namespace skep::backend::embedded {

rocksdb::Status LogSync::sync() {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<Round> round = next_;
  finished_.wait(lock, [&] { return round->done || !running_; });
  if (round->done) return round->status;
  // Nobody syncs and this round has not begun: it is still the next one, and this thread leads it.
  running_ = true;
  next_ = std::make_shared<Round>();
  lock.unlock();
  rocksdb::Status status = rocks_.syncLog();
  if (!status.ok()) failed_.store(true, std::memory_order_release);
  lock.lock();
  round->status = std::move(status);
  round->done = true;
  running_ = false;
  finished_.notify_all();
  return round->status;
}

}  // namespace skep::backend::embedded
