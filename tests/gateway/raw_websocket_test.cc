// Raw WebSockets from outside: what an actor's own code says to a client, on real sockets.

#include <gmock/gmock.h>

#include <atomic>

#include "http_client.h"
#include "live_server.h"
#include "skep/api/web_socket.h"
#include "websocket_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Verb = HttpClient::Verb;

/// What handlers wait for; set by the test's thread.
std::atomic<bool> mayGo;
std::atomic<int> received;
std::atomic<int> ended;
std::atomic<int> endedWith;

struct Line : Actor {
  static void define(Definition<Line>& d) {
    d.onWebSocket(&Line::talk);
    d.onRequest(&Line::request);
    d.action("destroy", &Line::destroy);
  }
  HttpResponse request(Context&, const HttpRequest& request) {
    return HttpResponse::text("over HTTP " + request.path());
  }
  void destroy(Context& c) { c.destroy(); }

  void talk(Context& c, const HttpRequest& request, WebSocket& socket) {
    const std::string what = request.segments().front();
    if (what == "refuse") throw Forbidden("not for you");
    if (what == "gated") {
      while (!mayGo) c.sleepFor(1ms);
    }
    socket.accept(request.parameter("protocol").value_or(""));
    if (what == "request") {
      socket.sendText(request.method() + " " + request.path() + "?" + request.query() + " " +
                      request.header("x-own").value_or(""));
    }
    if (what == "deaf") {
      while (!mayGo) c.sleepFor(1ms);
    }
    if (what == "ever") {
      while (socket.isOpen()) {
        socket.sendBinary(std::string(10'000, 'x'));
        socket.drain();
      }
    }
    while (const auto message = socket.receive()) {
      ++received;
      if (message->data() == "bug") throw std::runtime_error("secret");
      if (message->data() == "close") socket.close(4321, "as asked");
      if (message->isText()) socket.sendText(message->data());
      if (!message->isText()) socket.sendBinary(message->data());
    }
    endedWith = socket.closeCode();
    ++ended;
  }
};

struct Mute : Actor {
  static void define(Definition<Mute>&) {}
};

const std::string kLine = "/actors/line/a/request";

class RawWebSocketTest : public ::testing::TestWithParam<LiveServer::Actors> {
 protected:
  RawWebSocketTest() {
    mayGo = false;
    received = 0;
    ended = 0;
  }
  void serve(const std::function<void(LiveServer&)>& body, gateway::ServerOptions options = {}) {
    LiveServer server(std::move(options), GetParam());
    server.add<Line>("line");
    server.add<Mute>("mute");
    server.serve([&] { body(server); });
  }
  static void await(std::atomic<int>& counter, int count) {
    while (counter < count) std::this_thread::sleep_for(1ms);
  }
  static std::string upgrade(const std::string& path, const std::string& more = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more +
           "\r\n";
  }
};

INSTANTIATE_TEST_SUITE_P(EitherLoop, RawWebSocketTest,
                         ::testing::Values(LiveServer::Actors::OnTheSameLoop,
                                           LiveServer::Actors::OnAnother));

TEST_P(RawWebSocketTest, messages_go_both_ways_with_their_kind_and_any_length) {
  serve([](LiveServer& server) {
    RawClient client(server.port(), kLine + "/echo");
    EXPECT_THAT(client.head(), StartsWith("HTTP/1.1 101 "));
    EXPECT_THAT(client.head(), Not(HasSubstr("Sec-WebSocket-Protocol")));
    for (const std::size_t size : {0, 1, 125, 126, 65'535, 65'536, 1'000'000}) {
      const std::string payload(size, 'x');
      client.write(RawClient::text(payload) + RawClient::frame(0x82, payload));
      RawClient::Frame frame = client.readFrame();
      EXPECT_EQ(frame.first, 0x81);
      EXPECT_EQ(frame.payload, payload);
      frame = client.readFrame();
      EXPECT_EQ(frame.first, 0x82);
      EXPECT_EQ(frame.payload, payload);
    }
  });
}

TEST_P(RawWebSocketTest, the_request_arrives_with_its_path_query_and_fields) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    client.write(upgrade(kLine + "/request/x%2Fy?a=1&b=%20", "X-Own: mine\r\n"));
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 101 "));
    EXPECT_EQ(client.readFrame().payload, "GET /request/x%2Fy?a=1&b=%20 mine");
    HttpClient http(server.port());
    EXPECT_EQ(http.ask(Verb::get, kLine + "/x").body(), "over HTTP /x");
  });
}

