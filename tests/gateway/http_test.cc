// HTTP from outside: real sockets on a free port, in front of a Router that the test writes.

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <thread>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/gateway/server.h"

namespace skep::testing {
namespace {

using ::testing::HasSubstr;
namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

/// Answers with what it was asked.
class EchoRouter final : public call::Router {
 public:
  call::Reply run(call::ActionRequest request) override {
    if (request.action == "fail") {
      return call::Failure::user("wrong", "as asked", R"({"n":7})");
    }
    if (request.action == "busy") {
      return call::Failure(call::FailureCode::ActorOverloaded, "later");
    }
    if (request.action == "wait") hold.wait();
    last = request;
    return call::Payload{.encoding = request.replyEncoding, .bytes = request.arguments.bytes};
  }
  call::Outcome<call::QueueSent> send(call::QueueSend message) override {
    return call::QueueSent{.id = 1, .reply = message.body};
  }
  call::Outcome<bool> resolve(const call::ActorAddress& actor, call::Existence existence,
                              std::optional<call::Payload> input, const call::Visit*,
                              call::Waiting) override {
    if (existence == call::Existence::Get) {
      return call::Failure(call::FailureCode::ActorNotFound, "no " + actor.toString());
    }
    created = input ? input->bytes : "";
    return true;
  }
  call::Outcome<std::monostate> destroy(const call::ActorAddress& actor) override {
    destroyed = actor.toString();
    return std::monostate{};
  }
  call::Outcome<std::monostate> sleep(const call::ActorAddress& actor) override {
    slept = actor.toString();
    return std::monostate{};
  }
  call::Outcome<call::ActorDetails> info(const call::ActorAddress& actor) override {
    return call::ActorDetails{
        .info = {.actor = actor, .createdMs = 5, .bytes = 8192, .isAwake = true},
        .storedBytes = 300,
        .txid = 2,
        .alarmMs = 77,
        .connections = 3,
        .callsUnderWay = 1,
        .lastError = call::LastError{.message = "oh", .timeMs = 9}};
  }
  call::Outcome<call::ActorList> list(const std::string& type, const std::string& after,
                                      std::size_t countMax) override {
    call::ActorList listed;
    listed.actors.push_back({.actor = {.type = type, .key = {after, std::to_string(countMax)}}});
    listed.next = "more";
    return listed;
  }

  std::unique_ptr<call::ConnectionHandle> connect(call::ConnectRequest,
                                                  std::shared_ptr<call::ConnectionPeer>) override {
    return nullptr;
  }
  std::unique_ptr<call::HttpHandle> request(call::HttpRequest,
                                            std::shared_ptr<call::HttpPeer>) override {
    return nullptr;
  }
  std::unique_ptr<call::WebSocketHandle> openSocket(call::HttpRequest,
                                                    std::shared_ptr<call::WebSocketPeer>) override {
    return nullptr;
  }

  call::ActionRequest last;
  std::string created;
  std::string destroyed;
  std::string slept;
  fiber::Event hold;
};

/// A blocking client of one connection.
class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(context_) {
    socket_.connect({asio::ip::make_address("127.0.0.1"), port});
  }
  void sendRaw(std::string_view bytes) { asio::write(socket_, asio::buffer(bytes)); }
  http::response<http::string_body> receive() {
    http::response<http::string_body> response;
    http::read(socket_, buffer_, response);
    return response;
  }
  http::response<http::string_body> ask(http::verb verb, const std::string& target,
                                        const std::string& body = "",
                                        const std::string& contentType = "application/json") {
    http::request<http::string_body> request(verb, target, 11);
    request.set(http::field::host, "localhost");
    request.set(http::field::content_type, contentType);
    request.body() = body;
    request.prepare_payload();
    http::write(socket_, request);
    return receive();
  }
  /// Whether the server has closed the connection, once everything before was read.
  bool isClosed() {
    char byte = 0;
    boost::system::error_code error;
    asio::read(socket_, asio::buffer(&byte, 1), error);
    return error == asio::error::eof || error == asio::error::connection_reset;
  }

