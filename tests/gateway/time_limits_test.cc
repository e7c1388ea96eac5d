// Clients that take too long, or vanish: on each way there is a limit, and the others are served on.

#include <gmock/gmock.h>
#include <netinet/tcp.h>

#include <filesystem>
#include <thread>

#include "certificates.h"
#include "http_client.h"
#include "live_server.h"
#include "skep/testing/temp_directory.h"
#include "websocket_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Verb = HttpClient::Verb;

struct Echo : Actor {
  static void define(Definition<Echo>& d) { d.action("size", &Echo::size); }
  std::int64_t size(Context&, std::string text) { return static_cast<std::int64_t>(text.size()); }
};

void serve(gateway::ServerOptions options, const std::function<void(LiveServer&)>& body) {
  LiveServer server(std::move(options));
  server.add<Echo>("echo");
  server.serve([&] { body(server); });
}

/// A socket that has said `connect`.
std::unique_ptr<RawClient> connectedTo(LiveServer& server) {
  auto client = std::make_unique<RawClient>(server.port(), "/actors/echo/a/connect");
  client->write(RawClient::text(R"({"type":"connect"})"));
  EXPECT_THAT(client->readFrame().payload, HasSubstr("connected"));
  return client;
}

std::string callOf(std::size_t bytes) {
  return RawClient::text(R"({"type":"call","id":1,"action":"size","args":[")" +
                         std::string(bytes, 'x') + "\"]}");
}

/// Writes a byte of them at a time, until the server has closed.
class Trickle {
 public:
  Trickle(RawClient& client, std::string bytes, std::string between = {})
      : thread_([this, &client, bytes = std::move(bytes), between = std::move(between)] {
          for (std::size_t i = 0; i < bytes.size() && !isOver_; ++i) {
            client.write(bytes.substr(i, 1));
            client.write(between);
            std::this_thread::sleep_for(2ms);
          }
        }) {}
  ~Trickle() {
    isOver_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> isOver_ = false;
  std::thread thread_;
};

// ---- Vanished clients

int option(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(socket, level, name, &value, &size), 0);
  return value;
}

/// The server's end of the only connection to `port`: it is of this process, too.
std::optional<int> acceptedSocket(std::uint16_t port) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int descriptor = std::stoi(entry.path().filename());
    sockaddr_in own{};
    sockaddr_in peer{};
    socklen_t size = sizeof own;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &size) != 0) continue;
    size = sizeof peer;
    if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (own.sin_family == AF_INET && ntohs(own.sin_port) == port) return descriptor;
  }
  return std::nullopt;
}

