// SQLite's heap, counted and limited for each database.
//
// SQLite has one allocator for the process. Ours puts a small header in front of each block that
// names the account it was charged to: the account that is current on the thread while a database
// is inside SQLite. Each loop's thread runs many databases, so whoever suspends inside SQLite puts
// the account aside (SuspendGuard). A charge above the account's limit fails the allocation, which
// SQLite reports as SQLITE_NOMEM and rolls back cleanly.

#pragma once

#include <cstddef>
#include <utility>

#include "skep/base/check.h"

namespace skep::vfs {

/// One database's share of SQLite's heap. Outlives every block charged to it: close the connection
/// first.
struct MemoryAccount {
  std::size_t bytes = 0;
  std::size_t bytesMax = 0;   // 0: no limit
  bool limitReached = false;  // an allocation was refused since this was last cleared
  bool diskWasFull = false;   // a temporary file could not grow since this was last cleared
};

/// The account that is charged on this thread now; null outside of every scope.
inline constinit thread_local MemoryAccount* chargedAccount = nullptr;

/// Charges SQLite's allocations on this thread to `account` for the scope. Scopes do not nest.
class AccountScope {
 public:
  explicit AccountScope(MemoryAccount& account) {
    SKEP_DCHECK(chargedAccount == nullptr, "account scopes do not nest");
    chargedAccount = &account;
  }
  ~AccountScope() { chargedAccount = nullptr; }
  AccountScope(const AccountScope&) = delete;
  AccountScope& operator=(const AccountScope&) = delete;
};

/// Around whatever may suspend inside an AccountScope: other fibers of the thread run without this
/// account.
class SuspendGuard {
 public:
  SuspendGuard() : account_(std::exchange(chargedAccount, nullptr)) {}
  ~SuspendGuard() { chargedAccount = account_; }
  SuspendGuard(const SuspendGuard&) = delete;
  SuspendGuard& operator=(const SuspendGuard&) = delete;

 private:
  MemoryAccount* account_;
};

/// Installs the allocator in SQLite; before sqlite3_initialize(). Called by registerVfs().
void installSqliteMemory();

}  // namespace skep::vfs
