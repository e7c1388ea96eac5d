#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>

namespace skep::cli {
namespace {

constexpr int kPatienceMs = 30'000;

std::vector<std::string> fullEnvironment(const Environment& extra,
                                         const std::filesystem::path& folder) {
  Environment all = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                     {"HOME", folder.string()},
                     {"TERM", "xterm"},
                     {"LANG", "C.UTF-8"}};
  // What sanitizers are told outside must reach the command too.
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) all[name] = value;
  }
  for (const auto& [name, value] : extra) all[name] = value;
  std::vector<std::string> lines;
  for (const auto& [name, value] : all) lines.push_back(name + "=" + value);
  return lines;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// In the child: nothing but the call of the program is left to do.
[[noreturn]] void become(const std::filesystem::path& folder, char* const* arguments,
                         char* const* environment) {
  if (::chdir(folder.c_str()) == 0) ::execve(arguments[0], arguments, environment);
  ::_exit(127);
}

int exitCodeOf(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Appends what can be read now; false at the end.
bool readSome(int descriptor, std::string& text) {
  char block[65536];
  const ssize_t count = ::read(descriptor, block, sizeof block);
  if (count > 0) text.append(block, static_cast<std::size_t>(count));
  return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
}

void closeOnce(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
                 const Environment& environment) {
  ::signal(SIGPIPE, SIG_IGN);
  int in[2];
  int out[2];
  int err[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0) {
    throw std::runtime_error("pipe");
  }
  std::vector<std::string> argumentTexts = arguments;
  std::vector<std::string> environmentTexts = fullEnvironment(environment, folder);
  const std::vector<char*> argumentPointers = pointers(argumentTexts);
  const std::vector<char*> environmentPointers = pointers(environmentTexts);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    ::signal(SIGPIPE, SIG_DFL);
    become(folder, argumentPointers.data(), environmentPointers.data());
  }
  ::close(in[0]);
  ::close(out[1]);
  ::close(err[1]);
  input_ = in[1];
  output_ = out[0];
  errors_ = err[0];
}

Process::~Process() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  closeOnce(input_);
  closeOnce(output_);
  closeOnce(errors_);
}

void Process::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(input_, text.data(), text.size());
    if (count < 0) return;  // the process has gone; its outcome will tell
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

void Process::closeInput() {
  closeOnce(input_);
}

bool Process::waitForOutput(std::string_view text) {
  while (outText_.find(text) == std::string::npos) {
    pollfd ready{.fd = output_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, kPatienceMs) <= 0 || !readSome(output_, outText_)) return false;
  }
  return true;
}

void Process::signal(int number) {
  ::kill(pid_, number);
}

Outcome Process::finish(std::string_view input) {
  Outcome outcome;
  outcome.out = std::move(outText_);
  ::fcntl(input_, F_SETFL, O_NONBLOCK);
  if (input.empty()) closeInput();
  while (output_ >= 0 || errors_ >= 0) {
    // poll() passes over descriptors that are closed (-1).
    pollfd ready[3] = {{.fd = input_, .events = POLLOUT, .revents = 0},
                       {.fd = output_, .events = POLLIN, .revents = 0},
                       {.fd = errors_, .events = POLLIN, .revents = 0}};
    if (::poll(ready, 3, kPatienceMs) <= 0) {
      ::kill(pid_, SIGKILL);
      outcome.errors += "\n(the test gave up waiting)";
      break;
    }
    if (ready[0].revents != 0) {
      const ssize_t count = ::write(input_, input.data(), input.size());
      if (count > 0) input.remove_prefix(static_cast<std::size_t>(count));
      if (input.empty() || (count < 0 && errno != EAGAIN && errno != EINTR)) closeInput();
    }
    if (ready[1].revents != 0 && !readSome(output_, outcome.out)) closeOnce(output_);
    if (ready[2].revents != 0 && !readSome(errors_, outcome.errors)) closeOnce(errors_);
  }
  int status = 0;
  rusage usage{};
  ::wait4(pid_, &status, 0, &usage);
  pid_ = -1;
  outcome.exitCode = exitCodeOf(status);
  outcome.peakBytes = static_cast<std::size_t>(usage.ru_maxrss) * 1024;
  return outcome;
}

Terminal::Terminal(const std::vector<std::string>& arguments, const std::filesystem::path& folder,
                   const Environment& environment) {
  std::vector<std::string> argumentTexts = arguments;
  std::vector<std::string> environmentTexts = fullEnvironment(environment, folder);
  const std::vector<char*> argumentPointers = pointers(argumentTexts);
  const std::vector<char*> environmentPointers = pointers(environmentTexts);
  winsize size{.ws_row = 40, .ws_col = 200, .ws_xpixel = 0, .ws_ypixel = 0};
  pid_ = ::forkpty(&terminal_, nullptr, nullptr, &size);
  if (pid_ == 0) become(folder, argumentPointers.data(), environmentPointers.data());
  ::fcntl(terminal_, F_SETFD, FD_CLOEXEC);
}

Terminal::~Terminal() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  closeOnce(terminal_);
}

void Terminal::type(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(terminal_, text.data(), text.size());
    if (count < 0) return;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

bool Terminal::readMore() {
  pollfd ready{.fd = terminal_, .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, kPatienceMs) <= 0 || !readSome(terminal_, raw_)) return false;
  // Takes whole escape sequences (ESC [ … letter) out; an unfinished one waits for the rest.
  std::size_t at = 0;
  while (at < raw_.size()) {
    if (raw_[at] != '\x1b') {
      screen_ += raw_[at++];
      continue;
    }
    std::size_t end = at + 1;
    if (end < raw_.size() && raw_[end] == '[') {
      end = raw_.find_first_of("ABCDEFGHJKLMPSTXZ@`abcdefghlmnpqrstu", at + 2);
    }
    if (end >= raw_.size()) break;
    at = end + 1;
  }
  raw_.erase(0, at);
  return true;
}

bool Terminal::waitFor(std::string_view text) {
  std::size_t found = 0;
  while ((found = screen_.find(text)) == std::string::npos) {
    if (!readMore()) return false;
  }
  screen_.erase(0, found + text.size());
  return true;
}

int Terminal::finish() {
  while (readMore()) continue;
  int status = 0;
  // A terminal that fell silent without an end is a shell that waits for more.
  if (::waitpid(pid_, &status, WNOHANG) == 0) {
    ::kill(pid_, SIGHUP);
    ::waitpid(pid_, &status, 0);
  }
  pid_ = -1;
  return exitCodeOf(status);
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "skep-cli-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string skepBinary() {
  return SKEP_BINARY;
}

}  // namespace skep::cli
