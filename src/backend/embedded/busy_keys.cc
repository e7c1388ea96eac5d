#include "skep/backend/embedded/busy_keys.h"

#include <algorithm>

namespace skep::backend::embedded {

BusyKeys::Hold::Hold(BusyKeys& busy, std::span<const std::uint64_t> keys)
    : busy_(busy), keys_(keys.begin(), keys.end()) {
  std::sort(keys_.begin(), keys_.end());
  keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
  std::unique_lock lock(busy_.mutex_);
  while (busy_.anyBusy(keys_)) {
    ++busy_.waiting_;
    busy_.released_.wait(lock);
    --busy_.waiting_;
  }
  busy_.busy_.insert(keys_.begin(), keys_.end());
}

BusyKeys::Hold::~Hold() {
  std::lock_guard lock(busy_.mutex_);
  for (const std::uint64_t key : keys_) busy_.busy_.erase(key);
  if (busy_.waiting_ > 0) busy_.released_.notify_all();
}

bool BusyKeys::isBusy(std::uint64_t key) {
  std::lock_guard lock(mutex_);
  return busy_.contains(key);
}

void BusyKeys::waitUntilFree(std::uint64_t key) {
  std::unique_lock lock(mutex_);
  ++waiting_;
  released_.wait(lock, [&] { return !busy_.contains(key); });
  --waiting_;
}

bool BusyKeys::anyBusy(std::span<const std::uint64_t> keys) const {
  return std::any_of(keys.begin(), keys.end(),
                     [&](std::uint64_t key) { return busy_.contains(key); });
}

}  // namespace skep::backend::embedded
