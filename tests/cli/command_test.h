// The fixture of the end-to-end tests: a folder, the `skep` command in it, plain SQLite beside it.

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "process.h"

namespace skep::cli {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class CommandTest : public ::testing::Test {
 protected:
  /// Runs `skep ARGUMENTS` with the default store, ./data in the test's folder.
  Outcome skep(std::vector<std::string> arguments, std::string_view input = {},
               const Environment& environment = {}) {
    arguments.insert(arguments.begin(), skepBinary());
    return Process(arguments, folder_.path(), environment).finish(input);
  }

  /// The same, for steps that must work: returns what it printed.
  std::string ok(const std::vector<std::string>& arguments, std::string_view input = {}) {
    const Outcome outcome = skep(arguments, input);
    EXPECT_EQ(outcome.exitCode, 0) << outcome.errors;
    EXPECT_EQ(outcome.errors, "");
    return outcome.out;
  }

  /// For steps that must fail: returns the message.
  std::string fails(int exitCode, const std::vector<std::string>& arguments,
                    std::string_view input = {}) {
    const Outcome outcome = skep(arguments, input);
    EXPECT_EQ(outcome.exitCode, exitCode) << outcome.out << outcome.errors;
    return outcome.errors;
  }

  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  void writeFile(const std::string& name, std::string_view content) const {
    std::ofstream(path(name), std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  std::string readFile(const std::string& name) const {
    std::ostringstream content;
    content << std::ifstream(path(name), std::ios::binary).rdbuf();
    return content.str();
  }

  TemporaryFolder folder_;
};

}  // namespace skep::cli