 private:
  asio::io_context context_;
  tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
};

class HttpTest : public ::testing::Test {
 protected:
  /// Runs `body` on a thread of its own, and the server on this one until that ends.
  void serve(const std::function<void(std::uint16_t port)>& body,
             gateway::ServerOptions options = {}) {
    options.port = 0;
    SystemClock clock;
    fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
      loop_ = &loop;
      gateway::Server server(loop, router_, options);
      const Status listens = server.listen();
      ASSERT_TRUE(listens.ok()) << listens.error().toString();
      fiber::OneShot<bool> done;
      std::thread client([&, port = server.port()] {
        body(port);
        done.set(true);
      });
      done.wait();
      client.join();
      server.close();
      stats_ = server.stats();
    });
  }
  EchoRouter router_;
  fiber::Loop* loop_ = nullptr;
  gateway::ServerStats stats_;
};

TEST_F(HttpTest, an_action_is_a_post_and_its_reply_the_body) {
  serve([&](std::uint16_t port) {
    Client client(port);
    const auto response =
        client.ask(http::verb::post, "/actors/counter/my-counter/actions/increment", "[5]");
    EXPECT_EQ(response.result_int(), 200u);
    EXPECT_EQ(response.body(), "[5]");
    EXPECT_EQ(response[http::field::content_type], "application/json");
  });
  EXPECT_EQ(router_.last.actor.toString(), R"(counter["my-counter"])");
  EXPECT_EQ(router_.last.action, "increment");
  EXPECT_EQ(stats_.requests, 1u);
  EXPECT_EQ(stats_.connections, 0u);
}

TEST_F(HttpTest, keys_have_parts_and_any_text) {
  serve([&](std::uint16_t port) {
    Client client(port);
    client.ask(http::verb::post, "/actors/t/a%2Cb/c%2Fd/%61ctions/%C3%A4/actions/x", "[]");
    EXPECT_EQ(router_.last.actor.key,
              (std::vector<std::string>{"a,b", "c/d", "actions", "\u00e4"}));
    EXPECT_EQ(client.ask(http::verb::post, "/actors/t/%FF/actions/x").result_int(), 400u);
    EXPECT_THAT(client.ask(http::verb::post, "/actors/t//actions/x").body(),
                HasSubstr("invalid_address"));
    EXPECT_THAT(client.ask(http::verb::post, "/actors/9/k/actions/x").body(),
                HasSubstr("invalid_address"));
  });
}

TEST_F(HttpTest, failures_have_their_status_and_say_group_code_message_and_metadata) {
  serve([&](std::uint16_t port) {
    Client client(port);
    const auto failed = client.ask(http::verb::post, "/actors/t/k/actions/fail");
    EXPECT_EQ(failed.result_int(), 400u);
    EXPECT_EQ(failed.body(),
              R"({"code":"wrong","group":"user","message":"as asked","metadata":{"n":7}})");
    const auto busy = client.ask(http::verb::post, "/actors/t/k/actions/busy");
    EXPECT_EQ(busy.result_int(), 503u);
    EXPECT_EQ(busy[http::field::retry_after], "1");
    EXPECT_EQ(client.ask(http::verb::get, "/nowhere").result_int(), 404u);
    const auto wrongMethod = client.ask(http::verb::get, "/actors/t/k/actions/x");
    EXPECT_EQ(wrongMethod.result_int(), 405u);
    EXPECT_EQ(wrongMethod[http::field::allow], "POST");
  });
}

TEST_F(HttpTest, actors_are_made_and_looked_up) {
  serve([&](std::uint16_t port) {
    Client client(port);
    const auto made = client.ask(http::verb::put, "/actors/t/k", R"({"a":1})");
    EXPECT_EQ(made.result_int(), 201u);
    EXPECT_EQ(made.body(), R"({"key":["k"],"type":"t"})");
    EXPECT_EQ(client.ask(http::verb::get, "/actors/t/k").result_int(), 404u);
  });
  EXPECT_EQ(router_.created, R"({"a":1})");
}

