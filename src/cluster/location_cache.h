// LocationCache: which node is believed to own which actor. Bounded; any thread.
//
// An entry is a belief, corrected by the owner's answer: a wrong one costs a hop, never a wrong result.
// Of two generations the older one is dropped when the newer is full, so what is used stays.

#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "skep/store/membership.h"

namespace skep::cluster {

class LocationCache {
 public:
  explicit LocationCache(std::size_t entriesMax = 200'000) : halfMax_(entriesMax / 2 + 1) {}

  std::optional<store::Incarnation> find(const std::string& databaseName);
  void put(const std::string& databaseName, store::Incarnation owner);
  /// Unless somebody has put another one since.
  void forget(const std::string& databaseName, store::Incarnation owner);
  std::size_t size() const;

 private:
  using Half = std::unordered_map<std::string, store::Incarnation>;
  void insert(const std::string& databaseName, store::Incarnation owner);

  const std::size_t halfMax_;
  mutable std::mutex mutex_;
  Half newer_;
  Half older_;
};

}  // namespace skep::cluster
