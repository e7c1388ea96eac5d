#include "skep/store/measured_store.h"

namespace skep::store {
namespace {

constexpr std::array<std::string_view, kStoreCalls> kNames = {
    "open",       "write",   "read_chunks", "read_head",
    "info",       "list",    "read_log",    "list_chunk_versions",
    "version_at", "destroy", "due_alarms",  "snapshot"};

/// What a caller asks for and gets to know, rather than something that went wrong.
bool isAnswer(ErrorCode code) {
  return code == ErrorCode::NotFound || code == ErrorCode::AlreadyExists ||
         code == ErrorCode::SnapshotGone;
}

std::size_t indexOf(StoreCall call) {
  return static_cast<std::size_t>(call);
}

}  // namespace

std::string_view storeCallName(StoreCall call) {
  return kNames[indexOf(call)];
}

template <class Ask>
auto MeasuredStore::measure(StoreCall call, Ask ask) {
  const MonotonicTime begin = clock_.monotonic();
  auto answer = ask();
  time_[indexOf(call)].record(clock_.monotonic() - begin);
  if constexpr (requires { answer.error(); }) {
    if (!answer.ok()) noteError(call, answer.error().code);
  } else {
    for (const Status& each : answer) {
      if (!each.ok()) noteError(call, each.error().code);
    }
  }
  return answer;
}

void MeasuredStore::noteError(StoreCall call, ErrorCode code) {
  if (isAnswer(code)) return;
  errors_[indexOf(call)][static_cast<std::size_t>(code)].fetch_add(1, std::memory_order_relaxed);
}

StoreStats MeasuredStore::stats() const {
  StoreStats stats;
  for (std::size_t call = 0; call < kStoreCalls; ++call) {
    stats.time[call] = time_[call].counts();
    for (std::size_t code = 0; code < kCodes; ++code) {
      const std::uint64_t count = errors_[call][code].load(std::memory_order_relaxed);
      if (count == 0) continue;
      stats.errors.push_back({.call = static_cast<StoreCall>(call),
                              .code = static_cast<ErrorCode>(code),
                              .count = count});
    }
  }
  return stats;
}

Result<OpenedDatabase> MeasuredStore::open(const OpenRequest& request) {
  return measure(StoreCall::Open, [&] { return inner_->open(request); });
}

std::vector<Status> MeasuredStore::write(std::span<const DatabaseWrite> writes) {
  return measure(StoreCall::Write, [&] { return inner_->write(writes); });
}

Result<ChunkRead> MeasuredStore::readChunks(const ChunkReadRequest& request) {
  return measure(StoreCall::ReadChunks, [&] { return inner_->readChunks(request); });
}

Result<Head> MeasuredStore::readHead(DatabaseId id) {
  return measure(StoreCall::ReadHead, [&] { return inner_->readHead(id); });
}

Result<DatabaseInfo> MeasuredStore::info(std::string_view name) {
  return measure(StoreCall::Info, [&] { return inner_->info(name); });
}

Result<ListPage> MeasuredStore::list(std::string_view prefix, std::string_view after,
                                     std::size_t limit) {
  return measure(StoreCall::List, [&] { return inner_->list(prefix, after, limit); });
}

Result<std::vector<StoredRecord>> MeasuredStore::readLog(DatabaseId id, Txid afterTxid,
                                                         std::size_t bytesMax) {
  return measure(StoreCall::ReadLog, [&] { return inner_->readLog(id, afterTxid, bytesMax); });
}

Result<std::vector<ChunkVersion>> MeasuredStore::listChunkVersions(
    DatabaseId id, std::optional<ChunkVersion> after, std::size_t limit) {
  return measure(StoreCall::ListChunkVersions,
                 [&] { return inner_->listChunkVersions(id, after, limit); });
}

Result<VersionAt> MeasuredStore::versionAt(DatabaseId id, std::int64_t timeMs) {
  return measure(StoreCall::VersionAt, [&] { return inner_->versionAt(id, timeMs); });
}

Status MeasuredStore::destroy(std::string_view name, std::optional<Ownership> onlyAs) {
  return measure(StoreCall::Destroy, [&] { return inner_->destroy(name, onlyAs); });
}

Result<std::vector<DueAlarm>> MeasuredStore::dueAlarms(std::int64_t nowMs, std::size_t limit) {
  return measure(StoreCall::DueAlarms, [&] { return inner_->dueAlarms(nowMs, limit); });
}

Result<std::unique_ptr<PageStore>> MeasuredStore::snapshot() {
  return measure(StoreCall::Snapshot, [&] { return inner_->snapshot(); });
}

}  // namespace skep::store
