// Who may talk to a server: tokens of clients, over HTTP and WebSocket, and the admin's.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "http_client.h"
#include "live_server.h"
#include "skep/testing/temp_directory.h"
#include "skep/testing/tokens/token_maker.h"
#include "websocket_client.h"

namespace skep::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Verb = HttpClient::Verb;

struct Identity {
  std::string sub;
};

struct Desk : Actor {
  static void define(Definition<Desk>& d) {
    d.action("whoAmI", &Desk::whoAmI).action("crash", &Desk::crash);
    d.queue<std::string>("letters");
    d.onRequest(&Desk::answer);
    d.onWebSocket(&Desk::talk);
    d.onBeforeConnect(&Desk::admit);
  }
  void admit(Context&, const Visitor& visitor) {
    if (visitor.header("x-banned")) throw Forbidden("banned");
    if (visitor.hasClaims() && visitor.claims<Identity>().sub == "eve") throw Forbidden("not eve");
  }
  std::string whoAmI(Context& c) { return c.hasClaims() ? c.claims<Identity>().sub : "nobody"; }
  void crash(Context&) { throw std::runtime_error("the desk broke"); }
  void answer(Context& c, const HttpRequest& request, HttpStream& stream) {
    stream.begin(200, {});
    stream.write(whoAmI(c));
    // Events that never end.
    while (request.path() == "/events") {
      stream.write(".");
      c.sleepFor(std::chrono::milliseconds(5));
    }
  }
  void talk(Context& c, WebSocket& socket) {
    socket.accept(socket.offered().empty() ? "" : socket.offered().front());
    while (socket.receive()) {
      socket.sendText(whoAmI(c) + " offers " + std::to_string(socket.offered().size()));
    }
  }
};

constexpr const char* kAction = "/actors/desk/a/actions/whoAmI";
constexpr const char* kQueue = "/actors/desk/a/queues/letters";
constexpr const char* kRequest = "/actors/desk/a/request/";
constexpr const char* kConnect = "/actors/desk/a/connect";

class CredentialsTest : public ::testing::Test {
 protected:
  using Json = nlohmann::json;
  enum class Asks { ForTokens, Nobody };

  CredentialsTest() {
    std::ofstream(directory_ / "secret") << kTestSecret;
    const auto admin = access::SharedSecret::make("the-admins-own-token");
    EXPECT_TRUE(admin.ok());
    options_.adminToken = *admin;
  }
  void serve(Asks asks, const std::function<void(LiveServer&)>& body) {
    if (asks == Asks::ForTokens) {
      auto opened = access::TokenCheck::open(
          {.keys = {.secret = directory_ / "secret"}, .rules = {}}, tokenClock_);
      ASSERT_TRUE(opened.ok()) << opened.error().message;
      options_.tokens = *std::move(opened);
    }
    LiveServer server(options_);
    server.add<Desk>("desk");
    server.serve([&] { body(server); });
  }
  /// Good for a minute, by the clock of the check.
  std::string tokenOf(const std::string& name) {
    return makeToken({{"sub", name}, {"exp", tokenClock_.wallMs() / 1000 + 60}});
  }
  static HttpClient::Fields bearer(const std::string& token) {
    return {{"Authorization", "Bearer " + token}};
  }

  TempDirectory directory_;
  gateway::ServerOptions options_;
  ManualClock tokenClock_{SystemClock().wallMs()};
};

// ---- HTTP

TEST_F(CredentialsTest, a_call_with_a_good_token_knows_whose_it_is) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    HttpClient client(server.port());
    EXPECT_EQ(client.ask(Verb::post, kAction, bearer(tokenOf("ada"))).body(), "\"ada\"");
    EXPECT_EQ(client.ask(Verb::put, "/actors/desk/b", bearer(tokenOf("ada"))).result_int(), 201u);
  });
}

