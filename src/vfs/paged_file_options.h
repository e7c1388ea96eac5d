// Tunables of one database's pages. The defaults suit millions of small databases and a few large
// ones.

#pragma once

#include <cstddef>
#include <cstdint>

#include "skep/base/clock.h"

namespace skep::vfs {

struct PagedFileOptions {
  /// The log is folded into chunks when it passes a quarter of the database's size or 1.25 times
  /// what its pages take when they are compressed, whichever is less, within these bounds.
  /// The log may grow beyond while commits change more chunks than a fold rewrites.
  std::size_t logBytesMin = 1024;
  std::size_t logBytesMax = 4 * 1024 * 1024;
  /// Chunks folded in one store transaction.
  std::size_t foldChunksMax = 64;
  /// Pages of one transaction kept in memory before it is staged in the store as a huge commit.
  std::size_t transactionBytesMax = 16 * 1024 * 1024;
  /// Committed pages that are not yet durable; a commit waits above this.
  std::size_t undurableBytesMax = 32 * 1024 * 1024;
  /// The same for all databases of the process together. A commit that has waited in vain for as
  /// long as commitRetry fails with Overloaded, and its transaction is rolled back.
  std::size_t allUndurableBytesMax = 256 * 1024 * 1024;
  /// Pages that a transaction may have changed in SQLite's own cache before SQLite hands them over
  /// early. Below 4096: at that number SQLite makes its table of pages 64 KiB large, for ever.
  std::size_t dirtyPagesMax = 4000;
  /// Chunks read at once by a scan, at the most.
  std::size_t readAheadChunksMax = 32;
  /// How long a commit is tried again while the store is unavailable, before the database is
  /// broken.
  Duration commitRetry = std::chrono::seconds(10);
};

}  // namespace skep::vfs
