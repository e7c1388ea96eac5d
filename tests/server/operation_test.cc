// What whoever runs a server sees of it: its log, /ready, and what /metrics has counted after known work.

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <thread>

#include "serve_fixture.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "websocket_client.h"

namespace skep {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::HttpClient;
using ::testing::Not;
using Json = nlohmann::json;
namespace http = boost::beast::http;

class OperationTest : public ServeTest {
 protected:
  void serve(Arguments more = {}, const std::string& store = "memory:") {
    Arguments arguments = {SKEP_WAITING_SERVER, "--store", store, "--listen", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    startWith(arguments, logFile_);
  }
  std::string log() const {
    std::ostringstream text;
    text << std::ifstream(logFile_).rdbuf();
    return text.str();
  }
  /// Each line has to be JSON.
  std::vector<Json> logLines() const {
    std::vector<Json> lines;
    std::istringstream text(log());
    for (std::string line; std::getline(text, line);) {
      lines.push_back(Json::parse(line, nullptr, false));
      EXPECT_TRUE(lines.back().is_object()) << line;
    }
    return lines;
  }
  std::vector<Json> linesWith(const std::string& message) const {
    std::vector<Json> found;
    for (const Json& line : logLines()) {
      if (line.value("message", "") == message) found.push_back(line);
    }
    return found;
  }
  unsigned ready() {
    HttpClient client(port_);
    client.ask(http::verb::get, "/ready");
    return client.status;
  }
  /// The value of "name" or "name{label}"; -1: it is not there.
  double metric(const std::string& name) {
    HttpClient client(port_);
    const std::string all = "\n" + client.ask(http::verb::get, "/metrics");
    const std::size_t at = all.find("\n" + name + " ");
    return at == all.npos ? -1 : std::stod(all.substr(at + name.size() + 2));
  }

  const std::string logFile_ = directory_ / "log";
};

// ---- The log

TEST_F(OperationTest, each_line_of_the_log_is_an_object_with_time_level_component_and_message) {
  serve({"--log-format", "json", "--log-level", "debug"});
  HttpClient client(port_);
  client.call("waiting/a", "fail");
  client.call("waiting/a", "count");
  client.ask(http::verb::get, "/nowhere?secret=1");
  stop();
  const std::vector<Json> lines = logLines();
  EXPECT_GE(lines.size(), 5u);
  const std::regex time(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)");
  for (const Json& line : lines) {
    EXPECT_TRUE(std::regex_match(line.value("time", ""), time)) << line;
    EXPECT_THAT(line.value("level", ""), ::testing::AnyOf("debug", "info", "warn", "error"));
    EXPECT_NE(line.value("component", ""), "") << line;
    EXPECT_NE(line.value("message", ""), "") << line;
  }
  const std::vector<Json> requests = linesWith("request");
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[1].value("path", ""), "/actors/waiting/a/actions/count");
  EXPECT_EQ(requests[1].value("status", 0), 200);
  EXPECT_EQ(requests[1].value("request", "").size(), 16u);
  EXPECT_EQ(requests[2].value("status", 0), 404);
  EXPECT_THAT(log(), Not(HasSubstr("secret=1")));
}

TEST_F(OperationTest, what_is_masked_is_logged_under_the_id_that_the_caller_gets) {
  serve({"--log-format", "json"});
  HttpClient client(port_);
  const std::string named = client.ask(http::verb::post, "/actors/waiting/a/actions/fail", "[]",
                                       {{"X-Request-Id", "my-own-name"}});
  EXPECT_EQ(client.status, 500u);
  EXPECT_THAT(Json::parse(named).value("message", ""), EndsWith(" under my-own-name"));
  EXPECT_THAT(named, Not(HasSubstr("secret")));
  EXPECT_EQ(client.requestId, "my-own-name");

  const std::string other = client.call("waiting/a", "fail");
  EXPECT_THAT(Json::parse(other).value("message", ""), EndsWith(" under " + client.requestId));
  const std::string otherId = client.requestId;
  // Also where the actor asks another.
  client.ask(http::verb::post, "/actors/waiting/a/actions/failElsewhere", "[]",
             {{"X-Request-Id", "from-outside"}});
  stop();
  const std::vector<Json> lines = linesWith("the actor's code threw");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].value("request", ""), "my-own-name");
  EXPECT_EQ(lines[0].value("actor", ""), R"(waiting["a"])");
  EXPECT_EQ(lines[0].value("level", ""), "error");
  EXPECT_EQ(lines[0].value("error", ""), "its secret\nis out");
  EXPECT_EQ(lines[1].value("request", ""), otherId);
  EXPECT_EQ(lines[2].value("request", ""), "from-outside");
  EXPECT_EQ(lines[2].value("actor", ""), R"(waiting["elsewhere"])");
}