TEST_F(CredentialsTest, a_call_without_one_is_refused_and_told_how) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    HttpClient client(server.port());
    const auto refused = client.ask(Verb::post, kAction);
    EXPECT_EQ(refused.result_int(), 401u);
    EXPECT_THAT(refused.body(), AllOf(HasSubstr("\"access\""), HasSubstr("\"token_missing\"")));
    EXPECT_EQ(refused["WWW-Authenticate"], "Bearer realm=\"skep\"");
    EXPECT_EQ(client.ask(Verb::put, "/actors/desk/b").result_int(), 401u);
    EXPECT_EQ(client.ask(Verb::get, "/actors/desk/a").result_int(), 401u);
    EXPECT_EQ(client.ask(Verb::get, "/health").result_int(), 200u);
    EXPECT_EQ(
        client.ask(Verb::post, std::string(kAction) + "?token=" + tokenOf("ada")).result_int(),
        401u)
        << "URLs carry no secrets";
    EXPECT_EQ(server.host().stats().creations, 0u) << "nobody gets as far as an actor";
  });
}

TEST_F(CredentialsTest, a_bad_or_expired_token_says_so) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    HttpClient client(server.port());
    const auto bad = client.ask(Verb::post, kAction, bearer(tokenOf("ada") + "A"));
    EXPECT_EQ(bad.result_int(), 401u);
    EXPECT_THAT(bad.body(), HasSubstr("\"token_invalid\""));
    EXPECT_THAT(std::string(bad["WWW-Authenticate"]),
                StartsWith("Bearer realm=\"skep\", error=\"invalid_token\""));
    const auto old = client.ask(Verb::post, kAction, bearer(makeToken({{"exp", 1'000'000'000}})));
    EXPECT_THAT(old.body(), HasSubstr("\"token_expired\""));
    EXPECT_EQ(client.ask(Verb::post, kAction, {{"Authorization", "Basic YTpi"}}).result_int(),
              401u);
  });
}

TEST_F(CredentialsTest, messages_and_raw_requests_need_a_token_too_and_pass_the_gate) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    HttpClient client(server.port());
    EXPECT_EQ(client.ask(Verb::post, kQueue, {}, "\"x\"").result_int(), 401u);
    EXPECT_EQ(client.ask(Verb::get, kRequest).result_int(), 401u);
    EXPECT_EQ(server.host().stats().creations, 0u);
    const auto eve = bearer(tokenOf("eve"));
    EXPECT_EQ(client.ask(Verb::post, kQueue, eve, "\"x\"").result_int(), 403u);
    EXPECT_EQ(client.ask(Verb::get, kRequest, eve).result_int(), 403u);
    const auto ada = bearer(tokenOf("ada"));
    EXPECT_EQ(client.ask(Verb::post, kQueue, ada, "\"x\"").body(), R"({"id":1})");
    EXPECT_EQ(client.ask(Verb::get, kRequest, ada).body(), "ada");
  });
}

TEST_F(CredentialsTest, two_authorizations_are_one_too_many) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    HttpClient client(server.port());
    const std::string field = "Authorization: Bearer " + tokenOf("ada") + "\r\n";
    client.sendRaw(std::string("POST ") + kAction + " HTTP/1.1\r\nHost: localhost\r\n" + field +
                   field + "Content-Length: 0\r\n\r\n");
    EXPECT_EQ(client.receive().result_int(), 401u);
  });
}

TEST_F(CredentialsTest, the_actors_gate_decides_about_http_calls_too) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    HttpClient client(server.port());
    const auto eve = client.ask(Verb::post, kAction, bearer(tokenOf("eve")));
    EXPECT_EQ(eve.result_int(), 403u);
    EXPECT_THAT(eve.body(), HasSubstr("not eve"));
    auto banned = bearer(tokenOf("ada"));
    banned["X-Banned"] = "yes";
    EXPECT_EQ(client.ask(Verb::post, kAction, banned).result_int(), 403u);
  });
}

TEST_F(CredentialsTest, a_server_that_asks_nobody_believes_nobody) {
  serve(Asks::Nobody, [&](LiveServer& server) {
    HttpClient client(server.port());
    EXPECT_EQ(client.ask(Verb::post, kAction).body(), "\"nobody\"");
    EXPECT_EQ(client.ask(Verb::post, kAction, bearer(tokenOf("ada"))).body(), "\"nobody\"");
    EXPECT_EQ(client.ask(Verb::post, kAction, {{"X-Banned", "yes"}}).result_int(), 403u);
  });
}

