// ServerProcess: a server in a process of its own, for benchmarks whose clients are this one.

#pragma once

#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>

#include "skep/base/check.h"

namespace skep::bench {

class ServerProcess {
 public:
  /// In the new process `run` serves until it is killed; when it listens it calls what it is given with the port. This
  /// process must have no threads yet.
  explicit ServerProcess(
      const std::function<void(const std::function<void(std::uint16_t)>& listens)>& run) {
    int pipe[2];
    SKEP_CHECK(::pipe(pipe) == 0);
    process_ = ::fork();
    SKEP_CHECK(process_ >= 0);
    if (process_ == 0) {
      run([&](std::uint16_t port) {
        SKEP_CHECK(::write(pipe[1], &port, sizeof(port)) == sizeof(port));
      });
      std::abort();
    }
    SKEP_CHECK(::read(pipe[0], &port_, sizeof(port_)) == sizeof(port_));
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
  ~ServerProcess() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::uint16_t port() const { return port_; }
  /// Seconds on a processor so far.
  double processorTime() const {
    std::ifstream stat("/proc/" + std::to_string(process_) + "/stat");
    std::string word;
    double ticks = 0;
    for (int field = 1; stat >> word; ++field) {
      if (field == 14 || field == 15) ticks += std::stod(word);
    }
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  std::size_t residentBytes() const {
    std::ifstream statm("/proc/" + std::to_string(process_) + "/statm");
    std::size_t size = 0;
    std::size_t resident = 0;
    statm >> size >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  }

 private:
  pid_t process_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace skep::bench
