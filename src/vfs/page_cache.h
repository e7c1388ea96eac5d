// PageCache: the pages of all open databases in one process, within one byte budget.
//
// A PageBuffer is 4 KiB of page content that never changes once it is shared: a new version of a
// page is a new buffer. SQLite reads pages in place (xFetch), the delta encoder keeps old versions
// as long as it needs them, and eviction only drops the table's own reference. A PageTable maps one
// database's page numbers to buffers.
//
// Threading: each loop has its own CacheShard, and buffers and tables never leave their loop's
// thread; so reference counts are plain. Shards share the budget: one that is above its fair share
// evicts when the total is over the budget, and is asked to by the shard that notices. Eviction is
// second chance (CLOCK) over unpinned, unreferenced pages.
//
//   CacheShard& shard = cache.shard(loop);
//   PageTable table(shard);
//   table.put(7, buffer);
//   if (PageBuffer* page = table.find(7)) use(page->data);

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "skep/base/single_writer_counter.h"
#include "skep/fiber/loop.h"
#include "skep/store/page_store.h"
#include "skep/vfs/undurable_budget.h"

namespace skep::vfs {

using store::kPageBytes;
using store::PageNumber;

class CacheShard;
class PageTable;

struct PageBuffer {
  std::byte data[kPageBytes];  // first, so that SQLite's data pointer leads back here
  CacheShard* shard = nullptr;
  PageTable* table = nullptr;  // the table that lists this buffer as the current version, or null
  PageBuffer* previous = nullptr;  // in the shard's clock, while `table` is set
  PageBuffer* next = nullptr;
  std::uint64_t hash = 0;  // pageHash, once asked for
  std::uint32_t references = 0;
  PageNumber page = 0;
  bool hashKnown = false;
  bool recentlyUsed = false;
  bool pinned = false;  // not durable yet: must not be evicted

  ByteView view() const { return {data, kPageBytes}; }
  /// store::pageHash of the content under `page`, computed once.
  std::uint64_t contentHash();
  static PageBuffer* fromData(const void* data) {
    return static_cast<PageBuffer*>(const_cast<void*>(data));
  }
};

/// Counts one reference to a PageBuffer; null when empty.
class PageRef {
 public:
  PageRef() = default;
  explicit PageRef(PageBuffer* buffer) : buffer_(buffer) {
    if (buffer_ != nullptr) ++buffer_->references;
  }
  PageRef(const PageRef& other) : PageRef(other.buffer_) {}
  PageRef(PageRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  PageRef& operator=(PageRef other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~PageRef() { release(buffer_); }

  PageBuffer* get() const { return buffer_; }
  PageBuffer* operator->() const { return buffer_; }
  PageBuffer& operator*() const { return *buffer_; }
  explicit operator bool() const { return buffer_ != nullptr; }

  /// Drops one reference that was counted by hand (an xFetch).
  static void release(PageBuffer* buffer);

 private:
  PageBuffer* buffer_ = nullptr;
};

struct CacheStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evictions = 0;
  std::uint64_t evictionLooks = 0;  // pages that were looked at to find those
  std::size_t bytes = 0;
  std::size_t budgetBytes = 0;

  double hitRatio() const {
    const std::uint64_t total = hits + misses;
    return total == 0 ? 1.0 : static_cast<double>(hits) / static_cast<double>(total);
  }
};

/// What the shards of a cache share. Shared, since a shard that trims may outlive its cache.
struct CacheBudget {
  explicit CacheBudget(std::size_t limit) : limitBytes(limit) {}
  const std::size_t limitBytes;
  std::atomic<std::size_t> bytes{0};
  std::atomic<std::size_t> shardCount{0};
};

class PageCache {
 public:
  explicit PageCache(std::size_t budgetBytes);
  ~PageCache();
  PageCache(const PageCache&) = delete;
  PageCache& operator=(const PageCache&) = delete;