// ---- Raw WebSocket

std::string rawUpgrade(const std::string& fields) {
  return std::string("GET ") + kRequest +
         " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         fields + "\r\n";
}

TEST_F(CredentialsTest, a_raw_socket_shows_its_token_in_a_field_or_as_browsers_can) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    RawClient field(server.port());
    field.write(rawUpgrade("Authorization: Bearer " + tokenOf("ada") + "\r\n"));
    EXPECT_THAT(field.readHead(), StartsWith("HTTP/1.1 101 "));
    field.write(RawClient::text(""));
    EXPECT_EQ(field.readFrame().payload, "ada offers 0");
    RawClient browser(server.port());
    browser.write(
        rawUpgrade("Sec-WebSocket-Protocol: skep.token." + tokenOf("bo") + ", chat.v1\r\n"));
    // The actor does not see the token among what it may choose from.
    EXPECT_THAT(browser.readHead(), HasSubstr("Sec-WebSocket-Protocol: chat.v1\r\n"));
    browser.write(RawClient::text(""));
    EXPECT_EQ(browser.readFrame().payload, "bo offers 1");
    const std::string banned = "Authorization: Bearer " + tokenOf("eve") + "\r\n";
    for (const std::string& fields :
         {std::string(), std::string("Sec-WebSocket-Protocol: chat.v1, skep.token.x\r\n"),
          banned}) {
      RawClient refused(server.port());
      refused.write(rawUpgrade(fields));
      EXPECT_THAT(refused.readHead(),
                  StartsWith(fields == banned ? "HTTP/1.1 403 " : "HTTP/1.1 401 "));
    }
  });
}

TEST_F(CredentialsTest, a_raw_socket_ends_with_its_token) {
  // By the clock of the check the token is still good; by the server's it is not.
  tokenClock_.advance(-std::chrono::hours(1));
  serve(Asks::ForTokens, [&](LiveServer& server) {
    RawClient client(server.port());
    client.write(rawUpgrade("Authorization: Bearer " + tokenOf("ada") + "\r\n"));
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 101 "));
    EXPECT_THAT(client.readClose(), StartsWith("1008 access.token_expired: "));
  });
}

TEST_F(CredentialsTest, a_stream_ends_with_its_token) {
  // By the clock of the check the token is still good; by the server's it is not.
  tokenClock_.advance(-std::chrono::hours(1));
  serve(Asks::ForTokens, [&](LiveServer& server) {
    RawClient client(server.port());
    client.write("GET " + std::string(kRequest) +
                 "events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + tokenOf("ada") +
                 "\r\n\r\n");
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(client.readAll(), Not(HasSubstr("\r\n0\r\n"))) << "cut, not complete";
  });
}

// ---- WebSocket

TEST_F(CredentialsTest, a_websocket_shows_its_token_in_the_first_message) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    BeastClient client(server.port(), kConnect);
    ASSERT_TRUE(client.isOpen());
    EXPECT_EQ(client.connect({{"token", tokenOf("ada")}})["type"], "connected");
    EXPECT_EQ(client.call(1, "whoAmI")["result"], "ada");
  });
}

TEST_F(CredentialsTest, a_websocket_shows_its_token_in_the_request) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    const auto open = [&](const std::string& token) {
      RawClient client(server.port());
      client.write("GET " + std::string(kConnect) +
                   " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Authorization: Bearer " +
                   token + "\r\n\r\n" + RawClient::text(R"({"type":"connect"})") +
                   RawClient::text(R"({"type":"call","id":1,"action":"whoAmI"})"));
      std::string heard = client.readHead();
      heard = heard.substr(0, heard.find('\r'));
      if (heard.find("101") == heard.npos) return heard;
      (void)client.readFrame();
      return client.readFrame().payload;
    };
    EXPECT_THAT(open(tokenOf("ada")), HasSubstr("\"ada\""));
    EXPECT_EQ(open("nonsense"), "HTTP/1.1 401 Unauthorized");
  });
}

