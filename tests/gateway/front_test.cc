// What stands before the actors: whose pages may ask, how much a client may take, names of requests.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>
#include <vector>

#include "http_client.h"
#include "live_server.h"
#include "skep/gateway/client_limits.h"
#include "skep/gateway/origin_rules.h"
#include "skep/gateway/static_files.h"
#include "skep/testing/temp_directory.h"
#include "websocket_client.h"

namespace skep::testing {
namespace {

using gateway::ClientLimitOptions;
using gateway::ClientLimits;
using gateway::OriginRules;
using ::testing::HasSubstr;
using Hosts = OriginRules::Hosts;
using Verb = HttpClient::Verb;

boost::asio::ip::address ip(const char* text) {
  return boost::asio::ip::make_address(text);
}

struct Echo : Actor {
  static void define(Definition<Echo>& d) {
    d.action("echo", &Echo::echo);
    d.action("wait", &Echo::wait);
  }
  std::string echo(Context&, std::string text) { return text; }
  void wait(Context& c) { c.sleepFor(std::chrono::milliseconds(200)); }
};

constexpr const char* kEcho = "/actors/echo/a/actions/echo";
constexpr const char* kWait = "/actors/echo/a/actions/wait";

/// Runs `body` against a server with the actor type "echo".
void serveEcho(gateway::ServerOptions options,
               const std::function<void(LiveServer& server)>& body) {
  LiveServer server(std::move(options));
  server.add<Echo>("echo");
  server.serve([&] { body(server); });
}

// ---- Origins and hosts

TEST(OriginRulesTest, own_pages_and_listed_ones_are_let_in) {
  const OriginRules rules({"https://app.example.org", "https://*.friends.example",
                           "http://dev.example:*", "https://odd.example:8443"},
                          Hosts::Any);
  EXPECT_TRUE(rules.allowsOrigin("https://skep.example", "skep.example"));
  EXPECT_TRUE(rules.allowsOrigin("http://Skep.Example:6420", "skep.example:6420"));
  EXPECT_FALSE(rules.allowsOrigin("http://skep.example", "skep.example:6420"));
  EXPECT_TRUE(rules.allowsOrigin("https://APP.example.org", "x"));
  EXPECT_FALSE(rules.allowsOrigin("http://app.example.org", "x"));
  EXPECT_FALSE(rules.allowsOrigin("https://app.example.org:444", "x"));
  EXPECT_FALSE(rules.allowsOrigin("https://app.example.org.evil.example", "x"));
  EXPECT_TRUE(rules.allowsOrigin("https://a.friends.example", "x"));
  EXPECT_TRUE(rules.allowsOrigin("https://a.b.friends.example", "x"));
  EXPECT_FALSE(rules.allowsOrigin("https://friends.example", "x"));
  EXPECT_FALSE(rules.allowsOrigin("https://evilfriends.example", "x"));
  EXPECT_TRUE(rules.allowsOrigin("http://dev.example:5173", "x"));
  EXPECT_TRUE(rules.allowsOrigin("http://dev.example", "x"));
  EXPECT_TRUE(rules.allowsOrigin("https://odd.example:8443", "x"));
  EXPECT_FALSE(rules.allowsOrigin("https://odd.example", "x"));
  for (const char* none : {"null", "", "://", "file://", "app.example.org"}) {
    EXPECT_FALSE(rules.allowsOrigin(none, "x")) << none;
    EXPECT_FALSE(rules.allowsOrigin(none, "")) << none;
  }
}

TEST(OriginRulesTest, loopback_means_pages_of_this_machine) {
  const OriginRules rules({"loopback"}, Hosts::Any);
  for (const char* own : {"http://localhost:5173", "https://localhost", "http://127.0.0.1:80",
                          "http://127.8.9.1", "http://[::1]:3000", "http://app.localhost"}) {
    EXPECT_TRUE(rules.allowsOrigin(own, "x")) << own;
  }
  for (const char* other : {"http://localhost.evil.example", "http://128.0.0.1", "http://[::2]",
                            "http://evil.example"}) {
    EXPECT_FALSE(rules.allowsOrigin(other, "x")) << other;
  }
  EXPECT_TRUE(OriginRules({"*"}, Hosts::OfThisMachine).allowsOrigin("null", "x"));
}

TEST(OriginRulesTest, a_server_of_this_machine_answers_to_its_own_names_only) {
  const OriginRules rules({"https://skep.example", "https://*.friends.example"},
                          Hosts::OfThisMachine);
  for (const char* own : {"", "localhost", "localhost:6420", "127.0.0.1:6420", "[::1]:6420",
                          "skep.example", "skep.example:443", "a.friends.example"}) {
    EXPECT_TRUE(rules.allowsHost(own)) << own;
  }
  for (const char* other : {"evil.example", "evil.example:6420", "10.0.0.1", "friends.example"}) {
    EXPECT_FALSE(rules.allowsHost(other)) << other;
  }
  EXPECT_TRUE(OriginRules({}, Hosts::Any).allowsHost("evil.example"));
}

TEST(FrontTest, pages_of_other_sites_cannot_send_requests) {
  serveEcho({.allowedOrigins = {"https://friend.example"}}, [](LiveServer& server) {
    HttpClient client(server.port());
    const auto from = [&](const std::string& origin) {
      return client.ask(Verb::post, kEcho, {{"Origin", origin}}, R"(["hi"])");
    };
    const auto friendly = from("https://friend.example");
    EXPECT_EQ(friendly.result_int(), 200u);
    EXPECT_EQ(friendly["Access-Control-Allow-Origin"], "https://friend.example");
    EXPECT_EQ(friendly["Vary"], "Origin");
    EXPECT_THAT(std::string(friendly["Access-Control-Expose-Headers"]), HasSubstr("X-Request-Id"));
    EXPECT_EQ(from("http://localhost").result_int(), 200u);
    const auto evil = from("https://evil.example");
    EXPECT_EQ(evil.result_int(), 403u);
    EXPECT_EQ(evil.count("Access-Control-Allow-Origin"), 0u);
    EXPECT_THAT(evil.body(), HasSubstr("\"forbidden\""));
    // Errors can be read by the pages that are let in.
    const auto wrong = client.ask(Verb::post, "/actors/echo/a/actions/no",
                                  {{"Origin", "https://friend.example"}}, "[]");
    EXPECT_EQ(wrong.result_int(), 404u);
    EXPECT_EQ(wrong["Access-Control-Allow-Origin"], "https://friend.example");
  });
}

TEST(FrontTest, browsers_may_ask_first_what_a_page_can_send) {
  serveEcho({.allowedOrigins = {"https://friend.example"}}, [](LiveServer& server) {
    HttpClient client(server.port());
    const HttpClient::Fields asks = {{"Access-Control-Request-Method", "POST"},
                                     {"Access-Control-Request-Headers", "authorization,x-a"},
                                     {"Origin", "https://friend.example"}};
    const auto allowed = client.ask(Verb::options, kEcho, asks);
    EXPECT_EQ(allowed.result_int(), 204u);
    EXPECT_EQ(allowed["Access-Control-Allow-Origin"], "https://friend.example");
    EXPECT_EQ(allowed["Access-Control-Allow-Headers"], "authorization,x-a");
    EXPECT_THAT(std::string(allowed["Access-Control-Allow-Methods"]), HasSubstr("POST"));
    HttpClient::Fields evil = asks;
    evil["Origin"] = "https://evil.example";
    EXPECT_EQ(client.ask(Verb::options, kEcho, evil).result_int(), 403u);
  });
}

TEST(FrontTest, a_page_that_names_itself_after_this_machine_gets_nothing) {
  serveEcho({.hosts = Hosts::OfThisMachine}, [](LiveServer& server) {
    HttpClient client(server.port());
    const HttpClient::Fields rebound = {{"Host", "evil.example:6420"},
                                        {"Origin", "http://evil.example:6420"}};
    EXPECT_EQ(client.ask(Verb::post, kEcho, rebound, R"(["hi"])").result_int(), 403u);
    EXPECT_EQ(client.ask(Verb::get, "/metrics", {{"Host", "evil.example"}}).result_int(), 403u);
    EXPECT_EQ(client.ask(Verb::post, kEcho, {}, R"(["hi"])").result_int(), 200u);
  });
}

// ---- Names of requests

TEST(FrontTest, each_response_names_its_request_and_the_time) {
  serveEcho({}, [](LiveServer& server) {
    HttpClient client(server.port());
    const auto id = [&](const std::string& given) {
      const HttpClient::Fields fields =
          given.empty() ? HttpClient::Fields{} : HttpClient::Fields{{"X-Request-Id", given}};
      return std::string(client.ask(Verb::post, kEcho, fields, R"(["hi"])")["X-Request-Id"]);
    };
    EXPECT_EQ(id("trace-1.2"), "trace-1.2");
    const std::string made = id("");
    EXPECT_EQ(made.size(), 16u);
    EXPECT_NE(id(""), made);
    for (const std::string bad : {"two words", "a\"b", "\xc3\xa4"}) {
      EXPECT_EQ(id(bad).size(), 16u) << bad;
    }
    EXPECT_EQ(id(std::string(129, 'x')).size(), 16u);
    const auto lost = client.ask(Verb::get, "/nothing");
    EXPECT_EQ(lost["X-Request-Id"].size(), 16u);
    EXPECT_THAT(std::string(lost["Date"]),
                ::testing::MatchesRegex(
                    "[A-Z][a-z][a-z], [0-9][0-9] [A-Z][a-z][a-z] 20[0-9][0-9] [0-9:]+ GMT"));
  });
}

// ---- Pages

TEST(FrontTest, a_page_that_the_browser_has_is_not_sent_again) {
  TempDirectory directory;
  std::ofstream(directory / "index.html") << "<h1>hello</h1>";
  serveEcho({.pages = directory.path()}, [](LiveServer& server) {
    HttpClient client(server.port());
    const auto page = client.ask(Verb::get, "/");
    EXPECT_EQ(page.result_int(), 200u);
    EXPECT_EQ(page.body(), "<h1>hello</h1>");
    EXPECT_EQ(page["Content-Type"], "text/html; charset=utf-8");
    const auto again = client.ask(Verb::get, "/", {{"If-None-Match", std::string(page["ETag"])}});
    EXPECT_EQ(again.result_int(), 304u);
    EXPECT_EQ(again.body(), "");
    EXPECT_EQ(client.ask(Verb::get, "/", {{"If-None-Match", "\"old\""}}).result_int(), 200u);
  });
}

TEST(FrontTest, a_directory_of_pages_that_cannot_be_read_is_refused_at_the_start) {
  EXPECT_FALSE(gateway::StaticFiles::load("/nonexistent").ok());
}

// ---- Limits

TEST(ClientLimitsTest, a_client_behind_proxies_is_the_first_that_is_none) {
  const ClientLimitOptions options{.trustedProxies = {"10.0.0.0/8", "192.0.2.7", "fd00::/8"}};
  ASSERT_TRUE(ClientLimits::checkProxies(options.trustedProxies).ok());
  ClientLimits limits(options);
  const auto client = [&](const char* peer, const char* forwarded) {
    return limits.clientOf(ip(peer), forwarded, {});
  };
  const auto direct = client("203.0.113.5", "");
  EXPECT_EQ(client("203.0.113.5", "198.51.100.1"), direct) << "who is no proxy may say anything";
  EXPECT_EQ(client("10.1.2.3", "203.0.113.5"), direct);
  EXPECT_EQ(client("10.1.2.3", "6.6.6.6, 203.0.113.5"), direct) << "the left is hearsay";
  EXPECT_EQ(client("10.1.2.3", "203.0.113.5 ,192.0.2.7"), direct);
  EXPECT_EQ(client("fd00::1", "203.0.113.5"), direct);
  EXPECT_NE(client("192.0.2.8", "203.0.113.5"), direct);
  EXPECT_NE(client("10.1.2.3", ""), direct);
  EXPECT_NE(client("10.1.2.3", "nonsense"), direct);
  EXPECT_TRUE(limits.isProxy(ip("10.255.0.1")));
  EXPECT_FALSE(limits.isProxy(ip("11.0.0.1")));
}

TEST(ClientLimitsTest, what_is_no_network_is_refused) {
  for (const char* bad :
       {"", "ten", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129", "/8"}) {
    EXPECT_FALSE(ClientLimits::checkProxies({bad}).ok()) << bad;
  }
  EXPECT_TRUE(ClientLimits::checkProxies({"0.0.0.0/0", "::/0", "10.0.0.0/32"}).ok());
}

TEST(ClientLimitsTest, connections_count_until_they_are_let_go) {
  const ClientLimitOptions options{.connectionsMax = 2};
  ClientLimits limits(options);
  auto first = limits.open(ip("127.0.0.1"), "", {});
  const auto second = limits.open(ip("127.0.0.1"), "", {});
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(limits.open(ip("127.0.0.1"), "", {}), nullptr);
  EXPECT_NE(limits.open(ip("127.0.0.2"), "", {}), nullptr);
  first.reset();
  EXPECT_NE(limits.open(ip("127.0.0.1"), "", {}), nullptr);
}

TEST(ClientLimitsTest, requests_may_come_in_a_burst_and_then_at_the_rate) {
  const ClientLimitOptions options{.perSecondMax = 10};
  gateway::Client client(options);
  MonotonicTime now{1'000'000'000'000};
  const auto takes = [&] {
    int count = 0;
    while (count < 100 && client.tryBegin(now)) {
      client.end();
      ++count;
    }
    return count;
  };
  EXPECT_EQ(takes(), 10);
  now = now + std::chrono::milliseconds(250);
  EXPECT_EQ(takes(), 2);
  now = now + std::chrono::seconds(1000);
  EXPECT_EQ(takes(), 10) << "what was not used is not saved up";
}

TEST(ClientLimitsTest, so_many_requests_are_under_way_at_once) {
  const ClientLimitOptions options{.underWayMax = 2, .perSecondMax = 0};
  gateway::Client client(options);
  EXPECT_TRUE(client.tryBegin({}));
  EXPECT_TRUE(client.tryBegin({}));
  EXPECT_FALSE(client.tryBegin({}));
  client.end();
  EXPECT_TRUE(client.tryBegin({}));
}

TEST(FrontTest, who_asks_too_fast_is_told_when_to_come_back) {
  serveEcho({.clients = {.perSecondMax = 0.001}}, [](LiveServer& server) {
    EXPECT_EQ(HttpClient(server.port()).ask(Verb::post, kEcho, {}, R"(["hi"])").result_int(), 200u);
    HttpClient client(server.port());
    const auto refused = client.ask(Verb::post, kEcho, {}, R"(["hi"])");
    EXPECT_EQ(refused.result_int(), 429u);
    EXPECT_THAT(refused.body(), HasSubstr("\"rate_limited\""));
    EXPECT_EQ(refused["Retry-After"], "1");
  });
}

TEST(FrontTest, who_asks_too_much_at_once_is_refused_and_others_are_served) {
  serveEcho({.clients = {.underWayMax = 1, .trustedProxies = {"127.0.0.1"}}},
            [](LiveServer& server) {
              const auto ask = [&](const char* path, const std::string& client) {
                return HttpClient(server.port())
                    .ask(Verb::post, path, {{"X-Forwarded-For", client}}, "[]")
                    .result_int();
              };
              unsigned first = 0;
              std::thread waiting([&] { first = ask(kWait, "192.0.2.1"); });
              while (server.stats().requests == 0) std::this_thread::yield();
              EXPECT_EQ(ask(kWait, "192.0.2.1"), 429u);
              EXPECT_EQ(ask(kWait, "192.0.2.2"), 200u);
              waiting.join();
              EXPECT_EQ(first, 200u);
            });
}

TEST(FrontTest, what_a_proxy_adds_in_a_line_of_its_own_counts_and_not_what_the_client_made_up) {
  serveEcho({.clients = {.perSecondMax = 0.001, .trustedProxies = {"127.0.0.1"}}},
            [](LiveServer& server) {
              const auto ask = [&](const std::string& forged) {
                HttpClient client(server.port());
                client.sendRaw(std::string("POST ") + kEcho + " HTTP/1.1\r\nHost: localhost\r\n" +
                               "X-Forwarded-For: " + forged + "\r\n" +
                               "X-Forwarded-For: 192.0.2.9\r\nContent-Length: 6\r\n\r\n[\"hi\"]");
                return client.receive().result_int();
              };
              EXPECT_EQ(ask("192.0.2.1"), 200u);
              EXPECT_EQ(ask("192.0.2.2"), 429u);
            });
}

TEST(FrontTest, a_client_with_too_many_connections_gets_no_more) {
  serveEcho({.clients = {.connectionsMax = 2}}, [](LiveServer& server) {
    HttpClient first(server.port());
    EXPECT_EQ(first.ask(Verb::post, kEcho, {}, R"(["hi"])").result_int(), 200u);
    {
      BeastClient second(server.port(), "/actors/echo/a/connect");
      EXPECT_TRUE(second.isOpen());
      EXPECT_TRUE(HttpClient(server.port()).isClosed());
      second.close();
    }
    while (server.stats().webSockets > 0) std::this_thread::yield();
    EXPECT_EQ(HttpClient(server.port()).ask(Verb::get, "/health").result_int(), 200u);
  });
}

TEST(FrontTest, opening_a_socket_and_its_calls_count_as_requests_do) {
  serveEcho({.clients = {.perSecondMax = 0.001}}, [](LiveServer& server) {
    BeastClient client(server.port(), "/actors/echo/a/connect");
    client.connect();
    const auto refused = client.call(2, "echo", {"hi"});
    EXPECT_EQ(refused["error"]["code"], "rate_limited");
    EXPECT_EQ(refused["retry"], true);
    EXPECT_EQ(refused["id"], 2);
    EXPECT_TRUE(client.isOpen());
    BeastClient another(server.port(), "/actors/echo/a/connect");
    EXPECT_FALSE(another.isOpen());
    EXPECT_EQ(another.status(), 429u);
  });
}

}  // namespace
}  // namespace skep::testing
