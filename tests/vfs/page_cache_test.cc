// The page cache: its budget, what it evicts, and that nobody notices.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "skep/backend/memory/memory_store.h"
#include "skep/testing/plain_sqlite.h"
#include "skep/testing/watched_world.h"
#include "skep/vfs/page_cache.h"
#include "skep/vfs/paged_file.h"

namespace skep::vfs {
namespace {

using skep::testing::PlainSqlite;
using skep::testing::scalar;
using skep::testing::WatchedWorld;
using skep::testing::World;

constexpr std::size_t kPage = sizeof(PageBuffer);

PageRef make(CacheShard& shard, PageNumber page, int content) {
  PageRef buffer = shard.allocate(page);
  std::memset(buffer->data, content, kPageBytes);
  return buffer;
}

class CacheTest : public ::testing::Test {
 protected:
  SystemClock clock_;
  fiber::Loop loop_{clock_};
  PageCache cache_{10 * kPage};
  CacheShard& shard_ = cache_.shard(loop_);
  PageTable table_{shard_};
};

TEST_F(CacheTest, a_table_finds_the_newest_version_of_each_page) {
  PageCache large(std::size_t{1} << 30);
  CacheShard& shard = large.shard(loop_);
  PageTable table(shard);
  std::map<PageNumber, int> model;
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const PageNumber page = random() % 300 * (random() % 2 == 0 ? 1 : 4096) + 1;
    if (random() % 3 == 0) {
      table.erase(page);
      model.erase(page);
    } else {
      table.put(make(shard, page, i % 251));
      model[page] = i % 251;
    }
    ASSERT_EQ(table.size(), model.size());
  }
  for (const auto& [page, content] : model) {
    PageBuffer* found = table.find(page);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(static_cast<int>(found->data[kPageBytes - 1]), content);
    EXPECT_EQ(found->page, page);
  }
  EXPECT_EQ(table.find(999'999), nullptr);
  EXPECT_EQ(large.stats().bytes, model.size() * kPage);
  table.clear();
  EXPECT_EQ(large.stats().bytes, 0u);
}

TEST_F(CacheTest, stays_within_its_budget_and_drops_what_was_not_used_lately) {
  for (PageNumber page = 1; page <= 10; ++page) table_.put(make(shard_, page, 1));
  EXPECT_EQ(cache_.stats().evictions, 0u);
  table_.put(make(shard_, 11, 1));  // a round that takes every mark away, and one page
  EXPECT_EQ(table_.size(), 10u);
  for (PageNumber page : {5u, 6u, 7u}) {
    if (PageBuffer* found = table_.find(page)) found->recentlyUsed = true;
  }
  for (PageNumber page = 12; page <= 16; ++page) table_.put(make(shard_, page, 1));
  for (PageNumber page : {5u, 6u, 7u}) EXPECT_NE(table_.find(page), nullptr) << page;
  EXPECT_EQ(table_.size(), 10u);
  EXPECT_LE(cache_.stats().bytes, 10 * kPage);
  EXPECT_EQ(cache_.stats().evictions, 6u);
}

TEST_F(CacheTest, never_drops_a_page_that_is_pinned_or_held) {
  PageRef held = make(shard_, 1, 7);
  table_.put(held);
  table_.put(make(shard_, 2, 8));
  table_.find(2)->pinned = true;
  for (PageNumber page = 3; page <= 100; ++page) table_.put(make(shard_, page, 1));
  EXPECT_EQ(table_.find(1), held.get());
  ASSERT_NE(table_.find(2), nullptr);
  EXPECT_EQ(static_cast<int>(table_.find(2)->data[0]), 8);
  EXPECT_LE(cache_.stats().bytes, 11 * kPage);
  table_.find(2)->pinned = false;
  held = PageRef();
  for (PageNumber page = 101; page <= 120; ++page) table_.put(make(shard_, page, 1));
  EXPECT_EQ(table_.find(1), nullptr);
  EXPECT_EQ(table_.find(2), nullptr);
}

TEST_F(CacheTest, goes_over_its_budget_rather_than_drop_what_is_needed) {
  std::vector<PageRef> held;
  for (PageNumber page = 1; page <= 30; ++page) {
    held.push_back(make(shard_, page, static_cast<int>(page)));
    table_.put(held.back());
  }
  EXPECT_EQ(cache_.stats().bytes, 30 * kPage);
  held.clear();
  table_.put(make(shard_, 31, 1));
  EXPECT_LE(cache_.stats().bytes, 11 * kPage);
}

TEST_F(CacheTest, looks_at_few_pages_in_vain_when_all_of_them_have_to_stay) {
  constexpr PageNumber kPinned = 5000;
  for (PageNumber page = 1; page <= kPinned; ++page) {
    table_.put(make(shard_, page, 1));
    table_.find(page)->pinned = true;
  }
  EXPECT_LE(cache_.stats().evictionLooks, 100u * kPinned);
  // And those that can go are found among them, some allocations later.
  for (PageNumber page = 10; page <= kPinned; page += 10) table_.find(page)->pinned = false;
  for (PageNumber page = kPinned + 1; page <= kPinned + 1000; ++page)
    table_.put(make(shard_, page, 1));
  EXPECT_LE(table_.size(), kPinned - kPinned / 10 + 200);
  EXPECT_LE(cache_.stats().evictionLooks, 100u * (kPinned + 1000));
}

TEST_F(CacheTest, a_trim_that_was_asked_for_comes_too_late_for_a_cache_that_is_gone) {
  fiber::Loop otherLoop(clock_);
  {
    PageCache cache(10 * kPage);
    CacheShard& mine = cache.shard(loop_);
    CacheShard& other = cache.shard(otherLoop);
    PageTable table(mine);
    PageTable otherTable(other);
    for (PageNumber page = 1; page <= 8; ++page) otherTable.put(make(other, page, 1));
    for (PageNumber page = 1; page <= 8; ++page) table.put(make(mine, page, 1));
    EXPECT_EQ(otherTable.size(), 8u) << "it is another loop's to evict";
  }
  otherLoop.runUntilIdle();
}

TEST_F(CacheTest, an_old_version_lives_as_long_as_someone_reads_it) {
  PageRef old = make(shard_, 1, 1);
  table_.put(old);
  table_.put(make(shard_, 1, 2));
  EXPECT_EQ(static_cast<int>(old->data[0]), 1);
  EXPECT_EQ(static_cast<int>(table_.find(1)->data[0]), 2);
  EXPECT_EQ(cache_.stats().bytes, 2 * kPage);
  old = PageRef();
  EXPECT_EQ(cache_.stats().bytes, kPage);
}

// --- With databases ---

constexpr const char* kFill =
    "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v);"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO "
    "t(v) SELECT randomblob(3900) FROM n";

TEST(CacheOfDatabases, holds_its_budget_while_several_databases_scan_more_than_that) {
  constexpr std::size_t kBudget = 2 * 1024 * 1024;
  constexpr std::size_t kSlack = 512 * 1024;  // what is held or not durable yet
  WatchedWorld world({}, kBudget);
  world.run([&] {
    std::vector<std::unique_ptr<sql::Database>> databases;
    for (int i = 0; i < 6; ++i) {
      databases.push_back(world.open("db" + std::to_string(i)));
      ASSERT_OK(databases.back()->run(kFill));
      ASSERT_OK(databases.back()->waitDurable());
    }
    std::size_t most = 0;
    world.watch().beforeRead = [&](const store::ChunkReadRequest&) -> Status {
      most = std::max(most, world.cache().stats().bytes);
      fiber::yield();
      return {};
    };
    int scanning = 6;
    fiber::Event done;
    for (auto& db : databases) {
      world.loop().spawn("scan", [&] {
        for (int round = 0; round < 3; ++round)
          EXPECT_EQ(scalar(*db, "SELECT sum(length(v)) FROM t"), "1950000");
        --scanning;
        done.notifyAll();
      });
    }
    fiber::waitUntil(done, [&] { return scanning == 0; });
    EXPECT_GT(most, kBudget / 2);
    EXPECT_LE(most, kBudget + kSlack);
    EXPECT_GT(world.cache().stats().evictions, 1000u);
    for (auto& db : databases) ASSERT_OK(db->close());
    EXPECT_EQ(world.cache().stats().bytes, 0u);
  });
}

TEST(CacheOfDatabases, measures_how_often_pages_were_in_memory) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(kFill));
    ASSERT_OK(db->close());
    db = world.open("a");
    const CacheStats start = world.cache().stats();
    EXPECT_EQ(scalar(*db, "SELECT sum(length(v)) FROM t"), "1950000");
    const CacheStats cold = world.cache().stats();
    EXPECT_GT(cold.misses, start.misses);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(scalar(*db, "SELECT sum(length(v)) FROM t"), "1950000");
    const CacheStats warm = world.cache().stats();
    EXPECT_EQ(warm.misses, cold.misses);
    EXPECT_GT(warm.hits, cold.hits + 20 * 400);
    EXPECT_GT(warm.hitRatio(), 0.99);
    EXPECT_LE(warm.hitRatio(), 1.0);
    ASSERT_OK(db->close());
  });
}

