// Runs random SQL through crashes, faults and competing owners, a seed after the other.
//
//   SKEP_SEED=n        runs one seed, and shows every operation and every write
//   SKEP_SEEDS=n       runs n seeds instead of the default number
//   SKEP_SEED_FROM=n   starts at n instead of 1

#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <memory>

#include "run_stores.h"
#include "skep/base/log.h"

namespace skep::testing {

using MakeStore = std::unique_ptr<RunStore> (*)(Clock&);

class RandomSql : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  RandomSql() { setLogLevel(LogLevel::Off); }

  static void runSeed(MakeStore makeStore, std::uint64_t seed, std::ostream* trace) {
    const RunReport report =
        runThroughFaults({.seed = seed, .makeStore = makeStore, .firstFault = {}, .trace = trace});
    EXPECT_EQ(report.failure, "") << "seed " << seed << ": replay it with SKEP_SEED=" << seed
                                  << "\nfaults: " << report.plan;
  }

  /// The seeds of this shard.
  void runSeeds(MakeStore makeStore, std::uint64_t shards, std::uint64_t seedsDefault) {
    if (const auto seed = numberFrom("SKEP_SEED")) {
      if (*seed % shards == GetParam() % shards) runSeed(makeStore, *seed, &std::cout);
      return;
    }
    const std::uint64_t first = numberFrom("SKEP_SEED_FROM").value_or(1);
    const std::uint64_t seeds = numberFrom("SKEP_SEEDS").value_or(seedsDefault);
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
      if (seed % shards != GetParam() % shards) continue;
      runSeed(makeStore, seed, nullptr);
      if (HasFailure()) return;
    }
  }
};

}  // namespace skep::testing