TEST_P(RawWebSocketTest, the_actor_chooses_the_subprotocol) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    client.write(upgrade(kLine + "/echo?protocol=b", "Sec-WebSocket-Protocol: a, b\r\n"));
    EXPECT_THAT(client.readHead(), HasSubstr("Sec-WebSocket-Protocol: b\r\n"));
  });
}

TEST_P(RawWebSocketTest, who_is_refused_is_answered_over_http) {
  serve([](LiveServer& server) {
    const auto ask = [&](const std::string& request) {
      RawClient client(server.port());
      client.write(request);
      return client.readAll();
    };
    const std::string refused = ask(upgrade(kLine + "/refuse"));
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 403 "));
    EXPECT_THAT(refused, HasSubstr("Connection: close\r\n"));
    EXPECT_THAT(refused, HasSubstr(R"("message":"not for you")"));
    EXPECT_THAT(ask(upgrade("/actors/mute/a/request/x")), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask(upgrade("/actors/none/a/request/x")), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask(upgrade(kLine, "X-Skep-Existence: perhaps\r\n")), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask(upgrade("/actors/line/new/request/x", "X-Skep-Existence: get\r\n")),
                HasSubstr("\"not_found\""));
    EXPECT_THAT(ask(upgrade(kLine, "Origin: https://evil.example\r\n")),
                StartsWith("HTTP/1.1 403 "));
  });
}

TEST_P(RawWebSocketTest, what_comes_before_the_client_is_let_in_is_not_lost) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    client.write(upgrade(kLine + "/gated") + RawClient::text("with the handshake"));
    HttpClient other(server.port());
    EXPECT_EQ(other.ask(Verb::get, kLine + "/x").body(),
              "over HTTP /x");  // it waits, others do not
    client.write(RawClient::text("later"));
    mayGo = true;
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 101 "));
    EXPECT_EQ(client.readFrame().payload, "with the handshake");
    EXPECT_EQ(client.readFrame().payload, "later");
  });
}

TEST_P(RawWebSocketTest, closes_go_both_ways_with_their_code) {
  serve([](LiveServer& server) {
    RawClient closed(server.port(), kLine + "/echo");
    closed.write(RawClient::text("close"));
    EXPECT_EQ(closed.readClose(), "4321 as asked");
    closed.write(RawClient::close(4321));
    EXPECT_TRUE(closed.isAtEnd());
    await(ended, 1);
    EXPECT_EQ(endedWith, 4321);
    RawClient closing(server.port(), kLine + "/echo");
    closing.write(RawClient::close(4999, "bye"));
    EXPECT_EQ(closing.readClose(), "4999 ");
    EXPECT_TRUE(closing.isAtEnd());
    await(ended, 2);
    EXPECT_EQ(endedWith, 4999);
    RawClient gone(server.port(), kLine + "/echo");
    gone.hangUp();
    await(ended, 3);
    EXPECT_EQ(endedWith, 1006);
  });
}

TEST_P(RawWebSocketTest, failures_are_close_codes) {
  serve([](LiveServer& server) {
    RawClient bug(server.port(), kLine + "/echo");
    bug.write(RawClient::text("bug"));
    EXPECT_THAT(bug.readClose(), StartsWith("1011 internal.internal: "));
    RawClient broken(server.port(), kLine + "/echo");
    broken.write(RawClient::frame(0x83, ""));
    EXPECT_THAT(broken.readClose(), StartsWith("1002 "));
    RawClient text(server.port(), kLine + "/echo");
    text.write(RawClient::text("\xff"));
    EXPECT_THAT(text.readClose(), StartsWith("1007 "));
    RawClient destroyed(server.port(), kLine + "/echo");
    HttpClient http(server.port());
    http.ask(Verb::post, "/actors/line/a/actions/destroy");
    EXPECT_THAT(destroyed.readClose(), StartsWith("1008 actor.destroyed: "));
    RawClient again(server.port(), kLine + "/echo");
    EXPECT_THAT(again.head(), StartsWith("HTTP/1.1 101 "));
  });
}

