// Raw requests from outside: what an actor's own code answers, on real sockets.

#include <gmock/gmock.h>

#include <atomic>

#include "http_client.h"
#include "live_server.h"
#include "skep/api/http.h"
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
std::atomic<int> aborted;

struct Site : Actor {
  static void define(Definition<Site>& d) {
    d.onRequest(&Site::request);
    d.action("ping", &Site::ping);
  }
  std::string ping(Context&) { return "pong"; }
  void request(Context& c, const HttpRequest& request, HttpStream& stream) {
    try {
      answer(c, request, stream);
    } catch (const ActorError&) {
      if (c.isAborted()) ++aborted;
      throw;
    }
  }
  void answer(Context& c, const HttpRequest& request, HttpStream& stream) {
    const std::string what = request.segments().front();
    if (what == "refuse") throw Forbidden("not for you");
    if (what == "events") {
      EventStream events(stream);
      events.send({.data = "first"});
      while (true) c.sleepFor(1ms);
    }
    HttpHeaders headers = {{"Content-Type", "text/plain"}, {"X-Own", "yes"}};
    if (const auto length = request.parameter("length")) {
      headers.emplace_back("Content-Length", *length);
      headers.emplace_back("content-length", "1");
    }
    stream.begin(what == "empty" ? 204 : 200, headers);
    if (what == "echo") {
      stream.write(request.method() + " " + request.path() + "?" + request.query() + "\n");
      for (const std::string& segment : request.segments()) stream.write(segment + "\n");
      stream.write(request.body());
      return;
    }
    stream.write("one ");
    if (what == "fail") throw UserError("wrong", "in the middle");
    if (what == "wait") {
      while (!mayGo) c.sleepFor(1ms);
    }
    if (what == "ever") {
      while (true) stream.write(std::string(10'000, 'x'));
    }
    stream.write("two");
  }
};

struct Simple : Actor {
  static void define(Definition<Simple>& d) { d.onRequest(&Simple::request); }
  HttpResponse request(Context&, const HttpRequest& request) {
    if (request.path() == "/nothing") return {.status = 204, .body = "not sent"};
    if (request.path() == "/fields") {
      return {
          .status = 404, .headers = {{"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}}, .body = "?"};
    }
    return HttpResponse::text("hello " + request.body());
  }
};

constexpr const char* kSite = "/actors/site/a/request";

class RawHttpGatewayTest : public ::testing::TestWithParam<LiveServer::Actors> {
 protected:
  RawHttpGatewayTest() {
    mayGo = false;
    aborted = 0;
  }
  void serve(const std::function<void(LiveServer&)>& body, gateway::ServerOptions options = {}) {
    LiveServer server(std::move(options), GetParam());
    server.add<Site>("site");
    server.add<Simple>("simple");
    server.serve([&] { body(server); });
  }
  static std::string get(const std::string& path, const std::string& more = "",
                         const std::string& version = "1.1") {
    return "GET " + path + " HTTP/" + version + "\r\nHost: h\r\n" + more + "\r\n";
  }
  static void awaitAborted(int count) {
    while (aborted < count) std::this_thread::sleep_for(1ms);
  }
};

INSTANTIATE_TEST_SUITE_P(EitherLoop, RawHttpGatewayTest,
                         ::testing::Values(LiveServer::Actors::OnTheSameLoop,
                                           LiveServer::Actors::OnAnother));

TEST_P(RawHttpGatewayTest, a_request_arrives_with_its_path_and_query_as_they_were_sent) {
  serve([](LiveServer& server) {
    HttpClient client(server.port());
    const auto response = client.ask(
        Verb::patch, "/actors/site/%72equest/b%2Fc/request/echo/d%2Fe//f/?x=%20&y", {}, "body");
    EXPECT_EQ(response.result_int(), 200u);
    EXPECT_EQ(response.body(), "PATCH /echo/d%2Fe//f/?x=%20&y\necho\nd/e\n\nf\n\nbody");
    EXPECT_EQ(response["X-Own"], "yes");
    EXPECT_EQ(response["X-Request-Id"].size(), 16u);
    EXPECT_TRUE(response.chunked());
    EXPECT_EQ(client.ask(Verb::delete_, "/actors/simple/a/request").body(), "hello ");
    EXPECT_EQ(client.ask(Verb::get, "/actors/simple/request/x").result_int(), 400u);
    EXPECT_EQ(client.ask(Verb::get, "/actors/none/a/request/").result_int(), 404u);
  });
}

TEST_P(RawHttpGatewayTest, a_whole_response_has_its_length_and_its_fields) {
  serve([](LiveServer& server) {
    HttpClient client(server.port());
    const auto hello = client.ask(Verb::post, "/actors/simple/a/request/", {}, "you");
    EXPECT_EQ(hello.body(), "hello you");
    EXPECT_EQ(hello["Content-Length"], "9");
    const auto head = client.ask(Verb::get, "/actors/simple/a/request/fields");
    EXPECT_EQ(head.result_int(), 404u);
    EXPECT_EQ(head.count("Set-Cookie"), 2u);
    const auto nothing = client.ask(Verb::get, "/actors/simple/a/request/nothing");
    EXPECT_EQ(nothing.result_int(), 204u);
    EXPECT_EQ(nothing.count("Content-Length"), 0u);
    EXPECT_EQ(client.ask(Verb::post, "/actors/simple/a/request/").body(), "hello ");
  });
}

TEST_P(RawHttpGatewayTest, head_gets_the_fields_and_no_body_whole_or_streamed) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    client.write("HEAD /actors/simple/a/request/ HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(client.readHead(), HasSubstr("Content-Length: 6\r\n"));
    client.write("HEAD /actors/site/a/request/ever HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string head = client.readHead();
    EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(head, Not(HasSubstr("chunked")));
    awaitAborted(1);
    client.write(get("/actors/site/a/request/empty"));
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 204 No Content\r\n"));
    client.write(get("/health"));
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 200 OK\r\n"));
  });
}

TEST_P(RawHttpGatewayTest, chunks_arrive_as_they_are_written_and_the_connection_goes_on) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    // The next request is here already.
    client.write(get(std::string(kSite) + "/wait") + get("/health"));
    EXPECT_THAT(client.readHead(), HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_EQ(client.readUntil("one \r\n"), "4\r\none \r\n");
    HttpClient other(server.port());
    EXPECT_EQ(other.ask(Verb::post, "/actors/site/a/actions/ping").body(), "\"pong\"");
    mayGo = true;
    EXPECT_EQ(client.readUntil("0\r\n\r\n"), "3\r\ntwo\r\n0\r\n\r\n");
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 200 OK\r\n"));
  });
}

TEST_P(RawHttpGatewayTest, a_stream_that_fails_lacks_its_last_chunk) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    client.write(get(std::string(kSite) + "/fail"));
    client.readHead();
    EXPECT_EQ(client.readAll(), "4\r\none \r\n");
    HttpClient early(server.port());
    const auto refused = early.ask(Verb::get, std::string(kSite) + "/refuse");
    EXPECT_EQ(refused.result_int(), 403u);
    EXPECT_THAT(refused.body(), HasSubstr("not for you"));
    EXPECT_EQ(early.ask(Verb::get, "/health").result_int(), 200u);
  });
}