TEST_F(HttpTest, listing_and_removing_are_not_for_clients) {
  serve([&](std::uint16_t port) {
    Client client(port);
    EXPECT_EQ(client.ask(http::verb::delete_, "/actors/t/k").result_int(), 405u);
    EXPECT_EQ(client.ask(http::verb::get, "/actors/t").result_int(), 404u);
    EXPECT_EQ(client.ask(http::verb::get, "/actors").result_int(), 404u);
  });
  EXPECT_EQ(router_.destroyed, "");
}

TEST_F(HttpTest, a_body_that_is_too_large_is_refused_before_it_is_read) {
  serve(
      [&](std::uint16_t port) {
        Client client(port);
        client.sendRaw(
            "POST /actors/t/k/actions/x HTTP/1.1\r\nHost: h\r\nContent-Length: 104857600\r\n\r\n");
        const auto response = client.receive();
        EXPECT_EQ(response.result_int(), 413u);
        EXPECT_THAT(response.body(), HasSubstr("too_large"));
        EXPECT_TRUE(client.isClosed());
        Client headers(port);
        headers.sendRaw("GET /health HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
        EXPECT_EQ(headers.receive().result_int(), 413u);
      },
      {.bodyBytesMax = 1000});
}

TEST_F(HttpTest, what_is_no_http_gets_400_and_the_others_are_served_on) {
  serve([&](std::uint16_t port) {
    for (const char* nonsense :
         {"hello\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /health HTTP/1.1\r\nbad header\r\n\r\n",
          "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
          "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"}) {
      Client client(port);
      client.sendRaw(nonsense);
      EXPECT_EQ(client.receive().result_int(), 400u) << nonsense;
      EXPECT_TRUE(client.isClosed());
    }
    Client half(port);
    half.sendRaw("POST /actors/t/k/actions/x HTTP/1.1\r\nContent-Le");
    Client client(port);
    EXPECT_EQ(client.ask(http::verb::get, "/health").result_int(), 200u);
  });
}

TEST_F(HttpTest, pipelined_requests_are_answered_in_order) {
  serve([&](std::uint16_t port) {
    Client client(port);
    std::string requests;
    for (int i = 0; i < 20; ++i) {
      requests += "POST /actors/t/k/actions/x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n[" +
                  std::to_string(i + 10) + "]";
    }
    client.sendRaw(requests);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(client.receive().body(), "[" + std::to_string(i + 10) + "]");
    }
  });
}

TEST_F(HttpTest, a_client_that_is_too_slow_is_let_go) {
  serve(
      [&](std::uint16_t port) {
        Client slow(port);
        slow.sendRaw("POST /actors/t/k/actions/x HTTP/1.1\r\n");
        EXPECT_TRUE(slow.isClosed());
        Client idle(port);
        EXPECT_TRUE(idle.isClosed());
      },
      {.readTimeout = std::chrono::milliseconds(50), .idleTimeout = std::chrono::milliseconds(50)});
}

TEST_F(HttpTest, closing_waits_for_the_request_under_way) {
  std::thread client;
  std::string body;
  SystemClock clock;
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    gateway::Server server(loop, router_, {.port = 0});
    ASSERT_TRUE(server.listen().ok());
    client = std::thread([&, port = server.port()] {
      Client asking(port);
      body = asking.ask(http::verb::post, "/actors/t/k/actions/wait", "[1]").body();
    });
    while (!router_.hold.hasWaiters()) fiber::sleepFor(std::chrono::milliseconds(1));
    loop.spawn("release", [&] { router_.hold.notifyAll(); });
    server.close();
  });
  client.join();
  EXPECT_EQ(body, "[1]");
}

TEST_F(HttpTest, a_port_that_is_taken_is_a_clear_error) {
  serve([&](std::uint16_t port) {
    EchoRouter router;
    SystemClock clock;
    fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
      gateway::Server second(loop, router, {.port = port});
      const Status listens = second.listen();
      ASSERT_FALSE(listens.ok());
      EXPECT_EQ(listens.error().code, ErrorCode::Locked);
      gateway::Server nowhere(loop, router, {.address = "not-an-address"});
      EXPECT_EQ(nowhere.listen().error().code, ErrorCode::InvalidArgument);
    });
  });
}

}  // namespace
}  // namespace skep::testing
