// What many databases together may have committed that the store does not have yet.

#include "skep/vfs/undurable_budget.h"

#include <gtest/gtest.h>

#include "skep/base/log.h"
#include "skep/testing/faults/simulation.h"
#include "skep/testing/watched_world.h"
#include "skep/vfs/paged_file.h"

namespace skep::vfs {
namespace {

using namespace std::chrono_literals;
using skep::testing::Joiner;
using skep::testing::scalar;
using skep::testing::Simulation;
using skep::testing::WatchedWorld;

class UndurableBudgetTest : public ::testing::Test {
 protected:
  bool acquire(std::size_t bytes) {
    return budget_.acquire(simulation_.loop(), {.bytes = bytes, .limitBytes = 100}, 10s);
  }
  Simulation simulation_{"undurable budget"};
  UndurableBudget budget_;
};

TEST_F(UndurableBudgetTest, lets_in_who_waits_in_their_order_as_room_comes) {
  simulation_.run([&] {
    ASSERT_TRUE(acquire(90));
    std::string order;
    Joiner joiner(simulation_.loop());
    for (const auto& [name, bytes] : {std::pair("large ", 95), std::pair("small ", 5)}) {
      joiner.spawn([&, name = name, bytes = bytes] {
        EXPECT_TRUE(acquire(static_cast<std::size_t>(bytes)));
        order += name;
      });
    }
    fiber::sleepFor(1s);
    EXPECT_EQ(budget_.waiting(), 2u) << "the small one does not overtake";
    budget_.release(90);
    joiner.join();
    EXPECT_EQ(order, "large small ");
    EXPECT_EQ(budget_.bytes(), 100u);
    budget_.release(100);
  });
}

TEST_F(UndurableBudgetTest, more_than_all_of_it_is_granted_when_nobody_else_holds_any) {
  simulation_.run([&] {
    ASSERT_TRUE(acquire(1));
    Joiner joiner(simulation_.loop());
    joiner.spawn([&] { EXPECT_TRUE(acquire(1000)); });
    fiber::sleepFor(1s);
    EXPECT_EQ(budget_.bytes(), 1u);
    budget_.release(1);
    joiner.join();
    EXPECT_EQ(budget_.bytes(), 1000u);
    budget_.release(1000);
  });
}

TEST_F(UndurableBudgetTest, who_loses_patience_makes_way_for_those_behind) {
  simulation_.run([&] {
    ASSERT_TRUE(acquire(90));
    Joiner joiner(simulation_.loop());
    joiner.spawn([&] { EXPECT_FALSE(acquire(50)); });
    bool isIn = false;
    joiner.spawn([&] {
      fiber::sleepFor(5s);
      isIn = acquire(10);
    });
    fiber::sleepFor(9s);
    EXPECT_FALSE(isIn) << "it is not its turn";
    joiner.join();
    EXPECT_TRUE(isIn);
    budget_.release(100);
  });
}

class StalledStore : public ::testing::Test {
 protected:
  static constexpr std::size_t kDatabases = 40;
  static constexpr std::size_t kRoomBytes = 60 * kPageBytes;

  static PagedFileOptions sizes(Duration patience) {
    PagedFileOptions options;
    options.allUndurableBytesMax = kRoomBytes;
    options.commitRetry = patience;
    return options;
  }
  /// From now on no commit reaches the store.
  static void stall(WatchedWorld& world, fiber::Event& goesOn, const bool& isStalled) {
    world.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
      fiber::waitUntil(goesOn, [&] { return !isStalled; });
      return {};
    };
  }
};

TEST_F(StalledStore, holds_up_many_writers_within_one_bound_of_memory) {
  WatchedWorld world(sizes(24h));
  UndurableBudget& room = world.cache().undurable();
  world.run([&] {
    std::vector<std::unique_ptr<sql::Database>> databases;
    for (std::size_t i = 0; i < kDatabases; ++i) {
      databases.push_back(world.open("db" + std::to_string(i)));
      ASSERT_OK(databases.back()->run("CREATE TABLE t(v)"));
      ASSERT_OK(databases.back()->waitDurable());
    }
    EXPECT_EQ(room.bytes(), 0u) << "all of it is durable";
    fiber::Event goesOn;
    bool isStalled = true;
    stall(world, goesOn, isStalled);
    Joiner joiner(world.loop());
    std::size_t commits = 0;
    std::size_t done = 0;  // have made all of theirs
    for (auto& database : databases) {
      joiner.spawn([&] {
        for (int i = 0; i < 5; ++i) {
          EXPECT_OK(database->run("INSERT INTO t VALUES (randomblob(9000))"));
          ++commits;
        }
        ++done;
        EXPECT_OK(database->waitDurable());
      });
    }
    while (room.waiting() + done < kDatabases) fiber::yield();
    EXPECT_GT(room.waiting(), kDatabases / 2);
    EXPECT_LE(room.bytes(), kRoomBytes);
    EXPECT_GT(room.bytes(), kRoomBytes / 2);
    EXPECT_LT(commits, 2 * kDatabases);
    isStalled = false;
    goesOn.notifyAll();
    joiner.join();
    EXPECT_EQ(commits, 5 * kDatabases);
    EXPECT_EQ(room.bytes(), 0u);
    for (auto& database : databases) {
      EXPECT_EQ(scalar(*database, "SELECT count(*) FROM t"), "5");
      EXPECT_OK(database->close());
    }
  });
}

TEST_F(StalledStore, tells_a_writer_that_waited_too_long_and_leaves_its_database_whole) {
  WatchedWorld world(sizes(100ms));
  world.run([&] {
    auto first = world.open("first");
    auto second = world.open("second");
    for (auto* each : {first.get(), second.get()}) {
      ASSERT_OK(each->run("CREATE TABLE t(v)"));
      ASSERT_OK(each->waitDurable());
    }
    fiber::Event goesOn;
    bool isStalled = true;
    stall(world, goesOn, isStalled);
    ASSERT_OK(first->run("INSERT INTO t VALUES (randomblob(200000))"));
    const Status refused = second->run("INSERT INTO t VALUES (randomblob(200000))");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::Overloaded);
    EXPECT_NE(refused.error().message.find("database 'second'"), std::string::npos)
        << refused.error().message;
    EXPECT_EQ(scalar(*second, "SELECT count(*) FROM t"), "0");
    isStalled = false;
    goesOn.notifyAll();
    ASSERT_OK(first->waitDurable());
    ASSERT_OK(second->run("INSERT INTO t VALUES (randomblob(200000))"));
    ASSERT_OK(second->waitDurable());
    EXPECT_EQ(world.cache().undurable().bytes(), 0u);
    ASSERT_OK(first->close());
    ASSERT_OK(second->close());
  });
}

// One page that is committed again and again takes the room of one.
TEST_F(StalledStore, the_same_page_counts_once_however_often_it_is_committed) {
  WatchedWorld world(sizes(24h));
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(v); INSERT INTO t VALUES (0)"));
    ASSERT_OK(db->waitDurable());
    fiber::Event goesOn;
    bool isStalled = true;
    stall(world, goesOn, isStalled);
    for (int i = 0; i < 500; ++i) ASSERT_OK(db->run("UPDATE t SET v = v + 1"));
    EXPECT_LE(world.cache().undurable().bytes(), 8 * kPageBytes);
    isStalled = false;
    goesOn.notifyAll();
    ASSERT_OK(db->waitDurable());
    ASSERT_OK(db->close());
  });
}

}  // namespace
}  // namespace skep::vfs
