// History: while a database has a retention, every version within it can be rebuilt from what the
// store keeps, by txid and by time, whatever crashes in between; what is older goes. On every
// backend, against a model: the digest and the time of each version as it was committed.
//
//   SKEP_SEED=n    runs one seed
//   SKEP_SEEDS=n   runs n seeds of each backend

#include <gtest/gtest.h>

#include <iostream>
#include <map>

#include "on_postgres.h"
#include "run_stores.h"
#include "skep/backend/postgres/postgres_store.h"
#include "skep/base/log.h"
#include "skep/sql/check.h"
#include "skep/store/chunk.h"
#include "skep/store/delta.h"
#include "skep/store/digest.h"
#include "skep/store/record.h"
#include "skep/testing/faults/simulation.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/testing/world.h"
#include "skep/vfs/paged_file.h"

namespace skep::testing {
namespace {

using store::Txid;

constexpr std::int64_t kRetentionMs = 10'000;
constexpr std::int64_t kLookMs = 1000;
constexpr std::size_t kEverything = std::size_t{1} << 30;

struct HistoryBackend {
  std::string name;
  std::unique_ptr<RunStore> (*make)(Clock&);
  std::uint64_t seeds;
};

std::ostream& operator<<(std::ostream& out, const HistoryBackend& backend) {
  return out << backend.name;
}

/// One version of the database, as it was when it was committed.
struct Version {
  std::uint32_t pageCount = 0;
  std::uint64_t digest = 0;
  std::int64_t earliestMs = 0;  // its commit's time lies between these
  std::int64_t latestMs = 0;
};

/// What a store keeps of a database, read as any reader of history would.
class StoredHistory {
 public:
  StoredHistory(store::PageStore& store, store::DatabaseId id) : store_(store), id_(id) {
    auto read = store.readLog(id, 0, kEverything);
    EXPECT_OK(read);
    if (read) bytes_ = std::move(read).value();
    for (const store::StoredRecord& record : bytes_) {
      auto decoded = store::decodeRecord(id, record.bytes);
      EXPECT_OK(decoded);
      if (decoded) records_.emplace(record.txid, std::move(decoded).value());
    }
  }

  const std::map<Txid, store::DecodedRecord>& records() const { return records_; }

  /// Rebuilds all pages of version `txid`: its page count and digest, or what went wrong.
  std::string describe(Txid txid) {
    const auto record = records_.find(txid);
    if (record == records_.end()) return "its record is gone";
    const std::uint32_t pageCount = record->second.header.pageCount;
    store::ChunkReadRequest request{.id = id_, .atTxid = txid};
    for (store::ChunkNumber chunk = 0; chunk < store::chunkCountOf(pageCount); ++chunk)
      request.chunks.push_back(chunk);
    auto read = store_.readChunks(request);
    if (!read) return read.error().toString();
    std::vector<std::optional<Bytes>> pages(pageCount + 1);
    std::vector<Txid> asOf(store::chunkCountOf(pageCount));
    for (const store::StoredChunk& chunk : read->chunks) {
      auto decoded = store::decodeChunk(id_, chunk.chunk, chunk.txid, chunk.bytes);
      if (!decoded) return decoded.error().toString();
      asOf[chunk.chunk] = chunk.txid;
      for (std::size_t i = 0; i < store::kPagesPerChunk; ++i) {
        const std::size_t page = store::firstPageOf(chunk.chunk) + i;
        if (decoded->has(i) && page <= pageCount) pages[page] = toBytes(decoded->page(i));
      }
    }
    for (auto each = records_.begin(); each != records_.end() && each->first <= txid; ++each) {
      for (const store::PageChange& change : each->second.changes) {
        if (change.page > pageCount || each->first <= asOf[store::chunkOf(change.page)]) continue;
        apply(change, pages[change.page]);
      }
    }
    std::uint64_t digest = 0;
    for (store::PageNumber page = 1; page <= pageCount; ++page) {
      if (!pages[page]) return "page " + std::to_string(page) + " is missing";
      digest += store::pageHash(page, *pages[page]);
    }
    return describe(pageCount, digest);
  }
  static std::string describe(std::uint32_t pageCount, std::uint64_t digest) {
    return std::to_string(pageCount) + " pages of digest " + std::to_string(digest);
  }

