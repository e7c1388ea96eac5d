// The corpus of a fuzz target as it is kept: a folder of text files in the form of
// testing/hex/hex.h.
//
//   <name>.hex     one input, with a comment that says what it is
//   found.lines    one input a line: what libFuzzer found to reach more code

#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "skep/testing/hex/hex.h"

namespace skep::fuzz {

inline constexpr char kFoundFile[] = "found.lines";

struct CorpusInput {
  std::string name;  // letters, digits and underscores
  Bytes bytes;
  bool isFound = false;  // from found.lines
  /// GoogleTest shows an input by its name.
  friend void PrintTo(const CorpusInput& input, std::ostream* out) { *out << input.name; }
};

/// All inputs, by name.
inline std::vector<CorpusInput> readCorpus(const std::filesystem::path& folder) {
  std::vector<CorpusInput> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".hex") continue;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    inputs.push_back({entry.path().stem().string(), testing::fromHex(text.str()), false});
  }
  std::ifstream found(folder / kFoundFile);
  std::string line;
  for (int number = 1; std::getline(found, line);) {
    if (line.empty() || line[0] == '#') continue;
    inputs.push_back({"found_" + std::to_string(number++), testing::fromHex(line), true});
  }
  std::sort(inputs.begin(), inputs.end(),
            [](const CorpusInput& a, const CorpusInput& b) { return a.name < b.name; });
  return inputs;
}

}  // namespace skep::fuzz