TEST_F(CredentialsTest, a_websocket_without_a_good_token_is_refused_and_does_not_come_back) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    const auto refusal = [&](Json connect) {
      BeastClient client(server.port(), kConnect);
      const Json error = client.connect(std::move(connect));
      EXPECT_EQ(error["type"], "error");
      EXPECT_EQ(error["retry"], false);
      return error["error"]["code"].get<std::string>() + " / " + client.receiveClose();
    };
    EXPECT_THAT(refusal({}), StartsWith("token_missing / 4000 access.token_missing"));
    EXPECT_THAT(refusal({{"token", ""}}), StartsWith("token_missing / 4000"));
    EXPECT_THAT(refusal({{"token", "x.y.z"}}), StartsWith("token_invalid / 4000"));
    EXPECT_THAT(refusal({{"token", makeToken({{"exp", 1}})}}), StartsWith("token_expired / 4000"));
    EXPECT_THAT(refusal({{"token", tokenOf("eve")}}), StartsWith("forbidden / 4000"));
    EXPECT_THAT(refusal({{"token", 7}}), StartsWith("invalid / 1008"));
  });
}

TEST_F(CredentialsTest, a_connection_ends_when_its_token_does) {
  options_.webSocket.pingInterval = std::chrono::milliseconds(20);
  // By the clock of the check the token is still good; by the server's it expires before the first look.
  tokenClock_.advance(-std::chrono::hours(1));
  serve(Asks::ForTokens, [&](LiveServer& server) {
    BeastClient client(server.port(), kConnect);
    const Json first = client.connect({{"token", tokenOf("ada")}});
    if (first["type"] == "connected") {
      EXPECT_THAT(client.receive()["error"]["code"], "token_expired");
    }
    EXPECT_THAT(client.receiveClose(), StartsWith("4000 access.token_expired"));
  });
}

// ---- The admin

TEST_F(CredentialsTest, without_an_admin_token_nobody_administers_and_all_are_told_why) {
  options_.adminToken.reset();
  serve(Asks::Nobody, [&](LiveServer& server) {
    HttpClient client(server.port());
    for (const char* token : {"", "anything"}) {
      const auto refused = client.ask(Verb::get, "/admin/actors", bearer(token));
      EXPECT_EQ(refused.result_int(), 403u);
      EXPECT_THAT(refused.body(),
                  AllOf(HasSubstr("--admin-token-file"), HasSubstr("SKEP_ADMIN_TOKEN")));
    }
  });
}

TEST_F(CredentialsTest, only_the_admins_token_administers) {
  serve(Asks::ForTokens, [&](LiveServer& server) {
    HttpClient client(server.port());
    const auto status = [&](Verb verb, const char* target, const HttpClient::Fields& fields) {
      return client.ask(verb, target, fields).result_int();
    };
    const auto admin = bearer("the-admins-own-token");
    EXPECT_EQ(client.ask(Verb::post, kAction, bearer(tokenOf("ada"))).body(), "\"ada\"");
    for (const auto& fields : {HttpClient::Fields(), bearer(tokenOf("ada")),
                               bearer("the-admins-own-toke"), bearer("the-admins-own-tokens")}) {
      EXPECT_EQ(status(Verb::get, "/admin/actors", fields), 401u);
      EXPECT_EQ(status(Verb::get, "/admin/actors/desk", fields), 401u);
      EXPECT_EQ(status(Verb::get, "/admin/actors/desk/a", fields), 401u);
      EXPECT_EQ(status(Verb::delete_, "/admin/actors/desk/a", fields), 401u);
      EXPECT_EQ(status(Verb::post, "/admin/sleep/desk/a", fields), 401u);
      EXPECT_EQ(status(Verb::post, "/admin/wake/desk/a", fields), 401u);
    }
    EXPECT_EQ(status(Verb::get, "/admin/actors/desk/a", admin), 200u);
    EXPECT_EQ(status(Verb::post, kAction, admin), 401u) << "who administers is no client";
  });
}

