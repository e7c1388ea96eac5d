#include "skep/vfs/page_cache.h"

#include <bit>

#include "skep/base/check.h"
#include "skep/store/digest.h"

namespace skep::vfs {
namespace {

// A commit allocates a buffer for each page it changes, and frees as many when it is durable.
constexpr std::size_t kSpareBuffersMax = 2048;

// So many pages in a row that are pinned or in use end an allocation's search for one to evict. The
// next search goes on behind them: pages that can go are found when the hand has come around.
constexpr std::size_t kUnevictableAtAllocation = 64;

}  // namespace

std::uint64_t PageBuffer::contentHash() {
  if (!hashKnown) {
    hash = store::pageHash(page, view());
    hashKnown = true;
  }
  return hash;
}

void PageRef::release(PageBuffer* buffer) {
  if (buffer == nullptr) return;
  SKEP_DCHECK(buffer->references > 0);
  if (--buffer->references == 0) buffer->shard->destroy(buffer);
}

PageCache::PageCache(std::size_t budgetBytes)
    : budget_(std::make_shared<CacheBudget>(budgetBytes)) {}
PageCache::~PageCache() = default;

CacheShard& PageCache::shard(fiber::Loop& loop) {
  std::lock_guard lock(mutex_);
  for (auto& shard : shards_) {
    if (&shard->loop_ == &loop) return *shard;
  }
  shards_.push_back(std::make_shared<CacheShard>(*this, budget_, loop));
  budget_->shardCount = shards_.size();
  return *shards_.back();
}

CacheStats PageCache::stats() const {
  CacheStats stats;
  stats.budgetBytes = budget_->limitBytes;
  stats.bytes = budget_->bytes.load(std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  for (const auto& shard : shards_) {
    stats.hits += shard->hits_.value();
    stats.misses += shard->misses_.value();
    stats.evictions += shard->evictions_.value();
    stats.evictionLooks += shard->evictionLooks_.value();
  }
  return stats;
}

void PageCache::requestTrim(const CacheShard& byShard) {
  std::lock_guard lock(mutex_);
  for (auto& shard : shards_) {
    if (shard.get() == &byShard || !shard->isOverShare()) continue;
    if (shard->trimPending_.exchange(true)) continue;
    // The cache may be gone when the loop comes to it.
    shard->loop_.post([target = std::weak_ptr(shard)] {
      const std::shared_ptr<CacheShard> alive = target.lock();
      if (alive == nullptr) return;
      alive->trimPending_ = false;
      alive->trim(alive->clockSize_);
    });
  }
}

CacheShard::~CacheShard() {
  SKEP_CHECK(clockSize_ == 0 && bytes_.load() == 0, "databases are closed before their page cache");
}

bool CacheShard::isOverShare() const {
  const std::size_t shards = budget_->shardCount.load(std::memory_order_relaxed);
  return bytes_.load(std::memory_order_relaxed) > budget_->limitBytes / (shards == 0 ? 1 : shards);
}

PageRef CacheShard::allocate(PageNumber page) {
  PageBuffer* buffer = nullptr;
  if (spare_.empty()) {
    buffer = new PageBuffer;
  } else {
    buffer = spare_.back().release();
    spare_.pop_back();
  }
  buffer->shard = this;
  buffer->page = page;
  bytes_.store(bytes_.load(std::memory_order_relaxed) + sizeof(PageBuffer),
               std::memory_order_relaxed);
  const std::size_t total =
      budget_->bytes.fetch_add(sizeof(PageBuffer), std::memory_order_relaxed) + sizeof(PageBuffer);
  PageRef ref(buffer);
  if (total > budget_->limitBytes) {
    trim(kUnevictableAtAllocation);
    if (isOverBudget()) cache_.requestTrim(*this);
  }
  return ref;
}

void CacheShard::trim(std::size_t unevictableMax) {
  while (isOverBudget() && isOverShare()) {
    if (!evictOne(unevictableMax)) return;
  }
}

bool CacheShard::evictOne(std::size_t unevictableMax) {
  // Two rounds at the most: the first may only clear the marks of recent use, each of which was
  // set by a use since. What has to stay is looked at in vain, so those looks are counted.
  std::size_t unevictable = 0;
  for (std::size_t looked = 0; looked < 2 * clockSize_; ++looked) {
    if (unevictable == unevictableMax) return false;
    PageBuffer* candidate = clock_;
    clock_ = candidate->next;
    evictionLooks_.add();
    if (candidate->pinned || candidate->references > 1) {
      ++unevictable;
      continue;
    }
    if (candidate->recentlyUsed) {
      candidate->recentlyUsed = false;
      continue;
    }
    evictions_.add();
    candidate->table->erase(candidate->page);
    return true;
  }
  return false;
}

void CacheShard::link(PageBuffer* buffer) {
  if (clock_ == nullptr) {
    buffer->previous = buffer->next = buffer;
    clock_ = buffer;
  } else {
    // Just behind the hand: looked at last.
    buffer->next = clock_;
    buffer->previous = clock_->previous;
    clock_->previous->next = buffer;
    clock_->previous = buffer;
  }
  ++clockSize_;
}

void CacheShard::unlink(PageBuffer* buffer) {
  if (buffer->next == buffer) {
    clock_ = nullptr;
  } else {
    if (clock_ == buffer) clock_ = buffer->next;
    buffer->previous->next = buffer->next;
    buffer->next->previous = buffer->previous;
  }
  buffer->previous = buffer->next = nullptr;
  --clockSize_;
}

void CacheShard::destroy(PageBuffer* buffer) {
  SKEP_DCHECK(buffer->table == nullptr);
  bytes_.store(bytes_.load(std::memory_order_relaxed) - sizeof(PageBuffer),
               std::memory_order_relaxed);
  budget_->bytes.fetch_sub(sizeof(PageBuffer), std::memory_order_relaxed);
  if (spare_.size() == kSpareBuffersMax) {
    delete buffer;
    return;
  }
  buffer->hashKnown = buffer->recentlyUsed = buffer->pinned = false;
  spare_.emplace_back(buffer);
}

void PageTable::forget(PageBuffer* buffer) {
  shard_.unlink(buffer);
  buffer->table = nullptr;
  PageRef::release(buffer);
}

void PageTable::put(PageRef ref) {
  PageBuffer* buffer = ref.get();
  SKEP_DCHECK(buffer->table == nullptr);
  if ((count_ + 1) * 4 > slots_.size() * 3) resize(slots_.empty() ? 8 : slots_.size() * 2);
  std::size_t slot = slotOf(buffer->page);
  while (slots_[slot] != nullptr && slots_[slot]->page != buffer->page)
    slot = (slot + 1) & (slots_.size() - 1);
  ++buffer->references;
  buffer->table = this;
  buffer->recentlyUsed = true;  // else a page that was just loaded would go before it is looked at
  shard_.link(buffer);
  PageBuffer* before = std::exchange(slots_[slot], buffer);
  if (before != nullptr) {
    forget(before);
  } else {
    ++count_;
  }
}

void PageTable::erase(PageNumber page) {
  if (slots_.empty()) return;
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = slotOf(page);
  while (slots_[slot] != nullptr && slots_[slot]->page != page) slot = (slot + 1) & mask;
  if (slots_[slot] == nullptr) return;
  forget(std::exchange(slots_[slot], nullptr));
  --count_;
  for (std::size_t next = (slot + 1) & mask; slots_[next] != nullptr; next = (next + 1) & mask) {
    const std::size_t home = slotOf(slots_[next]->page);
    if (((next - home) & mask) >= ((next - slot) & mask)) {
      slots_[slot] = std::exchange(slots_[next], nullptr);
      slot = next;
    }
  }
}

void PageTable::clear() {
  for (PageBuffer*& buffer : slots_) {
    if (buffer != nullptr) forget(std::exchange(buffer, nullptr));
  }
  slots_.clear();
  slots_.shrink_to_fit();
  count_ = 0;
}

void PageTable::evictUnpinned() {
  std::vector<PageNumber> idle;
  for (const PageBuffer* buffer : slots_) {
    if (buffer != nullptr && !buffer->pinned && buffer->references == 1)
      idle.push_back(buffer->page);
  }
  if (idle.size() == count_) return clear();
  for (PageNumber page : idle) erase(page);
  resize(std::bit_ceil(2 * count_));
}

void PageTable::resize(std::size_t slots) {
  std::vector<PageBuffer*> old = std::exchange(slots_, std::vector<PageBuffer*>(slots));
  for (PageBuffer* buffer : old) {
    if (buffer == nullptr) continue;
    std::size_t slot = slotOf(buffer->page);
    while (slots_[slot] != nullptr) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = buffer;
  }
}

}  // namespace skep::vfs
