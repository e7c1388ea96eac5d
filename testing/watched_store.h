// WatchedStore: a PageStore in front of another one. Counts the calls, and lets a test step in:
// wait, refuse, or change what passes.
//
//   WatchedStore store(inner);
//   store.beforeRead = [](const store::ChunkReadRequest&) -> Status {
//     fiber::sleepFor(50ms);
//     return {};
//   };
//   World world(store);
//
// Its snapshots are watched with the same hooks and counted with it.
//
// The hooks run on the caller's fiber and may suspend. Set them while no call is under way.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "skep/store/page_store.h"

namespace skep::testing {

class WatchedStore final : public store::PageStore {
 public:
  struct Calls {
    std::uint64_t opens = 0;
    std::uint64_t batches = 0;
    std::uint64_t writes = 0;   // of single databases
    std::uint64_t commits = 0;  // of those, with a commit
    std::uint64_t reads = 0;    // readChunks
    std::uint64_t chunksAsked = 0;
    std::uint64_t snapshots = 0;
    std::uint64_t others = 0;
    std::uint64_t all() const { return opens + batches + reads + snapshots + others; }
  };

  explicit WatchedStore(store::PageStore& store) : store_(store) {}

  // An error that these return is the call's outcome, and the store does not see the call.
  std::function<Status(const store::OpenRequest&)> beforeOpen;
  std::function<Status(const store::DatabaseWrite&)> beforeWrite;
  std::function<Status(const store::ChunkReadRequest&)> beforeRead;
  std::function<Status(std::string_view name)> beforeDestroy;
  std::function<Status(std::int64_t nowMs, std::size_t limit)> beforeDueAlarms;
  /// An error that this returns is the outcome of a write that was applied all the same.
  std::function<Status(const store::DatabaseWrite&)> afterWrite;
  std::function<void(store::OpenedDatabase&)> afterOpen;
  std::function<void(const store::ChunkReadRequest&, store::ChunkRead&)> afterRead;
  std::function<void(std::vector<store::ChunkVersion>&)> afterList;
  std::function<void(std::vector<store::StoredRecord>&)> afterReadLog;

  /// For the end of a test: what the hooks refer to may be gone.
  void forgetHooks() {
    beforeOpen = nullptr;
    beforeWrite = nullptr;
    beforeRead = nullptr;
    beforeDestroy = nullptr;
    beforeDueAlarms = nullptr;
    afterWrite = nullptr;
    afterOpen = nullptr;
    afterRead = nullptr;
    afterList = nullptr;
    afterReadLog = nullptr;
  }

  const Calls& calls() const { return calls_; }
  void resetCalls() { calls_ = {}; }

  Result<store::OpenedDatabase> open(const store::OpenRequest& request) override {
    ++watch_.calls_.opens;
    if (watch_.beforeOpen) SKEP_CHECK_OK(watch_.beforeOpen(request));
    SKEP_TRY(store::OpenedDatabase opened, store_.open(request));
    if (watch_.afterOpen) watch_.afterOpen(opened);
    return opened;
  }

  std::vector<Status> write(std::span<const store::DatabaseWrite> writes) override {
    ++watch_.calls_.batches;
    std::vector<Status> outcomes;
    for (const store::DatabaseWrite& write : writes) {
      ++watch_.calls_.writes;
      if (write.commit) ++watch_.calls_.commits;
      Status refused = watch_.beforeWrite ? watch_.beforeWrite(write) : Status{};
      outcomes.push_back(refused ? std::move(store_.write({&write, 1}).front())
                                 : std::move(refused));
      if (outcomes.back() && watch_.afterWrite) outcomes.back() = watch_.afterWrite(write);
    }
    return outcomes;
  }

  Result<store::ChunkRead> readChunks(const store::ChunkReadRequest& request) override {
    ++watch_.calls_.reads;
    watch_.calls_.chunksAsked += request.chunks.size();
    if (watch_.beforeRead) SKEP_CHECK_OK(watch_.beforeRead(request));
    SKEP_TRY(store::ChunkRead read, store_.readChunks(request));
    if (watch_.afterRead) watch_.afterRead(request, read);
    return read;
  }

  Result<store::Head> readHead(store::DatabaseId id) override {
    ++watch_.calls_.others;
    return store_.readHead(id);
  }
  Result<store::DatabaseInfo> info(std::string_view name) override {
    ++watch_.calls_.others;
    return store_.info(name);
  }
  Result<store::ListPage> list(std::string_view prefix, std::string_view after,
                               std::size_t limit) override {
    ++watch_.calls_.others;
    return store_.list(prefix, after, limit);
  }
  Result<std::vector<store::StoredRecord>> readLog(store::DatabaseId id, store::Txid afterTxid,
                                                   std::size_t bytesMax) override {
    ++watch_.calls_.others;
    SKEP_TRY(std::vector<store::StoredRecord> records, store_.readLog(id, afterTxid, bytesMax));
    if (watch_.afterReadLog) watch_.afterReadLog(records);
    return records;
  }
  Result<std::vector<store::ChunkVersion>> listChunkVersions(
      store::DatabaseId id, std::optional<store::ChunkVersion> after, std::size_t limit) override {
    ++watch_.calls_.others;
    SKEP_TRY(std::vector<store::ChunkVersion> versions, store_.listChunkVersions(id, after, limit));
    if (watch_.afterList) watch_.afterList(versions);
    return versions;
  }
  Result<store::VersionAt> versionAt(store::DatabaseId id, std::int64_t timeMs) override {
    ++watch_.calls_.others;
    return store_.versionAt(id, timeMs);
  }
  Status destroy(std::string_view name,
                 std::optional<store::Ownership> onlyAs = std::nullopt) override {
    ++watch_.calls_.others;
    if (watch_.beforeDestroy) SKEP_CHECK_OK(watch_.beforeDestroy(name));
    return store_.destroy(name, onlyAs);
  }
  Result<std::vector<store::DueAlarm>> dueAlarms(std::int64_t nowMs, std::size_t limit) override {
    ++watch_.calls_.others;
    if (watch_.beforeDueAlarms) SKEP_CHECK_OK(watch_.beforeDueAlarms(nowMs, limit));
    return store_.dueAlarms(nowMs, limit);
  }
  Result<std::unique_ptr<store::PageStore>> snapshot() override {
    ++watch_.calls_.snapshots;
    SKEP_TRY(std::unique_ptr<store::PageStore> taken, store_.snapshot());
    return std::unique_ptr<store::PageStore>(new WatchedStore(std::move(taken), watch_));
  }
  store::Membership* membership() override { return store_.membership(); }
  std::string_view kind() const override { return store_.kind(); }

 private:
  WatchedStore(std::unique_ptr<store::PageStore> snapshot, WatchedStore& watch)
      : snapshot_(std::move(snapshot)), store_(*snapshot_), watch_(watch) {}

  std::unique_ptr<store::PageStore> snapshot_;  // when this is one
  store::PageStore& store_;
  WatchedStore& watch_ = *this;  // whose hooks and counters count
  Calls calls_;
};

}  // namespace skep::testing
