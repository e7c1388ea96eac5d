#include "skep/backend/embedded/embedded_store.h"

#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <mutex>
#include <numeric>
#include <set>

#include "skep/backend/embedded/busy_keys.h"
#include "skep/backend/embedded/head_cache.h"
#include "skep/backend/embedded/log_sync.h"
#include "skep/backend/embedded/rocks.h"
#include "skep/backend/embedded/row_reader.h"
#include "skep/backend/embedded/write_builder.h"
#include "skep/fiber/thread_pool.h"
#include "skep/store/head_rules.h"

namespace skep::backend {

using embedded::BusyKeys;
using embedded::Family;
using embedded::HeadCache;
using embedded::HeadRow;
using embedded::LogSync;
using embedded::NameRow;
using embedded::Rocks;
using embedded::RowReader;
using embedded::Tier;
using embedded::View;
using embedded::WriteBuilder;
using store::ChunkNumber;
using store::ChunkVersion;
using store::Claim;
using store::Create;
using store::DatabaseId;
using store::DatabaseWrite;
using store::OpenedDatabase;
using store::OpenRequest;
using store::Txid;

namespace {

constexpr std::size_t kNoBound = std::numeric_limits<std::size_t>::max();
constexpr Txid kLastTxid = std::numeric_limits<Txid>::max();

// Ids are given out from a range that is reserved on disk first, so that none is given out twice,
// whatever is destroyed and whenever the process dies.
constexpr std::uint64_t kIdsReserved = 1000;

// More chunks than this are read on the store's threads at once: they will hardly all be in memory.
constexpr std::size_t kInlineChunksMax = 4;

enum class Durability : std::uint8_t { WithNextCommit, Now };

Error noSuchName(std::string_view name) {
  return Error{ErrorCode::NotFound, "no database is named '" + std::string(name) + "'"};
}

// Busy keys of names have the top bit set, those of ids have not.
std::uint64_t busyKeyOf(std::string_view name) {
  return XXH3_64bits(name.data(), name.size()) | (1ull << 63);
}
std::uint64_t busyKeyOf(DatabaseId id) {
  return id.value;
}

std::vector<ChunkNumber> chunksToOpen(const OpenRequest& request,
                                      const store::Properties& properties) {
  std::set<ChunkNumber> wanted(properties.hotChunks.begin(), properties.hotChunks.end());
  for (ChunkNumber chunk = 0; chunk < request.firstChunks; ++chunk) wanted.insert(chunk);
  return {wanted.begin(), wanted.end()};
}

}  // namespace

struct EmbeddedStore::Impl {
  Impl(const EmbeddedOptions& options, Clock& storeClock, std::unique_ptr<Rocks> opened)
      : clock(storeClock),
        rocks(std::move(opened)),
        logSync(rocks->db()),
        heads(options.headsMax),
        readers("skep-read", options.readThreads),
        writers("skep-write", options.writeThreads),
        tidier("skep-tidy", 1) {}
  ~Impl() { rocks->cancelCompactions(); }

  // Runs `read(RowReader&)`: at once if memory has it all, otherwise on a thread that may block.
  template <class Read>
  auto readNowOrLater(Read read) -> std::invoke_result_t<Read, RowReader&> {
    if (fiber::onFiber()) {
      RowReader reader(*rocks, Tier::Memory, View::Snapshot);
      auto result = read(reader);
      if (!reader.missed()) return result;
    }
    return readOnThread(read);
  }
  template <class Read>
  auto readOnThread(Read read) -> std::invoke_result_t<Read, RowReader&> {
    return fiber::offload(readers, [&] {
      RowReader reader(*rocks, Tier::Disk, View::Snapshot);
      return read(reader);
    });
  }

