// RowReader: typed reads of an EmbeddedStore's rows, all from one moment.
//
// A reader for Tier::Memory asks RocksDB only for what it has in memory. When that is not enough,
// the read fails and missed() is true: the caller then repeats it with Tier::Disk on a thread that
// may block. One thread uses a reader, for one request.

#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "skep/backend/embedded/rocks.h"
#include "skep/backend/embedded/row_format.h"
#include "skep/base/function_ref.h"
#include "skep/store/page_store.h"

namespace skep::backend::embedded {

enum class Tier : std::uint8_t { Memory, Disk };

enum class View : std::uint8_t {
  Snapshot,  // rows of several families are from one moment
  Latest,    // the caller holds the database's busy key, so that its rows stand still
};

class RowReader {
 public:
  RowReader(Rocks& rocks, Tier tier, View view);
  /// All reads are of that snapshot, which outlives the reader.
  RowReader(Rocks& rocks, Tier tier, const rocksdb::Snapshot& at);
  ~RowReader();
  RowReader(const RowReader&) = delete;
  RowReader& operator=(const RowReader&) = delete;

  /// Whether something was not in memory; then the reader's errors mean nothing.
  bool missed() const { return missed_; }

  Result<std::optional<NameRow>> name(std::string_view name);
  Result<std::string> nameOf(store::DatabaseId id);
  /// The head as of the newest commit.
  Result<std::optional<HeadRow>> head(store::DatabaseId id);
  /// NotFound instead of nullopt.
  Result<HeadRow> existingHead(store::DatabaseId id);
  /// Without the newest commits: enough to know that the database exists, and its expiredTxid.
  /// NotFound.
  Result<HeadRow> existingBase(store::DatabaseId id);
  /// The head, and the records that it needs.
  struct HeadAndLog {
    HeadRow row;
    std::vector<store::StoredRecord> log;
  };
  Result<HeadAndLog> existingHeadAndLog(store::DatabaseId id);

  /// Records with after < txid ≤ through, ascending, until their bytes pass `bytesMax`.
  Result<std::vector<store::StoredRecord>> records(store::DatabaseId id, store::Txid after,
                                                   store::Txid through, std::size_t bytesMax);
  struct RecordSize {
    store::Txid txid = 0;
    std::size_t bytes = 0;
  };
  Result<std::vector<RecordSize>> recordSizes(store::DatabaseId id, store::Txid after,
                                              store::Txid through);
  /// The newest record at or before a time.
  Result<std::optional<store::VersionAt>> versionAt(store::DatabaseId id, std::int64_t timeMs);

  /// Appends the newest version ≤ atTxid of each of the chunks, which are ascending, where there is
  /// one.
  Status newestChunks(store::DatabaseId id, store::Txid atTxid,
                      std::span<const store::ChunkNumber> chunks,
                      std::vector<store::StoredChunk>& out);
  /// Visits the versions in order of (chunk, txid), from the given one on, until `visit` returns
  /// false.
  Status versions(store::DatabaseId id, ChunkKeyFields from,
                  FunctionRef<bool(const store::ChunkVersion&)> visit);

  /// Databases by name.
  Result<store::ListPage> list(std::string_view prefix, std::string_view after, std::size_t limit);
  Result<std::vector<store::DueAlarm>> dueAlarms(std::int64_t nowMs, std::size_t limit);
  /// Removed databases whose files are yet to be rewritten.
  Result<std::vector<store::DatabaseId>> removedDatabases();

 private:
  // RocksDB's iterator over [first, end) of a family.
  struct Range;

  Result<std::optional<std::string>> get(Family family, std::string_view key);
  Result<std::optional<HeadRow>> base(store::DatabaseId id);
  // Visits the log rows with txid > after, ascending, until `visit` returns false.
  Status logRows(store::DatabaseId id, store::Txid after, FunctionRef<bool(const LogRow&)> visit);
  Error failed(const rocksdb::Status& status);

  Rocks& rocks_;
  rocksdb::ReadOptions options_;
  const rocksdb::Snapshot* own_ = nullptr;
  bool missed_ = false;
};

}  // namespace skep::backend::embedded
