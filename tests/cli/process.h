// Runs the built `skep` command in a folder of its own, as a user would.

#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace skep::cli {

using Environment = std::map<std::string, std::string>;

struct Outcome {
  int exitCode = -1;  // 128 + the signal's number when a signal ended it
  std::string out;
  std::string errors;
  std::size_t peakBytes = 0;  // resident, at the most
};

/// A process with pipes on its three standard streams. Killed, if it still runs, by the destructor.
class Process {
 public:
  /// `arguments[0]` is the program. `environment` is added to a small fixed one.
  Process(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
          const Environment& environment = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void write(std::string_view text);
  void closeInput();
  /// Reads standard output until it holds `text`; false when it ends, or nothing comes for a
  /// minute.
  bool waitForOutput(std::string_view text);
  void signal(int number);
  /// Gives `input` to the process, closes its input, reads everything and waits for the end.
  Outcome finish(std::string_view input = {});

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  int errors_ = -1;
  std::string outText_;
};

/// A process on a pseudo terminal.
class Terminal {
 public:
  Terminal(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
           const Environment& environment = {});
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(std::string_view text);
  /// Reads until what came since the last call holds `text`, without escape sequences; false when
  /// the process ends first, or nothing comes for half a minute.
  bool waitFor(std::string_view text);
  /// What came since the last waitFor() that succeeded, for messages.
  const std::string& screen() const { return screen_; }
  /// Waits for the end; the exit code.
  int finish();

 private:
  bool readMore();

  pid_t pid_ = -1;
  int terminal_ = -1;
  std::string raw_;
  std::string screen_;
};

/// A folder that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The path of build/skep.
std::string skepBinary();

}  // namespace skep::cli
