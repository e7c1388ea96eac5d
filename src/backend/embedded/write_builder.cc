#include "skep/backend/embedded/write_builder.h"

#include <limits>

#include "skep/store/head_rules.h"

namespace skep::backend::embedded {

using store::ChunkVersion;
using store::DatabaseId;
using store::DatabaseWrite;
using store::Head;
using store::Txid;

namespace {

// From so many rows on, a range is deleted as a range. Below, row by row: a range deletion costs
// every later reader of the family a little until it is compacted away.
constexpr std::size_t kRangeDeleteRows = 1024;

// A removed database of so many bytes does not wait for RocksDB to come across its files.
constexpr std::uint64_t kLargeBytes = 4 << 20;

// What one write discards of a staging at most: bounds the size of the batch.
constexpr std::size_t kDiscardVersionsMax = 16 * 1024;

constexpr Txid kLastTxid = std::numeric_limits<Txid>::max();

}  // namespace

WriteBuilder::WriteBuilder(Rocks& rocks, HeadCache& heads)
    : rocks_(rocks), heads_(heads), reader_(rocks, Tier::Disk, View::Latest) {}

Result<HeadRow> WriteBuilder::headOf(DatabaseId id) {
  if (const std::optional<HeadRow> known = heads_.find(id)) return *known;
  return reader_.existingHead(id);
}

Status WriteBuilder::add(const DatabaseWrite& write) {
  SKEP_TRY(const HeadRow before, headOf(write.id));
  SKEP_TRY(const Head after, store::headAfter(before.head, write));
  HeadRow row{after, before.expiredTxid};
  batch_.SetSavePoint();
  const Status changed = change(write, before, row);
  if (!changed.ok()) {
    batch_.RollbackToSavePoint().PermitUncheckedError();
    return changed;
  }
  batch_.PopSavePoint().PermitUncheckedError();
  changed_.push_back({write.id, row});
  return {};
}

Status WriteBuilder::change(const DatabaseWrite& write, const HeadRow& before, HeadRow& row) {
  SKEP_CHECK_OK(trimLog(write, before.head, row));
  SKEP_CHECK_OK(removeChunks(write, row));
  putChunks(write);
  if (write.alarmChanged) SKEP_CHECK_OK(setAlarm(write.id, before.head.alarmMs, row.head.alarmMs));
  if (write.properties) SKEP_CHECK_OK(setProperties(write.id, *write.properties));
  appendRecord(write, before, row);
  return {};
}

// Appends the record, unless it expires at once; and writes the base if the record's row does not
// say it all.
void WriteBuilder::appendRecord(const DatabaseWrite& write, const HeadRow& before,
                                const HeadRow& row) {
  HeadRow said = before;
  if (write.commit && write.commit->txid > row.expiredTxid) {
    const LogKey key = logKey(write.id, write.commit->txid);
    put(Family::Log, key.text(), encodeLogPrefix(key.text(), *write.commit, row.head.logBytes),
        write.record);
    layOver(said.head, {*write.commit, row.head.logBytes, {}});
  }
  if (!(said == row)) put(Family::Head, headKey(write.id).text(), encodeHeadRow(write.id, row));
}

Status WriteBuilder::trimLog(const DatabaseWrite& write, const Head& before, HeadRow& row) {
  if (store::isPartlyTrimmed(before, row.head)) {
    SKEP_TRY(const auto trimmed, reader_.recordSizes(write.id, before.logStart, row.head.logStart));
    for (const RowReader::RecordSize& record : trimmed) row.head.logBytes -= record.bytes;
  }
  if (write.expireThrough <= row.expiredTxid) return {};
  SKEP_TRY(const auto expired, reader_.recordSizes(write.id, row.expiredTxid, write.expireThrough));
  if (expired.size() < kRangeDeleteRows) {
    for (const RowReader::RecordSize& record : expired)
      remove(Family::Log, logKey(write.id, record.txid).text());
  } else {
    const rocksdb::Status status =
        batch_.DeleteRange(rocks_.family(Family::Log), slice(logKey(write.id, 0).text()),
                           slice(logKey(write.id, write.expireThrough + 1).text()));
    if (!status.ok()) return rocks_.errorOf(status, "delete records");
  }
  if (!expired.empty()) row.expiredTxid = expired.back().txid;
  if (write.commit && write.commit->txid <= write.expireThrough)
    row.expiredTxid = write.commit->txid;
  return {};
}

Status WriteBuilder::removeChunks(const DatabaseWrite& write, HeadRow& row) {
  std::vector<ChunkVersion> obsolete;
  for (const store::SupersededChunk& superseded : write.superseded) {
    SKEP_CHECK_OK(
        reader_.versions(write.id, {superseded.chunk, 0}, [&](const ChunkVersion& version) {
          const bool older = version.chunk == superseded.chunk && version.txid < superseded.txid;
          if (older) obsolete.push_back(version);
          return older;
        }));
  }
  if (write.dropChunksFrom) {
    SKEP_CHECK_OK(
        reader_.versions(write.id, {*write.dropChunksFrom, 0}, [&](const ChunkVersion& version) {
          if (version.txid <= row.head.txid) obsolete.push_back(version);
          return true;
        }));
  }
  if (write.discardStaging) {
    std::size_t discarded = 0;
    SKEP_CHECK_OK(reader_.versions(write.id, {0, 0}, [&](const ChunkVersion& version) {
      if (version.txid <= row.head.txid) return true;
      if (discarded == kDiscardVersionsMax) {
        row.head.stagingTxid = version.txid;  // more is left: the caller repeats
        return false;
      }
      obsolete.push_back(version);
      ++discarded;
      return true;
    }));
  }
  deleteVersions(write.id, obsolete);
  return {};
}

void WriteBuilder::deleteVersions(DatabaseId id, const std::vector<ChunkVersion>& versions) {
  for (const ChunkVersion& version : versions) {
    remove(Family::Chunk, chunkKey(id, version.chunk, version.txid).text());
    remove(Family::Version, versionKey(id, version.chunk, version.txid).text());
  }
}

void WriteBuilder::putChunks(const DatabaseWrite& write) {
  for (const store::StoredChunk& chunk : write.chunks) {
    put(Family::Chunk, chunkKey(write.id, chunk.chunk, chunk.txid).text(),
        asBytes({kPlainPrefix, 1}), chunk.bytes);
    put(Family::Version, versionKey(write.id, chunk.chunk, chunk.txid).text(),
        encodeVersionValue(chunk.bytes.size()));
  }
}

Status WriteBuilder::setAlarm(DatabaseId id, std::optional<std::int64_t> before,
                              std::optional<std::int64_t> after) {
  if (before == after) return {};
  if (before) remove(Family::Alarm, alarmKey(*before, id).text());
  if (!after) return {};
  SKEP_TRY(const std::string name, reader_.nameOf(id));
  put(Family::Alarm, alarmKey(*after, id).text(), asBytes({kPlainPrefix, 1}), asBytes(name));
  return {};
}

Status WriteBuilder::setProperties(DatabaseId id, const store::Properties& properties) {
  SKEP_TRY(const std::string name, reader_.nameOf(id));
  SKEP_TRY(std::optional<NameRow> row, reader_.name(name));
  if (!row || row->id != id)
    return Error{ErrorCode::Corrupt, "'" + name + "' is not the name of its database"};
  row->properties = properties;
  const std::string key = nameKey(name);
  put(Family::Meta, key, encodeNameRow(key, *row));
  return {};
}

void WriteBuilder::create(std::string_view name, const NameRow& row, const HeadRow& head) {
  const std::string byName = nameKey(name);
  const std::string byId = idKey(row.id);
  put(Family::Meta, byName, encodeNameRow(byName, row));
  put(Family::Meta, byId, encodeIdRow(byId, name));
  putHead(row.id, head);
}

void WriteBuilder::putHead(DatabaseId id, const HeadRow& row) {
  put(Family::Head, headKey(id).text(), encodeHeadRow(id, row));
  changed_.push_back({id, row});
}

void WriteBuilder::written() {
  for (const Changed& changed : changed_) {
    if (changed.row) {
      heads_.put(changed.id, *changed.row);
    } else {
      heads_.erase(changed.id);
    }
  }
}

Status WriteBuilder::destroy(std::string_view name, DatabaseId id) {
  SKEP_TRY(const HeadRow row, headOf(id));
  changed_.push_back({id, std::nullopt});
  remove(Family::Meta, nameKey(name));
  remove(Family::Meta, idKey(id));
  remove(Family::Head, headKey(id).text());
  if (row.head.alarmMs) remove(Family::Alarm, alarmKey(*row.head.alarmMs, id).text());

  return removeContents(id, row);
}

Status WriteBuilder::removeContents(DatabaseId id, const HeadRow& row) {
  SKEP_TRY(const auto records, reader_.recordSizes(id, row.expiredTxid, kLastTxid));
  std::vector<ChunkVersion> versions;
  SKEP_CHECK_OK(reader_.versions(id, {0, 0}, [&](const ChunkVersion& version) {
    versions.push_back(version);
    return versions.size() < kRangeDeleteRows;
  }));
  std::uint64_t bytes = 0;
  for (const RowReader::RecordSize& record : records) bytes += record.bytes;
  for (const ChunkVersion& version : versions) bytes += version.bytes;
  const bool manyRows = records.size() + versions.size() >= kRangeDeleteRows;
  largeRemoved_ = manyRows || bytes >= kLargeBytes;
  if (largeRemoved_) put(Family::Meta, removedKey(id), asBytes({kPlainPrefix, 1}));
  if (!manyRows) {
    for (const RowReader::RecordSize& record : records)
      remove(Family::Log, logKey(id, record.txid).text());
    deleteVersions(id, versions);
    return {};
  }
  for (const Family family : {Family::Log, Family::Chunk, Family::Version}) {
    const rocksdb::Status status = batch_.DeleteRange(
        rocks_.family(family), slice(headKey(id).text()), slice(endOf(id).text()));
    if (!status.ok()) return rocks_.errorOf(status, "delete a database");
  }
  return {};
}

void WriteBuilder::put(Family family, std::string_view key, ByteView value) {
  put(family, key, value, {});
}

void WriteBuilder::put(Family family, std::string_view key, ByteView prefix, ByteView value) {
  const rocksdb::Slice keyParts[] = {slice(key)};
  const rocksdb::Slice valueParts[] = {slice(prefix), slice(value)};
  const rocksdb::Status status = batch_.Put(rocks_.family(family), rocksdb::SliceParts(keyParts, 1),
                                            rocksdb::SliceParts(valueParts, 2));
  SKEP_CHECK(status.ok(), "%s", status.ToString().c_str());
}

void WriteBuilder::remove(Family family, std::string_view key) {
  const rocksdb::Status status = batch_.Delete(rocks_.family(family), slice(key));
  SKEP_CHECK(status.ok(), "%s", status.ToString().c_str());
}

}  // namespace skep::backend::embedded
