// Random SQL through crashes, faults and competing owners, against plain SQLite. Ten thousand seeds
// in all, in shards.
//
//   SKEP_SEED=n    runs one seed, and shows every operation and every write
//   SKEP_SEEDS=n   runs n seeds instead of 10,000 (embedded store: of 200)
//   SKEP_SEED_FROM=n   starts at n instead of 1

#include <gtest/gtest.h>

#include "random_sql.h"
#include "run_stores.h"
#include "skep/base/log.h"

namespace skep::testing {
namespace {

constexpr std::uint64_t kShards = 8;
constexpr std::uint64_t kSeedsInMemory = 10'000;
constexpr std::uint64_t kSeedsEmbedded = 200;

TEST_P(RandomSql, survives_faults_and_crashes_as_plain_sqlite_says) {
  runSeeds(makeInMemory, kShards, kSeedsInMemory);
}

INSTANTIATE_TEST_SUITE_P(Shard, RandomSql, ::testing::Range<std::uint64_t>(0, kShards));

constexpr std::uint64_t kShardsEmbedded = 2;
class RandomSqlEmbedded : public RandomSql {};

TEST_P(RandomSqlEmbedded, survives_faults_and_crashes_as_plain_sqlite_says) {
  runSeeds(makeEmbedded, kShardsEmbedded, kSeedsEmbedded);
}

INSTANTIATE_TEST_SUITE_P(Shard, RandomSqlEmbedded,
                         ::testing::Range<std::uint64_t>(0, kShardsEmbedded));

TEST(FaultPoints, have_names_of_their_own_by_which_they_are_found) {
  for (const FaultPoint& point : faultPoints())
    EXPECT_EQ(findFaultPoint(point.name()), point) << point.name();
  EXPECT_EQ(findFaultPoint("read.late"), std::nullopt);
  EXPECT_EQ(findFaultPoint("commit_fold.late")->faultClass(), FaultClass::Ambiguous);
}

TEST(FaultPoints, each_of_them_fires) {
  setLogLevel(LogLevel::Off);
  constexpr std::uint64_t kTriesMax = 300;
  for (const FaultPoint& point : faultPoints()) {
    bool fired = false;
    for (std::uint64_t seed = 1; seed <= kTriesMax && !fired; ++seed) {
      const RunReport report =
          runThroughFaults({.seed = seed, .makeStore = makeInMemory, .firstFault = point});
      EXPECT_EQ(report.failure, "") << "seed " << seed << ", first fault " << point.name();
      fired = report.fired[point.index()] != 0;
    }
    EXPECT_TRUE(fired) << point.name() << " (" << faultClassName(point.faultClass()) << ")";
  }
}

}  // namespace
}  // namespace skep::testing
