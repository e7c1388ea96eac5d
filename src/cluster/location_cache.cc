#include "skep/cluster/location_cache.h"

#include <utility>

namespace skep::cluster {

using store::Incarnation;

std::optional<Incarnation> LocationCache::find(const std::string& databaseName) {
  const std::lock_guard lock(mutex_);
  if (const auto found = newer_.find(databaseName); found != newer_.end()) return found->second;
  const auto found = older_.find(databaseName);
  if (found == older_.end()) return std::nullopt;
  const Incarnation owner = found->second;
  older_.erase(found);
  insert(databaseName, owner);
  return owner;
}

void LocationCache::put(const std::string& databaseName, Incarnation owner) {
  const std::lock_guard lock(mutex_);
  older_.erase(databaseName);
  insert(databaseName, owner);
}

void LocationCache::insert(const std::string& databaseName, Incarnation owner) {
  newer_.insert_or_assign(databaseName, owner);
  if (newer_.size() < halfMax_) return;
  older_ = std::exchange(newer_, {});
}

void LocationCache::forget(const std::string& databaseName, Incarnation owner) {
  const std::lock_guard lock(mutex_);
  for (Half* half : {&newer_, &older_}) {
    const auto found = half->find(databaseName);
    if (found != half->end() && found->second == owner) half->erase(found);
  }
}

std::size_t LocationCache::size() const {
  const std::lock_guard lock(mutex_);
  return newer_.size() + older_.size();
}

}  // namespace skep::cluster