  /// The shard of `loop`, made at the first call. Call on the loop's thread. The loop outlives the
  /// cache's use.
  CacheShard& shard(fiber::Loop& loop);
  CacheStats stats() const;  // any thread
  std::size_t budgetBytes() const { return budget_->limitBytes; }
  /// Of the pages that the store does not have yet, which can't be evicted.
  UndurableBudget& undurable() { return undurable_; }

 private:
  friend class CacheShard;
  void requestTrim(const CacheShard& byShard);

  const std::shared_ptr<CacheBudget> budget_;
  UndurableBudget undurable_;
  mutable std::mutex mutex_;                         // guards shards_
  std::vector<std::shared_ptr<CacheShard>> shards_;  // shared for the time of a trim (requestTrim)
};

class CacheShard {
 public:
  CacheShard(PageCache& cache, std::shared_ptr<CacheBudget> budget, fiber::Loop& loop)
      : cache_(cache), budget_(std::move(budget)), loop_(loop) {}
  ~CacheShard();

  /// A new buffer with undefined content, after evicting what the budget asks for.
  PageRef allocate(PageNumber page);

  void countHit() { hits_.add(); }
  void countMiss() { misses_.add(); }
  /// Evicts until the process is within the budget or this shard within its fair share, or until
  /// `unevictableMax` pages in a row come up that have to stay.
  void trim(std::size_t unevictableMax);

 private:
  friend class PageCache;
  friend class PageTable;
  friend class PageRef;
  bool isOverBudget() const {
    return budget_->bytes.load(std::memory_order_relaxed) > budget_->limitBytes;
  }
  bool isOverShare() const;
  bool evictOne(std::size_t unevictableMax);
  void link(PageBuffer* buffer);
  void unlink(PageBuffer* buffer);
  void destroy(PageBuffer* buffer);

  PageCache& cache_;  // for allocate() alone: see CacheBudget
  const std::shared_ptr<CacheBudget> budget_;
  fiber::Loop& loop_;
  std::vector<std::unique_ptr<PageBuffer>>
      spare_;                    // freed buffers, a few, for the next allocations
  PageBuffer* clock_ = nullptr;  // the hand; a ring through previous/next
  std::size_t clockSize_ = 0;
  std::atomic<std::size_t> bytes_{0};
  SingleWriterCounter hits_;
  SingleWriterCounter misses_;
  SingleWriterCounter evictions_;
  SingleWriterCounter evictionLooks_;
  std::atomic<bool> trimPending_{false};
};

/// One database's current page versions that are in memory: an open-addressing hash table.
class PageTable {
 public:
  explicit PageTable(CacheShard& shard) : shard_(shard) {}
  ~PageTable() { clear(); }
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;

  PageBuffer* find(PageNumber page) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t slot = slotOf(page);; slot = (slot + 1) & (slots_.size() - 1)) {
      PageBuffer* buffer = slots_[slot];
      if (buffer == nullptr || buffer->page == page) return buffer;
    }
  }
  /// Makes `buffer` the current version of its page, in place of the one before.
  void put(PageRef buffer);
  void erase(PageNumber page);
  void clear();
  /// Drops every page that nobody holds and that may be dropped.
  void evictUnpinned();
  std::size_t size() const { return count_; }
  /// Of the table itself, without the pages.
  std::size_t memoryBytes() const { return slots_.capacity() * sizeof(PageBuffer*); }
  CacheShard& shard() { return shard_; }

 private:
  /// Fibonacci hashing: page numbers are dense, their products spread.
  std::size_t slotOf(PageNumber page) const { return (page * 0x9E3779B9u) & (slots_.size() - 1); }
  void resize(std::size_t slots);
  void forget(PageBuffer* buffer);

  CacheShard& shard_;
  std::vector<PageBuffer*> slots_;  // a power of two; linear probing, backward-shift deletion
  std::size_t count_ = 0;
};

}  // namespace skep::vfs
