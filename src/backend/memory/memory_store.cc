#include "skep/backend/memory/memory_store.h"

#include <algorithm>

#include "skep/store/head_rules.h"
#include "skep/store/read_only_store.h"

namespace skep::backend {

using store::ChunkNumber;
using store::ChunkVersion;
using store::Claim;
using store::Create;
using store::DatabaseId;
using store::DatabaseInfo;
using store::DatabaseWrite;
using store::Head;
using store::StoredChunk;
using store::StoredRecord;
using store::Txid;

struct MemoryStore::Database {
  struct Record {
    std::int64_t timeMs = 0;
    Bytes bytes;
  };

  DatabaseId id;
  std::string name;
  std::int64_t createdMs = 0;
  store::Properties properties;
  Head head;
  store::Incarnation owner = 0;
  Txid expiredTxid = 0;  // of the newest record that was deleted
  std::map<Txid, Record> log;
  std::map<std::pair<ChunkNumber, Txid>, Bytes> chunks;

  std::vector<StoredRecord> records(Txid after, Txid through) const {
    std::vector<StoredRecord> found;
    for (auto it = log.upper_bound(after); it != log.end() && it->first <= through; ++it) {
      found.push_back({it->first, it->second.bytes});
    }
    return found;
  }

  std::uint64_t recordBytes(Txid after, Txid through) const {
    std::uint64_t total = 0;
    for (auto it = log.upper_bound(after); it != log.end() && it->first <= through; ++it) {
      total += it->second.bytes.size();
    }
    return total;
  }

  void addNewest(ChunkNumber chunk, Txid atTxid, std::vector<StoredChunk>& out) const {
    auto it = chunks.upper_bound({chunk, atTxid});
    if (it == chunks.begin()) return;
    --it;
    if (it->first.first == chunk) out.push_back({chunk, it->first.second, it->second});
  }

  DatabaseInfo info() const {
    return {.name = name,
            .id = id,
            .head = head,
            .properties = properties,
            .owner = owner,
            .createdMs = createdMs,
            .storedBytes = 0};
  }

  void appendRecord(const DatabaseWrite& write) {
    if (write.commit) log[write.commit->txid] = {write.commit->timeMs, write.record};
  }

  void expireRecords(Txid through) {
    const auto end = log.upper_bound(through);
    if (end == log.begin()) return;
    expiredTxid = std::prev(end)->first;
    log.erase(log.begin(), end);
  }

