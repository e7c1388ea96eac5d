// Replays a fuzz target's corpus in the ordinary build, and seeded random damage of each of its
// inputs.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "skep/testing/hex/hex.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace skep {
namespace {

std::vector<std::string> corpusFiles() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SKEP_CORPUS_FOLDER)) {
    if (entry.path().extension() == ".hex") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Bytes readInput(const std::string& name) {
  std::ifstream file(std::filesystem::path(SKEP_CORPUS_FOLDER) / (name + ".hex"));
  std::stringstream text;
  text << file.rdbuf();
  return testing::fromHex(text.str());
}

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

class Corpus : public ::testing::TestWithParam<std::string> {};

TEST_P(Corpus, input_is_handled) {
  runTarget(readInput(GetParam()));
}

TEST_P(Corpus, input_with_random_damage_is_handled) {
  const char* given = std::getenv("SKEP_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("repeat with SKEP_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const Bytes input = readInput(GetParam());
  for (int round = 0; round < 1000; ++round) runTarget(damaged(input, random));
}

INSTANTIATE_TEST_SUITE_P(All, Corpus, ::testing::ValuesIn(corpusFiles()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace skep
