// Actions over HTTP, beside a bare Beast server in the same run. The servers are processes of their own
// with one loop each, on the embedded store; the clients are this process.
//
//   build/bench/http_bench                 each measurement for 2 s, three rounds
//   build/bench/http_bench 100000          that many actors created, asleep and woken (10000)
//
// "server" is the time that the server's process spent on a processor for one request.

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include "databases.h"
#include "http_load.h"
#include "server_process.h"
#include "skep/actor/host.h"
#include "skep/api/definition.h"
#include "skep/base/log.h"
#include "skep/gateway/server.h"
#include "skep/testing/temp_directory.h"

namespace skep::bench {
namespace {

using Steady = std::chrono::steady_clock;

double secondsSince(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

// ---- The servers

struct Note : Actor {
  static void define(Definition<Note>& d) {
    d.migration(1, "CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT NOT NULL)");
    d.action("echo", &Note::echo).action("add", &Note::add).action("get", &Note::get);
    d.action("fill", &Note::fill);
    d.options().sleepAfter = std::chrono::milliseconds(500);
  }
  std::int64_t echo(Context&, std::int64_t n) { return n; }
  void add(Context& c, std::string text) { c.execute("INSERT INTO note(text) VALUES (?)", text); }
  std::string get(Context& c, std::int64_t id) {
    return c.queryOne<std::string>("SELECT text FROM note WHERE id = ?", id);
  }
  void fill(Context& c, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) add(c, "a line of text, as people write them");
  }
};

/// The whole stack, as serve() wires it.
void runSkep(const std::string& directory, const std::function<void(std::uint16_t)>& listens) {
  SystemClock clock;
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    const auto url = must(server::parseStoreUrl("embedded:" + directory + "/store"));
    auto engine = must(server::Engine::open(loop, url, {}));
    actor::Registry registry;
    must(registry.add(actorType<Note>("note")));
    actor::Host host(registry, {&engine->environment()});
    host.start();
    gateway::Server server(loop, host, {.port = 0});
    must(server.listen());
    listens(server.port());
    while (true) fiber::sleepFor(std::chrono::hours(1));  // until it is killed
  });
}

/// One of Beast's connections: reads a request, answers "0", reads the next.
class BareConnection : public std::enable_shared_from_this<BareConnection> {
 public:
  explicit BareConnection(boost::asio::ip::tcp::socket socket) : stream_(std::move(socket)) {
    stream_.socket().set_option(boost::asio::ip::tcp::no_delay(true));
  }
  void read() {
    request_ = {};
    boost::beast::http::async_read(stream_, buffer_, request_,
                                   [self = shared_from_this()](auto error, std::size_t) {
                                     if (!error) self->answer();
                                   });
  }

 private:
  void answer() {
    namespace http = boost::beast::http;
    response_ = http::response<http::string_body>(http::status::ok, 11);
    response_.set(http::field::content_type, "application/json");
    response_.body() = "0";
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](auto error, std::size_t) {
      if (!error) self->read();
    });
  }

  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  boost::beast::http::request<boost::beast::http::string_body> request_;
  boost::beast::http::response<boost::beast::http::string_body> response_;
};

void acceptBare(boost::asio::ip::tcp::acceptor& acceptor) {
  acceptor.async_accept([&](auto error, boost::asio::ip::tcp::socket socket) {
    if (!error) std::make_shared<BareConnection>(std::move(socket))->read();
    acceptBare(acceptor);
  });
}

void runBare(const std::function<void(std::uint16_t)>& listens) {
  boost::asio::io_context context(1);
  boost::asio::ip::tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), 0});
  acceptBare(acceptor);
  listens(acceptor.local_endpoint().port());
  context.run();
}

// ---- Measurements

std::string action(std::size_t actor, const std::string& name, const std::string& arguments) {
  return post("/actors/note/n" + std::to_string(actor) + "/actions/" + name, arguments);
}

struct Speed {
  double perSecond = 0;
  double serverMicros = 0;
};

Speed measure(const ServerProcess& server, std::size_t connections,
              const std::function<std::string()>& request) {
  constexpr double kWarmSeconds = 0.3;
  constexpr double kSeconds = 2;
  std::uint64_t count = 0;
  double before = 0;
  auto start = Steady::now();
  bool isWarm = false;
  keepBusy(
      server.port(), connections,
      [&] {
        if (!isWarm && secondsSince(start) > kWarmSeconds) {
          isWarm = true;
          count = 0;
          before = server.processorTime();
          start = Steady::now();
        }
        return isWarm && secondsSince(start) > kSeconds ? std::string() : request();
      },
      [&](double) { ++count; });
  const double seconds = secondsSince(start);
  const auto answered = static_cast<double>(count);
  return {answered / seconds, (server.processorTime() - before) / answered * 1e6};
}

