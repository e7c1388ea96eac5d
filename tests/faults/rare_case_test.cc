// Cases that random SQL has found, or meets too rarely, told one by one.

#include <gtest/gtest.h>

#include "run_stores.h"
#include "skep/base/log.h"
#include "skep/sql/check.h"
#include "skep/sql/database.h"
#include "skep/testing/faults/simulation.h"
#include "skep/testing/watched_store.h"
#include "skep/testing/world.h"
#include "skep/vfs/paged_file.h"

namespace skep::testing {
namespace {

/// A simulated store and one process on it, with sizes and faults of the test's choice.
class RareCase : public ::testing::Test {
 protected:
  RareCase() { setLogLevel(LogLevel::Off); }

  void run(FaultPlan plan, const std::function<void(Process&)>& body) {
    simulation_.run([&] {
      Process process(simulation_, store_.store(), std::move(plan), 1, sizes_, cacheBytes_);
      body(process);
      process.close();
    });
  }

  static std::unique_ptr<sql::Database> open(Process& process, sql::DatabaseOptions options = {}) {
    options.name = "rare";
    auto opened = sql::Database::open(process.environment(), std::move(options));
    EXPECT_OK(opened);
    return opened ? std::move(opened).value() : nullptr;
  }

  static void expectWhole(Process& process) {
    Result<sql::CheckReport> checked = sql::checkDatabase(process.environment(), "rare");
    ASSERT_OK(checked);
    for (const sql::Finding& finding : checked->findings) ADD_FAILURE() << finding.message;
  }

  Simulation simulation_{"a rare case"};
  InMemory store_{simulation_.clock()};
  vfs::PagedFileOptions sizes_;
  std::size_t cacheBytes_ = 256 << 20;
};

constexpr const char* kFill =
    "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);"
    "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 300)"
    "  INSERT INTO t SELECT i, printf('%01000d', i) FROM s";

TEST_F(RareCase, an_observer_never_sees_an_older_page_after_two_flips) {
  sizes_.transactionBytesMax = 12 * 4096;
  sizes_.logBytesMin = sizes_.logBytesMax =
      8 << 20;  // the records stay: they hold older versions of the pages
  cacheBytes_ = 8 * 4200;
  run({}, [&](Process& process) {
    auto owner = open(process);
    ASSERT_OK(owner->run(kFill));
    for (int i = 1; i <= 300; i += 7) {
      ASSERT_OK(
          owner->execute("UPDATE t SET v = printf('%01000d', -id) WHERE id = ?", {sql::Value(i)}));
    }
    ASSERT_OK(owner->run("UPDATE t SET v = printf('first flip %0900d', id)"));
    ASSERT_OK(owner->waitDurable());
    auto observer = open(process, {.mode = sql::DatabaseOptions::Mode::ReadOnly});
    EXPECT_EQ(scalar(*observer, "SELECT count(*) FROM t WHERE v LIKE 'first flip%'"), "300");
    ASSERT_OK(owner->run("UPDATE t SET v = printf('second flip %0900d', id)"));
    ASSERT_OK(owner->waitDurable());
    ASSERT_OK(owner->close());
    const std::string seen = scalar(*observer, "SELECT count(*) FROM t WHERE v LIKE 'first flip%'");
    EXPECT_TRUE(seen == "300" || seen.starts_with("error: snapshot_gone")) << seen;
    ASSERT_OK(observer->close());
  });
}

TEST_F(RareCase, writes_that_come_back_and_what_came_after_them_fit_one_record) {
  FaultPlan away;
  away.shots.push_back(
      {.action = FaultAction::Before, .kind = CallKind::Commit, .nth = 2, .repeat = 3});
  run(away, [&](Process& process) {
    auto db = open(process);
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)"));
    ASSERT_OK(db->waitDurable());
    // Each as large as a transaction may be before it is staged; together more than a record holds.
    for (int i = 0; i < 7; ++i) ASSERT_OK(db->run("INSERT INTO t(v) VALUES (zeroblob(16000000))"));
    ASSERT_OK(db->waitDurable());
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "7");
    ASSERT_OK(db->close());
    expectWhole(process);
  });
}