TEST_F(OperationTest, what_is_masked_over_a_websocket_is_logged_under_its_connection) {
  serve({"--log-format", "json"});
  testing::BeastClient client(port_, "/actors/waiting/a/connect");
  const std::string id = client.connect().value("connection", "");
  EXPECT_NE(id, "");
  const Json failed = client.call(1, "fail");
  EXPECT_THAT(failed.dump(), HasSubstr(" under " + id)) << failed;
  client.close();
  stop();
  const std::vector<Json> lines = linesWith("the actor's code threw");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].value("connection", ""), id);
}

TEST_F(OperationTest, people_get_text) {
  serve();
  HttpClient client(port_);
  client.call("waiting/a", "fail");
  const std::string id = client.requestId;
  stop();
  EXPECT_THAT(
      log(),
      HasSubstr(" error actor: the actor's code threw actor=\"waiting[\\\"a\\\"]\" request=" + id +
                " error=\"its secret is out\"\n"));
  EXPECT_THAT(log(), HasSubstr(" info server: shutting down\n"));
}

// ---- Whether it is ready

TEST_F(OperationTest, who_is_told_to_end_is_not_ready_and_serves_on_while_it_gives_notice) {
  serve({"--notice-seconds", "600"});
  EXPECT_EQ(ready(), 200u);
  HttpClient before(port_);
  EXPECT_EQ(before.call("waiting/a", "count"), "0");
  ::kill(server_->pid(), SIGTERM);
  while (ready() == 200) std::this_thread::yield();
  EXPECT_EQ(ready(), 503u);
  EXPECT_EQ(before.call("waiting/a", "count"), "0");
  HttpClient later(port_);
  EXPECT_EQ(later.call("waiting/b", "count"), "0");
  EXPECT_EQ(later.ask(http::verb::get, "/health"), R"({"status":"ok"})");
  stop();  // the second signal
}

TEST_F(OperationTest, a_server_whose_store_does_not_answer_is_not_ready_until_it_does) {
  testing::PostgresServer store;
  serve({}, store.url());
  EXPECT_EQ(ready(), 200u);
  store.stop(testing::PostgresServer::Stop::Immediate);
  EXPECT_EQ(ready(), 503u);
  HttpClient client(port_);
  EXPECT_EQ(client.ask(http::verb::get, "/health"), R"({"status":"ok"})");
  // The store's own patience is longer than that of who asks whether the server is ready.
  while (metric("skep_store_errors_total{call=\"list\",error=\"unavailable\"}") < 1) {
    std::this_thread::yield();
  }
  store.start();
  while (ready() != 200) std::this_thread::yield();
  EXPECT_EQ(client.call("waiting/a", "count"), "0");
  stop();
}

// ---- Many at once

