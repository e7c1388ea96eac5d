#include "skep/backend/embedded/row_reader.h"

#include <limits>

namespace skep::backend::embedded {

using store::ChunkNumber;
using store::ChunkVersion;
using store::DatabaseId;
using store::StoredChunk;
using store::StoredRecord;
using store::Txid;

namespace {

// Reading this many neighbours at once is a scan: RocksDB then reads ahead, and its cache is left
// to others, since the caller keeps the pages in a cache of its own.
constexpr std::size_t kScanChunks = 8;
constexpr std::size_t kReadAheadBytes = 512 * 1024;

bool isScan(std::span<const ChunkNumber> chunks) {
  return chunks.size() >= kScanChunks && chunks.back() - chunks.front() < 2 * chunks.size();
}

// So many versions of one chunk are stepped over before it pays to seek.
constexpr int kStepsBeforeSeek = 4;

}  // namespace

struct RowReader::Range {
  enum class Order : std::uint8_t { Forward, Backward };

  Range(RowReader& reader, Family family, std::string first, std::string end,
        Order order = Order::Forward)
      : first_(std::move(first)),
        end_(std::move(end)),
        firstSlice_(first_),
        endSlice_(end_),
        options_(reader.options_) {
    options_.iterate_lower_bound = &firstSlice_;
    options_.iterate_upper_bound = &endSlice_;
    options_.auto_prefix_mode = order == Order::Forward;
    options_.total_order_seek = order == Order::Backward;
    reader_ = &reader;
    family_ = family;
    order_ = order;
  }

  // A scan: reads ahead and leaves the block cache alone.
  void readAhead() {
    options_.readahead_size = kReadAheadBytes;
    options_.fill_cache = false;
  }

  void start() {
    open();
    if (order_ == Order::Forward) {
      iterator_->Seek(firstSlice_);
    } else {
      iterator_->SeekToLast();
    }
  }
  void seek(std::string_view key) {
    if (iterator_ == nullptr) open();
    iterator_->Seek(slice(key));
  }
  bool valid() const { return iterator_->Valid(); }
  void next() {
    if (order_ == Order::Forward) {
      iterator_->Next();
    } else {
      iterator_->Prev();
    }
  }
  std::string_view key() const { return text(iterator_->key()); }
  std::string_view value() const { return text(iterator_->value()); }
  // After the last row: whether the end was an error.
  Status finish() const {
    const rocksdb::Status status = iterator_->status();
    if (status.ok()) return {};
    return reader_->failed(status);
  }

 private:
  void open() {
    iterator_.reset(reader_->rocks_.db().NewIterator(options_, reader_->rocks_.family(family_)));
  }

