// Whole clusters through crashes, pauses and partitions, a history for each seed. SKEP_SEED=n replays one, and tells
// what happens; SKEP_SEEDS=n runs so many.

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "skep/base/log.h"
#include "skep/testing/cluster/cluster_sim.h"

namespace skep::testing {
namespace {

std::uint64_t numberOf(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t firstSeed() {
  static const std::uint64_t seed = numberOf("SKEP_SEED", std::random_device{}());
  return seed;
}

/// What nodes say of their troubles is only worth reading when one seed is replayed.
void beQuiet() {
  if (std::getenv("SKEP_SEED") == nullptr || std::getenv("SKEP_SEEDS") != nullptr)
    setLogLevel(LogLevel::Off);
}

/// In parts, which ctest runs beside each other.
class ClusterSimulation : public ::testing::TestWithParam<std::uint64_t> {};
constexpr std::uint64_t kParts = 8;
constexpr std::uint64_t kSeeds = 20'000;

TEST_P(ClusterSimulation, no_acknowledged_write_is_lost_and_no_answer_is_old) {
  const bool isReplay = std::getenv("SKEP_SEED") != nullptr;
  const std::uint64_t all = numberOf("SKEP_SEEDS", isReplay ? kParts : kSeeds);
  const std::uint64_t count = all / kParts;
  const std::uint64_t first = firstSeed() + (isReplay && count == 1 ? 0 : GetParam() * count);
  if (isReplay && count == 1 && GetParam() != 0) return;  // one seed is one run
  std::cout << "SKEP_SEED=" << first << " and " << count - 1 << " more\n";
  beQuiet();
  ClusterSimCounts counts;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    ClusterSim sim({.seed = seed, .traces = isReplay && count == 1});
    const auto wrong = sim.run();
    ASSERT_FALSE(wrong.has_value()) << "SKEP_SEED=" << seed << "\n" << *wrong;
    counts.add(sim.counts());
  }
  std::cout << counts.describe() << "\n";
  if (count < 100) return;
  EXPECT_GT(counts.declaredDead, 0u);
  EXPECT_GT(counts.joinedAgain, 0u);
  EXPECT_GT(counts.corrected, 0u);
  EXPECT_GT(counts.done, counts.notDone + counts.unknown) << "most of what is asked is done";
}

INSTANTIATE_TEST_SUITE_P(Parts, ClusterSimulation, ::testing::Range<std::uint64_t>(0, kParts));

class BrokenCluster : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenCluster, is_found_out) {
  const std::uint64_t first = firstSeed();
  constexpr std::uint64_t kSeedsMax = 2000;
  beQuiet();
  for (std::uint64_t seed = first; seed < first + kSeedsMax; ++seed) {
    ClusterSim sim({.seed = seed, .broken = GetParam(), .operations = 200, .faults = 10});
    const auto wrong = sim.run();
    if (!wrong) continue;
    std::cout << "found after " << seed - first + 1
              << " seeds: " << wrong->substr(0, wrong->find('\n')) << "\n";
    return;
  }
  FAIL() << "not found out from SKEP_SEED=" << first << " on";
}

INSTANTIATE_TEST_SUITE_P(Variants, BrokenCluster,
                         ::testing::Values(Broken::NoFence, Broken::NoEpochCheck,
                                           Broken::NoLeaseCheck, Broken::WildClocks),
                         [](const auto& variant) {
                           switch (variant.param) {
                             case Broken::NoFence:
                               return "that_takes_over_from_the_living";
                             case Broken::NoEpochCheck:
                               return "that_checks_no_epoch";
                             case Broken::WildClocks:
                               return "whose_clocks_differ_too_much";
                             default:
                               return "that_answers_without_a_lease";
                           }
                         });

}  // namespace
}  // namespace skep::testing
