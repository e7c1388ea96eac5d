// Replays a fuzz target's corpus in the ordinary build, and seeded random damage of each of its
// inputs.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "corpus_files.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace skep {
namespace {

void runTarget(const Bytes& input) {
  // A copy of exactly this size on the heap, so that a sanitizer sees a read past the end.
  const Bytes exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(exact.data()), exact.size());
}

Bytes damaged(Bytes input, std::mt19937_64& random) {
  for (std::uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
    const std::size_t at = input.empty() ? 0 : random() % input.size();
    switch (random() % 4) {
      case 0:
        input.resize(at);
        break;
      case 1:
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), std::byte(random()));
        break;
      case 2:
        if (!input.empty()) input[at] = std::byte(random());
        break;
      default:
        if (!input.empty()) input[at] ^= std::byte(1u << random() % 8);
        break;
    }
  }
  return input;
}

void expectReplay(const fuzz::CorpusInput& input, int damagedRounds, std::mt19937_64& random) {
  runTarget(input.bytes);
  for (int round = 0; round < damagedRounds; ++round) runTarget(damaged(input.bytes, random));
}

std::vector<fuzz::CorpusInput> inputsOf(bool found) {
  std::vector<fuzz::CorpusInput> inputs = fuzz::readCorpus(SKEP_CORPUS_FOLDER);
  std::erase_if(inputs, [found](const fuzz::CorpusInput& input) { return input.isFound != found; });
  return inputs;
}

std::mt19937_64 seededRandom() {
  const char* given = std::getenv("SKEP_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("repeat with SKEP_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return std::mt19937_64(seed);
}

class NamedInput : public ::testing::TestWithParam<fuzz::CorpusInput> {};

TEST_P(NamedInput, and_random_damage_of_it_are_handled) {
  std::mt19937_64 random = seededRandom();
  expectReplay(GetParam(), SKEP_DAMAGED_ROUNDS, random);
}

TEST(Corpus, inputs_that_were_found_are_handled) {
  std::mt19937_64 random = seededRandom();
  for (const fuzz::CorpusInput& input : inputsOf(true)) expectReplay(input, 20, random);
}

INSTANTIATE_TEST_SUITE_P(Corpus, NamedInput, ::testing::ValuesIn(inputsOf(false)),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace skep
