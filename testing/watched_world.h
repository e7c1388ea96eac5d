// WatchedWorld: a World over a memory store that a test can watch and step into.

#pragma once

#include "skep/backend/memory/memory_store.h"
#include "skep/testing/watched_store.h"
#include "skep/testing/world.h"

namespace skep::testing {

namespace detail {
struct WatchedParts {
  SystemClock storeClock;
  backend::MemoryStore memory{storeClock};
  WatchedStore watched{memory};
};
}  // namespace detail

class WatchedWorld : detail::WatchedParts, public World {
 public:
  explicit WatchedWorld(vfs::PagedFileOptions options = {},
                        std::size_t cacheBytes = 64 * 1024 * 1024)
      : World(WatchedParts::watched, options, cacheBytes) {}
  WatchedStore& watch() { return WatchedParts::watched; }
  backend::MemoryStore& memoryStore() { return WatchedParts::memory; }
};

}  // namespace skep::testing