/// One thread with a loop, a pipeline and a database of its own, over a cache and a store that are
/// shared.
struct Node {
  Node(PageCache& sharedCache, store::PageStore& store)
      : loop(clock), pipeline(loop, store), environment{loop, store, pipeline, sharedCache, {}} {}
  void run(const std::function<void()>& body) {
    bool done = false;
    loop.spawn("node", [&] {
      body();
      pipeline.close();
      done = true;
    });
    loop.runUntil([&] { return done; });
  }
  SystemClock clock;
  fiber::Loop loop;
  store::CommitPipeline pipeline;
  Environment environment;
};

TEST(CacheOfDatabases, threads_share_the_budget_and_trim_each_other) {
  constexpr std::size_t kBudget = 4 * 1024 * 1024;
  SystemClock clock;
  backend::MemoryStore store(clock);
  PageCache cache(kBudget);
  Node nodes[2] = {{cache, store}, {cache, store}};
  std::atomic<int> filled{0};
  std::atomic<bool> secondDone{false};
  std::atomic<std::size_t> firstBytes{0};
  auto work = [&](int which) {
    nodes[which].run([&] {
      sql::DatabaseOptions options;
      options.name = "db" + std::to_string(which);
      auto opened = sql::Database::open(nodes[which].environment, options);
      ASSERT_OK(opened);
      sql::Database& db = **opened;
      for (int i = 0; i < 3; ++i) ASSERT_OK(db.run(kFill));
      ASSERT_OK(db.waitDurable());
      ++filled;
      // The first one only waits from now on; the second one needs the room.
      if (which == 0) {
        while (!secondDone) fiber::sleepFor(std::chrono::milliseconds(1));
      } else {
        while (filled < 2) fiber::sleepFor(std::chrono::milliseconds(1));
        for (int i = 0; i < 10; ++i) {
          EXPECT_EQ(scalar(db, "SELECT sum(length(v)) FROM t"), "5850000");
          // The other gives way as soon as its thread runs.
          while (cache.stats().bytes > kBudget * 3 / 2) {
            fiber::sleepFor(std::chrono::milliseconds(1));
          }
        }
        firstBytes = cache.stats().bytes;
        secondDone = true;
      }
      EXPECT_EQ(scalar(db, "SELECT sum(length(v)) FROM t"), "5850000");
      EXPECT_EQ(scalar(db, "PRAGMA integrity_check"), "ok");
      EXPECT_OK(db.close());
    });
  };
  std::thread other([&] { work(1); });
  work(0);
  other.join();
  EXPECT_LE(firstBytes, kBudget + kBudget / 8);
  EXPECT_EQ(cache.stats().bytes, 0u);
}