  Result<OpenedDatabase> openExisting(RowReader& reader, const OpenRequest& request, NameRow row,
                                      RowReader::HeadAndLog found);
  Result<std::optional<OpenedDatabase>> openUnclaimed(RowReader& reader,
                                                      const OpenRequest& request);
  Result<OpenedDatabase> openClaiming(const OpenRequest& request);
  Result<OpenedDatabase> claim(const OpenRequest& request, DatabaseId id);
  Result<OpenedDatabase> create(const OpenRequest& request);
  Result<DatabaseId> takeId();
  std::vector<Status> write(std::span<const DatabaseWrite> writes);
  Status destroy(std::string_view name);
  Status commit(WriteBuilder& builder, Durability durability);
  void settle(DatabaseId id);

  Clock& clock;
  std::unique_ptr<Rocks> rocks;
  LogSync logSync;
  BusyKeys busy;
  HeadCache heads;
  std::mutex idMutex;
  std::uint64_t nextId = 0;
  std::uint64_t reservedEnd = 0;
  // Last: their threads end before what they use.
  fiber::ThreadPool readers;
  fiber::ThreadPool writers;
  fiber::ThreadPool tidier;
};

Result<std::unique_ptr<EmbeddedStore>> EmbeddedStore::open(EmbeddedOptions options, Clock& clock) {
  SKEP_TRY(std::unique_ptr<Rocks> rocks, Rocks::open(options));
  return std::unique_ptr<EmbeddedStore>(
      new EmbeddedStore(std::make_unique<Impl>(options, clock, std::move(rocks))));
}

EmbeddedStore::EmbeddedStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EmbeddedStore::~EmbeddedStore() = default;

Result<OpenedDatabase> EmbeddedStore::open(const OpenRequest& request) {
  SKEP_CHECK_OK(store::checkName(request.name));
  if (request.claim == Claim::None) {
    SKEP_TRY(std::optional<OpenedDatabase> opened, impl_->readNowOrLater([&](RowReader& reader) {
      return impl_->openUnclaimed(reader, request);
    }));
    if (opened) {
      impl_->settle(opened->id);
      return std::move(*opened);
    }
  }
  return fiber::offload(impl_->readers, [&] { return impl_->openClaiming(request); });
}

// nullopt: it does not exist and is to be created.
Result<std::optional<OpenedDatabase>> EmbeddedStore::Impl::openUnclaimed(
    RowReader& reader, const OpenRequest& request) {
  SKEP_TRY(std::optional<NameRow> row, reader.name(request.name));
  if (!row) {
    if (request.create == Create::Never) return noSuchName(request.name);
    return std::optional<OpenedDatabase>();
  }
  if (request.create == Create::MustBeNew) {
    return Error{ErrorCode::AlreadyExists,
                 "there is a database named '" + request.name + "' already"};
  }
  SKEP_TRY(RowReader::HeadAndLog found, reader.existingHeadAndLog(row->id));
  SKEP_TRY(OpenedDatabase opened, openExisting(reader, request, std::move(*row), std::move(found)));
  return std::optional(std::move(opened));
}

Result<OpenedDatabase> EmbeddedStore::Impl::openExisting(RowReader& reader,
                                                         const OpenRequest& request, NameRow row,
                                                         RowReader::HeadAndLog found) {
  OpenedDatabase opened;
  opened.id = row.id;
  opened.head = found.row.head;
  opened.log = std::move(found.log);
  const std::vector<ChunkNumber> chunks = chunksToOpen(request, row.properties);
  SKEP_CHECK_OK(reader.newestChunks(row.id, opened.head.txid, chunks, opened.chunks));
  opened.properties = std::move(row.properties);
  return opened;
}

// On a thread that may block, as everything below that writes.
Result<OpenedDatabase> EmbeddedStore::Impl::openClaiming(const OpenRequest& request) {
  // The name stands still while it is held: nobody else creates or destroys it.
  const std::uint64_t nameBusy = busyKeyOf(request.name);
  const BusyKeys::Hold holdName(busy, {&nameBusy, 1});
  RowReader reader(*rocks, Tier::Disk, View::Latest);
  SKEP_TRY(const std::optional<NameRow> row, reader.name(request.name));
  if (row) {
    if (request.create == Create::MustBeNew) {
      return Error{ErrorCode::AlreadyExists,
                   "there is a database named '" + request.name + "' already"};
    }
    return claim(request, row->id);
  }
  // A Retake asks what became of an earlier write; a database that is gone answers that.
  if (request.create == Create::Never || request.claim == Claim::Retake)
    return noSuchName(request.name);
  return create(request);
}

Result<OpenedDatabase> EmbeddedStore::Impl::claim(const OpenRequest& request, DatabaseId id) {
  // Waits for a write that is under way: what the claim sees is final.
  const std::uint64_t idBusy = busyKeyOf(id);
  const BusyKeys::Hold holdId(busy, {&idBusy, 1});
  RowReader reader(*rocks, Tier::Disk, View::Latest);
  SKEP_TRY(std::optional<NameRow> row, reader.name(request.name));
  if (!row || row->id != id)
    return Error{ErrorCode::Corrupt, "'" + request.name + "' changed while it was held"};
  SKEP_TRY(RowReader::HeadAndLog found, reader.existingHeadAndLog(id));
  HeadRow& head = found.row;
  if (request.claim == Claim::Retake && head.head.epoch != request.retakeEpoch) {
    return Error{ErrorCode::Fenced, "'" + request.name + "' has another owner: its epoch is " +
                                        std::to_string(head.head.epoch) + ", not " +
                                        std::to_string(request.retakeEpoch)};
  }
  WriteBuilder builder(*rocks, heads);
  if (request.claim != Claim::None) {
    ++head.head.epoch;
    builder.putHead(id, head);
  }
  SKEP_TRY(OpenedDatabase opened, openExisting(reader, request, std::move(*row), std::move(found)));
  if (builder.empty()) return opened;
  SKEP_CHECK_OK(commit(builder, Durability::WithNextCommit));
  return opened;
}

Result<OpenedDatabase> EmbeddedStore::Impl::create(const OpenRequest& request) {
  OpenedDatabase opened;
  SKEP_TRY(opened.id, takeId());
  opened.created = true;
  if (request.claim == Claim::Take) opened.head.epoch = 1;
  const std::uint64_t idBusy = busyKeyOf(opened.id);
  const BusyKeys::Hold holdId(busy, {&idBusy, 1});
  WriteBuilder builder(*rocks, heads);
  builder.create(request.name, {.id = opened.id, .createdMs = clock.wallMs(), .properties = {}},
                 {opened.head, 0});
  SKEP_CHECK_OK(commit(builder, Durability::WithNextCommit));
  return opened;
}

Result<DatabaseId> EmbeddedStore::Impl::takeId() {
  std::lock_guard lock(idMutex);
  if (nextId == reservedEnd) {
    std::string value;
    const rocksdb::Status status = rocks->db().Get({}, rocks->family(Family::Meta),
                                                   embedded::slice(embedded::kCounterKey), &value);
    std::uint64_t next = 1;
    if (status.ok()) {
      SKEP_TRY(next, embedded::decodeNumber(embedded::kCounterKey, value));
    } else if (!status.IsNotFound()) {
      return rocks->errorOf(status, "be read");
    }
    // Before the first database that gets one of these ids in the write-ahead log: no sync of its
    // own.
    const Bytes end = embedded::encodeNumber(embedded::kCounterKey, next + kIdsReserved);
    const rocksdb::Status put =
        rocks->db().Put({}, rocks->family(Family::Meta), embedded::slice(embedded::kCounterKey),
                        embedded::slice(end));
    if (!put.ok()) return rocks->errorOf(put, "reserve database ids");
    nextId = next;
    reservedEnd = next + kIdsReserved;
  }
  return DatabaseId{nextId++};
}

Status EmbeddedStore::Impl::commit(WriteBuilder& builder, Durability durability) {
  // Past this check a failure may have left the batch in the log, for the next process to find.
  SKEP_CHECK_OK(rocks->writable());
  rocksdb::Status status = rocks->db().Write({}, &builder.batch());
  if (status.ok()) {
    builder.written();
    if (durability == Durability::Now) status = logSync.sync();
  }
  if (status.ok()) return {};
  Error error = rocks->errorOf(status, "write");
  if (durability == Durability::Now) error.code = ErrorCode::UnknownOutcome;
  return error;
}

// A write is visible a little before it is durable. Nobody is told of it meanwhile: whoever read
// what such a write may have left calls this before it answers.
void EmbeddedStore::Impl::settle(DatabaseId id) {
  if (!busy.isBusy(busyKeyOf(id))) return;
  fiber::offload(readers, [&] { busy.waitUntilFree(busyKeyOf(id)); });
}

std::vector<Status> EmbeddedStore::write(std::span<const DatabaseWrite> writes) {
  if (writes.empty()) return {};
  return fiber::offload(impl_->writers, [&] { return impl_->write(writes); });
}

std::vector<Status> EmbeddedStore::Impl::write(std::span<const DatabaseWrite> writes) {
  // Before anything is compared with heads: a write that failed may have changed them.
  if (Status health = rocks->writable(); !health.ok())
    return std::vector<Status>(writes.size(), health);
  std::vector<std::uint64_t> ids;
  ids.reserve(writes.size());
  for (const DatabaseWrite& write : writes) ids.push_back(busyKeyOf(write.id));
  // Until the batch is durable: checks and writes of one database are one step.
  const BusyKeys::Hold hold(busy, ids);
  WriteBuilder builder(*rocks, heads);
  std::vector<Status> statuses;
  statuses.reserve(writes.size());
  std::set<DatabaseId> seen;
  for (const DatabaseWrite& write : writes) {
    if (seen.insert(write.id).second) {
      statuses.push_back(builder.add(write));
    } else {
      statuses.push_back(
          Error{ErrorCode::InvalidArgument,
                "two writes to database " + std::to_string(write.id.value) + " in one batch"});
    }
  }
  if (builder.empty()) return statuses;
  const Status outcome = commit(builder, Durability::Now);
  if (outcome.ok()) return statuses;
  for (Status& status : statuses) {
    if (status.ok()) status = outcome;
  }
  return statuses;
}

Result<store::ChunkRead> EmbeddedStore::readChunks(const store::ChunkReadRequest& request) {
  const auto read = [&](RowReader& reader) -> Result<store::ChunkRead> {
    SKEP_TRY(const HeadRow head, reader.existingBase(request.id));
    SKEP_CHECK_OK(store::checkReader(request, head.head.epoch));
    store::ChunkRead found;
    if (request.logAfter) {
      if (*request.logAfter < std::min(head.expiredTxid, request.atTxid)) {
        return Error{ErrorCode::SnapshotGone,
                     "records of database " + std::to_string(request.id.value) + " after txid " +
                         std::to_string(*request.logAfter) +
                         " are gone; the newest that was deleted is txid " +
                         std::to_string(head.expiredTxid)};
      }
      SKEP_TRY(found.log, reader.records(request.id, *request.logAfter, request.atTxid, kNoBound));
    }
    SKEP_CHECK_OK(reader.newestChunks(request.id, request.atTxid, request.chunks, found.chunks));
    return found;
  };
  if (request.chunks.size() > kInlineChunksMax) return impl_->readOnThread(read);
  return impl_->readNowOrLater(read);
}

Result<store::DatabaseInfo> EmbeddedStore::info(std::string_view name) {
  SKEP_CHECK_OK(store::checkName(name));
  auto read = impl_->readOnThread([&](RowReader& reader) -> Result<store::DatabaseInfo> {
    SKEP_TRY(std::optional<NameRow> row, reader.name(name));
    if (!row) return noSuchName(name);
    SKEP_TRY(const HeadRow head, reader.existingHead(row->id));
    store::DatabaseInfo info{.name = std::string(name),
                             .id = row->id,
                             .head = head.head,
                             .properties = std::move(row->properties),
                             .createdMs = row->createdMs,
                             .storedBytes = 0};
    SKEP_TRY(const auto records, reader.recordSizes(row->id, head.expiredTxid, kLastTxid));
    for (const RowReader::RecordSize& record : records) info.storedBytes += record.bytes;
    SKEP_CHECK_OK(reader.versions(row->id, {0, 0}, [&](const ChunkVersion& version) {
      info.storedBytes += version.bytes;
      return true;
    }));
    return info;
  });
  if (read.ok()) impl_->settle(read->id);
  return read;
}

Result<store::ListPage> EmbeddedStore::list(std::string_view prefix, std::string_view after,
                                            std::size_t limit) {
  auto read =
      impl_->readOnThread([&](RowReader& reader) { return reader.list(prefix, after, limit); });
  if (read.ok()) {
    for (const store::DatabaseInfo& database : read->databases) impl_->settle(database.id);
  }
  return read;
}

Result<std::vector<store::StoredRecord>> EmbeddedStore::readLog(DatabaseId id, Txid afterTxid,
                                                                std::size_t bytesMax) {
  auto read =
      impl_->readOnThread([&](RowReader& reader) -> Result<std::vector<store::StoredRecord>> {
        SKEP_CHECK_OK(reader.existingBase(id));
        return reader.records(id, afterTxid, kLastTxid, bytesMax);
      });
  impl_->settle(id);
  return read;
}

Result<std::vector<ChunkVersion>> EmbeddedStore::listChunkVersions(
    DatabaseId id, std::optional<ChunkVersion> after, std::size_t limit) {
  return impl_->readOnThread([&](RowReader& reader) -> Result<std::vector<ChunkVersion>> {
    SKEP_CHECK_OK(reader.existingBase(id));
    std::vector<ChunkVersion> found;
    embedded::ChunkKeyFields from;
    if (after) from = {after->chunk, after->txid + 1};
    SKEP_CHECK_OK(reader.versions(id, from, [&](const ChunkVersion& version) {
      if (found.size() == limit) return false;
      found.push_back(version);
      return true;
    }));
    return found;
  });
}

Result<store::VersionAt> EmbeddedStore::versionAt(DatabaseId id, std::int64_t timeMs) {
  auto read = impl_->readOnThread([&](RowReader& reader) -> Result<store::VersionAt> {
    SKEP_CHECK_OK(reader.existingBase(id));
    SKEP_TRY(const std::optional<store::VersionAt> version, reader.versionAt(id, timeMs));
    if (!version) {
      return Error{ErrorCode::NotFound,
                   "no kept version of database " + std::to_string(id.value) + " is that old"};
    }
    return *version;
  });
  impl_->settle(id);
  return read;
}

Status EmbeddedStore::destroy(std::string_view name) {
  SKEP_CHECK_OK(store::checkName(name));
  return fiber::offload(impl_->writers, [&] { return impl_->destroy(name); });
}

Status EmbeddedStore::Impl::destroy(std::string_view name) {
  const std::uint64_t nameBusy = busyKeyOf(name);
  const BusyKeys::Hold holdName(busy, {&nameBusy, 1});
  RowReader reader(*rocks, Tier::Disk, View::Latest);
  SKEP_TRY(const std::optional<NameRow> row, reader.name(name));
  if (!row) return noSuchName(name);
  const std::uint64_t idBusy = busyKeyOf(row->id);
  const BusyKeys::Hold holdId(busy, {&idBusy, 1});
  WriteBuilder builder(*rocks, heads);
  SKEP_CHECK_OK(builder.destroy(name, row->id));
  SKEP_CHECK_OK(commit(builder, Durability::Now));
  if (builder.largeRemoved()) {
    // RocksDB would get to it with the next writes; a store that is rarely written to gets its
    // space back now.
    tidier.submit([this, id = row->id] { (void)rocks->compactContents(id); });
  }
  return {};
}

Result<std::vector<store::DueAlarm>> EmbeddedStore::dueAlarms(std::int64_t nowMs,
                                                              std::size_t limit) {
  return impl_->readNowOrLater([&](RowReader& reader) { return reader.dueAlarms(nowMs, limit); });
}

Status EmbeddedStore::compact() {
  return fiber::offload(impl_->tidier, [&]() -> Status {
    const rocksdb::Status status = impl_->rocks->compactAll();
    if (!status.ok()) return impl_->rocks->errorOf(status, "compact");
    return {};
  });
}

}  // namespace skep::backend
