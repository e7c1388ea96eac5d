// WebSockets: round trips, pipelined calls, broadcasts, and what an idle one costs. The server is a process
// of its own; the clients are this one.
//
//   build/bench/websocket_bench                one line for each measurement
//   build/bench/websocket_bench 20000          that many idle sockets (5000); needs `ulimit -n` for them
//
// "server" is the time that the server's process spent on a processor: it tells the cost of one message
// also when the machine is busy with others.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "skep/actor/host.h"
#include "skep/api/definition.h"
#include "skep/backend/memory/memory_store.h"
#include "skep/base/log.h"
#include "skep/fiber/loop.h"
#include "skep/gateway/server.h"
#include "skep/store/commit_pipeline.h"
#include "websocket_load.h"

namespace skep::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Post {
  std::string sender;
  std::string text;
  std::int64_t number = 0;
};

struct Room : Actor {
  static void define(Definition<Room>& d) {
    d.event<Post>("post");
    d.action("echo", &Room::echo).action("post", &Room::post);
  }
  std::int64_t echo(Context&, std::int64_t n) { return n; }
  void post(Context& c, std::int64_t n) {
    c.broadcast("post", Post{"somebody", "a line of text, as people write them", n});
  }
};

[[noreturn]] void runServer(int portPipe) {
  SystemClock clock;
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    backend::MemoryStore store(clock);
    store::CommitPipeline pipeline(loop, store);
    vfs::PageCache cache(64 * 1024 * 1024);
    vfs::Environment environment{loop, store, pipeline, cache, {}};
    actor::Registry registry;
    SKEP_CHECK(registry.add(actorType<Room>("room")).ok());
    actor::Host host(registry, {&environment});
    gateway::Server server(loop, host, {.port = 0});
    SKEP_CHECK(server.listen().ok());
    const std::uint16_t port = server.port();
    SKEP_CHECK(::write(portPipe, &port, sizeof(port)) == sizeof(port));
    while (true) fiber::sleepFor(std::chrono::hours(1));  // until it is killed
  });
  std::abort();
}

/// The process with the server, ended with the object.
class ServerProcess {
 public:
  ServerProcess() {
    int pipe[2];
    SKEP_CHECK(::pipe(pipe) == 0);
    process_ = ::fork();
    SKEP_CHECK(process_ >= 0);
    if (process_ == 0) runServer(pipe[1]);
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

using Sockets = std::vector<std::unique_ptr<LoadSocket>>;

Sockets connect(const ServerProcess& server, std::size_t count, const std::string& message) {
  Sockets sockets;
  for (std::size_t i = 0; i < count; ++i) {
    sockets.push_back(
        std::make_unique<LoadSocket>(server.port(), "/actors/room/lobby/connect", message));
  }
  return sockets;
}

std::string callFrame(const std::string& action, std::uint64_t id) {
  return LoadSocket::frame(R"({"type":"call","id":)" + std::to_string(id) + R"(,"action":")" +
                           action + R"(","args":[)" + std::to_string(id) + "]}");
}

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void measureRoundTrip() {
  ServerProcess server;
  const Sockets sockets = connect(server, 1, R"({"type":"connect"})");
  std::vector<double> micros;
  for (std::uint64_t id = 0; id < 30'000; ++id) {
    const auto start = Clock::now();
    sockets[0]->write(callFrame("echo", id));
    while (sockets[0]->receive() == 0) {
    }
    if (id >= 5'000) micros.push_back(secondsSince(start) * 1e6);
  }
  std::sort(micros.begin(), micros.end());
  std::printf("round trip, one connection:        p50 %.0f us, p99 %.0f us\n",
              micros[micros.size() / 2], micros[micros.size() * 99 / 100]);
}

void measurePipelined(std::size_t connections, std::uint64_t window) {
  ServerProcess server;
  const Sockets sockets = connect(server, connections, R"({"type":"connect"})");
  std::string burst;
  for (std::uint64_t id = 0; id < window; ++id) burst += callFrame("echo", id);
  for (const auto& socket : sockets) socket->write(burst);
  std::vector<std::uint64_t> answered(connections);
  std::uint64_t replies = 0;
  const double before = server.processorTime();
  const auto start = Clock::now();
  serveAll(sockets, [&](std::size_t i) {
    const std::size_t taken = sockets[i]->receive();
    replies += taken;
    answered[i] += taken;
    for (; answered[i] >= window; answered[i] -= window) sockets[i]->write(burst);
    return secondsSince(start) < 4;
  });
  const double seconds = secondsSince(start);
  const auto count = static_cast<double>(replies);
  std::printf("calls, %zu connections x %llu:       %.0f/s, server %.2f us each\n", connections,
              static_cast<unsigned long long>(window), count / seconds,
              (server.processorTime() - before) / count * 1e6);
}

void measureBroadcast(std::size_t subscribers, std::uint64_t window) {
  ServerProcess server;
  Sockets sockets = connect(server, subscribers, R"({"type":"connect","subscribe":["post"]})");
  sockets.push_back(std::make_unique<LoadSocket>(server.port(), "/actors/room/lobby/connect",
                                                 R"({"type":"connect"})"));
  LoadSocket& publisher = *sockets.back();
  std::string burst;
  for (std::uint64_t id = 0; id < window; ++id) burst += callFrame("post", id);
  publisher.write(burst);
  std::uint64_t deliveries = 0;
  std::uint64_t outstanding = window * (subscribers + 1);
  const double before = server.processorTime();
  const auto start = Clock::now();
  // The next burst goes out when the last has reached everybody.
  serveAll(sockets, [&](std::size_t i) {
    const std::size_t taken = sockets[i]->receive();
    if (i < subscribers) deliveries += taken;
    outstanding -= taken;
    if (outstanding == 0) {
      publisher.write(burst);
      outstanding = window * (subscribers + 1);
    }
    return secondsSince(start) < 4;
  });
  const double seconds = secondsSince(start);
  const auto count = static_cast<double>(deliveries);
  std::printf("broadcast to %zu, %llu at a time:    %.0f deliveries/s, server %.2f us each\n",
              subscribers, static_cast<unsigned long long>(window), count / seconds,
              (server.processorTime() - before) / count * 1e6);
}

void measureIdle(std::size_t count) {
  ServerProcess server;
  const std::string hello = R"({"type":"connect","subscribe":["post"]})";
  const Sockets first = connect(server, 200, hello);  // what the first ones bring with them
  const std::size_t before = server.residentBytes();
  const Sockets sockets = connect(server, count, hello);
  std::printf(
      "idle, %zu sockets:               %.1f KiB each\n", count,
      static_cast<double>(server.residentBytes() - before) / 1024.0 / static_cast<double>(count));
}

}  // namespace
}  // namespace skep::bench

int main(int argc, char** argv) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  skep::setLogLevel(skep::LogLevel::Warn);
  skep::bench::measureRoundTrip();
  skep::bench::measurePipelined(100, 16);
  skep::bench::measureBroadcast(200, 1);
  skep::bench::measureBroadcast(200, 16);
  skep::bench::measureIdle(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 5'000);
  return 0;
}
