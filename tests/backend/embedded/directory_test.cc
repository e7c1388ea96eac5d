// EmbeddedStore's directory: what it opens, what it refuses, what it leaves on disk; full and
// failing disks; damage.

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "failing_disk.h"
#include "skep/backend/embedded/embedded_store.h"
#include "skep/backend/embedded/families.h"
#include "skep/backend/embedded/row_format.h"
#include "skep/fiber/loop.h"
#include "skep/testing/store_conformance/store_fixture.h"
#include "skep/testing/temp_directory.h"

namespace skep::testing {
namespace {

namespace fs = std::filesystem;

using backend::EmbeddedOptions;
using backend::EmbeddedStore;
using store::Claim;
using store::Create;
using store::DatabaseWrite;

class EmbeddedDirectory : public ::testing::Test {
 protected:
  // Opens the test's store; the directory is "store" in the temporary one.
  std::unique_ptr<EmbeddedStore> openStore(EmbeddedOptions options = {}) {
    options.directory = path();
    auto opened = EmbeddedStore::open(options, clock_);
    SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
    return std::move(opened).value();
  }
  Result<std::unique_ptr<EmbeddedStore>> tryToOpen(const std::string& directory) {
    return EmbeddedStore::open({.directory = directory}, clock_);
  }
  Owner own(EmbeddedStore& store, const std::string& name) {
    const auto opened =
        store.open({.name = name, .create = Create::IfMissing, .claim = Claim::Take});
    EXPECT_EQ(codeOf(opened), "ok");
    return {store, name, opened->id, opened->head};
  }
  // Databases "small", with one record, and "large", with so many chunks of 20 kB: its id.
  store::DatabaseId fill(EmbeddedStore& store, store::ChunkNumber chunkCount) {
    Owner small = own(store, "small");
    EXPECT_EQ(codeOf(small.commit("stays")), "ok");
    Owner large = own(store, "large");
    for (store::ChunkNumber chunk = 0; chunk < chunkCount; chunk += 100) {
      std::vector<store::StoredChunk> chunks;
      for (store::ChunkNumber i = 0; i < 100; ++i)
        chunks.push_back({chunk + i, 1, noise(20'000, chunk + i)});
      EXPECT_EQ(codeOf(large.fold(std::move(chunks))), "ok");
    }
    return large.id();
  }
  // RocksDB itself on the store's directory.
  std::unique_ptr<rocksdb::DB> openRocks() {
    rocksdb::DB* db = nullptr;
    rocksdb::Options options;
    std::vector<rocksdb::ColumnFamilyDescriptor> families =
        backend::embedded::familyDescriptors({.directory = path()});
    const rocksdb::Status status = rocksdb::DB::Open(options, path(), families, &handles_, &db);
    SKEP_CHECK(status.ok(), "%s", status.ToString().c_str());
    return std::unique_ptr<rocksdb::DB>(db);
  }
  void closeRocks(std::unique_ptr<rocksdb::DB> db) {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) db->DestroyColumnFamilyHandle(handle);
  }

  std::string path() const { return directory_ / "store"; }
  std::uint64_t bytesOnDisk(const std::string& extension = "") const {
    std::uint64_t bytes = 0;
    for (const auto& entry : fs::directory_iterator(path())) {
      std::error_code gone;  // a file may vanish between the two
      const std::uint64_t size = entry.file_size(gone);
      if (!gone && (extension.empty() || entry.path().extension() == extension)) bytes += size;
    }
    return bytes;
  }
  // RocksDB's threads remove obsolete files when they get to it.
  void expectSoonBelow(std::uint64_t bytes) const {
    const MonotonicTime patience = clock_.monotonic() + std::chrono::seconds(60);
    while (bytesOnDisk() >= bytes && clock_.monotonic() < patience) std::this_thread::yield();
    EXPECT_LT(bytesOnDisk(), bytes);
  }
  std::vector<fs::path> filesOf(const std::string& extension) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path())) {
      if (entry.path().extension() == extension) found.push_back(entry.path());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  SystemClock clock_;
  TempDirectory directory_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

TEST_F(EmbeddedDirectory, a_missing_directory_is_created_with_its_parents) {
  const std::string deep = directory_ / "a/b/c";
  ASSERT_EQ(codeOf(tryToOpen(deep)), "ok");
  EXPECT_TRUE(fs::is_directory(deep));
}

TEST_F(EmbeddedDirectory, what_is_no_store_is_refused_and_left_alone) {
  EXPECT_EQ(codeOf(tryToOpen("")), "invalid_argument");
  std::ofstream(directory_ / "file") << "text";
  EXPECT_EQ(codeOf(tryToOpen(directory_ / "file")), "invalid_argument");
  EXPECT_EQ(codeOf(tryToOpen(directory_ / "file/below")), "invalid_argument");

  fs::create_directory(directory_ / "documents");
  std::ofstream(directory_ / "documents/letter") << "text";
  const auto refused = tryToOpen(directory_ / "documents");
  ASSERT_EQ(codeOf(refused), "invalid_argument");
  EXPECT_NE(refused.error().message.find("documents"), std::string::npos);
  EXPECT_EQ(
      std::distance(fs::directory_iterator(directory_ / "documents"), fs::directory_iterator()), 1);
}

TEST_F(EmbeddedDirectory, a_store_of_another_format_is_refused_with_both_versions) {
  openStore();
  auto db = openRocks();
  const Bytes newer = backend::embedded::encodeNumber(backend::embedded::kFormatKey, 2);
  ASSERT_TRUE(
      db->Put({}, handles_[0], "f", rocksdb::Slice(asText(newer).data(), newer.size())).ok());
  closeRocks(std::move(db));
  const auto refused = tryToOpen(path());
  ASSERT_EQ(codeOf(refused), "version_mismatch");
  EXPECT_NE(refused.error().message.find("format 2"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("format 1"), std::string::npos) << refused.error().message;
}

TEST_F(EmbeddedDirectory, a_store_with_unknown_parts_is_refused) {
  openStore();
  auto db = openRocks();
  rocksdb::ColumnFamilyHandle* added = nullptr;
  ASSERT_TRUE(db->CreateColumnFamily({}, "fork", &added).ok());
  handles_.push_back(added);
  closeRocks(std::move(db));
  EXPECT_EQ(codeOf(tryToOpen(path())), "version_mismatch");
}

TEST_F(EmbeddedDirectory, another_programs_rocksdb_is_refused) {
  rocksdb::DB* db = nullptr;
  rocksdb::Options options;
  options.create_if_missing = true;
  ASSERT_TRUE(rocksdb::DB::Open(options, path(), &db).ok());
  ASSERT_TRUE(db->Put({}, "key", "value").ok());
  delete db;
  EXPECT_EQ(codeOf(tryToOpen(path())), "version_mismatch");
}

TEST_F(EmbeddedDirectory, opening_and_closing_for_each_commit_leaves_few_and_small_files) {
  for (int i = 0; i < 40; ++i) {
    const auto store = openStore();
    Owner owner = own(*store, "acme");
    ASSERT_EQ(codeOf(owner.commit("record " + std::to_string(i))), "ok");
  }
  EXPECT_LE(std::distance(fs::directory_iterator(path()), fs::directory_iterator()), 40);
  EXPECT_LE(bytesOnDisk(), 256u << 10);
  EXPECT_EQ(openStore()->info("acme")->head.txid, 40u);
}

TEST_F(EmbeddedDirectory, the_write_ahead_log_stays_within_its_bound) {
  const auto store = openStore({.memtableBytes = 8 << 20, .walBytesMax = 1 << 20});
  Owner busy = own(*store, "busy");
  Owner quiet = own(*store, "quiet");
  ASSERT_EQ(codeOf(quiet.commit("once")), "ok");
  std::uint64_t most = 0;
  for (int i = 0; i < 200; ++i) {
    DatabaseWrite write = busy.committing("");
    write.record = noise(40'000, static_cast<std::uint64_t>(i));
    ASSERT_EQ(codeOf(busy.apply(write)), "ok");
    most = std::max(most, bytesOnDisk(".log"));
  }
  EXPECT_LE(most, 6u << 20) << "of 8 MB that were written";
}

TEST_F(EmbeddedDirectory, a_destroyed_database_gives_its_space_back) {
  for (const store::ChunkNumber chunks : {2000u, 600u}) {  // removed as a range, and row by row
    const auto store = openStore();
    fill(*store, chunks);
    ASSERT_GT(bytesOnDisk(), chunks * 18'000u);
    ASSERT_EQ(codeOf(store->destroy("large")), "ok");
    expectSoonBelow(1 << 20);
    EXPECT_EQ(store->info("small")->head.txid, 1u);
    ASSERT_EQ(codeOf(store->destroy("small")), "ok");
  }
}

TEST_F(EmbeddedDirectory, a_database_that_a_short_command_destroys_leaves_nothing_behind) {
  auto store = openStore();
  fill(*store, 2000);
  ASSERT_EQ(codeOf(store->destroy("large")), "ok");
  store.reset();
  EXPECT_LT(bytesOnDisk(), 1u << 20);
}

TEST_F(EmbeddedDirectory, space_that_a_killed_process_owes_comes_back_after_the_next_open) {
  auto store = openStore();
  const store::DatabaseId id = fill(*store, 2000);
  store.reset();
  {
    // What destroy() writes, and then the process is gone.
    std::unique_ptr<rocksdb::DB> db = openRocks();
    rocksdb::ColumnFamilyHandle* meta = handles_[0];
    ASSERT_TRUE(db->Delete({}, meta, backend::embedded::nameKey("large")).ok());
    ASSERT_TRUE(db->Delete({}, meta, backend::embedded::idKey(id)).ok());
    ASSERT_TRUE(db->Put({}, meta, backend::embedded::removedKey(id), "\1").ok());
    const std::string first(backend::embedded::headKey(id).text());
    const std::string end(backend::embedded::endOf(id).text());
    for (rocksdb::ColumnFamilyHandle* family : handles_)
      ASSERT_TRUE(db->DeleteRange({}, family, first, end).ok());
    closeRocks(std::move(db));
  }
  ASSERT_GT(bytesOnDisk(), 36u << 20);
  store = openStore();
  expectSoonBelow(1 << 20);
  EXPECT_EQ(store->info("small")->head.txid, 1u);
  // On a fiber it takes its turn behind what the open has begun.
  fiber::runOnFreshLoop(clock_, [&](fiber::Loop&) { EXPECT_EQ(codeOf(store->compact()), "ok"); });
  store.reset();
  std::unique_ptr<rocksdb::DB> db = openRocks();
  std::string note;
  EXPECT_TRUE(db->Get({}, handles_[0], backend::embedded::removedKey(id), &note).IsNotFound())
      << "it is done";
  closeRocks(std::move(db));
}

TEST_F(EmbeddedDirectory, rows_that_are_overwritten_again_and_again_take_bounded_space) {
  constexpr std::size_t kLogBytesMax = 2 << 20;
  const auto store = openStore({.memtableBytes = 2 << 20, .walBytesMax = kLogBytesMax});
  Owner owner = own(*store, "acme");
  constexpr store::ChunkNumber kChunks = 200;
  for (int round = 0; round < 40; ++round) {
    ASSERT_EQ(codeOf(owner.commit("round")), "ok");
    DatabaseWrite fold = owner.nothing();
    for (store::ChunkNumber chunk = 0; chunk < kChunks; ++chunk) {
      fold.chunks.push_back({chunk, owner.txid(), noise(20'000, owner.txid() * kChunks + chunk)});
      fold.superseded.push_back({chunk, owner.txid()});
    }
    fold.trimLogThrough = fold.expireThrough = owner.txid();
    ASSERT_EQ(codeOf(owner.apply(fold)), "ok");
  }
  const std::uint64_t live = store->info("acme")->storedBytes;
  EXPECT_EQ(live, kChunks * 20'000u);
  ASSERT_EQ(codeOf(store->compact()), "ok");
  // One of the three is the log, which holds at least the last write, and up to its bound more.
  expectSoonBelow(3 * live + kLogBytesMax);
}

TEST_F(EmbeddedDirectory, a_full_disk_is_reported_and_the_store_recovers_by_itself) {
  FailingDisk disk;
  const auto store = openStore({.env = disk.env()});
  Owner owner = own(*store, "acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");

  disk.set(DiskFault::Full);
  const Status first = owner.commit("two");
  EXPECT_EQ(codeOf(first), "unknown_outcome") << "part of it may have reached the disk";
  EXPECT_EQ(codeOf(owner.commit("two")), "store_full");
  EXPECT_EQ(codeOf(store->destroy("acme")), "store_full");
  EXPECT_EQ(codeOf(store->open({.name = "new", .create = Create::IfMissing})), "store_full");
  EXPECT_EQ(codeOf(store->open(owner.retaking())), "store_full");
  EXPECT_EQ(describe(store->open({.name = "acme"})->log), "1=one") << "reads go on";

  disk.set(DiskFault::None);
  Result<store::OpenedDatabase> again = Error{};
  const MonotonicTime patience = clock_.monotonic() + std::chrono::seconds(60);
  while (!again.ok() && clock_.monotonic() < patience) {
    again = store->open(owner.retaking());
    ASSERT_TRUE(again.ok() || codeOf(again) == "store_full") << codeOf(again);
    std::this_thread::yield();
  }
  ASSERT_EQ(codeOf(again), "ok");
  EXPECT_EQ(describe(again->log), "1=one")
      << "the write that failed was not applied, and never will be";
  Owner next(*store, "acme", again->id, again->head);
  EXPECT_EQ(codeOf(next.commit("two")), "ok");
  EXPECT_EQ(describe(store->open({.name = "acme"})->log), "1=one 2=two");
}

TEST_F(EmbeddedDirectory, a_failed_fsync_leaves_an_unknown_outcome_that_the_next_open_resolves) {
  FailingDisk disk;
  auto store = openStore({.env = disk.env()});
  Owner owner = own(*store, "acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  disk.set(DiskFault::SyncFails);
  EXPECT_EQ(codeOf(owner.commit("two")), "unknown_outcome");
  disk.set(DiskFault::None);
  const Status later = owner.commit("two again");
  EXPECT_EQ(codeOf(later), "unavailable")
      << "after a failed fsync nothing is trusted until the store is opened again";
  EXPECT_EQ(codeOf(store->open(owner.retaking())), "unavailable");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(codeOf(store->open({.name = "acme"})), "unavailable")
        << "the head that is in memory may never become durable";
    EXPECT_EQ(codeOf(store->info("acme")), "unavailable");
    EXPECT_EQ(codeOf(store->list("", "", 10)), "unavailable");
    EXPECT_EQ(codeOf(store->readLog(owner.id(), 0, 1000)), "unavailable");
  }

  store.reset();
  store = openStore();
  const auto again = store->open(owner.retaking());
  ASSERT_EQ(codeOf(again), "ok");
  const std::string log = describe(again->log);
  EXPECT_TRUE(log == "1=one" || log == "1=one 2=two") << log;
}

// Changes one byte of a file.
void flipByte(const fs::path& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(byte);
  ASSERT_TRUE(file.good());
}

TEST_F(EmbeddedDirectory,
       damage_inside_the_write_ahead_log_is_refused_unless_asked_to_drop_the_rest) {
  {
    const auto store = openStore();
    Owner owner = own(*store, "acme");
    for (int i = 0; i < 10; ++i) ASSERT_EQ(codeOf(owner.commit(std::string(500, 'x'))), "ok");
  }
  const fs::path log = filesOf(".log").back();
  flipByte(log, fs::file_size(log) / 2);
  const auto refused = tryToOpen(path());
  ASSERT_EQ(codeOf(refused), "corrupt");
  EXPECT_NE(refused.error().message.find(path()), std::string::npos);
  EXPECT_EQ(codeOf(tryToOpen(path())), "corrupt") << "refusing must not have changed anything";

  openStore({.walDamage = backend::WalDamage::DropTail});
  const auto info = openStore()->info("acme");
  ASSERT_EQ(codeOf(info), "ok");
  EXPECT_GT(info->head.txid, 0u);
  EXPECT_LT(info->head.txid, 10u);
}

TEST_F(EmbeddedDirectory, a_missing_part_of_the_write_ahead_log_is_refused) {
  for (int i = 0; i < 5; ++i) {
    const auto store = openStore();
    Owner owner = own(*store, "acme");
    ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  }
  std::vector<fs::path> logs = filesOf(".log");
  std::erase_if(logs, [](const fs::path& log) { return fs::file_size(log) == 0; });
  ASSERT_GE(logs.size(), 3u);
  fs::remove(logs[1]);
  EXPECT_EQ(codeOf(tryToOpen(path())), "corrupt");
  EXPECT_LT(openStore({.walDamage = backend::WalDamage::DropTail})->info("acme")->head.txid, 5u);
}

TEST_F(EmbeddedDirectory, a_write_ahead_log_that_ends_in_the_middle_of_a_write_loses_only_that) {
  {
    const auto store = openStore();
    Owner owner = own(*store, "acme");
    for (int i = 0; i < 10; ++i) ASSERT_EQ(codeOf(owner.commit(std::string(500, 'x'))), "ok");
  }
  const fs::path log = filesOf(".log").back();
  fs::resize_file(log, fs::file_size(log) - 100);
  EXPECT_EQ(openStore()->info("acme")->head.txid, 9u);
}

TEST_F(EmbeddedDirectory, damage_inside_a_file_is_reported_by_the_read_that_meets_it) {
  {
    const auto store = openStore();
    Owner owner = own(*store, "acme");
    ASSERT_EQ(codeOf(owner.commit("one")), "ok");
    ASSERT_EQ(codeOf(owner.fold({{0, 1, noise(60'000, 1)}, {1, 1, noise(60'000, 2)}})), "ok");
    ASSERT_EQ(codeOf(store->compact()), "ok");
  }
  for (const fs::path& file : filesOf(".sst")) {
    if (fs::file_size(file) > 100'000) flipByte(file, 1000);
  }
  const auto store = openStore();
  EXPECT_EQ(codeOf(store->open({.name = "acme"})), "corrupt");
  EXPECT_EQ(codeOf(store->readChunks({.id = store->info("acme")->id, .atTxid = 1, .chunks = {0}})),
            "corrupt");
  EXPECT_EQ(codeOf(store->readChunks({.id = store->info("acme")->id, .atTxid = 1, .chunks = {1}})),
            "ok");
}

TEST_F(EmbeddedDirectory, options_may_be_as_small_as_can_be) {
  const auto store =
      openStore({.blockCacheBytes = 0, .memtableBytes = 0, .walBytesMax = 1, .openFilesMax = 1});
  Owner owner = own(*store, "acme");
  for (int i = 0; i < 20; ++i) {
    DatabaseWrite write = owner.committing("x");
    write.chunks = {{static_cast<store::ChunkNumber>(i), owner.txid() + 1, noise(50'000, 1)}};
    ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  }
  EXPECT_EQ(store->open({.name = "acme", .firstChunks = 20})->chunks.size(), 20u);
}

}  // namespace
}  // namespace skep::testing