void print(const char* what, const Speed& speed, double bare) {
  std::printf("%-44s %8.0f/s   server %5.1f us   %.2f x bare\n", what, speed.perSecond,
              speed.serverMicros, speed.perSecond / bare);
}

double percentile(std::vector<double>& values, double part) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

void measureSpeeds(const std::string& directory) {
  const ServerProcess bare(&runBare);
  const ServerProcess skep([&](const auto& listens) { runSkep(directory, listens); });
  for (std::size_t i = 0; i < 1000; ++i) {
    LoadConnection(skep.port()).ask(action(i, "fill", "[50]"));
  }
  std::size_t next = 0;
  for (int round = 1; round <= 3; ++round) {
    const Speed reference = measure(bare, 32, [] { return post("/", "[1]"); });
    print("bare Beast server, 32 connections", reference, reference.perSecond);
    print("action without SQL, 32 connections",
          measure(skep, 32, [] { return action(0, "echo", "[1]"); }), reference.perSecond);
    print("point SELECT, 100 actors, 32 connections",
          measure(skep, 32, [&] { return action(next++ % 100, "get", "[17]"); }),
          reference.perSecond);
    print("durable INSERT, one actor, 32 connections",
          measure(skep, 32, [] { return action(0, "add", "[\"a line of text\"]"); }),
          reference.perSecond);
    print("durable INSERT, 1,000 actors, 64 connections",
          measure(skep, 64, [&] { return action(next++ % 1000, "add", "[\"a line of text\"]"); }),
          reference.perSecond);
  }
}

void printTimes(const char* what, std::vector<double> micros) {
  const double p50 = percentile(micros, 0.5);
  std::printf("%-44s p50 %6.0f us   p99 %6.0f us\n", what, p50, percentile(micros, 0.99));
}

void measureFirstRequests(const std::string& directory) {
  const ServerProcess skep([&](const auto& listens) { runSkep(directory, listens); });
  LoadConnection client(skep.port());
  std::vector<double> created;
  std::vector<double> woken;
  for (std::size_t i = 0; i < 500; ++i) {
    client.ask(action(i, "echo", "[1]"));
    created.push_back(client.microsSinceSent());
  }
  printTimes("first request to a new actor", created);
  for (std::size_t i = 0; i < 500; ++i) client.ask(action(i, "fill", "[2000]"));  // 100 KB
  std::this_thread::sleep_for(std::chrono::seconds(2));
  for (std::size_t i = 0; i < 500; ++i) {
    client.ask(action(i, "get", "[17]"));
    woken.push_back(client.microsSinceSent());
  }
  printTimes("first request to a sleeping actor, 100 KB", woken);
}

void measureMany(const std::string& directory, std::size_t count) {
  const ServerProcess skep([&](const auto& listens) { runSkep(directory, listens); });
  std::size_t made = 0;
  const auto start = Steady::now();
  keepBusy(
      skep.port(), 64,
      [&] { return made < count ? action(made++, "add", "[\"hello\"]") : std::string(); },
      [](double) {});
  std::printf("%zu actors created:                       %8.0f/s\n", count,
              static_cast<double>(count) / secondsSince(start));
  const auto sleep = [] { std::this_thread::sleep_for(std::chrono::seconds(3)); };
  const auto mib = [&] { return static_cast<double>(skep.residentBytes()) / 1048576.0; };
  std::printf("  memory of the server, right after:         %8.0f MiB\n", mib());
  sleep();
  std::mt19937 random(1);
  for (int round = 1; round <= 4; ++round) {
    std::vector<double> micros;
    std::size_t left = count / 4;
    keepBusy(
        skep.port(), 4,
        [&] {
          return left-- > 0 ? action(random() % count, "get", "[1]") : (left = 0, std::string());
        },
        [&](double each) { micros.push_back(each); });
    printTimes("  woken at random, 4 at once", micros);
    sleep();
    std::printf("  memory of the server, all asleep:          %8.0f MiB\n", mib());
  }
}

}  // namespace
}  // namespace skep::bench

int main(int argc, char** argv) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  skep::setLogLevel(skep::LogLevel::Warn);
  const skep::testing::TempDirectory directory;
  skep::bench::measureSpeeds(directory / "speeds");
  skep::bench::measureFirstRequests(directory / "first");
  skep::bench::measureMany(directory / "many",
                           argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10'000);
  return 0;
}