 private:
  static void apply(const store::PageChange& change, std::optional<Bytes>& page) {
    switch (change.kind) {
      case store::PageChangeKind::Full:
        page = toBytes(change.payload);
        return;
      case store::PageChangeKind::Zero:
        page = Bytes(store::kPageBytes);
        return;
      case store::PageChangeKind::Delta:
        if (!page) return;  // of a page that came back whole later
        Bytes after(store::kPageBytes);
        EXPECT_OK(store::applyDelta(*page, change.payload, after));
        page = std::move(after);
    }
  }

  store::PageStore& store_;
  store::DatabaseId id_;
  std::vector<store::StoredRecord> bytes_;
  std::map<Txid, store::DecodedRecord> records_;  // views into bytes_
};

class HistoryRun {
 public:
  HistoryRun(const HistoryBackend& backend, std::uint64_t seed)
      : random_(seed),
        simulation_("history of seed " + std::to_string(seed)),
        store_(backend.make(simulation_.clock())) {
    sizes_.logBytesMin = sizes_.logBytesMax = oneOf({1024, 4096, 16'384});
    sizes_.foldChunksMax = oneOf({1, 2, 64});
    sizes_.transactionBytesMax = 4096 * oneOf({8, 24});
    sizes_.dirtyPagesMax = 20;
  }

  void run() {
    const std::size_t lives = 2 + below(3);
    for (std::size_t life = 0; life < lives && !hasFailed(); ++life) {
      simulation_.run([&] { live(life); });
      store_->reopen();
    }
    if (!hasFailed()) simulation_.run([&] { expectOldVersionsToGo(); });
    for (int attempt = 0; attempt < 3 && !hasFailed(); ++attempt)
      simulation_.run([&] { endHistory(attempt); });
  }

 private:
  static bool hasFailed() { return ::testing::Test::HasFailure(); }
  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  std::size_t oneOf(std::initializer_list<std::size_t> values) {
    return values.begin()[below(values.size())];
  }
  /// The store without faults, for whoever looks from outside.
  FaultyStore look() { return {store_->store(), simulation_.network(), {}, 1}; }
  std::int64_t nowMs() { return simulation_.clock().wallMs(); }

  FaultPlan choosePlan() {
    using enum FaultAction;
    FaultPlan plan;
    for (std::uint64_t shots = below(4); shots > 0; --shots) {
      const CallKind kinds[] = {CallKind::Sweep,      CallKind::Sweep, CallKind::Sweep,
                                CallKind::List,       CallKind::Log,   CallKind::VersionAt,
                                CallKind::CommitFold, CallKind::Flip,  CallKind::Commit};
      const CallKind kind = kinds[below(std::size(kinds))];
      const FaultAction ofWrites[] = {Before, Lost, After, Delayed, CrashBefore, CrashAfter};
      const FaultAction ofReads[] = {Fail, CrashBefore};
      plan.shots.push_back({.action = isWriteKind(kind) ? ofWrites[below(std::size(ofWrites))]
                                                        : ofReads[below(std::size(ofReads))],
                            .kind = kind,
                            .nth = 1 + static_cast<std::uint32_t>(below(6))});
    }
    return plan;
  }

  std::unique_ptr<sql::Database> open(Process& process) {
    auto opened = sql::Database::open(process.environment(), {.name = "a"});
    if (!opened) {
      EXPECT_TRUE(process.store().hasFired()) << opened.error().toString();
      return nullptr;
    }
    auto db = std::move(opened).value();
    // A commit whose answer was lost is there, or it is not.
    model_.erase(model_.upper_bound(db->head().txid), model_.end());
    note(*db, lastKnownMs_);
    return db;
  }

  /// Adds the newest version, which was committed since `sinceMs`.
  void note(sql::Database& db, std::int64_t sinceMs) {
    lastKnownMs_ = nowMs();
    const store::Head& head = db.head();
    if (head.txid == 0) return;
    model_.try_emplace(head.txid, Version{.pageCount = head.pageCount,
                                          .digest = head.digest,
                                          .earliestMs = sinceMs,
                                          .latestMs = nowMs()});
  }

  void live(std::size_t life) {
    Process process(simulation_, store_->store(), life == 0 ? FaultPlan{} : choosePlan(), random_(),
                    sizes_, 256 * 4200);
    if (auto db = open(process)) {
      if (life == 0) create(*db);
      expectHistory();
      const std::uint64_t steps = 20 + below(60);
      for (std::uint64_t i = 0; i < steps && db->brokenBy() == nullptr && !hasFailed(); ++i) {
        lastKnownMs_ = nowMs();
        change(*db);
        if (!db->waitDurable()) break;
        note(*db, lastKnownMs_);
        fiber::sleepFor(std::chrono::milliseconds(below(1500)));
        if (below(8) == 0) db->releaseMemory();
        if (below(10) == 0) expectHistory();
      }
      EXPECT_TRUE(db->brokenBy() == nullptr || process.store().hasFired())
          << db->brokenBy()->toString();
      if (below(2) == 0) process.store().crash();
      (void)db->close();
    }
    process.close();
  }

  void create(sql::Database& db) {
    id_ = db.file().id();
    db.file().setProperties({.retentionMs = kRetentionMs});
    ASSERT_OK(db.run("PRAGMA auto_vacuum = 1; CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)"));
    ASSERT_OK(db.waitDurable());
    note(db, nowMs());
  }

  /// One transaction. It may fail: then there is no new version.
  void change(sql::Database& db) {
    const std::string key = std::to_string(1 + below(60));
    const std::string size = std::to_string(below(6) == 0 ? 20'000 : below(3000));
    const std::string insert = "INSERT OR REPLACE INTO t VALUES (" + key + ", randomblob(" + size;
    switch (below(8)) {
      case 0:
        return (void)db.run("DELETE FROM t WHERE id >= " + key);  // pages past the end
      case 1:                                                     // staged
        return (void)db.run("UPDATE t SET v = randomblob(3000) WHERE id % 3 = " +
                            std::to_string(below(3)));
      case 2:
        return (void)db.run("INSERT OR REPLACE INTO t SELECT id + 60, randomblob(6000) FROM t");
      default:
        return (void)db.run(insert + "))");
    }
  }

  /// The oldest version that the retention covers, and still will when the looking is done.
  std::map<Txid, Version>::const_iterator oldestKept() {
    auto oldest = model_.begin();
    for (auto each = model_.begin(); each != model_.end(); ++each) {
      if (each->second.earliestMs <= nowMs() - kRetentionMs + kLookMs) oldest = each;
    }
    return oldest;
  }

  void expectHistory() {
    FaultyStore store = look();
    auto oldest = oldestKept();
    StoredHistory history(store, id_);
    for (auto version = oldest; version != model_.end() && !hasFailed(); ++version) {
      EXPECT_EQ(history.describe(version->first),
                StoredHistory::describe(version->second.pageCount, version->second.digest))
          << "version " << version->first << " of " << model_.rbegin()->first << ", from "
          << nowMs() - version->second.latestMs << " ms ago";
    }
    for (int i = 0; i < 5 && !model_.empty(); ++i) {
      const std::int64_t timeMs =
          nowMs() - static_cast<std::int64_t>(below(kRetentionMs - kLookMs));
      Txid least = 0;
      Txid most = 0;
      for (const auto& [txid, version] : model_) {
        if (version.latestMs <= timeMs) least = txid;
        if (version.earliestMs <= timeMs) most = txid;
      }
      if (least == 0) continue;
      auto found = store.versionAt(id_, timeMs);
      ASSERT_OK(found);
      EXPECT_TRUE(least <= found->txid && found->txid <= most)
          << found->txid << " instead of " << least << " to " << most;
    }
  }

  /// Long after, only what the newest versions need is left of the old ones.
  void expectOldVersionsToGo() {
    Process process(simulation_, store_->store(), {}, 1, sizes_, 256 * 4200);
    auto db = open(process);
    ASSERT_NE(db, nullptr);
    simulation_.clock().advance(std::chrono::milliseconds(3 * kRetentionMs));
    const Txid old = db->head().txid;
    for (int i = 0; i < 40; ++i) {
      ASSERT_OK(
          db->run("INSERT OR REPLACE INTO t VALUES (" + std::to_string(i) + ", randomblob(1500))"));
      ASSERT_OK(db->waitDurable());
      note(*db, lastKnownMs_);
      fiber::sleepFor(std::chrono::milliseconds(150));
    }
    ASSERT_OK(db->close());
    expectHistory();
    FaultyStore store = look();
    std::optional<store::ChunkNumber> before;
    auto versions = store.listChunkVersions(id_, std::nullopt, 1'000'000);
    ASSERT_OK(versions);
    for (const store::ChunkVersion& version : *versions) {
      if (version.txid > old) continue;
      EXPECT_NE(before, version.chunk) << "a second old version, of txid " << version.txid;
      before = version.chunk;
    }
    std::size_t oldBytes = 0;
    const StoredHistory history(store, id_);
    for (const auto& [txid, record] : history.records()) {
      if (txid >= old) continue;
      for (const store::PageChange& change : record.changes) oldBytes += change.payload.size();
    }
    EXPECT_LE(oldBytes, 2 * sizes_.logBytesMax + 64 * 4096) << "records that a fold has replaced";
    process.close();
  }

  /// History is turned off, and the process may die over it.
  void endHistory(int attempt) {
    FaultPlan plan;
    if (attempt < 2) {
      plan.shots.push_back(
          {.action = attempt == 0 ? FaultAction::CrashAfter : FaultAction::CrashBefore,
           .kind = attempt == 0 ? CallKind::Properties : CallKind::Sweep,
           .nth = attempt == 0 ? 1u : 1 + static_cast<std::uint32_t>(below(3))});
    }
    Process process(simulation_, store_->store(), std::move(plan), 2, sizes_, 256 * 4200);
    auto db = open(process);
    if (db == nullptr) return process.close();
    if (db->file().properties().retentionMs != 0) db->file().setProperties({});
    const Status closed = db->close();
    process.close();
    if (!closed) return;
    FaultyStore store = look();
    const auto info = store.info("a");
    ASSERT_OK(info);
    EXPECT_EQ(info->properties.retentionMs, 0);
    EXPECT_EQ(info->head.sweepTxid, 0u);
    std::optional<store::ChunkNumber> before;
    auto versions = store.listChunkVersions(id_, std::nullopt, 1'000'000);
    ASSERT_OK(versions);
    for (const store::ChunkVersion& version : *versions) {
      EXPECT_NE(before, version.chunk) << "of txid " << version.txid;
      EXPECT_LT(version.chunk, store::chunkCountOf(info->head.pageCount));
      before = version.chunk;
    }
    const StoredHistory history(store, id_);
    for (const auto& [txid, record] : history.records()) EXPECT_GT(txid, info->head.logStart);
    Process reader(simulation_, store_->store(), {}, 3, sizes_, 256 * 4200);
    Result<sql::CheckReport> checked = sql::checkDatabase(reader.environment(), "a");
    ASSERT_OK(checked);
    for (const sql::Finding& finding : checked->findings) ADD_FAILURE() << finding.message;
    reader.close();
  }

  std::mt19937_64 random_;
  Simulation simulation_;
  std::unique_ptr<RunStore> store_;
  vfs::PagedFileOptions sizes_;
  store::DatabaseId id_;
  std::map<Txid, Version> model_;
  std::int64_t lastKnownMs_ = 0;  // when the newest of them was known to be the newest
};

class History : public ::testing::TestWithParam<HistoryBackend> {};

TEST_P(History, within_the_retention_can_be_rebuilt_and_what_is_older_goes) {
  setLogLevel(LogLevel::Off);
  const std::uint64_t first = numberFrom("SKEP_SEED").value_or(1);
  const std::uint64_t count =
      numberFrom("SKEP_SEED") ? 1 : numberFrom("SKEP_SEEDS").value_or(GetParam().seeds);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("replay it with SKEP_SEED=" + std::to_string(seed));
    HistoryRun(GetParam(), seed).run();
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Store, History,
                         ::testing::Values(HistoryBackend{"memory", makeInMemory, 150},
                                           HistoryBackend{"embedded", makeEmbedded, 10},
                                           HistoryBackend{"postgres",
                                                          [](Clock&) -> std::unique_ptr<RunStore> {
                                                            return std::make_unique<OnPostgres>();
                                                          },
                                                          5}),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace skep::testing