  void removeChunks(const DatabaseWrite& write, Txid headTxid) {
    for (const store::SupersededChunk& superseded : write.superseded) {
      chunks.erase(chunks.lower_bound({superseded.chunk, 0}),
                   chunks.lower_bound({superseded.chunk, superseded.txid}));
    }
    if (write.dropChunksFrom) {
      std::erase_if(chunks, [&](const auto& entry) {
        return entry.first.first >= *write.dropChunksFrom && entry.first.second <= headTxid;
      });
    }
    if (write.discardStaging) {
      std::erase_if(chunks, [&](const auto& entry) { return entry.first.second > headTxid; });
    }
  }
};

MemoryStore::MemoryStore(Clock& clock) : clock_(clock), membership_(clock) {}
MemoryStore::~MemoryStore() = default;

Result<store::OpenedDatabase> MemoryStore::open(const store::OpenRequest& request) {
  SKEP_CHECK_OK(store::checkName(request.name));
  std::lock_guard lock(mutex_);
  store::OpenedDatabase opened;
  const bool takes = request.claim == Claim::Take;
  if (takes && request.owner != 0 && !membership_.lives(request.owner)) {
    return store::claimantEnded(request.name, request.owner);
  }
  SKEP_TRY(Database * database, findOrCreate(request, opened.created));
  SKEP_CHECK_OK(store::checkTake(request, database->owner, membership_.hasEnded(database->owner)));
  SKEP_CHECK_OK(store::checkRetake(request, database->id, database->head.epoch));
  if (request.claim != Claim::None) {
    database = &toWrite(request.name);
    ++database->head.epoch;
    if (takes) database->owner = request.owner;
  }
  const Head& head = database->head;
  opened.id = database->id;
  opened.head = head;
  opened.properties = database->properties;
  opened.owner = database->owner;
  opened.log = database->records(head.logStart, head.txid);
  std::set<ChunkNumber> wanted(opened.properties.hotChunks.begin(),
                               opened.properties.hotChunks.end());
  for (ChunkNumber chunk = 0; chunk < request.firstChunks; ++chunk) wanted.insert(chunk);
  for (const ChunkNumber chunk : wanted) database->addNewest(chunk, head.txid, opened.chunks);
  return opened;
}

Result<MemoryStore::Database*> MemoryStore::findOrCreate(const store::OpenRequest& request,
                                                         bool& created) {
  const auto found = byName_.find(request.name);
  if (found != byName_.end()) {
    if (request.create == Create::MustBeNew) {
      return Error{ErrorCode::AlreadyExists,
                   "there is a database named '" + request.name + "' already"};
    }
    return found->second.get();
  }
  // A Retake asks what became of an earlier write; a database that is gone answers that.
  if (request.create == Create::Never || request.claim == Claim::Retake) {
    return Error{ErrorCode::NotFound, "no database is named '" + request.name + "'"};
  }
  auto database = std::make_shared<Database>();
  database->id = {++lastId_};
  database->name = request.name;
  database->createdMs = clock_.wallMs();
  created = true;
  Database* const borrowed = database.get();
  byId_[borrowed->id] = borrowed;
  byName_[request.name] = std::move(database);
  return borrowed;
}

Result<const MemoryStore::Database*> MemoryStore::find(DatabaseId id) {
  const auto found = byId_.find(id);
  if (found == byId_.end()) {
    return Error{ErrorCode::NotFound, "there is no database " + std::to_string(id.value)};
  }
  return found->second;
}

/// The database, which no snapshot shares from now on.
MemoryStore::Database& MemoryStore::toWrite(std::string_view name) {
  std::shared_ptr<Database>& database = byName_.find(name)->second;
  if (database.use_count() > 1) {
    database = std::make_shared<Database>(*database);
    byId_[database->id] = database.get();
  }
  return *database;
}

std::vector<Status> MemoryStore::write(std::span<const DatabaseWrite> writes) {
  std::lock_guard lock(mutex_);
  std::set<DatabaseId> seen;
  std::vector<Status> statuses;
  statuses.reserve(writes.size());
  for (const DatabaseWrite& write : writes) {
    if (seen.insert(write.id).second) {
      statuses.push_back(apply(write));
    } else {
      statuses.push_back(
          Error{ErrorCode::InvalidArgument,
                "two writes to database " + std::to_string(write.id.value) + " in one batch"});
    }
  }
  return statuses;
}

Status MemoryStore::apply(const DatabaseWrite& write) {
  SKEP_TRY(const Database* found, find(write.id));
  SKEP_TRY(Head after, store::headAfter(found->head, write));
  if (store::isPartlyTrimmed(found->head, after)) {
    after.logBytes -= found->recordBytes(found->head.logStart, after.logStart);
  }
  Database& database = toWrite(found->name);
  database.appendRecord(write);
  database.expireRecords(write.expireThrough);
  database.removeChunks(write, after.txid);
  for (const StoredChunk& chunk : write.chunks)
    database.chunks[{chunk.chunk, chunk.txid}] = chunk.bytes;
  if (write.alarmChanged) setAlarm(database, after.alarmMs);
  if (write.properties) database.properties = *write.properties;
  if (write.release) database.owner = 0;
  database.head = after;
  return {};
}

void MemoryStore::setAlarm(Database& database, std::optional<std::int64_t> alarmMs) {
  if (database.head.alarmMs) alarms_.erase({*database.head.alarmMs, database.id});
  if (alarmMs) alarms_.insert({*alarmMs, database.id});
  database.head.alarmMs = alarmMs;
}

Result<store::ChunkRead> MemoryStore::readChunks(const store::ChunkReadRequest& request) {
  std::lock_guard lock(mutex_);
  SKEP_TRY(const Database* database, find(request.id));
  SKEP_CHECK_OK(store::checkReader(request, database->head.epoch));
  store::ChunkRead read;
  if (request.logAfter) {
    if (*request.logAfter < std::min(database->expiredTxid, request.atTxid)) {
      return Error{ErrorCode::SnapshotGone, "the records of '" + database->name + "' after txid " +
                                                std::to_string(*request.logAfter) +
                                                " are gone; the newest that was deleted is txid " +
                                                std::to_string(database->expiredTxid)};
    }
    read.log = database->records(*request.logAfter, request.atTxid);
  }
  for (const ChunkNumber chunk : request.chunks)
    database->addNewest(chunk, request.atTxid, read.chunks);
  return read;
}

Result<Head> MemoryStore::readHead(DatabaseId id) {
  std::lock_guard lock(mutex_);
  SKEP_TRY(const Database* database, find(id));
  return database->head;
}

Result<DatabaseInfo> MemoryStore::info(std::string_view name) {
  SKEP_CHECK_OK(store::checkName(name));
  std::lock_guard lock(mutex_);
  const auto found = byName_.find(name);
  if (found == byName_.end()) {
    return Error{ErrorCode::NotFound, "no database is named '" + std::string(name) + "'"};
  }
  const Database& database = *found->second;
  DatabaseInfo info = database.info();
  for (const auto& [key, bytes] : database.chunks) info.storedBytes += bytes.size();
  for (const auto& [txid, record] : database.log) info.storedBytes += record.bytes.size();
  return info;
}

Result<store::ListPage> MemoryStore::list(std::string_view prefix, std::string_view after,
                                          std::size_t limit) {
  std::lock_guard lock(mutex_);
  store::ListPage page;
  auto it = byName_.lower_bound(prefix);
  if (after >= prefix) it = byName_.upper_bound(after);
  for (; it != byName_.end() && std::string_view(it->first).starts_with(prefix); ++it) {
    if (page.databases.size() == limit) {
      if (limit > 0) page.next = page.databases.back().name;
      break;
    }
    page.databases.push_back(it->second->info());
  }
  return page;
}

Result<std::vector<StoredRecord>> MemoryStore::readLog(DatabaseId id, Txid afterTxid,
                                                       std::size_t bytesMax) {
  std::lock_guard lock(mutex_);
  SKEP_TRY(const Database* database, find(id));
  std::vector<StoredRecord> records;
  std::size_t total = 0;
  for (auto it = database->log.upper_bound(afterTxid); it != database->log.end(); ++it) {
    records.push_back({it->first, it->second.bytes});
    total += it->second.bytes.size();
    if (total > bytesMax) break;
  }
  return records;
}

Result<std::vector<ChunkVersion>> MemoryStore::listChunkVersions(DatabaseId id,
                                                                 std::optional<ChunkVersion> after,
                                                                 std::size_t limit) {
  std::lock_guard lock(mutex_);
  SKEP_TRY(const Database* database, find(id));
  std::vector<ChunkVersion> versions;
  auto it =
      after ? database->chunks.upper_bound({after->chunk, after->txid}) : database->chunks.begin();
  for (; it != database->chunks.end() && versions.size() < limit; ++it) {
    versions.push_back(
        {it->first.first, it->first.second, static_cast<std::uint32_t>(it->second.size())});
  }
  return versions;
}

Result<store::VersionAt> MemoryStore::versionAt(DatabaseId id, std::int64_t timeMs) {
  std::lock_guard lock(mutex_);
  SKEP_TRY(const Database* database, find(id));
  for (auto it = database->log.rbegin(); it != database->log.rend(); ++it) {
    if (it->second.timeMs <= timeMs) return store::VersionAt{it->first, it->second.timeMs};
  }
  return Error{ErrorCode::NotFound, "no kept version of '" + database->name + "' is that old"};
}

Status MemoryStore::destroy(std::string_view name, std::optional<store::Ownership> onlyAs) {
  SKEP_CHECK_OK(store::checkName(name));
  std::lock_guard lock(mutex_);
  const auto found = byName_.find(name);
  if (found == byName_.end()) {
    return Error{ErrorCode::NotFound, "no database is named '" + std::string(name) + "'"};
  }
  const Database& database = *found->second;
  SKEP_CHECK_OK(store::checkDestroyer(name, onlyAs, database.id, database.head.epoch));
  if (database.head.alarmMs) alarms_.erase({*database.head.alarmMs, database.id});
  byId_.erase(database.id);
  byName_.erase(found);
  return {};
}

Result<std::vector<store::DueAlarm>> MemoryStore::dueAlarms(std::int64_t nowMs, std::size_t limit) {
  std::lock_guard lock(mutex_);
  std::vector<store::DueAlarm> due;
  for (const auto& [alarmMs, id] : alarms_) {
    if (alarmMs > nowMs || due.size() == limit) break;
    due.push_back({byId_.at(id)->name, id, alarmMs});
  }
  return due;
}

Result<std::unique_ptr<store::PageStore>> MemoryStore::snapshot() {
  auto copy = std::make_unique<MemoryStore>(clock_);
  std::lock_guard lock(mutex_);
  copy->byName_ = byName_;
  copy->byId_ = byId_;
  copy->alarms_ = alarms_;
  return std::unique_ptr<store::PageStore>(std::make_unique<store::ReadOnlyStore>(std::move(copy)));
}

}  // namespace skep::backend