TEST_F(OperationTest, ten_thousand_connections_in_a_burst_are_all_answered) {
  rlimit descriptors{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &descriptors), 0);
  const std::size_t count = std::min<std::size_t>(10'000, descriptors.rlim_cur - 200);
  std::printf("%zu connections\n", count);
  serve();
  boost::asio::io_context context;
  const boost::asio::ip::tcp::endpoint endpoint(boost::asio::ip::make_address("127.0.0.1"), port_);
  const std::string request =
      "POST /actors/waiting/a/actions/count HTTP/1.1\r\nHost: localhost\r\n\r\n";
  std::vector<boost::asio::ip::tcp::socket> sockets;
  for (std::size_t i = 0; i < count; ++i) {
    sockets.emplace_back(context).connect(endpoint);
    boost::asio::write(sockets.back(), boost::asio::buffer(request));
  }
  HttpClient other(port_);
  EXPECT_EQ(other.call("waiting/b", "count"), "0");
  for (auto& each : sockets) {
    std::string status(12, ' ');
    boost::asio::read(each, boost::asio::buffer(status));
    ASSERT_EQ(status, "HTTP/1.1 200");
  }
  while (metric("skep_connections") < static_cast<double>(count)) std::this_thread::yield();
  sockets.clear();
  EXPECT_EQ(metric("skep_actions_total"), static_cast<double>(count + 1));
  stop();
}

// ---- What it has counted

TEST_F(OperationTest, metrics_tell_what_was_done) {
  const std::string token = writeFile("token", "the-admins-own-token");
  serve({"--admin-token-file", token});
  HttpClient client(port_);
  const double commitsBefore = metric("skep_commits_total");
  for (int i = 0; i < 5; ++i) client.call("waiting/a", "note", R"(["x"])");
  client.call("waiting/b", "count");
  client.call("waiting/b", "fail");
  client.ask(http::verb::post, "/admin/sleep/waiting/a", "",
             {{"Authorization", "Bearer the-admins-own-token"}});
  EXPECT_EQ(client.status, 200u);
  EXPECT_EQ(metric("skep_actors_awake"), 1);
  client.call("waiting/a", "note", R"(["x"])");

  EXPECT_EQ(metric("skep_actions_total"), 8);
  EXPECT_EQ(metric("skep_actions_failed_total"), 1);
  EXPECT_EQ(metric("skep_action_seconds_count"), 8);
  EXPECT_EQ(metric("skep_actor_creations_total"), 2);
  EXPECT_EQ(metric("skep_actor_wakes_total"), 3);
  EXPECT_EQ(metric("skep_actor_wake_seconds_count"), 3);
  EXPECT_EQ(metric("skep_actors_awake"), 2);
  EXPECT_EQ(metric("skep_actor_broken_total"), 0);
  // Each note, and the creation of b; that of a may share a commit with the first note.
  EXPECT_GE(metric("skep_commits_total") - commitsBefore, 7);
  EXPECT_LE(metric("skep_commits_total") - commitsBefore, 10);
  EXPECT_EQ(metric("skep_commits_failed_total"), 0);
  EXPECT_EQ(metric("skep_store_seconds_count{call=\"write\"}"),
            metric("skep_commit_batches_total"));
  EXPECT_EQ(metric("skep_store_seconds_count{call=\"open\"}"), 3);
}

TEST_F(OperationTest, metrics_tell_who_is_connected) {
  serve();
  const double requests = metric("skep_http_requests_total");
  {
    testing::BeastClient socket(port_, "/actors/waiting/a/connect");
    socket.connect();
    for (int i = 1; i <= 3; ++i) EXPECT_EQ(socket.call(i, "count")["result"], 0);
    EXPECT_EQ(metric("skep_http_requests_total"), requests + 2) << "with that of the opening";
    EXPECT_EQ(metric("skep_websockets"), 1);
    EXPECT_EQ(metric("skep_websocket_messages_total"), 4);
    // The one that asks; those that asked before have to be gone.
    while (metric("skep_connections") != 1) std::this_thread::yield();
    socket.close();
  }
  while (metric("skep_websockets") != 0) std::this_thread::yield();
  EXPECT_EQ(metric("skep_actions_total"), 3);
}

}  // namespace
}  // namespace skep
