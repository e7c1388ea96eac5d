// WebSockets: round trips, pipelined calls, broadcasts, and what an idle one costs. The server is a process
// of its own; the clients are this one.
//
//   build/bench/websocket_bench                one line for each measurement
//   build/bench/websocket_bench 20000          that many idle sockets (5000); needs `ulimit -n` for them
//
// "server" is the time that the server's process spent on a processor: it tells the cost of one message
// also when the machine is busy with others.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "server_process.h"
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

void runServer(const std::function<void(std::uint16_t)>& listens) {
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
    listens(server.port());
    while (true) fiber::sleepFor(std::chrono::hours(1));  // until it is killed
  });
}

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
  ServerProcess server(&runServer);
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
  ServerProcess server(&runServer);
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
  ServerProcess server(&runServer);
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
  ServerProcess server(&runServer);
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
