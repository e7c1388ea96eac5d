#include "skep/testing/scripted_store/scripted_store.h"

namespace skep::testing {
namespace {

Error writesOnly() {
  return {ErrorCode::Unsupported, "a scripted store has no reads"};
}

}  // namespace

using namespace store;

Result<OpenedDatabase> ScriptedStore::open(const OpenRequest&) {
  return writesOnly();
}
Result<ChunkRead> ScriptedStore::readChunks(const ChunkReadRequest&) {
  return writesOnly();
}
Result<Head> ScriptedStore::readHead(DatabaseId) {
  return writesOnly();
}
Result<DatabaseInfo> ScriptedStore::info(std::string_view) {
  return writesOnly();
}
Result<ListPage> ScriptedStore::list(std::string_view, std::string_view, std::size_t) {
  return writesOnly();
}
Result<std::vector<StoredRecord>> ScriptedStore::readLog(DatabaseId, Txid, std::size_t) {
  return writesOnly();
}
Result<std::vector<ChunkVersion>> ScriptedStore::listChunkVersions(DatabaseId,
                                                                   std::optional<ChunkVersion>,
                                                                   std::size_t) {
  return writesOnly();
}
Result<VersionAt> ScriptedStore::versionAt(DatabaseId, std::int64_t) {
  return writesOnly();
}
Status ScriptedStore::destroy(std::string_view, std::optional<store::Ownership>) {
  return writesOnly();
}
Result<std::vector<DueAlarm>> ScriptedStore::dueAlarms(std::int64_t, std::size_t) {
  return writesOnly();
}
Result<std::unique_ptr<store::PageStore>> ScriptedStore::snapshot() {
  return writesOnly();
}

}  // namespace skep::testing
