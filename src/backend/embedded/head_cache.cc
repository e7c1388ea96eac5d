#include "skep/backend/embedded/head_cache.h"

#include <utility>

namespace skep::backend::embedded {

std::optional<HeadRow> HeadCache::find(store::DatabaseId id) {
  std::lock_guard lock(mutex_);
  if (const auto found = young_.find(id.value); found != young_.end()) return found->second;
  const auto found = old_.find(id.value);
  if (found == old_.end()) return std::nullopt;
  const HeadRow row = found->second;
  young_.insert(old_.extract(found));
  return row;
}

void HeadCache::put(store::DatabaseId id, const HeadRow& row) {
  std::lock_guard lock(mutex_);
  if (const auto found = young_.find(id.value); found != young_.end()) {
    found->second = row;
    return;
  }
  old_.erase(id.value);
  young_.emplace(id.value, row);
  if (young_.size() > generationMax_) old_ = std::exchange(young_, {});
}

void HeadCache::erase(store::DatabaseId id) {
  std::lock_guard lock(mutex_);
  young_.erase(id.value);
  old_.erase(id.value);
}

}  // namespace skep::backend::embedded
