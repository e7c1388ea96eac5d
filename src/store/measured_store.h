// MeasuredStore: a PageStore that counts how long each kind of call takes, and what goes wrong.
//
// Threading: as the store behind it; stats() from any thread. What is read from a snapshot is not counted.

#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/base/clock.h"
#include "skep/base/latency_histogram.h"
#include "skep/store/page_store.h"

namespace skep::store {

enum class StoreCall : std::uint8_t {
  Open,
  Write,
  ReadChunks,
  ReadHead,
  Info,
  List,
  ReadLog,
  ListChunkVersions,
  VersionAt,
  Destroy,
  DueAlarms,
  Snapshot
};
inline constexpr std::size_t kStoreCalls = 12;

/// The call's stable name, snake_case: "read_chunks".
std::string_view storeCallName(StoreCall call);

struct StoreStats {
  struct Errors {
    StoreCall call;
    ErrorCode code;
    std::uint64_t count;
  };
  std::array<LatencyCounts, kStoreCalls> time;
  std::vector<Errors> errors;  // those that came
};

class MeasuredStore final : public PageStore {
 public:
  /// `clock` outlives it.
  MeasuredStore(std::unique_ptr<PageStore> inner, Clock& clock)
      : inner_(std::move(inner)), clock_(clock) {}

  StoreStats stats() const;

  Result<OpenedDatabase> open(const OpenRequest& request) override;
  /// Each write that fails counts as an error of the one call.
  std::vector<Status> write(std::span<const DatabaseWrite> writes) override;
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
  Status destroy(std::string_view name, std::optional<Ownership> onlyAs = std::nullopt) override;
  Result<std::vector<DueAlarm>> dueAlarms(std::int64_t nowMs, std::size_t limit) override;
  Result<std::unique_ptr<PageStore>> snapshot() override;
  Membership* membership() override { return inner_->membership(); }
  std::string_view kind() const override { return inner_->kind(); }

 private:
  static constexpr std::size_t kCodes = static_cast<std::size_t>(ErrorCode::Internal) + 1;

  template <class Ask>
  auto measure(StoreCall call, Ask ask);
  void noteError(StoreCall call, ErrorCode code);

  const std::unique_ptr<PageStore> inner_;
  Clock& clock_;
  std::array<SharedLatencyHistogram, kStoreCalls> time_;
  std::array<std::array<std::atomic<std::uint64_t>, kCodes>, kStoreCalls> errors_{};
};

}  // namespace skep::store
