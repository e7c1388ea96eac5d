#include "skep/vfs/sqlite_memory.h"

#include <sqlite3.h>

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "skep/base/check.h"

namespace skep::vfs {
namespace {

thread_local MemoryAccount* currentAccount = nullptr;

/// In front of each block. Sixteen bytes, so that blocks stay aligned as malloc aligns them.
struct alignas(16) BlockHeader {
  MemoryAccount* account;
  std::uint64_t bytes;
};
static_assert(sizeof(BlockHeader) == 16);

BlockHeader* headerOf(void* block) { return static_cast<BlockHeader*>(block) - 1; }

bool charge(MemoryAccount* account, std::size_t bytes) {
  if (account == nullptr) return true;
  if (account->bytesMax != 0 && account->bytes + bytes > account->bytesMax) {
    account->limitReached = true;
    return false;
  }
  account->bytes += bytes;
  return true;
}

void* allocate(int size) {
  const auto bytes = static_cast<std::size_t>(size) + sizeof(BlockHeader);
  MemoryAccount* account = currentAccount;
  if (!charge(account, bytes)) return nullptr;
  auto* header = static_cast<BlockHeader*>(std::malloc(bytes));
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
  std::free(header);
}

void* resize(void* block, int size) {
  BlockHeader* header = headerOf(block);
  const auto bytes = static_cast<std::size_t>(size) + sizeof(BlockHeader);
  const std::size_t before = header->bytes;
  MemoryAccount* account = header->account;
  if (bytes > before && !charge(account, bytes - before)) return nullptr;
  auto* moved = static_cast<BlockHeader*>(std::realloc(header, bytes));
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

int roundUp(int size) { return (size + 7) & ~7; }
int initialize(void*) { return SQLITE_OK; }
void shutdown(void*) {}

}  // namespace

AccountScope::AccountScope(MemoryAccount& account) {
  SKEP_DCHECK(currentAccount == nullptr, "account scopes do not nest");
  currentAccount = &account;
}

AccountScope::~AccountScope() { currentAccount = nullptr; }

SuspendGuard::SuspendGuard() : account_(std::exchange(currentAccount, nullptr)) {}
SuspendGuard::~SuspendGuard() { currentAccount = account_; }

void installSqliteMemory() {
  static const sqlite3_mem_methods kMethods{
      allocate, release, resize, sizeOf, roundUp, initialize, shutdown, nullptr,
  };
  const int rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &kMethods);
  SKEP_CHECK(rc == SQLITE_OK, "SQLite was initialized before Skep configured it");
}

}  // namespace skep::vfs
