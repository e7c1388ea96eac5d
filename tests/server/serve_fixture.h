// ServeTest: a server as a process of its own, that a test starts, asks and stops.

#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "http_client.h"
#include "skep/testing/child_process/child_process.h"
#include "skep/testing/temp_directory.h"

namespace skep {

class ServeTest : public ::testing::Test {
 protected:
  using Arguments = std::vector<std::string>;
  ServeTest() { unsetenv("SKEP_STORE"); }

  std::string storeUrl() const { return "embedded:" + directory_ / "store"; }
  void start(Arguments more = {}) {
    Arguments arguments = {SKEP_COUNTER, "--store", storeUrl(), "--listen", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    startWith(arguments);
  }
  /// What it logs goes to a file when there is a name of one.
  void startWith(const Arguments& arguments, const std::string& logFile = {}) {
    server_ = std::make_unique<testing::ChildProcess>(arguments, logFile);
    const auto line = server_->readLine();
    ASSERT_TRUE(line.has_value());
    ASSERT_THAT(*line, ::testing::StartsWith("Skep listens on http://127.0.0.1:"));
    port_ = static_cast<std::uint16_t>(std::stoul(line->substr(line->rfind(':') + 1)));
  }
  void stop() {
    ::kill(server_->pid(), SIGTERM);
    EXPECT_EQ(server_->wait(), 0);
    server_.reset();
  }
  int exitCodeOf(const Arguments& arguments) {
    Arguments all = {SKEP_COUNTER};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return testing::ChildProcess(all).wait();
  }
  std::string writeFile(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / name) << content;
    return directory_ / name;
  }

  testing::TempDirectory directory_;
  std::unique_ptr<testing::ChildProcess> server_;
  std::uint16_t port_ = 0;
};

}  // namespace skep