TEST_F(CredentialsTest, an_admin_sees_wakes_puts_to_sleep_and_removes_actors) {
  serve(Asks::Nobody, [&](LiveServer& server) {
    HttpClient client(server.port());
    const auto admin = bearer("the-admins-own-token");
    const auto info = [&] {
      return Json::parse(client.ask(Verb::get, "/admin/actors/desk/a", admin).body());
    };
    client.ask(Verb::post, kAction);
    client.ask(Verb::post, "/actors/desk/a/actions/crash");
    Json first = info();
    EXPECT_EQ(first["type"], "desk");
    EXPECT_EQ(first["key"], Json({"a"}));
    EXPECT_EQ(first["awake"], true);
    EXPECT_EQ(first["lastError"]["message"], "the desk broke");
    EXPECT_EQ(client.ask(Verb::post, "/admin/sleep/desk/a", admin).body(), "null");
    EXPECT_EQ(info()["awake"], false);
    EXPECT_EQ(client.ask(Verb::post, "/admin/wake/desk/a", admin).body(), "null");
    EXPECT_EQ(info()["awake"], true);
    EXPECT_EQ(client.ask(Verb::post, "/admin/wake/desk/b", admin).result_int(), 404u);
    EXPECT_EQ(client.ask(Verb::delete_, "/admin/actors/desk/a", admin).body(), "null");
    EXPECT_EQ(client.ask(Verb::get, "/admin/actors/desk/a", admin).result_int(), 404u);
    EXPECT_EQ(client.ask(Verb::delete_, "/admin/actors/desk/a", admin).result_int(), 404u);
  });
}

TEST_F(CredentialsTest, an_admin_lists_actors_in_pages) {
  serve(Asks::Nobody, [&](LiveServer& server) {
    HttpClient client(server.port());
    const auto admin = bearer("the-admins-own-token");
    for (const char* key : {"a", "b", "c%2Fd"}) {
      client.ask(Verb::post, std::string("/actors/desk/") + key + "/actions/whoAmI");
    }
    for (const char* path : {"/admin/actors", "/admin/actors/desk"}) {
      std::vector<std::string> keys;
      std::string after;
      do {
        const Json page = Json::parse(
            client.ask(Verb::get, std::string(path) + "?limit=2&after=" + after, admin).body());
        for (const Json& each : page["actors"]) keys.push_back(each["key"][0]);
        after = page.value("next", "");
      } while (!after.empty());
      EXPECT_THAT(keys, ::testing::ElementsAre("a", "b", "c/d")) << path;
    }
    EXPECT_EQ(Json::parse(client.ask(Verb::get, "/admin/actors/other", admin).body())["actors"],
              Json::array());
  });
}

TEST_F(CredentialsTest, admin_paths_that_are_none_and_wrong_methods_are_refused) {
  serve(Asks::Nobody, [&](LiveServer& server) {
    HttpClient client(server.port());
    const auto admin = bearer("the-admins-own-token");
    const auto status = [&](Verb verb, const char* target) {
      return client.ask(verb, target, admin).result_int();
    };
    EXPECT_EQ(status(Verb::get, "/admin"), 404u);
    EXPECT_EQ(status(Verb::get, "/admin/nothing/desk/a"), 404u);
    EXPECT_EQ(status(Verb::post, "/admin/wake/desk"), 404u);
    EXPECT_EQ(status(Verb::post, "/admin/wake"), 404u);
    EXPECT_EQ(status(Verb::get, "/admin/actors/9bad"), 400u);
    EXPECT_EQ(status(Verb::post, "/admin/sleep/9bad/a"), 400u);
    EXPECT_EQ(status(Verb::get, "/admin/actors?limit=0"), 400u);
    EXPECT_EQ(status(Verb::post, "/admin/actors"), 405u);
    EXPECT_EQ(status(Verb::put, "/admin/actors/desk/a"), 405u);
    EXPECT_EQ(status(Verb::get, "/admin/wake/desk/a"), 405u);
    EXPECT_EQ(status(Verb::get, "/admin/sleep/desk/a"), 405u);
  });
}

}  // namespace
}  // namespace skep::testing
