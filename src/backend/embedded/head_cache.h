// HeadCache: the heads of the databases that were written to lately, so that a commit reads
// nothing.
//
// An entry is read and changed only by whoever holds the database's busy key, so it always says
// what the store says. Bounded: entries that were not used for a while go, in two generations. Any
// thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "skep/backend/embedded/row_format.h"

namespace skep::backend::embedded {

class HeadCache {
 public:
  explicit HeadCache(std::size_t entriesMax) : generationMax_(entriesMax / 2) {}

  std::optional<HeadRow> find(store::DatabaseId id);
  void put(store::DatabaseId id, const HeadRow& row);
  void erase(store::DatabaseId id);

 private:
  using Generation = std::unordered_map<std::uint64_t, HeadRow>;

  std::size_t generationMax_;
  std::mutex mutex_;
  Generation young_;  // put or found since the last turn
  Generation old_;    // forgotten at the next turn
};

}  // namespace skep::backend::embedded
