// A page that is not in memory suspends the fiber that wants it, and nobody else.

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "skep/testing/watched_world.h"

namespace skep::vfs {
namespace {

using skep::testing::scalar;
using skep::testing::WatchedWorld;
using namespace std::chrono_literals;

constexpr int kWarmQueries = 100;

/// Database "cold" has some 400 pages in chunks; "warm" has one row.
void makeDatabases(WatchedWorld& world) {
  world.run([&] {
    auto cold = world.open("cold");
    ASSERT_OK(cold->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"));
    ASSERT_OK(
        cold->run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) "
                  "INSERT INTO t(v) SELECT randomblob(40000) FROM n"));
    ASSERT_OK(cold->close());
    auto warm = world.open("warm");
    ASSERT_OK(
        warm->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'here')"));
    ASSERT_OK(warm->close());
  });
}

PagedFileOptions foldedOptions() {
  PagedFileOptions options;
  options.logBytesMin = 0;
  options.logBytesMax = 0;
  return options;
}

TEST(ColdReads, do_not_hold_up_warm_queries_of_another_database_on_the_same_loop) {
  WatchedWorld world(foldedOptions());
  makeDatabases(world);
  std::size_t warmQueries = 0;
  std::size_t queriesInFirstRead = 0;
  int coldReads = 0;
  bool coldDone = false;
  world.watch().beforeRead = [&](const store::ChunkReadRequest&) -> Status {
    fiber::sleepFor(50ms);
    if (++coldReads == 1) queriesInFirstRead = warmQueries;
    return {};
  };
  std::unique_ptr<sql::Database> cold;
  std::unique_ptr<sql::Database> warm;
  world.run([&] {
    cold = world.open("cold");
    warm = world.open("warm");
    EXPECT_EQ(scalar(*warm, "SELECT v FROM t WHERE id = 1"), "here");
  });
  world.loop().spawn("cold", [&] {
    EXPECT_EQ(scalar(*cold, "SELECT sum(length(v)) FROM t"), "1600000");
    coldDone = true;
  });
  world.run([&] {
    while (!coldDone) {
      ASSERT_EQ(scalar(*warm, "SELECT v FROM t WHERE id = 1"), "here");
      ++warmQueries;
      fiber::yield();
    }
    EXPECT_OK(cold->close());
    EXPECT_OK(warm->close());
  });
  EXPECT_GE(coldReads, 2);
  EXPECT_GT(queriesInFirstRead, 0u) << "how many is the machine's affair";
}

// The same without a clock: the store answers only once the other database has got on with its
// work.
TEST(ColdReads, wait_for_as_long_as_the_store_takes_while_others_run) {
  WatchedWorld world(foldedOptions());
  makeDatabases(world);
  fiber::Event warmDone;
  bool done = false;
  bool coldFailed = true;
  world.watch().beforeRead = [&](const store::ChunkReadRequest&) -> Status {
    fiber::waitUntil(warmDone, [&] { return done; });
    return {};
  };
  std::unique_ptr<sql::Database> cold;
  world.run([&] {
    cold = world.open("cold");
    auto warm = world.open("warm");
    world.loop().spawn("cold", [&] {
      coldFailed = scalar(*cold, "SELECT sum(length(v)) FROM t") != "1600000";
      warmDone.notifyAll();
    });
    for (int i = 0; i < kWarmQueries; ++i) {
      ASSERT_EQ(scalar(*warm, "SELECT v FROM t WHERE id = 1"), "here");
      ASSERT_OK(warm->run("UPDATE t SET v = 'here'; INSERT INTO t(v) VALUES (1)"));
      fiber::yield();
    }
    ASSERT_OK(warm->waitDurable());
    done = true;
    warmDone.notifyAll();
    fiber::waitUntil(warmDone, [&] { return !coldFailed; });
    ASSERT_OK(warm->close());
    ASSERT_OK(cold->close());
  });
  EXPECT_FALSE(coldFailed);
}

// A page fault inside a statement holds the database's lock: a second fiber of the same database
// waits, in order.
TEST(ColdReads, of_one_database_queue_its_other_fibers_in_order) {
  WatchedWorld world(foldedOptions());
  makeDatabases(world);
  std::vector<int> order;
  world.watch().beforeRead = [&](const store::ChunkReadRequest&) -> Status {
    for (int i = 0; i < 20; ++i) fiber::yield();
    return {};
  };
  world.run([&] {
    auto cold = world.open("cold");
    fiber::Event finished;
    for (int i = 0; i < 3; ++i) {
      world.loop().spawn("reader", [&, i] {
        EXPECT_EQ(scalar(*cold, "SELECT length(v) FROM t WHERE id = " + std::to_string(40 - i)),
                  "40000");
        order.push_back(i);
        finished.notifyAll();
      });
    }
    fiber::waitUntil(finished, [&] { return order.size() == 3; });
    ASSERT_OK(cold->close());
  });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

}  // namespace
}  // namespace skep::vfs
