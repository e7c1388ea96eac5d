// A store that stops, slows down or fails one commit, as clients of the gateway see it: retryable errors over
// HTTP and WebSockets, nothing told that did not stay, and all well again by itself.

#include <gmock/gmock.h>

#include <atomic>

#include "http_client.h"
#include "live_server.h"
#include "skep/api/web_socket.h"
#include "websocket_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;
using Verb = HttpClient::Verb;

struct Tally : Actor {
  static void define(Definition<Tally>& d) {
    d.migration(1, "CREATE TABLE tally(id INTEGER PRIMARY KEY)");
    d.event<std::int64_t>("count");
    d.action("add", &Tally::add).action("count", &Tally::count);
    d.onWebSocket(&Tally::talk);
    d.onRequest(&Tally::stream);
  }
  std::int64_t add(Context& c) {
    c.execute("INSERT INTO tally DEFAULT VALUES");
    const std::int64_t now = count(c);
    c.broadcast("count", now);
    return now;
  }
  std::int64_t count(Context& c) { return c.queryOne<std::int64_t>("SELECT count(*) FROM tally"); }
  void talk(Context& c, WebSocket& socket) {
    socket.accept();
    while (const auto message = socket.receive()) socket.sendJson(add(c));
  }
  void stream(Context& c, const HttpRequest&, HttpStream& stream) {
    EventStream events(stream);
    events.send({.data = "first"});
    c.sleepFor(1h);
  }
};

const std::string kAdd = "/actors/tally/a/actions/add";
const std::string kCount = "/actors/tally/a/actions/count";
const std::string kConnect = "/actors/tally/a/connect";
const std::string kRaw = "/actors/tally/a/request";

class StoreFaultTest : public ::testing::Test {
 protected:
  void serve(const std::function<void(LiveServer&)>& body) {
    LiveServer server;
    server.databases().commitRetry = 20ms;
    server.add<Tally>("tally");
    server.serve([&] { body(server); });
  }
  /// From now on every write, and every open, fails; until resume().
  static void stop(LiveServer& server) {
    const Error stopped{ErrorCode::Unavailable, "the store is away"};
    server.onLoop([&] {
      server.store().beforeWrite = [stopped](const auto&) -> Status { return stopped; };
      server.store().beforeOpen = [stopped](const auto&) -> Status { return stopped; };
    });
  }
  static void resume(LiveServer& server) {
    server.onLoop([&] { server.store().forgetHooks(); });
  }
  static HttpClient::Response post(LiveServer& server, const std::string& path) {
    return HttpClient(server.port()).ask(Verb::post, path, {}, "[]");
  }
  static Json failureIn(const HttpClient::Response& response) {
    return Json::parse(response.body());
  }
};

TEST_F(StoreFaultTest, while_a_store_is_away_who_writes_hears_it_over_http_and_later_all_is_well) {
  serve([](LiveServer& server) {
    EXPECT_EQ(post(server, kAdd).body(), "1");
    stop(server);
    // It ran, so that it is not said that it can just be repeated.
    const auto lost = post(server, kAdd);
    EXPECT_EQ(lost.result_int(), 503u);
    EXPECT_EQ(failureIn(lost)["code"], "broken");
    EXPECT_EQ(lost["Retry-After"], "");
    for (const char* path : {"/actors/tally/a/actions/count", "/actors/tally/new/actions/count"}) {
      const auto asleep = post(server, path);
      EXPECT_EQ(asleep.result_int(), 503u) << path;
      EXPECT_EQ(failureIn(asleep)["code"], "unavailable");
      EXPECT_EQ(asleep["Retry-After"], "1");
    }
    EXPECT_EQ(HttpClient(server.port()).ask(Verb::get, "/health").result_int(), 200u);
    resume(server);
    EXPECT_EQ(post(server, kCount).body(), "1");
    EXPECT_EQ(post(server, kAdd).body(), "2");
  });
}

TEST_F(StoreFaultTest, while_a_store_is_away_sockets_are_told_to_come_back_and_may) {
  serve([](LiveServer& server) {
    BeastClient caller(server.port(), kConnect);
    caller.connect({{"subscribe", {"count"}}});
    BeastClient listener(server.port(), kConnect);
    listener.connect({{"subscribe", {"count"}}});
    RawClient raw(server.port(), kRaw);
    raw.write(RawClient::text("add"));
    EXPECT_EQ(raw.readFrame().payload, "1");
    EXPECT_EQ(caller.receive()["value"], 1);
    EXPECT_EQ(listener.receive()["value"], 1);
    stop(server);
    const Json lost = caller.call(1, "add");
    EXPECT_EQ(lost["type"], "error");
    EXPECT_EQ(lost["error"]["code"], "broken");
    EXPECT_THAT(caller.receiveClose(), StartsWith("1013 actor."));
    const Json reason = listener.receive();
    EXPECT_EQ(reason["type"], "error");  // and not an event that never was
    EXPECT_EQ(reason["retry"], true);
    EXPECT_THAT(listener.receiveClose(), StartsWith("1013 actor."));
    EXPECT_THAT(raw.readClose(), StartsWith("1013 actor."));
    BeastClient early(server.port(), kConnect);
    EXPECT_EQ(early.connect()["retry"], true);
    EXPECT_THAT(early.receiveClose(), StartsWith("1013 actor.unavailable"));
    EXPECT_THAT(RawClient(server.port(), kRaw).head(), StartsWith("HTTP/1.1 503 "));
    resume(server);
    BeastClient again(server.port(), kConnect);
    EXPECT_EQ(again.connect()["type"], "connected");
    EXPECT_EQ(again.call(1, "add")["result"], 2);
    RawClient rawAgain(server.port(), kRaw);
    rawAgain.write(RawClient::text("add"));
    EXPECT_EQ(rawAgain.readFrame().payload, "3");
  });
}

