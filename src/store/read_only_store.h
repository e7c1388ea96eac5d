// ReadOnlyStore: a PageStore that only its reads reach: what PageStore::snapshot() gives out.
//
// Threading: as the store behind it.

#pragma once

#include <memory>

#include "skep/store/page_store.h"

namespace skep::store {

class ReadOnlyStore final : public PageStore {
 public:
  explicit ReadOnlyStore(std::unique_ptr<PageStore> inner) : inner_(std::move(inner)) {}

  /// ReadOnly when it would create or claim.
  Result<OpenedDatabase> open(const OpenRequest& request) override;
  std::vector<Status> write(std::span<const DatabaseWrite> writes) override;
  Status destroy(std::string_view name, std::optional<Ownership> onlyAs = std::nullopt) override;
  Result<std::unique_ptr<PageStore>> snapshot() override;

  Result<ChunkRead> readChunks(const ChunkReadRequest& request) override;
  Result<Head> readHead(DatabaseId id) override;
  Result<DatabaseInfo> info(std::string_view name) override;
  Result<ListPage> list(std::string_view prefix, std::string_view after,
                        std::size_t limit) override;
  Result<std::vector<StoredRecord>> readLog(DatabaseId id, Txid afterTxid,
                                            std::size_t bytesMax) override;
  Result<std::vector<ChunkVersion>> listChunkVersions(DatabaseId id,
                                                      std::optional<ChunkVersion> after,
                                                      std::size_t limit) override;
  Result<VersionAt> versionAt(DatabaseId id, std::int64_t timeMs) override;
  Result<std::vector<DueAlarm>> dueAlarms(std::int64_t nowMs, std::size_t limit) override;
  std::string_view kind() const override { return inner_->kind(); }

 private:
  std::unique_ptr<PageStore> inner_;
};

}  // namespace skep::store
