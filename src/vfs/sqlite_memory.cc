#include "skep/vfs/sqlite_memory.h"

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "skep/base/check.h"

namespace skep::vfs {
namespace {

/// In front of each block. Sixteen bytes, so that blocks stay aligned as malloc aligns them.
struct alignas(16) BlockHeader {
  MemoryAccount* account;
  std::uint64_t bytes;
};
static_assert(sizeof(BlockHeader) == 16);

BlockHeader* headerOf(void* block) {
  return static_cast<BlockHeader*>(block) - 1;
}

bool charge(MemoryAccount* account, std::size_t bytes) {
  if (account == nullptr) return true;
  if (account->bytesMax != 0 && account->bytes + bytes > account->bytesMax) {
    account->limitReached = true;
    return false;
  }
  account->bytes += bytes;
  return true;
}

// Every transaction takes and frees a dozen blocks of a few sizes (a page's original in the
// journal, a page in SQLite's cache) that the C library keeps no quick list for. They are kept
// here, and used again while they are in the processor's cache.
constexpr std::size_t kPooledBytesMin = 1024;
constexpr std::size_t kPooledBytesMax = 8192;
constexpr std::size_t kClassBytes = 128;
constexpr std::size_t kPoolBytesMax = std::size_t{1} << 20;  // in one thread's pool

bool isPooled(std::size_t bytes) {
  return bytes >= kPooledBytesMin && bytes <= kPooledBytesMax;
}
std::size_t classOf(std::size_t bytes) {
  return (bytes + kClassBytes - 1) / kClassBytes;
}
/// What is asked of the C library for a block of `bytes`: all blocks of a class are of one size.
std::size_t blockBytes(std::size_t bytes) {
  return isPooled(bytes) ? classOf(bytes) * kClassBytes : bytes;
}

/// Free blocks of one thread, the newest first.
class BlockPool {
 public:
  ~BlockPool() {
    for (Block*& first : free_) {
      while (first != nullptr) std::free(std::exchange(first, first->next));
    }
    bytes_ = kPoolBytesMax;  // what is freed while the thread ends goes past the pool
  }
  void* take(std::size_t bytes) {
    Block*& first = free_[classOf(bytes)];
    if (first == nullptr) return nullptr;
    bytes_ -= blockBytes(bytes);
    return std::exchange(first, first->next);
  }
  bool put(void* memory, std::size_t bytes) {
    if (bytes_ + blockBytes(bytes) > kPoolBytesMax) return false;
    bytes_ += blockBytes(bytes);
    Block*& first = free_[classOf(bytes)];
    first = new (memory) Block{first};
    return true;
  }

 private:
  struct Block {
    Block* next;
  };
  std::array<Block*, kPooledBytesMax / kClassBytes + 1> free_{};
  std::size_t bytes_ = 0;
};

#ifdef SKEP_SANITIZED
// A pool would hide from the sanitizers who uses a block after its end.
void* takeBlock(std::size_t bytes) {
  return std::malloc(bytes);
}
void freeBlock(void* block, std::size_t) {
  std::free(block);
}
#else
thread_local BlockPool pool;

void* takeBlock(std::size_t bytes) {
  if (!isPooled(bytes)) return std::malloc(bytes);
  void* block = pool.take(bytes);
  return block != nullptr ? block : std::malloc(blockBytes(bytes));
}
void freeBlock(void* block, std::size_t bytes) {
  if (!isPooled(bytes) || !pool.put(block, bytes)) std::free(block);
}
#endif

void* allocate(int size) {
  const auto bytes = static_cast<std::size_t>(size) + sizeof(BlockHeader);
  MemoryAccount* account = chargedAccount;
  if (!charge(account, bytes)) return nullptr;
  auto* header = static_cast<BlockHeader*>(takeBlock(bytes));
  if (header == nullptr) {
    if (account != nullptr) account->bytes -= bytes;
    return nullptr;
  }
  header->account = account;
  header->bytes = bytes;
  return header + 1;
}

void release(void* block) {
  if (block == nullptr) return;
  BlockHeader* header = headerOf(block);
  if (header->account != nullptr) header->account->bytes -= header->bytes;
  freeBlock(header, header->bytes);
}

void* resize(void* block, int size) {
  BlockHeader* header = headerOf(block);
  const auto bytes = static_cast<std::size_t>(size) + sizeof(BlockHeader);
  const std::size_t before = header->bytes;
  MemoryAccount* account = header->account;
  if (bytes > before && !charge(account, bytes - before)) return nullptr;
  auto* moved = static_cast<BlockHeader*>(std::realloc(header, blockBytes(bytes)));
  if (moved == nullptr) {
    if (account != nullptr && bytes > before) account->bytes -= bytes - before;
    return nullptr;
  }
  if (account != nullptr && bytes < before) account->bytes -= before - bytes;
  moved->bytes = bytes;
  return moved + 1;
}

int sizeOf(void* block) {
  return block == nullptr ? 0 : static_cast<int>(headerOf(block)->bytes - sizeof(BlockHeader));
}

int roundUp(int size) {
  return (size + 7) & ~7;
}
int initialize(void*) {
  return SQLITE_OK;
}
void shutdown(void*) {}

}  // namespace

void installSqliteMemory() {
  static const sqlite3_mem_methods kMethods{
      allocate, release, resize, sizeOf, roundUp, initialize, shutdown, nullptr,
  };
  const int rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &kMethods);
  SKEP_CHECK(rc == SQLITE_OK, "SQLite was initialized before Skep configured it");
}

}  // namespace skep::vfs
