// Clients that send nonsense, too much, too slowly or not at all, and actions that go wrong: each ends in a
// clear error, and the others are served on.

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <atomic>
#include <optional>

#include "http_client.h"
#include "live_server.h"
#include "websocket_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using Json = nlohmann::json;
using Verb = HttpClient::Verb;

std::atomic<int> waiting;

struct Victim : Actor {
  static void define(Definition<Victim>& d) {
    d.migration(1, "CREATE TABLE note(text TEXT)");
    d.options().actionTimeout = 300ms;
    d.options().limits.memoryBytesMax = 8 * 1024 * 1024;
    d.options().connections.outboxBytesMax = 1024 * 1024;
    d.event<std::string>("news");
    d.action("two", &Victim::two).action("echo", &Victim::echo).action("note", &Victim::note);
    d.action("spin", &Victim::spin).action("loop", &Victim::loop).action("hoard", &Victim::hoard);
    d.action("shout", &Victim::shout).action("noMemory", &Victim::noMemory);
    d.action("vanish", &Victim::vanish).action("wait", &Victim::wait);
  }
  std::int64_t two(Context&, std::int64_t a, std::int64_t b) { return a + b; }
  std::int64_t echo(Context&, std::string text) { return static_cast<std::int64_t>(text.size()); }
  std::int64_t note(Context& c, std::string text) {
    c.execute("INSERT INTO note VALUES (?)", text);
    return c.queryOne<std::int64_t>("SELECT count(*) FROM note");
  }
  std::int64_t spin(Context& c) {
    note(c, "spin");
    return c.queryOne<std::int64_t>(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
  }
  void loop(Context& c) {
    note(c, "loop");
    while (true) c.sleepFor(1ms);
  }
  std::string hoard(Context& c) {
    note(c, "hoard");
    return c.queryOne<std::string>(
        "WITH RECURSIVE n(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM n) SELECT max(s) FROM n");
  }
  void shout(Context& c) {
    note(c, "shout");
    while (true) c.broadcast("news", std::string(10'000, 'x'));
  }
  void noMemory(Context& c) {
    note(c, "noMemory");
    throw std::bad_alloc();
  }
  void vanish(Context& c) { c.destroy(); }
  void wait(Context& c) {
    ++waiting;
    c.sleepFor(1h);
  }
};

const std::string kVictim = "/actors/victim/a";

std::string post(const std::string& action, const std::string& fields, const std::string& body) {
  return "POST " + kVictim + "/actions/" + action + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" +
         body;
}

class BadInputTest : public ::testing::Test {
 protected:
  BadInputTest() { waiting = 0; }
  void serve(const std::function<void(LiveServer&)>& body, gateway::ServerOptions options = {},
             LiveServer::Actors place = LiveServer::Actors::OnTheSameLoop) {
    LiveServer server(std::move(options), place);
    server.add<Victim>("victim");
    server.serve([&] {
      body(server);
      EXPECT_EQ(HttpClient(server.port()).ask(Verb::get, "/health").result_int(), 200u);
      const auto served = call(server, "b", "two", "[1, 2]");
      EXPECT_EQ(served.body(), "3");
    });
  }
  static HttpClient::Response call(LiveServer& server, const std::string& key,
                                   const std::string& action, const std::string& arguments,
                                   const HttpClient::Fields& fields = {}) {
    return HttpClient(server.port())
        .ask(Verb::post, "/actors/victim/" + key + "/actions/" + action, fields, arguments);
  }
  /// "status group.code"
  static std::string outcomeOf(const HttpClient::Response& response) {
    const Json body = Json::parse(response.body(), nullptr, false);
    std::string text = std::to_string(response.result_int());
    if (body.is_object()) {
      text += " " + body["group"].get<std::string>() + "." + body["code"].get<std::string>();
    }
    return text;
  }
};

// ---- HTTP

struct Broken {
  const char* what;
  std::string request;
  std::vector<int> statuses;  // 0: cut off without an answer
  bool closes = true;
};

TEST_F(BadInputTest, broken_http_is_answered_and_its_connection_closed) {
  const std::string two = "[1, 2]";
  const std::vector<Broken> cases = {
      {"a method that is no token", "G@T /health HTTP/1.1\r\nHost: h\r\n\r\n", {400}},
      {"an unknown method", "BREW /health HTTP/1.1\r\nHost: h\r\n\r\n", {200, 400, 405}, false},
      {"a method of endless length", std::string(20'000, 'G'), {400, 413}},
      {"a target of endless length", "GET /" + std::string(20'000, 'x'), {400, 413}},
      {"no version", "GET /health\r\n\r\n", {400}},
      {"a version of the future", "GET /health HTTP/2.0\r\nHost: h\r\n\r\n", {400}},
      {"a field without a colon", "GET /health HTTP/1.1\r\nHost\r\n\r\n", {400}},
      {"a field with a space before the colon", "GET /health HTTP/1.1\r\nHost : h\r\n\r\n", {400}},
      {"a NUL in a field", std::string("GET /health HTTP/1.1\r\nX: a\0b\r\n\r\n", 32), {400}},
      {"a folded field that smuggles", "GET /health HTTP/1.1\r\n X: y\r\n\r\n", {400}},
      {"thousands of fields",
       [] {
         std::string request = "GET /health HTTP/1.1\r\n";
         for (int i = 0; i < 5'000; ++i) request += "X" + std::to_string(i) + ": y\r\n";
         return request + "\r\n";
       }(),
       {413}},
      {"no host", "GET /health HTTP/1.1\r\n\r\n", {400}},
      {"two hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}},
      {"no host where it is not needed", "GET /health HTTP/1.0\r\n\r\n", {200}},
      {"a length that is no number", post("two", "Content-Length: six\r\n", two), {400}},
      {"a negative length", post("two", "Content-Length: -6\r\n", two), {400}},
      {"a length of 2^64", post("two", "Content-Length: 18446744073709551616\r\n", two), {400}},
      {"two lengths", post("two", "Content-Length: 6\r\nContent-Length: 7\r\n", two), {400}},
      {"a length and chunks",
       post("two", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            "6\r\n[1, 2]\r\n0\r\n\r\n"),
       {400}},
      {"chunks and a length",
       post("two", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
            "6\r\n[1, 2]\r\n0\r\n\r\n"),
       {400}},
      {"a chunk whose length is no number",
       post("two", "Transfer-Encoding: chunked\r\n", "six\r\n[1, 2]\r\n0\r\n\r\n"),
       {400}},
      {"a chunk that is longer than it says",
       post("two", "Transfer-Encoding: chunked\r\n", "2\r\n[1, 2]\r\n0\r\n\r\n"),
       {400}},
      {"a chunk of 2^64 bytes",
       post("two", "Transfer-Encoding: chunked\r\n", "10000000000000000\r\n[1, 2]\r\n0\r\n\r\n"),
       {400, 413}},
      {"TLS, where plain text is spoken",
       std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 9) + "\r\n\r\n",
       {400}},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}},
  };
  serve([&](LiveServer& server) {
    for (const Broken& each : cases) {
      HttpClient client(server.port());
      client.sendRaw(each.request);
      const int status = static_cast<int>(client.receive().result_int());
      EXPECT_THAT(each.statuses, ::testing::Contains(status)) << each.what;
      EXPECT_TRUE(!each.closes || client.isClosed()) << each.what;
    }
  });
}

TEST_F(BadInputTest, a_request_that_is_smuggled_into_another_is_never_run) {
  serve([](LiveServer& server) {
    const std::string inner = post("note", "Content-Length: 8\r\n", "[\"evil\"]");
    for (const std::string& fields :
         {std::string("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
          std::string("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"),
          std::string("Content-Length: 4\r\nContent-Length: ") + std::to_string(inner.size()) +
              "\r\n"}) {
      RawClient client(server.port());
      client.write(post("two", fields, "0\r\n\r\n" + inner));
      EXPECT_THAT(client.readAll(), StartsWith("HTTP/1.1 400 "));
    }
    EXPECT_EQ(call(server, "a", "note", R"(["mine"])").body(), "1");
  });
}

TEST_F(BadInputTest, a_hundred_megabytes_are_refused_told_or_chunked) {
  serve([](LiveServer& server) {
    RawClient told(server.port());
    told.write(post("echo", "Content-Length: 104857600\r\n", ""));
    EXPECT_THAT(told.readAll(), StartsWith("HTTP/1.1 413 "));
    RawClient chunked(server.port());
    chunked.write(post("echo", "Transfer-Encoding: chunked\r\n", ""));
    std::atomic<bool> isAnswered = false;
    std::thread writer([&] {
      const std::string chunk = "100000\r\n" + std::string(0x100000, 'x') + "\r\n";
      for (int i = 0; i < 100 && !isAnswered; ++i) chunked.write(chunk);
    });
    // It may be cut before its answer is read: it goes on sending meanwhile.
    EXPECT_THAT(chunked.readAll(), AnyOf(StartsWith("HTTP/1.1 413 "), IsEmpty()));
    isAnswered = true;
    writer.join();
  });
}

// What the head tells is told before the body is sent.
TEST_F(BadInputTest, a_body_that_is_in_vain_is_not_read) {
  serve([](LiveServer& server) {
    const auto statusOf = [&](const std::string& line) {
      RawClient client(server.port());
      client.write(line + " HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n[");
      return client.readAll().substr(0, 12);
    };
    EXPECT_EQ(statusOf("POST /nowhere"), "HTTP/1.1 404");
    EXPECT_EQ(statusOf("GET " + kVictim + "/actions/echo"), "HTTP/1.1 405");
    EXPECT_EQ(statusOf("POST /admin/actors"), "HTTP/1.1 403");
    RawClient waits(server.port());
    waits.write(
        "POST /nowhere HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
        "Content-Length: 10000000\r\n\r\n");
    EXPECT_THAT(waits.readAll(), StartsWith("HTTP/1.1 404 ")) << "and not 100";
  });
}

TEST_F(BadInputTest, who_sends_all_before_it_reads_hears_why_it_was_refused) {
  serve([](LiveServer& server) {
    for (const char* target : {"/nowhere", "/actors/victim/a/actions/echo"}) {
      RawClient client(server.port());
      client.write("POST " + std::string(target) +
                   " HTTP/1.1\r\nHost: h\r\nContent-Length: 41943040\r\n\r\n");
      for (int i = 0; i < 40; ++i) client.write(std::string(0x100000, 'x'));
      EXPECT_THAT(client.readAll(), AnyOf(StartsWith("HTTP/1.1 404 "), StartsWith("HTTP/1.1 413 ")))
          << target;
    }
  });
}

TEST_F(BadInputTest, bodies_of_all_requests_together_are_bounded) {
  gateway::ServerOptions options;
  options.bodiesBytesMax = 1'000'000;
  serve(
      [](LiveServer& server) {
        const std::string text(400'000, 'x');
        const std::string request =
            post("echo", "Content-Length: " + std::to_string(text.size() + 4) + "\r\n", "");
        RawClient first(server.port());
        first.write(request + "[\"");
        const auto ask = [&] {
          RawClient second(server.port());
          second.write(request + "[\"");
          second.write(text + "\"]");
          return second.readHead().substr(0, 12);
        };
        // The first one's part is taken when its head has arrived.
        std::string status = ask();
        while (status == "HTTP/1.1 200") status = ask();
        EXPECT_EQ(status, "HTTP/1.1 503");
        EXPECT_EQ(call(server, "a", "two", "[1, 2]").body(), "3") << "small ones go on";
        first.write(text + "\"]");
        EXPECT_THAT(first.readHead(), StartsWith("HTTP/1.1 200 "));
        while (status != "HTTP/1.1 200") status = ask();
      },
      options);
}

TEST_F(BadInputTest, bodies_up_to_the_bound_are_taken) {
  gateway::ServerOptions options;
  options.bodyBytesMax = 101 * 1024 * 1024;
  serve(
      [](LiveServer& server) {
        const std::string text(100 * 1024 * 1024, 'x');
        EXPECT_EQ(call(server, "a", "echo", "[\"" + text + "\"]").body(),
                  std::to_string(text.size()));
      },
      options);
}

TEST_F(BadInputTest, who_sends_head_or_body_byte_by_byte_is_let_go_in_time) {
  gateway::ServerOptions options;
  options.readTimeout = 200ms;
  serve(
      [](LiveServer& server) {
        for (const std::string& request :
             {post("two", "X: " + std::string(10'000, 'x') + "\r\n", ""),
              post("two", "Content-Length: 10000\r\n", std::string(10'000, ' '))}) {
          RawClient slow(server.port());
          std::atomic<bool> isClosed = false;
          std::thread writer([&] {
            for (std::size_t i = 0; i < request.size() && !isClosed; ++i) {
              slow.write(request.substr(i, 1));
              std::this_thread::sleep_for(5ms);
            }
          });
          EXPECT_EQ(call(server, "c", "two", "[1, 2]").body(), "3");
          EXPECT_THAT(slow.readAll(), AnyOf(IsEmpty(), StartsWith("HTTP/1.1 408 ")));
          isClosed = true;
          writer.join();
        }
      },
      options);
}

TEST_F(BadInputTest, a_client_that_asks_and_never_reads_is_let_go) {
  gateway::ServerOptions options;
  options.writeTimeout = 100ms;
  serve(
      [](LiveServer& server) {
        // It asks for more and more, and takes nothing: in the end the server can not write.
        RawClient deaf(server.port());
        std::atomic<bool> isDone = false;
        std::thread writer([&] {
          const std::string request =
              "GET " + std::string(8'000, '/') + " HTTP/1.1\r\nHost: h\r\n\r\n";
          while (!isDone) deaf.write(request);
        });
        while (server.stats().connections > 0) std::this_thread::sleep_for(1ms);
        isDone = true;
        writer.join();
      },
      options);
}

TEST_F(BadInputTest, half_open_sockets_end_and_do_no_harm) {
  serve([](LiveServer& server) {
    std::vector<std::unique_ptr<RawClient>> half;
    for (int i = 0; i < 50; ++i) {
      half.push_back(std::make_unique<RawClient>(server.port()));
      if (i % 2 == 0) half.back()->write("POST /actors/victim/a/act");
      half.back()->endSending();
    }
    for (const auto& each : half)
      EXPECT_THAT(each->readAll(), AnyOf(IsEmpty(), StartsWith("HTTP/1.1 400")));
    // One that has asked, and says that no more comes, gets its answer.
    RawClient asked(server.port());
    asked.write(post("two", "Content-Length: 6\r\n", "[1, 2]"));
    asked.endSending();
    EXPECT_THAT(asked.readAll(), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\n\r\n3")));
  });
}

TEST_F(BadInputTest, a_burst_of_connections_is_taken_and_others_are_served_meanwhile) {
  rlimit descriptors{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &descriptors), 0);
  // Both ends are of this process.
  const std::size_t count = std::min<std::size_t>(10'000, (descriptors.rlim_cur - 200) / 2);
  serve(
      [&](LiveServer& server) {
        boost::asio::io_context context;
        std::vector<boost::asio::ip::tcp::socket> sockets;
        const boost::asio::ip::tcp::endpoint endpoint(boost::asio::ip::make_address("127.0.0.1"),
                                                      server.port());
        const std::string half = "GET /health HTTP/1.1\r\nHost";
        for (std::size_t i = 0; i < count; ++i) {
          sockets.emplace_back(context).connect(endpoint);
          boost::asio::write(sockets.back(), boost::asio::buffer(half));
          if (i % 1'000 > 0) continue;
          EXPECT_EQ(call(server, "c", "two", "[1, 2]").body(), "3");
        }
        while (server.stats().connections < count) std::this_thread::sleep_for(1ms);
        EXPECT_EQ(call(server, "c", "two", "[1, 2]").body(), "3");
        // And each of them is still there.
        const std::string rest = ": h\r\n\r\n";
        for (auto& each : sockets) boost::asio::write(each, boost::asio::buffer(rest));
        for (auto& each : sockets) {
          char status[12];
          boost::asio::read(each, boost::asio::buffer(status));
          ASSERT_EQ(std::string(status, sizeof status), "HTTP/1.1 200");
        }
      },
      {.readTimeout = 5min});
}

// ---- What is asked for

struct BadCall {
  const char* action;
  std::string arguments;
  const char* outcome;
};

TEST_F(BadInputTest, calls_that_make_no_sense_say_what_is_wrong) {
  const std::vector<BadCall> cases = {
      {"nothing", "[]", "404 actor.unknown_action"},
      {"two", "[1]", "400 request.invalid_arguments"},
      {"two", "[1, 2, 3]", "400 request.invalid_arguments"},
      {"two", "[1, \"2\"]", "400 request.invalid_arguments"},
      {"two", "[1, null]", "400 request.invalid_arguments"},
      {"two", "[1, 2.5]", "400 request.invalid_arguments"},
      {"two", "[1, 9223372036854775808]", "400 request.invalid_arguments"},
      {"two", "{\"a\": 1, \"b\": 2}", "400 request.invalid_arguments"},
      {"two", "1", "400 request.invalid_arguments"},
      {"two", "[1, 2", "400 request.invalid_arguments"},
      {"two", "[1, 2] 3", "400 request.invalid_arguments"},
      {"two", std::string("\0", 1), "400 request.invalid_arguments"},
      {"echo", "[\"\xff\"]", "400 request.invalid_arguments"},
      {"echo", "[\"\xed\xa0\x80\"]", "400 request.invalid_arguments"},
      {"echo", "[\"\\ud800\"]", "400 request.invalid_arguments"},
      {"two", std::string(100'000, '['), "400 request.invalid_arguments"},
  };
  serve([&](LiveServer& server) {
    BeastClient socket(server.port(), kVictim + "/connect");
    socket.connect();
    std::uint64_t id = 0;
    for (const BadCall& each : cases) {
      SCOPED_TRACE(std::string(each.action) + " " + each.arguments.substr(0, 40));
      EXPECT_EQ(outcomeOf(call(server, "a", each.action, each.arguments)), each.outcome);
      const Json arguments = Json::parse(each.arguments, nullptr, false);
      if (arguments.is_discarded()) continue;
      // The same over a WebSocket, which goes on.
      const Json answer = socket.call(++id, each.action, arguments);
      EXPECT_EQ(answer["type"], "error");
    }
    EXPECT_EQ(
        outcomeOf(call(server, "a", "two", "\x82\x01",
                       {{"Content-Type", "application/cbor"}, {"Accept", "application/json"}})),
        "400 request.invalid_arguments");
    EXPECT_EQ(socket.call(++id, "two", {1, 2})["result"], 3);
  });
}

TEST_F(BadInputTest, text_of_a_socket_that_is_no_message_is_an_error_and_it_goes_on) {
  serve([](LiveServer& server) {
    BeastClient socket(server.port(), kVictim + "/connect");
    socket.connect();
    for (const char* text :
         {"", "null", "[]", "{", "{}", R"({"type":"call"})", R"({"type":7})",
          R"({"type":"call","id":-1,"action":"two"})", R"({"type":"call","id":"x","action":"two"})",
          R"({"type":"subscribe","events":"x"})", R"({"type":"nothing"})"}) {
      socket.sendText(text);
      EXPECT_EQ(socket.receive()["type"], "error") << text;
    }
    EXPECT_EQ(socket.call(1, "two", {1, 2})["result"], 3);
  });
}

// ---- Actions that go wrong

TEST_F(BadInputTest, an_action_that_never_ends_or_takes_ever_more_is_ended_and_rolled_back) {
  serve([](LiveServer& server) {
    const std::vector<std::pair<const char*, const char*>> cases = {
        {"loop", "504 actor.action_timed_out"}, {"spin", "504 actor.action_timed_out"},
        {"hoard", "500 actor.limit_exceeded"},  {"shout", "500 actor.limit_exceeded"},
        {"noMemory", "500 internal.internal"},
    };
    int notes = 0;
    for (const auto& [action, outcome] : cases) {
      std::string heard;
      std::thread caller([&] { heard = outcomeOf(call(server, "a", action, "[]")); });
      EXPECT_EQ(call(server, "c", "two", "[1, 2]").body(), "3");
      caller.join();
      EXPECT_EQ(heard, outcome) << action;
      // "loop" committed its note before it waited.
      if (std::string(action) == "loop") ++notes;
      EXPECT_EQ(call(server, "a", "note", R"(["good"])").body(), std::to_string(++notes)) << action;
    }
  });
}

TEST_F(BadInputTest, an_actor_that_destroys_itself_ends_the_calls_of_others_and_may_be_made_again) {
  for (const auto place : {LiveServer::Actors::OnTheSameLoop, LiveServer::Actors::OnAnother}) {
    waiting = 0;
    gateway::ServerOptions options;
    LiveServer server(options, place);
    struct Patient : Victim {
      static void define(Definition<Patient>& d) {
        d.migration(1, "CREATE TABLE note(text TEXT)");
        d.action("vanish", &Patient::vanish).action("wait", &Patient::wait);
        d.action("note", &Patient::note);
      }
    };
    server.add<Patient>("victim");
    server.serve([&] {
      EXPECT_EQ(call(server, "a", "note", R"(["old"])").body(), "1");
      BeastClient socket(server.port(), kVictim + "/connect");
      socket.connect();
      socket.send({{"type", "call"}, {"id", 1}, {"action", "wait"}});
      std::vector<std::string> heard(8);
      std::vector<std::thread> callers;
      for (std::string& each : heard) {
        callers.emplace_back([&] { each = outcomeOf(call(server, "a", "wait", "[]")); });
      }
      while (waiting < 9) std::this_thread::sleep_for(1ms);
      EXPECT_EQ(call(server, "a", "vanish", "[]").result_int(), 200u);
      for (std::thread& each : callers) each.join();
      for (const std::string& each : heard) EXPECT_EQ(each, "410 actor.destroyed");
      EXPECT_EQ(socket.receive()["error"]["code"], "destroyed");
      EXPECT_THAT(socket.receiveClose(), StartsWith("4000 actor.destroyed"));
      EXPECT_EQ(call(server, "a", "note", R"(["new"])").body(), "1");
    });
  }
}

}  // namespace
}  // namespace skep::testing
