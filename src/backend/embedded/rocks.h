// Rocks: the opened RocksDB of an EmbeddedStore: its directory and lock, its families, its health,
// and what its statuses mean. Any thread.

#pragma once

#include <rocksdb/db.h>
#include <rocksdb/wal_filter.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "skep/backend/embedded/embedded_store.h"
#include "skep/backend/embedded/families.h"
#include "skep/backend/embedded/log_order.h"

namespace skep::backend::embedded {

class Health;

inline rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
inline rocksdb::Slice slice(ByteView bytes) {
  return slice(asText(bytes));
}
inline std::string_view text(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

class Rocks {
 public:
  /// Errors as of EmbeddedStore::open.
  static Result<std::unique_ptr<Rocks>> open(const EmbeddedOptions& options);
  /// Makes durable what was written without a sync, and keeps the log short. No call may be under
  /// way.
  ~Rocks();
  Rocks(const Rocks&) = delete;
  Rocks& operator=(const Rocks&) = delete;

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* family(Family family) {
    return families_[static_cast<std::size_t>(family)];
  }
  const std::string& directory() const { return options_.directory; }

  /// The error that writes would meet because an earlier one failed (a full disk, say) and RocksDB
  /// has not yet recovered; ok otherwise.
  Status writable() const;

  /// What a failed RocksDB call means. `doing` completes "the embedded store in ./data could not
  /// …".
  Error errorOf(const rocksdb::Status& status, std::string_view doing) const;

  /// Makes everything durable that was written before the call. After a failure nothing is
  /// writable() any more: what is in memory may never become durable.
  rocksdb::Status syncLog();
  /// Writes the memory of all families to files.
  rocksdb::Status flushAll();
  /// Rewrites the files that hold a database's contents, so that what was deleted of it takes no
  /// space, in the write-ahead log neither. Long.
  rocksdb::Status compactContents(store::DatabaseId id);
  rocksdb::Status compactAll();
  /// Ends compactions that were asked for; they fail with Incomplete. For closing.
  void cancelCompactions();

 private:
  explicit Rocks(EmbeddedOptions options);
  Status lockDirectory();
  Status openDatabase();
  Status checkFormat();
  Status shortenLog();

  EmbeddedOptions options_;
  int lockFile_ = -1;
  std::shared_ptr<Health> health_;                 // shared with RocksDB, which notifies it
  std::unique_ptr<rocksdb::WalFilter> walFilter_;  // borrowed by db_
  LogOrder logOrder_;                              // its environment too
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kFamilyCount> families_{};
};

}  // namespace skep::backend::embedded