TEST_P(RawHttpGatewayTest, a_stream_may_tell_its_length_and_is_held_to_it) {
  serve([](LiveServer& server) {
    HttpClient client(server.port());
    const auto response = client.ask(Verb::get, std::string(kSite) + "/x?length=7");
    EXPECT_EQ(response.body(), "one two");
    EXPECT_FALSE(response.chunked());
    EXPECT_EQ(response.count("Content-Length"), 1u);
    EXPECT_EQ(client.ask(Verb::get, "/health").result_int(), 200u);
    HttpClient longer(server.port());
    EXPECT_EQ(longer.ask(Verb::get, std::string(kSite) + "/x?length=5").result_int(), 0u);
    HttpClient shorter(server.port());
    EXPECT_EQ(shorter.ask(Verb::get, std::string(kSite) + "/x?length=8").result_int(), 0u);
  });
}

TEST_P(RawHttpGatewayTest, a_client_of_http_1_0_gets_a_stream_up_to_the_end_of_the_connection) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    client.write(get(std::string(kSite) + "/x", "Connection: keep-alive\r\n", "1.0"));
    EXPECT_THAT(client.readHead(), Not(HasSubstr("chunked")));
    EXPECT_EQ(client.readAll(), "one two");
  });
}

TEST_P(RawHttpGatewayTest, a_client_that_goes_ends_the_handler) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    client.write(get(std::string(kSite) + "/wait"));
    client.readUntil("one \r\n");
    client.hangUp();
    awaitAborted(1);
    RawClient reader(server.port());
    reader.write(get(std::string(kSite) + "/ever"));
    reader.readUntil("one \r\n");
    reader.hangUp();
    awaitAborted(2);
  });
}