TEST_P(RawWebSocketTest, a_message_that_is_too_big_closes_it) {
  gateway::ServerOptions options;
  options.webSocket.messageBytesMax = 1'000;
  serve(
      [](LiveServer& server) {
        RawClient client(server.port(), kLine + "/echo");
        client.write(RawClient::text(std::string(1'001, 'x')));
        EXPECT_THAT(client.readClose(), StartsWith("1009 "));
      },
      options);
}

TEST_P(RawWebSocketTest, no_more_is_read_while_the_code_does_not_take_it) {
  gateway::ServerOptions options;
  options.webSocket.receiveBytesMax = 10'000;
  serve(
      [](LiveServer& server) {
        RawClient client(server.port(), kLine + "/deaf");
        std::atomic<bool> isWritten = false;
        std::thread writer([&] {
          // More than all buffers on the way.
          for (int i = 0; i < 64; ++i) {
            client.write(RawClient::frame(0x82, std::string(1'000'000, 'x')));
          }
          isWritten = true;
        });
        HttpClient other(server.port());
        for (int i = 0; i < 50; ++i) {
          EXPECT_EQ(other.ask(Verb::get, kLine + "/x").body(), "over HTTP /x");
        }
        EXPECT_FALSE(isWritten);
        mayGo = true;
        for (int i = 0; i < 64; ++i) EXPECT_EQ(client.readFrame().payload.size(), 1'000'000u);
        writer.join();
        EXPECT_EQ(received, 64);
      },
      options);
}

TEST_P(RawWebSocketTest, a_client_that_does_not_read_is_given_up_and_the_others_are_served_on) {
  struct Impatient : Line {
    static void define(Definition<Impatient>& d) {
      d.options().sockets.sendTimeout = 100ms;
      d.onWebSocket(&Impatient::talkTo);
    }
    void talkTo(Context& c, const HttpRequest& request, WebSocket& socket) {
      talk(c, request, socket);
    }
  };
  gateway::ServerOptions options;
  options.webSocket.closeTimeout = 60s;
  LiveServer server(std::move(options), GetParam());
  server.add<Impatient>("line");
  server.serve([&] {
    RawClient deaf(server.port(), kLine + "/ever");
    RawClient other(server.port(), kLine + "/echo");
    await(ended, 1);
    EXPECT_EQ(endedWith, 1006);
    other.write(RawClient::text("hello"));
    EXPECT_EQ(other.readFrame().payload, "hello");
    EXPECT_EQ(deaf.readClose(), "1008 this client does not take what it is sent");
  });
}

TEST_P(RawWebSocketTest, a_silent_client_is_asked_for_a_sign_and_given_up_without_one) {
  gateway::ServerOptions options;
  options.webSocket.pingInterval = 50ms;
  serve(
      [](LiveServer& server) {
        RawClient dead(server.port(), kLine + "/echo");
        EXPECT_EQ(dead.readFrame().first, 0x89);
        EXPECT_TRUE(dead.isAtEnd());
        await(ended, 1);
        EXPECT_EQ(endedWith, 1006);
      },
      options);
}

TEST_P(RawWebSocketTest, opening_one_counts_as_a_request_and_so_do_messages) {
  gateway::ServerOptions options;
  options.clients.perSecondMax = 0.001;
  serve(
      [](LiveServer& server) {
        RawClient client(server.port(), kLine + "/echo");
        client.write(RawClient::text("x"));
        EXPECT_THAT(client.readClose(), StartsWith("1013 request.rate_limited: "));
        RawClient next(server.port(), kLine + "/echo");
        EXPECT_THAT(next.head(), StartsWith("HTTP/1.1 429 "));
      },
      options);
}

TEST_P(RawWebSocketTest, a_server_that_closes_says_come_back) {
  serve([](LiveServer& server) {
    RawClient open(server.port(), kLine + "/echo");
    open.write(RawClient::text("hello"));
    EXPECT_EQ(open.readFrame().payload, "hello");
    RawClient asking(server.port());
    asking.write(upgrade(kLine + "/gated"));
    while (server.stats().webSockets < 2) std::this_thread::sleep_for(1ms);
    server.closeEarly();
    EXPECT_THAT(open.readClose(), StartsWith("1001 actor.shutting_down: "));
    EXPECT_THAT(asking.readAll(), StartsWith("HTTP/1.1 503 "));
    mayGo = true;
  });
}

}  // namespace
}  // namespace skep::testing
