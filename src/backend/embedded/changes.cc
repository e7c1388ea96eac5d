// How an EmbeddedStore changes: claims, creations, writes, destruction. All of this runs on the
// store's threads.

#include <algorithm>
#include <numeric>

#include "skep/backend/embedded/embedded_store_impl.h"
#include "skep/base/log.h"
#include "skep/store/head_rules.h"

namespace skep::backend {

using embedded::BusyKeys;
using embedded::Family;
using embedded::HeadRow;
using embedded::NameRow;
using embedded::RowReader;
using embedded::Tier;
using embedded::View;
using embedded::WriteBuilder;
using store::Claim;
using store::Create;
using store::DatabaseId;
using store::DatabaseWrite;
using store::OpenedDatabase;
using store::OpenRequest;

namespace {

// Ids are given out from a range that is reserved on disk first, so that none is given out twice,
// whatever is destroyed and whenever the process dies.
constexpr std::uint64_t kIdsReserved = 1000;

}  // namespace

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
  SKEP_CHECK_OK(store::checkRetake(request, id, head.head.epoch));
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
  std::vector<Status> statuses(writes.size());
  // In the order of their keys, in which RocksDB takes them fastest.
  std::vector<std::size_t> order(writes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return writes[a].id < writes[b].id; });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const DatabaseWrite& write = writes[order[i]];
    if (i > 0 && writes[order[i - 1]].id == write.id) {
      statuses[order[i]] =
          Error{ErrorCode::InvalidArgument,
                "two writes to database " + std::to_string(write.id.value) + " in one batch"};
    } else {
      statuses[order[i]] = builder.add(write);
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

// Returns the id when the space that it took is still to be given back.
Result<std::optional<DatabaseId>> EmbeddedStore::Impl::destroy(
    std::string_view name, const std::optional<store::Ownership>& onlyAs) {
  const std::uint64_t nameBusy = busyKeyOf(name);
  const BusyKeys::Hold holdName(busy, {&nameBusy, 1});
  RowReader reader(*rocks, Tier::Disk, View::Latest);
  SKEP_TRY(const std::optional<NameRow> row, reader.name(name));
  if (!row) return noSuchName(name);
  const std::uint64_t idBusy = busyKeyOf(row->id);
  const BusyKeys::Hold holdId(busy, {&idBusy, 1});
  // Nobody claims or writes while the key is held: what is checked is what is removed.
  SKEP_TRY(const HeadRow head, reader.existingHead(row->id));
  SKEP_CHECK_OK(store::checkDestroyer(name, onlyAs, row->id, head.head.epoch));
  WriteBuilder builder(*rocks, heads);
  SKEP_CHECK_OK(builder.destroy(name, row->id));
  SKEP_CHECK_OK(commit(builder, Durability::Now));
  return builder.largeRemoved() ? std::optional(row->id) : std::nullopt;
}

// RocksDB would get to it with later writes; a store that is rarely written to gets its space back
// now. A note in the store (removedKey) says what is still to be done, should this be cut short.
void EmbeddedStore::Impl::giveSpaceBack(DatabaseId removed) {
  rocksdb::Status status = rocks->compactContents(removed);
  if (status.ok()) {
    status = rocks->db().Delete({}, rocks->family(Family::Meta),
                                embedded::slice(embedded::removedKey(removed)));
  }
  if (status.ok() || status.IsIncomplete()) return;  // incomplete: the store is being closed
  logWarn("embedded store", "a removed database still takes space",
          {{"directory", rocks->directory()}, {"error", status.ToString()}});
}

// What earlier processes did not get to.
void EmbeddedStore::Impl::giveSpaceBackLater() {
  RowReader reader(*rocks, Tier::Disk, View::Latest);
  const Result<std::vector<DatabaseId>> removed = reader.removedDatabases();
  if (!removed) return;  // whoever reads next meets the same error
  for (const DatabaseId id : *removed) tidier.submit([this, id] { giveSpaceBack(id); });
}

}  // namespace skep::backend
