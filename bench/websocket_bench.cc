// WebSockets: round trips, pipelined calls, broadcasts, and what an idle one costs. The server is a process
// of its own, on the embedded store; the clients are this one.
//
//   build/bench/websocket_bench                one line for each measurement
//   build/bench/websocket_bench 20000          that many idle sockets (5000); `ulimit -n` must be 300 more
//   build/bench/websocket_bench 20000 idle     only the idle ones
//
// "server" and "clients" are the times that the two processes spent on a processor: they tell the cost of one
// message also when the machine is busy with others, and whether the clients are what limits the rate.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "databases.h"
#include "server_process.h"
#include "skep/actor/host.h"
#include "skep/api/definition.h"
#include "skep/base/log.h"
#include "skep/fiber/loop.h"
#include "skep/gateway/server.h"
#include "skep/server/engine.h"
#include "skep/testing/temp_directory.h"
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

void serveRoom(const std::string& directory, const std::function<void(std::uint16_t)>& listens) {
  SystemClock clock;
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    const auto url = must(server::parseStoreUrl("embedded:" + directory + "/store"));
    auto engine = must(server::Engine::open(loop, url, {}));
    actor::Registry registry;
    must(registry.add(actorType<Room>("room")));
    actor::Host host(registry, {&engine->environment()});
    host.start();
    gateway::Server server(loop, host, {.port = 0});
    must(server.listen());
    listens(server.port());
    while (true) fiber::sleepFor(std::chrono::hours(1));  // until it is killed
  });
}

class RoomServer : testing::TempDirectory, public ServerProcess {
 public:
  RoomServer() : ServerProcess([this](const auto& listens) { serveRoom(path(), listens); }) {}
};

using Sockets = std::vector<std::unique_ptr<LoadSocket>>;

Sockets connect(const RoomServer& server, std::size_t count, const std::string& message) {
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

/// Of this process, which is the clients: seconds on a processor so far.
double clientsTime() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void measureRoundTrip() {
  const RoomServer server;
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
  const RoomServer server;
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
  const RoomServer server;
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
  const double clientsBefore = clientsTime();
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
  std::printf(
      "broadcast to %zu, %llu at a time:    %.0f deliveries/s, server %.2f us each, clients %.2f "
      "us\n",
      subscribers, static_cast<unsigned long long>(window), count / seconds,
      (server.processorTime() - before) / count * 1e6,
      (clientsTime() - clientsBefore) / count * 1e6);
}

/// Subscribers that wait for one event, in processes of their own: this one could not open as many files.
class IdleClients {
 public:
  /// Returns when all are connected.
  IdleClients(std::uint16_t port, std::size_t count, const std::string& hello) {
    for (std::size_t from = 0; from < count; from += kEach) {
      // Another address for each process: they need not share ports.
      const auto source = static_cast<std::uint32_t>(INADDR_LOOPBACK + 1 + from / kEach);
      begin(port, std::min(kEach, count - from), hello, source);
      (void)read(reports_.back());
    }
  }
  ~IdleClients() {
    for (const pid_t process : processes_) {
      ::kill(process, SIGKILL);
      ::waitpid(process, nullptr, 0);
    }
    for (const int report : reports_) ::close(report);
  }
  IdleClients(const IdleClients&) = delete;
  IdleClients& operator=(const IdleClients&) = delete;

  /// Waits for one event on each socket; gives how many sockets it came to.
  std::size_t countReached() {
    std::size_t reached = 0;
    for (const int report : reports_) reached += read(report);
    return reached;
  }

 private:
  static constexpr std::size_t kEach = 5'000;

  void begin(std::uint16_t port, std::size_t count, const std::string& hello,
             std::uint32_t source) {
    int pipe[2];
    SKEP_CHECK(::pipe(pipe) == 0);
    const pid_t process = ::fork();
    SKEP_CHECK(process >= 0);
    if (process == 0) {
      serve(pipe[1], port, count, hello, source);
      while (true) ::pause();  // the sockets stay open until this is killed
    }
    ::close(pipe[1]);
    processes_.push_back(process);
    reports_.push_back(pipe[0]);
  }
  static void serve(int report, std::uint16_t port, std::size_t count, const std::string& hello,
                    std::uint32_t source) {
    static Sockets sockets;
    for (std::size_t i = 0; i < count; ++i) {
      sockets.push_back(
          std::make_unique<LoadSocket>(port, "/actors/room/lobby/connect", hello, source));
    }
    write(report, count);
    std::vector<bool> isReached(count);
    std::size_t reached = 0;
    pollfd first{.fd = sockets[0]->descriptor(), .events = POLLIN, .revents = 0};
    ::poll(&first, 1, -1);  // others connect meanwhile
    serveAll(sockets, [&](std::size_t i) {
      if (sockets[i]->receive() > 0 && !isReached[i]) {
        isReached[i] = true;
        ++reached;
      }
      return reached < count;
    });
    write(report, reached);
  }
  static void write(int pipe, std::size_t number) {
    SKEP_CHECK(::write(pipe, &number, sizeof(number)) == sizeof(number));
  }
  static std::size_t read(int pipe) {
    std::size_t number = 0;
    SKEP_CHECK(::read(pipe, &number, sizeof(number)) == sizeof(number), "a client has failed");
    return number;
  }

  std::vector<pid_t> processes_;
  std::vector<int> reports_;
};

/// What idle sockets cost, and that each of them still gets what is broadcast.
void measureIdle(std::size_t count) {
  const RoomServer server;
  const std::string hello = R"({"type":"connect","subscribe":["post"]})";
  const Sockets first = connect(server, 200, hello);  // what the first ones bring with them
  const std::size_t before = server.residentBytes();
  const auto start = Clock::now();
  IdleClients clients(server.port(), count, hello);
  const double connecting = secondsSince(start);
  const std::size_t after = server.residentBytes();
  std::printf("idle, %zu sockets:               %.1f KiB each, connected in %.1f s\n", count,
              static_cast<double>(after - before) / 1024.0 / static_cast<double>(count),
              connecting);
  const auto posted = Clock::now();
  LoadSocket publisher(server.port(), "/actors/room/lobby/connect", R"({"type":"connect"})");
  publisher.write(callFrame("post", 1));
  const std::size_t reached = clients.countReached();
  SKEP_CHECK(reached == count, "an event reached %zu of %zu idle sockets", reached, count);
  std::printf(
      "an event to all of them:         reached %zu in %.0f ms, then %.1f KiB each\n", reached,
      secondsSince(posted) * 1e3,
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
  const std::size_t idle = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 5'000;
  if (argc > 2 && std::string_view(argv[2]) == "idle") {
    skep::bench::measureIdle(idle);
    return 0;
  }
  skep::bench::measureRoundTrip();
  skep::bench::measurePipelined(100, 16);
  skep::bench::measureBroadcast(200, 1);
  skep::bench::measureBroadcast(200, 16);
  skep::bench::measureIdle(idle);
  return 0;
}
