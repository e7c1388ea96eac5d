#include "skep/store/read_only_store.h"

namespace skep::store {
namespace {

Error refused() {
  return Error{ErrorCode::ReadOnly, "a snapshot of the store can't be changed"};
}

}  // namespace

Result<OpenedDatabase> ReadOnlyStore::open(const OpenRequest& request) {
  if (request.create != Create::Never || request.claim != Claim::None) return refused();
  return inner_->open(request);
}

std::vector<Status> ReadOnlyStore::write(std::span<const DatabaseWrite> writes) {
  return std::vector<Status>(writes.size(), Status(refused()));
}

Status ReadOnlyStore::destroy(std::string_view, std::optional<Ownership>) {
  return refused();
}

Result<std::unique_ptr<PageStore>> ReadOnlyStore::snapshot() {
  return Error{ErrorCode::Unsupported, "this is a snapshot of the store already"};
}

Result<ChunkRead> ReadOnlyStore::readChunks(const ChunkReadRequest& request) {
  return inner_->readChunks(request);
}

Result<Head> ReadOnlyStore::readHead(DatabaseId id) {
  return inner_->readHead(id);
}

Result<DatabaseInfo> ReadOnlyStore::info(std::string_view name) {
  return inner_->info(name);
}

Result<ListPage> ReadOnlyStore::list(std::string_view prefix, std::string_view after,
                                     std::size_t limit) {
  return inner_->list(prefix, after, limit);
}

Result<std::vector<StoredRecord>> ReadOnlyStore::readLog(DatabaseId id, Txid afterTxid,
                                                         std::size_t bytesMax) {
  return inner_->readLog(id, afterTxid, bytesMax);
}

Result<std::vector<ChunkVersion>> ReadOnlyStore::listChunkVersions(
    DatabaseId id, std::optional<ChunkVersion> after, std::size_t limit) {
  return inner_->listChunkVersions(id, after, limit);
}

Result<VersionAt> ReadOnlyStore::versionAt(DatabaseId id, std::int64_t timeMs) {
  return inner_->versionAt(id, timeMs);
}

Result<std::vector<DueAlarm>> ReadOnlyStore::dueAlarms(std::int64_t nowMs, std::size_t limit) {
  return inner_->dueAlarms(nowMs, limit);
}

}  // namespace skep::store