TEST(CacheOfDatabases, a_random_workload_with_hardly_any_memory_equals_plain_sqlite) {
  const unsigned seed = skep::testing::seedOf("page_cache", 20);
  std::mt19937 random(seed);
  PagedFileOptions options;
  options.logBytesMin = 2000;
  options.transactionBytesMax = 30 * 4096;
  options.undurableBytesMax = 20 * 4096;
  WatchedWorld world(options, 12 * kPage);
  world.watch().beforeRead = [](const store::ChunkReadRequest&) -> Status {
    fiber::yield();
    return {};
  };
  world.run([&] {
    PlainSqlite model;
    auto db = world.open("a");
    auto both = [&](const std::string& sql) {
      const bool expected = model.run(sql);
      const Status done = db->run(sql);
      ASSERT_EQ(done.ok(), expected)
          << sql.substr(0, 80) << ", seed " << seed << (done ? "" : done.error().message);
    };
    both("CREATE TABLE t(id INTEGER PRIMARY KEY, k, v); CREATE INDEX tk ON t(k)");
    for (int i = 0; i < 1500 && !HasFailure(); ++i) {
      const std::string id = std::to_string(random() % 300);
      const std::string text = "'" +
                               std::string(random() % 20 == 0 ? random() % 30'000 : random() % 900,
                                           static_cast<char>('a' + random() % 26)) +
                               "'";
      switch (random() % 12) {
        case 0:
          both("BEGIN");
          break;
        case 1:
          both("COMMIT");
          break;
        case 2:
          both(random() % 4 == 0 ? "ROLLBACK" : "SELECT 1");
          break;
        case 3:
          both("DELETE FROM t WHERE id BETWEEN " + id + " AND " + id + " + 20");
          break;
        case 4:
          both("UPDATE t SET k = k + 1, v = " + text + " WHERE id % 7 = " + id + " % 7");
          break;
        case 5:
          both("INSERT OR IGNORE INTO t VALUES (" + id + ", 1, " + text + ")");
          break;
        case 6:
          both(random() % 10 == 0 ? "VACUUM"
                                  : "INSERT INTO t VALUES (" + id + ", 2, " + text + ")");
          break;
        case 7: {
          const std::string query =
              "SELECT count(*), sum(k), sum(length(v)) FROM t WHERE k > " + id + " % 5";
          ASSERT_EQ(skep::testing::textOf(db->execute(query)), model.query(query))
              << "seed " << seed;
          break;
        }
        case 8:
          db->releaseMemory();
          break;
        case 9:
          if (!db->inTransaction() && random() % 4 == 0) {
            ASSERT_OK(db->close());
            db = world.open("a");
          }
          break;
        default:
          both("REPLACE INTO t VALUES (" + id + ", " + id + " % 3, " + text + ")");
          break;
      }
    }
    EXPECT_TRUE(skep::testing::dump(*db) == skep::testing::dump(model)) << "seed " << seed;
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok") << "seed " << seed;
    ASSERT_OK(db->close());
  });
}

}  // namespace
}  // namespace skep::vfs
