// Messages for queues over HTTP.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "http_client.h"
#include "live_server.h"

namespace skep::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;
using Verb = HttpClient::Verb;

struct Job {
  std::string name;
};

struct Shop : Actor {
  static void define(Definition<Shop>& d) {
    d.migration(1, "CREATE TABLE done(name TEXT NOT NULL)");
    d.queue("jobs", &Shop::job, {.messagesMax = 2});
    d.queue<Job>("unread", {.messagesMax = 2});
    d.action("done", &Shop::done);
  }
  std::vector<std::string> done(Context& c) {
    return c.query<std::string>("SELECT name FROM done");
  }
  std::string job(Context& c, Job job) {
    c.execute("INSERT INTO done VALUES (?)", job.name);
    return "did " + job.name;
  }
};

constexpr const char* kJobs = "/actors/shop/a/queues/jobs";
constexpr const char* kUnread = "/actors/shop/a/queues/unread";

void serve(const std::function<void(HttpClient& client)>& body) {
  LiveServer server;
  server.add<Shop>("shop");
  server.serve([&] {
    HttpClient client(server.port());
    body(client);
  });
}

TEST(QueueRouteTest, a_message_is_a_post_and_its_reply_can_be_waited_for) {
  serve([](HttpClient& client) {
    const auto sent = client.ask(Verb::post, kJobs, {}, R"({"name":"first"})");
    EXPECT_EQ(sent.result_int(), 200u);
    EXPECT_EQ(sent.body(), R"({"id":1})");
    const auto waited =
        client.ask(Verb::post, std::string(kJobs) + "?wait=true", {}, R"({"name":"x"})");
    EXPECT_EQ(waited.body(), R"({"id":2,"reply":"did x"})");
    EXPECT_EQ(client.ask(Verb::post, "/actors/shop/a/actions/done").body(), R"(["first","x"])");
  });
}

TEST(QueueRouteTest, cbor_comes_and_goes) {
  serve([](HttpClient& client) {
    std::string body;
    Json::to_cbor({{"name", "c"}}, body);
    const auto sent = client.ask(Verb::post, std::string(kJobs) + "?wait=5000",
                                 {{"Content-Type", "application/cbor"}}, body);
    EXPECT_EQ(sent["Content-Type"], "application/cbor");
    EXPECT_EQ(Json::from_cbor(sent.body()).dump(), R"({"id":1,"reply":"did c"})");
  });
}

TEST(QueueRouteTest, a_message_that_nobody_handles_in_time_stays_in_its_queue) {
  serve([](HttpClient& client) {
    const auto late =
        client.ask(Verb::post, std::string(kUnread) + "?wait=1", {}, R"({"name":"x"})");
    EXPECT_EQ(late.result_int(), 504u);
    EXPECT_THAT(late.body(), HasSubstr("reply_timed_out"));
    client.ask(Verb::post, std::string(kUnread) + "?delay=100000", {}, R"({"name":"y"})");
    const auto full = client.ask(Verb::post, kUnread, {}, R"({"name":"z"})");
    EXPECT_EQ(full.result_int(), 429u);
    EXPECT_EQ(full["Retry-After"], "1");
  });
}

TEST(QueueRouteTest, what_is_wrong_is_said) {
  serve([](HttpClient& client) {
    const auto status = [&](Verb verb, const std::string& path, const std::string& body = "{}") {
      return client.ask(verb, path, {}, body).result_int();
    };
    EXPECT_EQ(status(Verb::get, kJobs), 405u);
    EXPECT_EQ(status(Verb::post, kJobs, R"({"nam":"x"})"), 400u);
    EXPECT_EQ(status(Verb::post, kJobs, ""), 400u);
    EXPECT_EQ(status(Verb::post, "/actors/shop/a/queues/none"), 404u);
    EXPECT_EQ(status(Verb::post, "/actors/shop/a/queues"), 404u);
    EXPECT_EQ(status(Verb::post, std::string(kJobs) + "/more"), 404u);
    EXPECT_EQ(status(Verb::post, "/actors/shop/b/queues/jobs?existence=get"), 404u);
    for (const char* query : {"?delay=-1", "?delay=x", "?delay=", "?wait=yes", "?wait=99999999999",
                              "?delay=18446744073709551616"}) {
      EXPECT_EQ(status(Verb::post, kJobs + std::string(query)), 400u) << query;
    }
    EXPECT_EQ(
        client
            .ask(Verb::post, "/actors/shop/%71ueues/x/queues/jobs?wait=true", {}, R"({"name":"k"})")
            .body(),
        R"({"id":1,"reply":"did k"})");
  });
}

}  // namespace
}  // namespace skep::testing