TEST_P(RawHttpGatewayTest, a_client_that_does_not_read_is_given_up) {
  gateway::ServerOptions options;
  options.writeTimeout = 100ms;
  serve(
      [](LiveServer& server) {
        RawClient client(server.port());
        client.write(get(std::string(kSite) + "/ever"));
        awaitAborted(1);
        HttpClient other(server.port());
        EXPECT_EQ(other.ask(Verb::get, "/health").result_int(), 200u);
      },
      options);
}

TEST_P(RawHttpGatewayTest, a_client_that_waits_to_be_told_is_told_to_send_its_body) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    const std::string head =
        "POST /actors/simple/a/request/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
        "Content-Length: 3\r\n\r\n";
    client.write(head);
    EXPECT_EQ(client.readHead(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write("y");
    client.write("ou");
    client.readHead();
    EXPECT_EQ(client.readUntil("you"), "hello you");
    client.write(head + "all");  // who does not wait is not told
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(client.readUntil("all"), "hello all");
    client.write(
        "POST /actors/simple/a/request/ HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
        "Content-Length: 99999999\r\n\r\n");
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 413 "));
  });
}

TEST_P(RawHttpGatewayTest, a_server_that_closes_ends_events_and_lets_other_streams_finish) {
  gateway::ServerOptions options;
  options.drainTime = 60s;
  serve(
      [](LiveServer& server) {
        RawClient events(server.port());
        events.write(get(std::string(kSite) + "/events"));
        EXPECT_THAT(events.readHead(), HasSubstr("text/event-stream"));
        events.readUntil("data: first\n\n\r\n");
        RawClient stream(server.port());
        stream.write(get(std::string(kSite) + "/wait"));
        stream.readUntil("one \r\n");
        server.closeEarly();
        EXPECT_EQ(events.readAll(), "");
        mayGo = true;
        EXPECT_EQ(stream.readAll(), "3\r\ntwo\r\n0\r\n\r\n");
      },
      options);
}

TEST_P(RawHttpGatewayTest, a_server_that_closes_cuts_off_streams_that_take_too_long) {
  gateway::ServerOptions options;
  options.drainTime = 10ms;
  serve(
      [](LiveServer& server) {
        RawClient stream(server.port());
        stream.write(get(std::string(kSite) + "/wait"));
        stream.readUntil("one \r\n");
        server.closeEarly();
        EXPECT_EQ(stream.readAll(), "");
        awaitAborted(1);
      },
      options);
}

TEST_P(RawHttpGatewayTest, pages_of_other_sites_are_kept_out_and_allowed_ones_may_read) {
  gateway::ServerOptions options;
  options.allowedOrigins = {"https://app.example"};
  serve(
      [](LiveServer& server) {
        HttpClient client(server.port());
        const std::string path = std::string(kSite) + "/x";
        EXPECT_EQ(client.ask(Verb::get, path, {{"Origin", "https://evil.example"}}).result_int(),
                  403u);
        const auto allowed = client.ask(Verb::get, path, {{"Origin", "https://app.example"}});
        EXPECT_EQ(allowed.body(), "one two");
        EXPECT_EQ(allowed["Access-Control-Allow-Origin"], "https://app.example");
      },
      options);
}

TEST_P(RawHttpGatewayTest, an_actor_that_is_not_there_is_made_unless_the_client_says_otherwise) {
  serve([](LiveServer& server) {
    HttpClient client(server.port());
    const std::string path = "/actors/simple/new/request/";
    EXPECT_EQ(client.ask(Verb::get, path, {{"X-Skep-Existence", "get"}}).result_int(), 404u);
    EXPECT_EQ(client.ask(Verb::get, path, {{"X-Skep-Existence", "maybe"}}).result_int(), 400u);
    EXPECT_EQ(client.ask(Verb::get, path).result_int(), 200u);
    EXPECT_EQ(client.ask(Verb::get, path, {{"X-Skep-Existence", "create"}}).result_int(), 409u);
  });
}

}  // namespace
}  // namespace skep::testing