  std::string first_;
  std::string end_;
  rocksdb::Slice firstSlice_;
  rocksdb::Slice endSlice_;
  rocksdb::ReadOptions options_;
  RowReader* reader_ = nullptr;
  Family family_{};
  Order order_{};
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

RowReader::RowReader(Rocks& rocks, Tier tier, View view) : rocks_(rocks) {
  if (tier == Tier::Memory) options_.read_tier = rocksdb::kBlockCacheTier;
  if (view == View::Snapshot) options_.snapshot = own_ = rocks_.db().GetSnapshot();
}

RowReader::RowReader(Rocks& rocks, Tier tier, const rocksdb::Snapshot& at)
    : RowReader(rocks, tier, View::Latest) {
  options_.snapshot = &at;
}

RowReader::~RowReader() {
  if (own_ != nullptr) rocks_.db().ReleaseSnapshot(own_);
}

Error RowReader::failed(const rocksdb::Status& status) {
  if (status.IsIncomplete()) missed_ = true;
  return rocks_.errorOf(status, "be read");
}

Result<std::optional<std::string>> RowReader::get(Family family, std::string_view key) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      rocks_.db().Get(options_, rocks_.family(family), slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return failed(status);
  return std::optional(value.ToString());
}

Result<std::optional<NameRow>> RowReader::name(std::string_view name) {
  const std::string key = nameKey(name);
  SKEP_TRY(const std::optional<std::string> value, get(Family::Meta, key));
  if (!value) return std::optional<NameRow>();
  SKEP_TRY(NameRow row, decodeNameRow(key, *value));
  return std::optional(std::move(row));
}

Result<std::string> RowReader::nameOf(DatabaseId id) {
  const std::string key = idKey(id);
  SKEP_TRY(const std::optional<std::string> value, get(Family::Meta, key));
  if (!value)
    return Error{ErrorCode::Corrupt, "database " + std::to_string(id.value) + " has no name"};
  return decodeIdRow(key, *value);
}

Result<std::optional<HeadRow>> RowReader::base(DatabaseId id) {
  SKEP_TRY(const std::optional<std::string> value, get(Family::Head, headKey(id).text()));
  if (!value) return std::optional<HeadRow>();
  SKEP_TRY(HeadRow row, decodeHeadRow(id, *value));
  return std::optional(std::move(row));
}

Result<HeadRow> RowReader::existingBase(DatabaseId id) {
  SKEP_TRY(const std::optional<HeadRow> row, base(id));
  if (!row) return Error{ErrorCode::NotFound, "there is no database " + std::to_string(id.value)};
  return *row;
}

Result<std::optional<HeadRow>> RowReader::head(DatabaseId id) {
  SKEP_TRY(std::optional<HeadRow> row, base(id));
  if (!row) return row;
  // Forward although only the last row counts: there are few since the base, and only a forward
  // seek may use the filters that spare it the files without them.
  SKEP_CHECK_OK(logRows(id, row->head.txid, [&](const LogRow& newer) {
    layOver(row->head, newer);
    return true;
  }));
  return row;
}

Result<HeadRow> RowReader::existingHead(DatabaseId id) {
  SKEP_TRY(const std::optional<HeadRow> row, head(id));
  if (!row) return Error{ErrorCode::NotFound, "there is no database " + std::to_string(id.value)};
  return *row;
}

Result<RowReader::HeadAndLog> RowReader::existingHeadAndLog(DatabaseId id) {
  HeadAndLog found;
  SKEP_TRY(found.row, existingBase(id));
  store::Head& head = found.row.head;
  SKEP_CHECK_OK(logRows(id, head.logStart, [&](const LogRow& row) {
    found.log.push_back({row.commit.txid, toBytes(row.record)});
    if (row.commit.txid > head.txid) layOver(head, row);
    return true;
  }));
  return found;
}

Status RowReader::logRows(DatabaseId id, Txid after, FunctionRef<bool(const LogRow&)> visit) {
  Range range(*this, Family::Log, std::string(logKey(id, after + 1).text()),
              std::string(endOf(id).text()));
  for (range.start(); range.valid(); range.next()) {
    SKEP_TRY(const LogRow row, decodeLogRow(range.key(), range.value()));
    if (!visit(row)) return {};
  }
  return range.finish();
}

Result<std::vector<StoredRecord>> RowReader::records(DatabaseId id, Txid after, Txid through,
                                                     std::size_t bytesMax) {
  std::vector<StoredRecord> found;
  if (after >= through) return found;
  std::size_t bytes = 0;
  SKEP_CHECK_OK(logRows(id, after, [&](const LogRow& row) {
    if (row.commit.txid > through) return false;
    found.push_back({row.commit.txid, toBytes(row.record)});
    bytes += row.record.size();
    return bytes <= bytesMax;
  }));
  return found;
}

Result<std::vector<RowReader::RecordSize>> RowReader::recordSizes(DatabaseId id, Txid after,
                                                                  Txid through) {
  std::vector<RecordSize> found;
  if (after >= through) return found;
  SKEP_CHECK_OK(logRows(id, after, [&](const LogRow& row) {
    if (row.commit.txid > through) return false;
    found.push_back({row.commit.txid, row.record.size()});
    return true;
  }));
  return found;
}

Result<std::optional<store::VersionAt>> RowReader::versionAt(DatabaseId id, std::int64_t timeMs) {
  // From the newest back: commit times need not grow with the txid, since clocks are set back.
  Range range(*this, Family::Log, std::string(headKey(id).text()), std::string(endOf(id).text()),
              Range::Order::Backward);
  for (range.start(); range.valid(); range.next()) {
    SKEP_TRY(const LogRow row, decodeLogRow(range.key(), range.value()));
    if (row.commit.timeMs > timeMs) continue;
    return std::optional(store::VersionAt{row.commit.txid, row.commit.timeMs});
  }
  SKEP_CHECK_OK(range.finish());
  return std::optional<store::VersionAt>();
}

Status RowReader::newestChunks(DatabaseId id, Txid atTxid, std::span<const ChunkNumber> chunks,
                               std::vector<StoredChunk>& out) {
  if (chunks.empty()) return {};
  Range range(*this, Family::Chunk, std::string(chunkKey(id, chunks.front(), atTxid).text()),
              std::string(endOf(id).text()));
  if (isScan(chunks)) range.readAhead();
  bool seeking = true;
  for (const ChunkNumber chunk : chunks) {
    const ChunkKey wanted = chunkKey(id, chunk, atTxid);
    // Neighbours are stepped to: the next chunk is close behind the last one unless many versions
    // are kept.
    for (int steps = 0; !seeking && range.valid() && range.key() < wanted.text(); ++steps) {
      seeking = steps == kStepsBeforeSeek;
      if (!seeking) range.next();
    }
    if (seeking) range.seek(wanted.text());
    seeking = false;
    if (!range.valid()) break;
    SKEP_TRY(const ChunkKeyFields found, fieldsOfChunkKey(range.key()));
    if (found.chunk != chunk) continue;
    SKEP_TRY(const std::string_view bytes, decodePlain(range.value()));
    out.push_back({chunk, found.txid, toBytes(asBytes(bytes))});
  }
  return range.finish();
}

Status RowReader::versions(DatabaseId id, ChunkKeyFields from,
                           FunctionRef<bool(const ChunkVersion&)> visit) {
  Range range(*this, Family::Version, std::string(versionKey(id, from.chunk, from.txid).text()),
              std::string(endOf(id).text()));
  for (range.start(); range.valid(); range.next()) {
    SKEP_TRY(const ChunkKeyFields fields, fieldsOfVersionKey(range.key()));
    SKEP_TRY(const std::uint32_t bytes, decodeVersionValue(range.value()));
    if (!visit({fields.chunk, fields.txid, bytes})) return {};
  }
  return range.finish();
}

Result<store::ListPage> RowReader::list(std::string_view prefix, std::string_view after,
                                        std::size_t limit) {
  store::ListPage page;
  const std::string firstKey = nameKey(prefix);
  std::string start = firstKey;
  if (after >= prefix) start = nameKey(after) + '\0';  // the first name behind `after`
  const std::string end = endOfPrefix(firstKey);
  if (start >= end) return page;
  Range range(*this, Family::Meta, start, end);
  for (range.start(); range.valid(); range.next()) {
    if (page.databases.size() == limit) {
      if (limit > 0) page.next = page.databases.back().name;
      return page;
    }
    SKEP_TRY(NameRow row, decodeNameRow(range.key(), range.value()));
    SKEP_TRY(const HeadRow headRow, existingHead(row.id));
    page.databases.push_back({.name = std::string(range.key().substr(1)),
                              .id = row.id,
                              .head = headRow.head,
                              .properties = std::move(row.properties),
                              .createdMs = row.createdMs,
                              .storedBytes = 0});
  }
  SKEP_CHECK_OK(range.finish());
  return page;
}

Result<std::vector<store::DueAlarm>> RowReader::dueAlarms(std::int64_t nowMs, std::size_t limit) {
  std::vector<store::DueAlarm> due;
  Range range(*this, Family::Alarm,
              std::string(alarmKey(std::numeric_limits<std::int64_t>::min(), {0}).text()),
              std::string(17, '\xff'));
  for (range.start(); range.valid() && due.size() < limit; range.next()) {
    SKEP_TRY(const AlarmKeyFields fields, fieldsOfAlarmKey(range.key()));
    if (fields.alarmMs > nowMs) return due;
    SKEP_TRY(const std::string_view name, decodePlain(range.value()));
    due.push_back({std::string(name), fields.id, fields.alarmMs});
  }
  SKEP_CHECK_OK(range.finish());
  return due;
}

Result<std::vector<DatabaseId>> RowReader::removedDatabases() {
  std::vector<DatabaseId> found;
  Range range(*this, Family::Meta, "r", endOfPrefix("r"));
  for (range.start(); range.valid(); range.next()) {
    SKEP_TRY(const DatabaseId id, idOfRemovedKey(range.key()));
    found.push_back(id);
  }
  SKEP_CHECK_OK(range.finish());
  return found;
}

}  // namespace skep::backend::embedded
