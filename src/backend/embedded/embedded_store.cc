#include "skep/backend/embedded/embedded_store.h"

#include <algorithm>
#include <limits>
#include <set>

#include "skep/backend/embedded/embedded_store_impl.h"
#include "skep/store/head_rules.h"
#include "skep/store/read_only_store.h"

namespace skep::backend {

using embedded::HeadRow;
using embedded::NameRow;
using embedded::Rocks;
using embedded::RowReader;
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

// More chunks than this are read on the store's threads at once: they will hardly all be in memory.
constexpr std::size_t kInlineChunksMax = 4;

std::vector<ChunkNumber> chunksToOpen(const OpenRequest& request,
                                      const store::Properties& properties) {
  std::set<ChunkNumber> wanted(properties.hotChunks.begin(), properties.hotChunks.end());
  for (ChunkNumber chunk = 0; chunk < request.firstChunks; ++chunk) wanted.insert(chunk);
  return {wanted.begin(), wanted.end()};
}

}  // namespace

Result<std::unique_ptr<EmbeddedStore>> EmbeddedStore::open(EmbeddedOptions options, Clock& clock) {
  SKEP_TRY(std::unique_ptr<Rocks> rocks, Rocks::open(options));
  auto impl = std::make_shared<Impl>(options, clock, std::move(rocks));
  impl->giveSpaceBackLater();
  return std::unique_ptr<EmbeddedStore>(new EmbeddedStore(std::move(impl)));
}

EmbeddedStore::EmbeddedStore(std::shared_ptr<Impl> impl, Snapshot at)
    : impl_(std::move(impl)), at_(std::move(at)) {}
EmbeddedStore::~EmbeddedStore() = default;

Result<OpenedDatabase> EmbeddedStore::open(const OpenRequest& request) {
  SKEP_CHECK_OK(store::checkName(request.name));
  if (request.owner != 0) {
    return Error{ErrorCode::Unsupported,
                 "an embedded store serves one process, which has no nodes beside it"};
  }
  if (request.claim == Claim::None) {
    SKEP_TRY(std::optional<OpenedDatabase> opened,
             impl_->readNowOrLater(
                 at_, [&](RowReader& reader) { return impl_->openUnclaimed(reader, request); }));
    if (opened) {
      SKEP_CHECK_OK(impl_->waitUntilDurable(opened->id));
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

// A write is visible a little before it is durable. Nobody is told of it meanwhile: whoever read
// what such a write may have left calls this before it answers. An error when it will never be
// durable.
Status EmbeddedStore::Impl::waitUntilDurable(DatabaseId id) {
  if (busy.isBusy(busyKeyOf(id)))
    fiber::offload(readers, [&] { busy.waitUntilFree(busyKeyOf(id)); });
  return logSync.hasFailed() ? rocks->writable() : Status{};
}

std::vector<Status> EmbeddedStore::write(std::span<const DatabaseWrite> writes) {
  if (writes.empty()) return {};
  return fiber::offload(impl_->writers, [&] { return impl_->write(writes); });
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
  if (request.chunks.size() > kInlineChunksMax) return impl_->readOnThread(at_, read);
  return impl_->readNowOrLater(at_, read);
}

Result<store::Head> EmbeddedStore::readHead(DatabaseId id) {
  auto read = impl_->readNowOrLater(at_, [&](RowReader& reader) -> Result<store::Head> {
    SKEP_TRY(const HeadRow row, reader.existingHead(id));
    return row.head;
  });
  SKEP_CHECK_OK(impl_->waitUntilDurable(id));
  return read;
}

Result<store::DatabaseInfo> EmbeddedStore::info(std::string_view name) {
  SKEP_CHECK_OK(store::checkName(name));
  auto read = impl_->readOnThread(at_, [&](RowReader& reader) -> Result<store::DatabaseInfo> {
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
  if (read.ok()) SKEP_CHECK_OK(impl_->waitUntilDurable(read->id));
  return read;
}

Result<store::ListPage> EmbeddedStore::list(std::string_view prefix, std::string_view after,
                                            std::size_t limit) {
  auto read = impl_->readOnThread(
      at_, [&](RowReader& reader) { return reader.list(prefix, after, limit); });
  if (read.ok()) {
    for (const store::DatabaseInfo& database : read->databases)
      SKEP_CHECK_OK(impl_->waitUntilDurable(database.id));
  }
  return read;
}

Result<std::vector<store::StoredRecord>> EmbeddedStore::readLog(DatabaseId id, Txid afterTxid,
                                                                std::size_t bytesMax) {
  auto read =
      impl_->readOnThread(at_, [&](RowReader& reader) -> Result<std::vector<store::StoredRecord>> {
        SKEP_CHECK_OK(reader.existingBase(id));
        return reader.records(id, afterTxid, kLastTxid, bytesMax);
      });
  SKEP_CHECK_OK(impl_->waitUntilDurable(id));
  return read;
}

Result<std::vector<ChunkVersion>> EmbeddedStore::listChunkVersions(
    DatabaseId id, std::optional<ChunkVersion> after, std::size_t limit) {
  return impl_->readOnThread(at_, [&](RowReader& reader) -> Result<std::vector<ChunkVersion>> {
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
  auto read = impl_->readOnThread(at_, [&](RowReader& reader) -> Result<store::VersionAt> {
    SKEP_CHECK_OK(reader.existingBase(id));
    SKEP_TRY(const std::optional<store::VersionAt> version, reader.versionAt(id, timeMs));
    if (!version) {
      return Error{ErrorCode::NotFound,
                   "no kept version of database " + std::to_string(id.value) + " is that old"};
    }
    return *version;
  });
  SKEP_CHECK_OK(impl_->waitUntilDurable(id));
  return read;
}

Status EmbeddedStore::destroy(std::string_view name, std::optional<store::Ownership> onlyAs) {
  SKEP_CHECK_OK(store::checkName(name));
  SKEP_TRY(const std::optional<DatabaseId> removed,
           fiber::offload(impl_->writers, [&] { return impl_->destroy(name, onlyAs); }));
  // It is gone; but a command that destroys it ends next, and would take the tidying with it.
  if (removed) fiber::offload(impl_->tidier, [&] { impl_->giveSpaceBack(*removed); });
  return {};
}

Result<std::vector<store::DueAlarm>> EmbeddedStore::dueAlarms(std::int64_t nowMs,
                                                              std::size_t limit) {
  return impl_->readNowOrLater(at_,
                               [&](RowReader& reader) { return reader.dueAlarms(nowMs, limit); });
}

Result<std::unique_ptr<store::PageStore>> EmbeddedStore::snapshot() {
  rocksdb::DB& db = impl_->rocks->db();
  Snapshot now(db.GetSnapshot(), [&db](const auto* taken) { db.ReleaseSnapshot(taken); });
  return std::unique_ptr<store::PageStore>(std::make_unique<store::ReadOnlyStore>(
      std::unique_ptr<store::PageStore>(new EmbeddedStore(impl_, std::move(now)))));
}

Status EmbeddedStore::compact() {
  return fiber::offload(impl_->tidier, [&]() -> Status {
    const rocksdb::Status status = impl_->rocks->compactAll();
    if (!status.ok()) return impl_->rocks->errorOf(status, "compact");
    return {};
  });
}

}  // namespace skep::backend
