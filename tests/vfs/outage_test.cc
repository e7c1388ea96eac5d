// How long the store may be away before a database gives up: one outage, not the time between two.

#include <gtest/gtest.h>

#include "skep/backend/memory/memory_store.h"
#include "skep/base/log.h"
#include "skep/testing/faults/simulation.h"
#include "skep/testing/world.h"

namespace skep::vfs {
namespace {

using skep::testing::CallKind;
using skep::testing::FaultAction;
using skep::testing::FaultPlan;
using skep::testing::Process;
using skep::testing::scalar;
using skep::testing::Simulation;

TEST(Outage, that_a_read_has_outlived_does_not_count_against_a_later_commit) {
  setLogLevel(LogLevel::Off);
  Simulation simulation("an outage that is over");
  backend::MemoryStore store(simulation.clock());
  PagedFileOptions options;
  options.transactionBytesMax = 12 * 4096;
  options.dirtyPagesMax = 10;
  // The store is away for one read that the removal of a staged transaction depends on, and, a
  // minute later, for one commit.
  FaultPlan plan;
  plan.shots.push_back({.action = FaultAction::Fail, .kind = CallKind::Head, .nth = 1});
  plan.shots.push_back({.action = FaultAction::Before, .kind = CallKind::Commit, .nth = 2});
  simulation.run([&] {
    Process process(simulation, store, plan, 1, options, 256 << 20);
    auto opened = sql::Database::open(process.environment(), {.name = "a"});
    ASSERT_OK(opened);
    sql::Database& db = **opened;
    ASSERT_OK(db.run("CREATE TABLE t(v)"));
    ASSERT_OK(db.waitDurable());
    ASSERT_OK(db.begin());
    ASSERT_OK(
        db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
               " INSERT INTO t SELECT randomblob(1000) FROM n"));
    ASSERT_OK(db.rollback());
    fiber::sleepFor(std::chrono::minutes(1));
    ASSERT_OK(db.run("INSERT INTO t VALUES (1)"));
    ASSERT_OK(db.waitDurable());
    EXPECT_EQ(simulation.network().firedCount(), 2u);
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t"), "1");
    ASSERT_OK(db.close());
    process.close();
  });
}

}  // namespace
}  // namespace skep::vfs
