// WriteBuilder: turns DatabaseWrites into one RocksDB batch.
//
// The caller holds the busy keys of all databases that it adds, from before add() until the batch
// was written, so that what add() read is still true then. One thread.

#pragma once

#include <rocksdb/write_batch.h>

#include <optional>
#include <string>
#include <vector>

#include "skep/backend/embedded/head_cache.h"
#include "skep/backend/embedded/rocks.h"
#include "skep/backend/embedded/row_reader.h"

namespace skep::backend::embedded {

class WriteBuilder {
 public:
  WriteBuilder(Rocks& rocks, HeadCache& heads);

  /// Checks `write` against the database's head and adds what it changes. Fenced, InvalidArgument,
  /// NotFound, and errors of reading; the batch is then as it was.
  Status add(const store::DatabaseWrite& write);

  /// A new database.
  void create(std::string_view name, const NameRow& row, const HeadRow& head);
  void putHead(store::DatabaseId id, const HeadRow& row);
  /// Removes the database and everything of it. A large one leaves a note that the files which held
  /// it are to be rewritten: then largeRemoved().
  Status destroy(std::string_view name, store::DatabaseId id);
  bool largeRemoved() const { return largeRemoved_; }

  bool empty() const { return batch_.Count() == 0; }
  rocksdb::WriteBatch& batch() { return batch_; }

  /// The batch is in the store: later writes may build on it.
  void written();

 private:
  Result<HeadRow> headOf(store::DatabaseId id);
  Status change(const store::DatabaseWrite& write, const HeadRow& before, HeadRow& row);
  Status trimLog(const store::DatabaseWrite& write, const store::Head& before, HeadRow& row);
  void appendRecord(const store::DatabaseWrite& write, const HeadRow& before, const HeadRow& row);
  Status removeChunks(const store::DatabaseWrite& write, HeadRow& row);
  void putChunks(const store::DatabaseWrite& write);
  Status setAlarm(store::DatabaseId id, std::optional<std::int64_t> before,
                  std::optional<std::int64_t> after);
  Status setProperties(store::DatabaseId id, const store::Properties& properties);
  Status removeContents(store::DatabaseId id, const HeadRow& row);
  void deleteVersions(store::DatabaseId id, const std::vector<store::ChunkVersion>& versions);

  void put(Family family, std::string_view key, ByteView value);
  void put(Family family, std::string_view key, ByteView prefix, ByteView value);
  void remove(Family family, std::string_view key);

  struct Changed {
    store::DatabaseId id;
    std::optional<HeadRow> row;  // nullopt: destroyed
  };

  Rocks& rocks_;
  HeadCache& heads_;
  RowReader reader_;
  std::vector<Changed> changed_;
  bool largeRemoved_ = false;
  rocksdb::WriteBatch batch_;
};

}  // namespace skep::backend::embedded
