// ScriptedStore: a PageStore whose writes do what a test says, and that keeps nothing.
//
// Each write() calls the script with the batch; the script may suspend (a slow store) and returns a
// Status for each write. Without one every write succeeds at once. Every read is Unsupported.
//
//   ScriptedStore store;
//   store.onWrite = [&](std::span<const DatabaseWrite> writes) { gate.wait(); return allOk(writes);
//   };

#pragma once

#include <functional>
#include <span>
#include <vector>

#include "skep/store/page_store.h"

namespace skep::testing {

class ScriptedStore final : public store::PageStore {
 public:
  using Writes = std::span<const store::DatabaseWrite>;

  static std::vector<Status> allOk(Writes writes) { return std::vector<Status>(writes.size()); }

  std::function<std::vector<Status>(Writes)> onWrite = allOk;

  Result<store::OpenedDatabase> open(const store::OpenRequest&) override;
  std::vector<Status> write(Writes writes) override { return onWrite(writes); }
  Result<store::ChunkRead> readChunks(const store::ChunkReadRequest&) override;
  Result<store::Head> readHead(store::DatabaseId) override;
  Result<store::DatabaseInfo> info(std::string_view) override;
  Result<store::ListPage> list(std::string_view, std::string_view, std::size_t) override;
  Result<std::vector<store::StoredRecord>> readLog(store::DatabaseId, store::Txid,
                                                   std::size_t) override;
  Result<std::vector<store::ChunkVersion>> listChunkVersions(store::DatabaseId,
                                                             std::optional<store::ChunkVersion>,
                                                             std::size_t) override;
  Result<store::VersionAt> versionAt(store::DatabaseId, std::int64_t) override;
  Status destroy(std::string_view, std::optional<store::Ownership> = std::nullopt) override;
  Result<std::vector<store::DueAlarm>> dueAlarms(std::int64_t, std::size_t) override;
  Result<std::unique_ptr<store::PageStore>> snapshot() override;
  std::string_view kind() const override { return "scripted"; }
};

}  // namespace skep::testing