TEST_F(RareCase, an_alarm_without_a_commit_is_durable_once_that_was_waited_for) {
  run({}, [&](Process& process) {
    auto db = open(process);
    ASSERT_OK(db->run("CREATE TABLE t(x)"));
    ASSERT_OK(db->waitDurable());
    ASSERT_OK(db->setAlarm(4711));
    ASSERT_OK(db->waitDurable());
    Result<store::DatabaseInfo> info = process.store().info("rare");
    ASSERT_OK(info);
    EXPECT_EQ(info->head.alarmMs, 4711);
    ASSERT_OK(db->close());
  });
}

TEST_F(RareCase, the_alarm_of_a_transaction_whose_commit_fails_is_forgotten) {
  sizes_.transactionBytesMax = 12 * 4096;
  FaultPlan full;
  full.shots.push_back({.action = FaultAction::Refused, .kind = CallKind::Stage, .nth = 1});
  run(full, [&](Process& process) {
    auto db = open(process);
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)"));
    ASSERT_OK(db->begin());
    ASSERT_OK(db->setAlarm(4711));
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES (zeroblob(200000))"));
    auto committed = db->commit();
    ASSERT_FALSE(committed.ok());
    EXPECT_EQ(committed.error().code, ErrorCode::StoreFull);
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "0");
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('next')"));
    ASSERT_OK(db->close());
    EXPECT_EQ(process.store().info("rare")->head.alarmMs, std::nullopt);
    expectWhole(process);
  });
}

TEST_F(RareCase, a_vacuum_that_fails_leaves_nothing_to_the_next_transaction) {
  sizes_.transactionBytesMax = 12 * 4096;
  run({}, [&](Process& process) {
    auto db = open(process);
    ASSERT_OK(db->run("CREATE TABLE u(x)"));
    ASSERT_OK(db->run(kFill));
    ASSERT_OK(db->run("DELETE FROM t WHERE id % 2 = 0"));
    ASSERT_OK(db->close());
  });
  FaultPlan full;
  full.shots.push_back({.action = FaultAction::Refused, .kind = CallKind::Stage, .nth = 2});
  run(full, [&](Process& process) {
    auto db = open(process);
    Status vacuumed = db->run("VACUUM");
    ASSERT_FALSE(vacuumed.ok());
    EXPECT_EQ(vacuumed.error().code, ErrorCode::StoreFull);
    EXPECT_FALSE(db->file().hasUncommitted());
    ASSERT_OK(db->run("INSERT INTO u VALUES (1)"));
    ASSERT_OK(db->close());
    expectWhole(process);
  });
}

TEST_F(RareCase, what_a_rolled_back_transaction_staged_is_never_read) {
  sizes_.transactionBytesMax = 12 * 4096;
  sizes_.dirtyPagesMax = 10;
  cacheBytes_ = 8 * 4200;
  run({}, [&](Process& process) {
    auto db = open(process);
    ASSERT_OK(db->run(kFill));
    ASSERT_OK(db->waitDurable());
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run("UPDATE t SET v = printf('never %0900d', id)"));
    ASSERT_OK(db->rollback());
    // Local commits number themselves past the staged txid before the store has removed what was
    // staged under it.
    ASSERT_OK(db->run("INSERT INTO t VALUES (1001, 'a')"));
    ASSERT_OK(db->run("INSERT INTO t VALUES (1002, 'b')"));
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t WHERE v LIKE 'never%'"), "0");
    ASSERT_OK(db->close());
    expectWhole(process);
  });
}

TEST_F(RareCase, a_first_transaction_may_be_larger_than_memory) {
  sizes_.transactionBytesMax = 12 * 4096;
  sizes_.dirtyPagesMax = 10;
  run({}, [&](Process& process) {
    auto db = open(process);
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run(kFill));
    ASSERT_OK(db->commit());
    ASSERT_OK(db->close());
    expectWhole(process);
  });
}

TEST_F(RareCase, a_fenced_owner_learns_it_from_a_cold_read_and_reads_nothing_of_its_successor) {
  cacheBytes_ = 8 * 4200;
  sizes_.logBytesMin = 4096;
  run({}, [&](Process& process) {
    auto first = open(process);
    ASSERT_OK(first->run(kFill));
    ASSERT_OK(first->waitDurable());
    auto second = open(process);
    for (int i = 0; i < 20; ++i)
      ASSERT_OK(second->run("UPDATE t SET v = printf('second %0900d', id) WHERE id % 3 = 0"));
    ASSERT_OK(second->close());
    first->releaseMemory();
    const std::string seen = scalar(*first, "SELECT count(*) FROM t WHERE v LIKE 'second%'");
    EXPECT_TRUE(seen.starts_with("error: fenced")) << seen;
    ASSERT_NE(first->brokenBy(), nullptr);
    EXPECT_EQ(first->brokenBy()->code, ErrorCode::Fenced);
    EXPECT_FALSE(first->close().ok());
  });
}