TEST(TimeLimits, the_system_asks_for_signs_of_life_of_each_connection) {
  serve({.vanishedTimeout = 60s}, [](LiveServer& server) {
    HttpClient client(server.port());
    EXPECT_EQ(client.ask(Verb::get, "/health").result_int(), 200u);
    const auto accepted = acceptedSocket(server.port());
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(option(*accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
    const int idle = option(*accepted, IPPROTO_TCP, TCP_KEEPIDLE);
    const int interval = option(*accepted, IPPROTO_TCP, TCP_KEEPINTVL);
    const int probes = option(*accepted, IPPROTO_TCP, TCP_KEEPCNT);
    EXPECT_EQ(idle + interval * probes, 60);
    EXPECT_EQ(option(*accepted, IPPROTO_TCP, TCP_USER_TIMEOUT), 60'000);
  });
}

TEST(TimeLimits, who_wants_no_signs_of_life_gets_none) {
  serve({.vanishedTimeout = 0s}, [](LiveServer& server) {
    HttpClient client(server.port());
    EXPECT_EQ(client.ask(Verb::get, "/health").result_int(), 200u);
    const auto accepted = acceptedSocket(server.port());
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(option(*accepted, SOL_SOCKET, SO_KEEPALIVE), 0);
    EXPECT_EQ(option(*accepted, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
  });
}

// ---- TLS

TEST(TimeLimits, a_handshake_that_does_not_come_or_trickles_is_ended) {
  const TempDirectory directory;
  const gateway::TlsFiles files{directory / "certificate.pem", directory / "key.pem"};
  writeCertificate(files);
  serve({.tlsTimeout = 500ms, .tls = files}, [](LiveServer& server) {
    RawClient silent(server.port());
    RawClient slow(server.port());
    // A client's hello of 512 bytes, as far as its head says.
    const Trickle trickle(
        slow, std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9) + std::string(500, '\x03'));
    EXPECT_THAT(silent.readAll(), IsEmpty());
    EXPECT_THAT(slow.readAll(), IsEmpty());
    HttpClient other(server.port(), HttpClient::Transport::Tls);
    EXPECT_EQ(other.ask(Verb::get, "/health").result_int(), 200u);
  });
}

TEST(TimeLimits, a_slow_request_is_timed_also_inside_tls) {
  const TempDirectory directory;
  const gateway::TlsFiles files{directory / "certificate.pem", directory / "key.pem"};
  writeCertificate(files);
  serve({.headTimeout = 50ms, .tls = files}, [](LiveServer& server) {
    HttpClient slow(server.port(), HttpClient::Transport::Tls);
    slow.sendRaw("GET /health HTT");
    EXPECT_EQ(slow.receive().result_int(), 408u);
    EXPECT_TRUE(slow.isClosed());
  });
}

// ---- Requests

TEST(TimeLimits, the_body_has_a_time_of_its_own) {
  serve({.headTimeout = 50ms, .bodyTimeout = 5min}, [](LiveServer& server) {
    RawClient client(server.port());
    client.write(
        "POST /actors/echo/a/actions/size HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n[");
    std::this_thread::sleep_for(100ms);
    client.write("\"ab\"]");
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 200 "));
  });
}

TEST(TimeLimits, who_says_nothing_is_let_go_without_a_word) {
  serve({.headTimeout = 5min, .idleTimeout = 50ms}, [](LiveServer& server) {
    RawClient client(server.port());
    EXPECT_THAT(client.readAll(), IsEmpty());
  });
}

// ---- WebSockets

TEST(TimeLimits, a_frame_that_trickles_closes_its_socket) {
  serve({.webSocket = {.messageTimeout = 100ms}}, [](LiveServer& server) {
    const auto slow = connectedTo(server);
    const auto other = connectedTo(server);
    const Trickle trickle(*slow, callOf(10'000));
    EXPECT_EQ(slow->readClose(), "1008 a message did not come whole in time");
    other->write(callOf(2));
    EXPECT_THAT(other->readFrame().payload, HasSubstr("\"result\":2"));
  });
}

TEST(TimeLimits, fragments_that_trickle_close_their_socket_also_with_pings_between) {
  serve({.webSocket = {.messageTimeout = 100ms}}, [](LiveServer& server) {
    const auto slow = connectedTo(server);
    slow->write(RawClient::frame(0x01, "{"));
    std::atomic<bool> isOver = false;
    std::thread writer([&] {
      while (!isOver) {
        slow->write(RawClient::frame(0x00, " ") + RawClient::frame(0x89, "?"));
        std::this_thread::sleep_for(2ms);
      }
    });
    EXPECT_EQ(slow->readClose(), "1008 a message did not come whole in time");
    isOver = true;
    writer.join();
  });
}

// However the bytes are cut, each message has its own time.
TEST(TimeLimits, a_client_that_always_has_a_message_under_way_is_served_on) {
  serve({.webSocket = {.messageTimeout = 500ms}}, [](LiveServer& server) {
    const auto client = connectedTo(server);
    const std::string message = callOf(100);
    client->write(message.substr(0, 50));
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < 700ms) {
      client->write(message.substr(50) + message.substr(0, 50));
      EXPECT_THAT(client->readFrame().payload, HasSubstr("\"result\":100"));
      std::this_thread::sleep_for(3ms);
    }
  });
}

}  // namespace
}  // namespace skep::testing
