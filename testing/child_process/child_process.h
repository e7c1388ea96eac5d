// ChildProcess: another program that a test starts, talks to line by line, and may kill.
//
// Its standard input and output are pipes; its errors go to the test's, or to a file. Killed and waited for
// by the destructor. One thread uses it.
//
//   ChildProcess child({SKEP_STORE_PROCESS, "hold", directory});
//   ASSERT_EQ(child.readLine(), "ready");

#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace skep::testing {

class ChildProcess {
 public:
  /// `arguments[0]` is the program's path. `errorFile` gets what it writes to standard error; empty: the
  /// test's own.
  explicit ChildProcess(const std::vector<std::string>& arguments,
                        const std::string& errorFile = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  /// The next line without its end; nullopt at the end of the output. A last line that was cut off
  /// is left out.
  std::optional<std::string> readLine();
  void closeInput();
  /// SIGKILL. What it wrote before can still be read.
  void kill();
  /// Waits for its end: the exit code, or 128 + the signal's number.
  int wait();

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string buffer_;
};

}  // namespace skep::testing
