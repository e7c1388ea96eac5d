// The inside of EmbeddedStore: what its parts share. embedded_store.cc reads, changes.cc writes.

#pragma once

#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "skep/backend/embedded/busy_keys.h"
#include "skep/backend/embedded/embedded_store.h"
#include "skep/backend/embedded/head_cache.h"
#include "skep/backend/embedded/log_sync.h"
#include "skep/backend/embedded/rocks.h"
#include "skep/backend/embedded/row_reader.h"
#include "skep/backend/embedded/write_builder.h"
#include "skep/fiber/thread_pool.h"

namespace skep::backend {

inline Error noSuchName(std::string_view name) {
  return Error{ErrorCode::NotFound, "no database is named '" + std::string(name) + "'"};
}

// Busy keys of names have the top bit set, those of ids have not.
inline std::uint64_t busyKeyOf(std::string_view name) {
  return XXH3_64bits(name.data(), name.size()) | (1ull << 63);
}
inline std::uint64_t busyKeyOf(store::DatabaseId id) {
  return id.value;
}

// WithNextCommit: in the log before any later commit, but not synced for its own sake.
enum class Durability : std::uint8_t { WithNextCommit, Now };

struct EmbeddedStore::Impl {
  using Rocks = embedded::Rocks;
  using RowReader = embedded::RowReader;

  Impl(const EmbeddedOptions& options, Clock& storeClock, std::unique_ptr<Rocks> opened)
      : clock(storeClock),
        rocks(std::move(opened)),
        logSync(*rocks),
        heads(options.headsMax),
        readers("skep-read", options.readThreads),
        writers("skep-write", options.writeThreads),
        tidier("skep-tidy", 1) {}
  ~Impl() { rocks->cancelCompactions(); }

  using At = std::shared_ptr<const rocksdb::Snapshot>;  // null: what is newest

  // Runs `read(RowReader&)`: at once if memory has it all, otherwise on a thread that may block.
  template <class Read>
  auto readNowOrLater(const At& at, Read read) -> std::invoke_result_t<Read, RowReader&> {
    if (fiber::onFiber()) {
      RowReader reader = readerAt(at, embedded::Tier::Memory);
      auto result = read(reader);
      if (!reader.missed()) return result;
    }
    return readOnThread(at, read);
  }
  template <class Read>
  auto readOnThread(const At& at, Read read) -> std::invoke_result_t<Read, RowReader&> {
    return fiber::offload(readers, [&] {
      RowReader reader = readerAt(at, embedded::Tier::Disk);
      return read(reader);
    });
  }
  RowReader readerAt(const At& at, embedded::Tier tier) {
    if (at != nullptr) return RowReader(*rocks, tier, *at);
    return RowReader(*rocks, tier, embedded::View::Snapshot);
  }

  // Reading (embedded_store.cc).
  Result<store::OpenedDatabase> openExisting(RowReader& reader, const store::OpenRequest& request,
                                             embedded::NameRow row, RowReader::HeadAndLog found);
  Result<std::optional<store::OpenedDatabase>> openUnclaimed(RowReader& reader,
                                                             const store::OpenRequest& request);
  Status waitUntilDurable(store::DatabaseId id);

  // Writing (changes.cc), on a thread that may block.
  Result<store::OpenedDatabase> openClaiming(const store::OpenRequest& request);
  Result<store::OpenedDatabase> claim(const store::OpenRequest& request, store::DatabaseId id);
  Result<store::OpenedDatabase> create(const store::OpenRequest& request);
  Result<store::DatabaseId> takeId();
  std::vector<Status> write(std::span<const store::DatabaseWrite> writes);
  Result<std::optional<store::DatabaseId>> destroy(std::string_view name,
                                                   const std::optional<store::Ownership>& onlyAs);
  void giveSpaceBack(store::DatabaseId removed);
  void giveSpaceBackLater();
  Status commit(embedded::WriteBuilder& builder, Durability durability);

  Clock& clock;
  std::unique_ptr<Rocks> rocks;
  embedded::LogSync logSync;
  embedded::BusyKeys busy;
  embedded::HeadCache heads;
  std::mutex idMutex;
  std::uint64_t nextId = 0;
  std::uint64_t reservedEnd = 0;
  // Last: their threads end before what they use.
  fiber::ThreadPool readers;
  fiber::ThreadPool writers;
  fiber::ThreadPool tidier;
};

}  // namespace skep::backend