TEST_F(RareCase, an_owner_that_asks_for_a_lost_answer_leaves_a_database_of_the_same_name_alone) {
  FaultPlan plan;
  plan.shots.push_back({.action = FaultAction::Lost, .kind = CallKind::Commit, .nth = 2});
  plan.shots.push_back(
      {.action = FaultAction::Before, .kind = CallKind::Retake, .nth = 1, .repeat = 5});
  run(plan, [&](Process& process) {
    auto first = open(process);
    ASSERT_OK(first->run("CREATE TABLE t(x)"));
    ASSERT_OK(first->waitDurable());
    ASSERT_OK(first->run("INSERT INTO t VALUES ('first')"));
    Joiner waiter(simulation_.loop());
    waiter.spawn([&] { EXPECT_FALSE(first->waitDurable().ok()); });
    while (!process.store().hasFired()) fiber::sleepFor(std::chrono::microseconds(100));
    // Removed and made anew by others, while the first owner waits for the store to answer.
    ASSERT_OK(store_.store().destroy("rare"));
    Process another(simulation_, store_.store(), {}, 2, sizes_, cacheBytes_);
    auto second = open(another);
    ASSERT_EQ(second->head().epoch, first->head().epoch);
    ASSERT_OK(second->run("CREATE TABLE t(x)"));
    waiter.join();
    ASSERT_NE(first->brokenBy(), nullptr);
    EXPECT_FALSE(first->close().ok());
    ASSERT_OK(second->run("INSERT INTO t VALUES ('second')"));
    ASSERT_OK(second->waitDurable());
    EXPECT_EQ(second->brokenBy(), nullptr);
    ASSERT_OK(second->close());
    expectWhole(another);
    another.close();
  });
}

TEST_F(RareCase, a_read_does_not_wait_for_ever_for_the_outcome_of_a_fold) {
  sizes_.commitRetry = std::chrono::hours(1);
  WatchedStore watched(store_.store());
  bool isAway = false;
  watched.beforeWrite = [&](const store::DatabaseWrite&) -> Status {
    return isAway ? Status(Error{ErrorCode::UnknownOutcome, "lost"}) : Status{};
  };
  watched.beforeOpen = [&](const store::OpenRequest&) -> Status {
    return isAway ? Status(Error{ErrorCode::Unavailable, "away"}) : Status{};
  };
  // As if the fold had been applied, and the records that the reader asks for were gone.
  watched.beforeRead = [&](const store::ChunkReadRequest&) -> Status {
    return isAway ? Status(Error{ErrorCode::SnapshotGone, "folded away"}) : Status{};
  };
  simulation_.run([&] {
    Process process(simulation_, watched, {}, 1, sizes_, cacheBytes_);
    auto db = open(process);
    ASSERT_OK(db->run(kFill));
    ASSERT_OK(db->waitDurable());
    db->releaseMemory();
    ASSERT_OK(db->run("UPDATE t SET v = 'first' WHERE id = 1"));
    isAway = true;
    EXPECT_TRUE(
        scalar(*db, "SELECT count(*) FROM t WHERE v > ''").starts_with("error: unavailable"));
    isAway = false;
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t WHERE v > ''"), "300");
    ASSERT_OK(db->waitDurable());
    ASSERT_OK(db->close());
    process.close();
  });
}

TEST_F(RareCase, reads_survive_a_cache_that_is_full_of_pages_that_can_not_go) {
  cacheBytes_ = 6 * 4200;
  run({}, [&](Process& process) {
    auto db = open(process);
    ASSERT_OK(db->run(kFill));
    ASSERT_OK(db->waitDurable());
    // Not durable, so pinned, and more than the budget.
    ASSERT_OK(db->run("UPDATE t SET v = 'short' WHERE id BETWEEN 100 AND 200"));
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "300");
    EXPECT_EQ(scalar(*db, "SELECT sum(id) FROM t WHERE v = 'short'"), "15150");
    ASSERT_OK(db->close());
    expectWhole(process);
  });
}

}  // namespace
}  // namespace skep::testing
