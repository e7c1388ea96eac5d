// Random SQL through crashes, faults and competing owners, against plain SQLite. Ten thousand seeds in all, in shards.
//
//   SKEP_SEED=n    runs one seed, and shows every operation
//   SKEP_SEEDS=n   runs seeds 1 … n instead of 1 … 10,000

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "skep/backend/memory/memory_store.h"
#include "skep/base/log.h"
#include "skep/testing/faults/crash_run.h"

namespace skep::testing {
namespace {

constexpr std::uint64_t kShards = 8;
constexpr std::uint64_t kSeedsDefault = 10'000;

class InMemory final : public RunStore {
 public:
  explicit InMemory(Clock& clock) : store_(clock) {}
  store::PageStore& store() override { return store_; }

 private:
  backend::MemoryStore store_;
};

std::unique_ptr<RunStore> makeInMemory(Clock& clock) { return std::make_unique<InMemory>(clock); }

std::optional<std::uint64_t> numberFrom(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

class RandomSql : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  RandomSql() { setLogLevel(LogLevel::Off); }

  static void runSeed(std::uint64_t seed, std::ostream* trace) {
    const RunReport report = runThroughFaults({.seed = seed, .makeStore = makeInMemory, .firstFault = {}, .trace = trace});
    EXPECT_EQ(report.failure, "") << "seed " << seed << ": replay it with SKEP_SEED=" << seed << "\nfaults: " << report.plan;
  }
};

TEST_P(RandomSql, survives_faults_and_crashes_as_plain_sqlite_says) {
  if (const auto seed = numberFrom("SKEP_SEED")) {
    if (*seed % kShards == GetParam()) runSeed(*seed, &std::cout);
    return;
  }
  const std::uint64_t seeds = numberFrom("SKEP_SEEDS").value_or(kSeedsDefault);
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    if (seed % kShards != GetParam()) continue;
    runSeed(seed, nullptr);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Shard, RandomSql, ::testing::Range<std::uint64_t>(0, kShards));

TEST(FaultPoints, each_of_them_fires) {
  setLogLevel(LogLevel::Off);
  constexpr std::uint64_t kTriesMax = 300;
  for (const FaultPoint& point : faultPoints()) {
    bool fired = false;
    for (std::uint64_t seed = 1; seed <= kTriesMax && !fired; ++seed) {
      const RunReport report = runThroughFaults({.seed = seed, .makeStore = makeInMemory, .firstFault = point});
      EXPECT_EQ(report.failure, "") << "seed " << seed << ", first fault " << point.name();
      fired = report.fired[point.index()] != 0;
    }
    EXPECT_TRUE(fired) << point.name() << " (" << faultClassName(point.faultClass()) << ")";
  }
}

}  // namespace
}  // namespace skep::testing