TEST_F(StoreFaultTest,
       a_raw_socket_that_writes_into_a_store_that_is_away_gets_no_answer_but_its_end) {
  serve([](LiveServer& server) {
    RawClient raw(server.port(), kRaw);
    stop(server);
    raw.write(RawClient::text("add"));
    const RawClient::Frame frame = raw.readFrame();
    EXPECT_EQ(frame.first, 0x88);
    EXPECT_THAT(frame.payload.substr(2), StartsWith("actor."));
    resume(server);
    EXPECT_EQ(post(server, kCount).body(), "0");
  });
}

TEST_F(StoreFaultTest, a_stream_ends_without_its_last_chunk_when_its_actor_is_lost) {
  serve([](LiveServer& server) {
    RawClient stream(server.port());
    stream.write("GET " + kRaw + " HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_THAT(stream.readUntil("data: first\n\n"), HasSubstr("chunked"));
    stop(server);
    EXPECT_EQ(post(server, kAdd).result_int(), 503u);
    EXPECT_EQ(stream.readAll().find("0\r\n\r\n"), std::string::npos);
    resume(server);
    EXPECT_EQ(post(server, kAdd).body(), "1");
  });
}

TEST_F(StoreFaultTest, a_slow_store_holds_back_answers_and_events_and_nobody_else) {
  serve([](LiveServer& server) {
    BeastClient listener(server.port(), kConnect);
    listener.connect({{"subscribe", {"count"}}});
    std::atomic<bool> isHeld = false;
    std::atomic<bool> mayWrite = false;
    server.onLoop([&] {
      server.store().beforeWrite = [&](const auto&) -> Status {
        isHeld = true;
        while (!mayWrite) fiber::sleepFor(1ms);
        return {};
      };
    });
    std::atomic<int> answered = 0;
    std::vector<std::thread> writers;
    for (int i = 0; i < 8; ++i) {
      writers.emplace_back([&] {
        EXPECT_EQ(post(server, kAdd).result_int(), 200u);
        EXPECT_TRUE(mayWrite);
        ++answered;
      });
    }
    while (!isHeld) std::this_thread::yield();
    // What needs no writes goes on, of the gateway and of other clients.
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(HttpClient(server.port()).ask(Verb::get, "/health").result_int(), 200u);
    }
    EXPECT_EQ(answered, 0);
    mayWrite = true;
    for (std::thread& each : writers) each.join();
    for (int i = 1; i <= 8; ++i) EXPECT_EQ(listener.receive()["value"], i);
    EXPECT_EQ(post(server, kCount).body(), "8");
  });
}

TEST_F(StoreFaultTest, one_commit_that_fails_loses_what_it_wrote_and_nothing_that_was_told) {
  for (const ErrorCode code : {ErrorCode::Fenced, ErrorCode::Unavailable, ErrorCode::UnknownOutcome,
                               ErrorCode::StoreFull}) {
    for (const bool wasApplied : {false, true}) {
      if (wasApplied && code != ErrorCode::UnknownOutcome) continue;
      SCOPED_TRACE(std::string(errorCodeName(code)) + (wasApplied ? ", applied" : ""));
      serve([&](LiveServer& server) {
        EXPECT_EQ(post(server, kAdd).body(), "1");
        bool fires = true;
        server.onLoop([&] {
          auto& hook = wasApplied ? server.store().afterWrite : server.store().beforeWrite;
          hook = [&](const store::DatabaseWrite& write) -> Status {
            if (!write.commit || !std::exchange(fires, false)) return {};
            return Error{code, "as the test asked"};
          };
        });
        int told = 1;
        for (int i = 0; i < 5; ++i) {
          const auto response = post(server, kAdd);
          if (response.result_int() != 200u) {
            EXPECT_THAT(response.result_int(), AnyOf(503u, 507u));
            EXPECT_EQ(failureIn(response)["group"], "actor");
          } else {
            EXPECT_EQ(response.body(), std::to_string(++told));
          }
        }
        EXPECT_FALSE(fires);
        EXPECT_EQ(post(server, kCount).body(), std::to_string(told));
      });
    }
  }
}

}  // namespace
}  // namespace skep::testing
