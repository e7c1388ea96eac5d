// The random SQL of random_sql_test.cc on PostgreSQL.

#include <gtest/gtest.h>

#include "on_postgres.h"
#include "random_sql.h"

namespace skep::testing {
namespace {

constexpr std::uint64_t kSeedsPostgres = 100;

class RandomSqlPostgres : public RandomSql {};

TEST_P(RandomSqlPostgres, survives_faults_and_crashes_as_plain_sqlite_says) {
  runSeeds([](Clock&) -> std::unique_ptr<RunStore> { return std::make_unique<OnPostgres>(); }, 1,
           kSeedsPostgres);
}

INSTANTIATE_TEST_SUITE_P(Shard, RandomSqlPostgres, ::testing::Range<std::uint64_t>(0, 1));

}  // namespace
}  // namespace skep::testing
