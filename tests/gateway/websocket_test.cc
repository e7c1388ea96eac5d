// WebSockets from outside: clients on real sockets, in front of real actors.

#include <gmock/gmock.h>

#include <atomic>

#include "live_server.h"
#include "websocket_client.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr const char* kLobby = "/actors/room/lobby/connect";

struct Said {
  std::string text;
  std::int64_t number = 0;
};

/// What the calls of a test wait for; set by its thread.
std::atomic<bool> mayGo;
std::atomic<int> waiting;

struct Room : Actor {
  static void define(Definition<Room>& d) {
    d.migration(1, "CREATE TABLE line(id INTEGER PRIMARY KEY, text TEXT)");
    d.event<Said>("said").event<Bytes>("bytes");
    d.action("say", &Room::say).action("wait", &Room::wait).action("echo", &Room::echo);
    d.action("fail", &Room::fail).action("kick", &Room::kick).action("bytes", &Room::bytes);
    d.action("flood", &Room::flood).action("number", &Room::number);
    d.onBeforeConnect(&Room::admit);
    d.onDisconnect(&Room::left);
  }
  void admit(Context&, const Visitor& visitor) {
    if (visitor.header("x-test") == "refuse") throw UserError("refused", "not you");
    if (visitor.parameters<std::optional<std::map<std::string, std::string>>>().has_value() &&
        visitor.parameters<std::map<std::string, std::string>>().contains("refuse")) {
      throw UserError("refused", "not you");
    }
  }
  void left(Context& c, Connection&) { c.execute("INSERT INTO line(text) VALUES ('left')"); }
  std::int64_t say(Context& c, std::string text) {
    c.execute("INSERT INTO line(text) VALUES (?)", text);
    c.broadcast("said", Said{text, number(c)});
    return number(c);
  }
  std::int64_t number(Context& c) { return c.queryOne<std::int64_t>("SELECT count(*) FROM line"); }
  std::string wait(Context& c, std::string text) {
    ++waiting;
    while (!mayGo) c.sleepFor(1ms);
    return text;
  }
  Value echo(Context&, Value value) { return value; }
  void fail(Context&) { throw UserError("wrong", "as asked"); }
  void kick(Context& c, std::string reason) {
    for (Connection& each : c.connections()) each.disconnect(reason);
  }
  void bytes(Context& c, Bytes bytes) { c.broadcast("bytes", bytes); }
  void flood(Context& c, std::int64_t count, std::int64_t size) {
    const std::string text(static_cast<std::size_t>(size), 'x');
    for (std::int64_t i = 0; i < count; ++i) c.broadcast("said", Said{text, i});
  }
};

class WebSocketTest : public ::testing::Test {
 protected:
  WebSocketTest() {
    mayGo = false;
    waiting = 0;
  }
  /// Runs `body` with a client's port.
  void serve(const std::function<void(LiveServer&)>& body, gateway::WebSocketOptions options = {},
             LiveServer::Actors place = LiveServer::Actors::OnTheSameLoop) {
    LiveServer server({.webSocket = std::move(options)}, place);
    server.add<Room>("room");
    server.serve([&] { body(server); });
  }
  static Json subscribed() { return {{"subscribe", {"said", "bytes"}}}; }
};

// ---- A connection's life

TEST_F(WebSocketTest, a_client_connects_calls_and_hears_events) {
  serve([](LiveServer& server) {
    BeastClient ada(server.port(), kLobby);
    ASSERT_TRUE(ada.isOpen());
    EXPECT_EQ(ada.header("Sec-WebSocket-Protocol"), "skep.1");
    const Json connected = ada.connect(subscribed());
    EXPECT_EQ(connected["type"], "connected");
    EXPECT_EQ(connected["seq"], 0);
    EXPECT_EQ(connected["connection"].get<std::string>().size(), 16u);
    BeastClient eve(server.port(), kLobby);
    eve.connect();
    EXPECT_EQ(eve.call(7, "say", {"hello"}).dump(), R"({"id":7,"result":1,"type":"reply"})");
    const Json said = ada.receive();
    EXPECT_EQ(said["type"], "event");
    EXPECT_EQ(said["name"], "said");
    EXPECT_EQ(said["seq"], 1);
    EXPECT_EQ(said["stream"], connected["stream"]);
    EXPECT_EQ(said["value"].dump(), R"({"number":1,"text":"hello"})");
    EXPECT_EQ(server.stats().webSockets, 2u);
    eve.send({{"type", "subscribe"}, {"events", {"said"}}});
    EXPECT_EQ(eve.call(8, "say", {"again"})["seq"], 2);  // the event first
    EXPECT_EQ(eve.receive()["id"], 8);
    eve.send({{"type", "unsubscribe"}, {"events", {"said"}}});
    EXPECT_EQ(eve.call(9, "say", {"more"})["id"], 9);
    ada.close();
    eve.close();
  });
}

TEST_F(WebSocketTest, cbor_and_bytes_go_both_ways) {
  serve([](LiveServer& server) {
    BeastClient json(server.port(), kLobby);
    json.connect(subscribed());
    BeastClient cbor(server.port(), kLobby);
    cbor.sendCbor({{"type", "connect"}, {"subscribe", {"bytes"}}});
    EXPECT_EQ(cbor.receive()["type"], "connected");
    const Json bytes = Json::binary({1, 2, 255});
    cbor.sendCbor({{"type", "call"}, {"id", 1}, {"action", "bytes"}, {"args", {bytes}}});
    EXPECT_EQ(cbor.receive()["value"], bytes);
    EXPECT_EQ(cbor.receive()["result"], nullptr);
    EXPECT_EQ(json.receive()["value"], "AQL/");
    cbor.sendCbor({{"type", "call"}, {"id", 2}, {"action", "echo"}, {"args", {1ULL << 63}}});
    EXPECT_EQ(cbor.receive()["result"], 1ULL << 63);
    cbor.sendCbor({{"type", "call"}, {"id", 3}, {"action", "fail"}});
    EXPECT_EQ(cbor.receive()["error"]["code"], "wrong");
    json.sendCbor({{"type", "ping"}});
    EXPECT_THAT(json.receiveClose(), StartsWith("1003 "));
  });
}

TEST_F(WebSocketTest, calls_of_one_connection_answer_as_they_end) {
  serve([](LiveServer& server) {
    BeastClient client(server.port(), kLobby);
    client.connect();
    client.send({{"type", "call"}, {"id", 1}, {"action", "wait"}, {"args", {"slow"}}});
    EXPECT_EQ(client.call(2, "echo", {"fast"})["id"], 2);
    mayGo = true;
    EXPECT_EQ(client.receiveText(), R"({"id":1,"result":"slow","type":"reply"})");
  });
}

TEST_F(WebSocketTest, failures_say_what_failed_and_the_connection_goes_on) {
  serve([](LiveServer& server) {
    BeastClient client(server.port(), kLobby);
    client.connect();
    EXPECT_EQ(client.call(2, "fail").dump(),
              R"({"error":{"code":"wrong","group":"user","message":"as asked"},"id":2,)"
              R"("retry":false,"type":"error"})");
    EXPECT_EQ(client.call(3, "nothing")["error"]["code"], "unknown_action");
    client.send({{"type", "subscribe"}, {"events", {"nothing"}}});
    EXPECT_EQ(client.receive()["error"]["code"], "unknown_event");
    for (const char* bad :
         {"{}", "[]", "nonsense", R"({"type":"dance"})", R"({"type":"call","id":-1})",
          R"({"type":"call","id":1})", R"({"type":"call","id":1,"action":7})",
          R"({"type":"subscribe","events":[1]})", R"({"type":"call","id":1,"action":"x")", ""}) {
      client.sendText(bad);
      EXPECT_EQ(client.receive()["error"]["code"], "invalid") << bad;
    }
    client.sendText(R"({"type":"call","id":4,"action":"echo","args":[1,,2]})");
    const Json broken = client.receive();
    EXPECT_EQ(broken["error"]["code"], "invalid_arguments");
    EXPECT_EQ(broken["id"], 4);
    EXPECT_EQ(client.call(5, "echo", {"fine"})["result"], "fine");
  });
}

TEST_F(WebSocketTest, who_is_refused_learns_why) {
  serve([](LiveServer& server) {
    BeastClient client(server.port(), kLobby);
    const Json error = client.connect({{"params", {{"refuse", "yes"}}}});
    EXPECT_EQ(error["error"]["code"], "refused");
    EXPECT_EQ(error["retry"], false);
    EXPECT_EQ(client.receiveClose(), "4000 user.refused: not you");
    BeastClient missing(server.port(), "/actors/room/nowhere/connect");
    EXPECT_EQ(missing.connect({{"existence", "get"}})["error"]["code"], "not_found");
    EXPECT_THAT(missing.receiveClose(), StartsWith("4000 actor.not_found"));
    BeastClient unknown(server.port(), "/actors/nothing/x/connect");
    EXPECT_EQ(unknown.connect()["error"]["code"], "unknown_type");
  });
}

TEST_F(WebSocketTest, the_actor_ends_a_connection_with_its_reason) {
  serve([](LiveServer& server) {
    BeastClient client(server.port(), kLobby);
    client.connect();
    const std::string reason = "it is late, and \u00e4\u00f6\u00fc " + std::string(200, 'z');
    client.send({{"type", "call"}, {"id", 1}, {"action", "kick"}, {"args", {reason}}});
    EXPECT_EQ(client.receiveClose(), "4001 " + reason.substr(0, 123));
  });
}

TEST_F(WebSocketTest, a_client_that_comes_back_goes_on_where_it_stopped) {
  serve([](LiveServer& server) {
    BeastClient eve(server.port(), kLobby);
    eve.connect();
    BeastClient ada(server.port(), kLobby);
    ada.connect(subscribed());
    eve.call(1, "say", {"one"});
    const Json seen = ada.receive();
    ada.close();
    eve.call(2, "say", {"two"});
    BeastClient back(server.port(), kLobby);
    Json again = subscribed();
    again["resume"] = {{"stream", seen["stream"]}, {"seq", seen["seq"]}};
    EXPECT_EQ(back.connect(again)["seq"], 1);
    EXPECT_EQ(back.receive()["seq"], 2);
    again["resume"]["stream"] = "another";
    BeastClient late(server.port(), kLobby);
    late.connect(again);
    const Json missed = late.receive();
    EXPECT_EQ(missed["type"], "missed");
    EXPECT_EQ(missed["seq"], 2);
  });
}

TEST_F(WebSocketTest, a_sleeping_actors_sockets_stay_and_a_ping_does_not_wake_it) {
  serve([](LiveServer& server) {
    BeastClient ada(server.port(), kLobby);
    ada.connect(subscribed());
    const auto sleep = [&] {
      server.onLoop([&] { server.host().sleep({.type = "room", .key = {"lobby"}}); });
    };
    sleep();
    ada.send({{"type", "ping"}, {"id", 5}});
    EXPECT_EQ(ada.receiveText(), R"({"id":5,"type":"pong"})");
    EXPECT_EQ(server.host().stats().actorsAwake, 0u);
    EXPECT_EQ(ada.call(1, "say", {"awake"})["seq"], 1);
    EXPECT_EQ(ada.receive()["id"], 1);
    EXPECT_EQ(server.host().stats().wakes, 2u);
    sleep();
    ada.close();  // its end is told all the same
    BeastClient eve(server.port(), kLobby);
    eve.connect();
    EXPECT_EQ(eve.call(1, "number")["result"], 2);
  });
}

TEST_F(WebSocketTest, actors_may_live_on_another_loop) {
  serve(
      [](LiveServer& server) {
        std::vector<std::unique_ptr<BeastClient>> clients;
        for (int i = 0; i < 8; ++i) {
          clients.push_back(std::make_unique<BeastClient>(server.port(), kLobby));
          EXPECT_EQ(clients.back()->connect(subscribed())["type"], "connected");
        }
        for (int i = 0; i < 50; ++i) {
          clients[0]->send({{"type", "call"}, {"id", i}, {"action", "say"}, {"args", {"x"}}});
        }
        for (auto& client : clients) {
          for (int seq = 1; seq <= 50; ++seq) {
            Json message = client->receive();
            while (message["type"] == "reply") message = client->receive();
            EXPECT_EQ(message["seq"], seq);
          }
        }
        clients[0]->send({{"type", "call"}, {"id", 99}, {"action", "kick"}, {"args", {"out"}}});
        for (auto& client : clients) EXPECT_EQ(client->receiveClose(), "4001 out");
      },
      {}, LiveServer::Actors::OnAnother);
}

// ---- Rules of skep.1

TEST_F(WebSocketTest, the_first_message_is_connect_and_there_is_one) {
  serve([](LiveServer& server) {
    BeastClient eager(server.port(), kLobby);
    eager.send({{"type", "ping"}});
    EXPECT_THAT(eager.receiveClose(), StartsWith("1008 "));
    BeastClient twice(server.port(), kLobby);
    twice.connect();
    twice.send({{"type", "connect"}});
    EXPECT_THAT(twice.receiveClose(), StartsWith("1008 "));
    BeastClient nonsense(server.port(), kLobby);
    nonsense.sendText("hello");
    EXPECT_EQ(nonsense.receive()["error"]["code"], "invalid");
    EXPECT_THAT(nonsense.receiveClose(), StartsWith("1008 "));
  });
}

TEST_F(WebSocketTest, who_never_connects_is_let_go) {
  serve(
      [](LiveServer& server) {
        BeastClient silent(server.port(), kLobby);
        EXPECT_EQ(silent.receiveClose(), "1008 no connect message came in time");
      },
      {.connectTimeout = 20ms});
}

TEST_F(WebSocketTest, origins_of_others_are_refused_unless_they_are_listed) {
  LiveServer server({.allowedOrigins = {"https://friend.example"}});
  server.add<Room>("room");
  server.serve([&] {
    const std::string own = "http://localhost:" + std::to_string(server.port());
    EXPECT_TRUE(BeastClient(server.port(), kLobby).isOpen());
    EXPECT_TRUE(BeastClient(server.port(), kLobby, own).isOpen());
    EXPECT_TRUE(BeastClient(server.port(), kLobby, "https://Friend.example").isOpen());
    EXPECT_EQ(BeastClient(server.port(), kLobby, "https://evil.example").status(), 403u);
    EXPECT_EQ(BeastClient(server.port(), kLobby, "http://localhost").status(), 403u);
    EXPECT_EQ(BeastClient(server.port(), kLobby, "null").status(), 403u);
  });
}

TEST_F(WebSocketTest, handshakes_that_are_none_are_answered_over_http) {
  serve([](LiveServer& server) {
    const auto ask = [&](const std::string& path, const std::string& fields) {
      RawClient client(server.port());
      client.write("GET " + path + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
      return client.readHead();
    };
    const std::string upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    const std::string version = "Sec-WebSocket-Version: 13\r\n";
    const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const std::string good = ask(kLobby, upgrade + version + key);
    EXPECT_THAT(good, StartsWith("HTTP/1.1 101 "));
    EXPECT_THAT(good, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    EXPECT_THAT(ask(kLobby, ""), StartsWith("HTTP/1.1 426 "));
    const std::string old = ask(kLobby, upgrade + "Sec-WebSocket-Version: 8\r\n" + key);
    EXPECT_THAT(old, StartsWith("HTTP/1.1 426 "));
    EXPECT_THAT(old, HasSubstr("Sec-WebSocket-Version: 13\r\n"));
    EXPECT_THAT(ask(kLobby, upgrade + version), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask(kLobby, upgrade + version + "Sec-WebSocket-Key: short\r\n"),
                StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask(kLobby, upgrade + version + key + "Sec-WebSocket-Protocol: other\r\n"),
                StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask(kLobby, upgrade + version + key + "Sec-WebSocket-Protocol: a, skep.1\r\n"),
                HasSubstr("Sec-WebSocket-Protocol: skep.1\r\n"));
    EXPECT_THAT(ask("/health", upgrade + version + key), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("/actors/room//connect", upgrade + version + key), StartsWith("HTTP/1.1 400 "));
  });
}

// ---- RFC 6455

class FramesTest : public WebSocketTest {
 protected:
  static constexpr const char* kConnect = R"({"type":"connect"})";
  /// What the server closes with after `bytes`, sent once the connection is open.
  static std::string closeAfter(LiveServer& server, const std::string& bytes) {
    RawClient client(server.port(), kLobby);
    client.write(RawClient::text(kConnect) + bytes);
    const std::string close = client.readClose();
    EXPECT_TRUE(client.isAtEnd());
    return close.substr(0, 4);
  }
};

TEST_F(FramesTest, frames_that_break_the_protocol_are_closed_with_1002) {
  serve([](LiveServer& server) {
    const std::string unmasked = std::string("\x81\x02", 2) + "{}";
    EXPECT_EQ(closeAfter(server, unmasked), "1002");
    EXPECT_EQ(closeAfter(server, RawClient::frame(0xc1, "{}")), "1002");  // a reserved bit
    EXPECT_EQ(closeAfter(server, RawClient::frame(0x83, "")), "1002");    // unknown opcodes
    EXPECT_EQ(closeAfter(server, RawClient::frame(0x8b, "")), "1002");
    EXPECT_EQ(closeAfter(server, RawClient::frame(0x09, "")), "1002");  // a fragmented ping
    EXPECT_EQ(closeAfter(server, RawClient::frame(0x89, std::string(126, 'x'))), "1002");
    EXPECT_EQ(closeAfter(server, RawClient::frame(0x80, "x")), "1002");  // continues nothing
    EXPECT_EQ(closeAfter(server, RawClient::frame(0x01, "{") + RawClient::text("}")), "1002");
    const std::string longWay = std::string("\x81\xfe\x00\x01", 4) + "mask" + "x";
    EXPECT_EQ(closeAfter(server, longWay), "1002");  // a length that is not minimal
    EXPECT_EQ(closeAfter(server, RawClient::frame(0x88, "x")), "1002");
    for (const int code : {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000}) {
      EXPECT_EQ(closeAfter(server, RawClient::close(code)), "1002") << code;
    }
  });
}

TEST_F(FramesTest, closes_are_answered_with_their_code) {
  serve([](LiveServer& server) {
    for (const int code : {1000, 1001, 1003, 1007, 1011, 3000, 4999}) {
      EXPECT_EQ(closeAfter(server, RawClient::close(code, "bye")), std::to_string(code));
    }
    EXPECT_EQ(closeAfter(server, RawClient::frame(0x88, "")), "no c");
    EXPECT_EQ(closeAfter(server, RawClient::close(1000, "\xff")), "1007");
  });
}

TEST_F(FramesTest, text_is_utf8) {
  serve([](LiveServer& server) {
    EXPECT_EQ(closeAfter(server, RawClient::text("\xce\xba\xe1\xbd\xb9\xed\xa0\x80")), "1007");
    EXPECT_EQ(closeAfter(server, RawClient::text("\xc0\xaf")), "1007");
    // A character may be cut by fragments.
    RawClient client(server.port(), kLobby);
    const std::string call = R"({"type":"call","id":1,"action":"echo","args":["ä"]})";
    const std::size_t middle = call.find("\xc3") + 1;
    client.write(RawClient::text(kConnect) + RawClient::frame(0x01, call.substr(0, middle)) +
                 RawClient::frame(0x80, call.substr(middle)));
    EXPECT_THAT(client.readFrame().payload, HasSubstr("connected"));
    EXPECT_THAT(client.readFrame().payload, HasSubstr("\"result\":\"ä\""));
  });
}

TEST_F(FramesTest, fragments_make_a_message_and_control_frames_may_come_between) {
  serve([](LiveServer& server) {
    RawClient client(server.port(), kLobby);
    const std::string bytes = RawClient::frame(0x01, R"({"type":)") +
                              RawClient::frame(0x89, "are you there") + RawClient::frame(0x00, "") +
                              RawClient::frame(0x8a, "unasked") +
                              RawClient::frame(0x80, R"("connect"})");
    for (const char byte : bytes) client.write(std::string(1, byte));
    const RawClient::Frame pong = client.readFrame();
    EXPECT_EQ(pong.first, 0x8a);
    EXPECT_EQ(pong.payload, "are you there");
    const RawClient::Frame connected = client.readFrame();
    EXPECT_EQ(connected.first, 0x81);
    EXPECT_THAT(connected.payload, HasSubstr("connected"));
  });
}

TEST_F(FramesTest, what_comes_with_the_handshake_is_not_lost) {
  serve([](LiveServer& server) {
    RawClient client(server.port());
    client.write(
        std::string("GET ") + kLobby +
        " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
        RawClient::text(kConnect));
    EXPECT_THAT(client.readHead(), StartsWith("HTTP/1.1 101 "));
    EXPECT_THAT(client.readFrame().payload, HasSubstr("connected"));
  });
}

TEST_F(FramesTest, messages_have_any_length_up_to_the_bound) {
  serve(
      [](LiveServer& server) {
        BeastClient client(server.port(), kLobby);
        client.connect();
        for (const std::size_t size : {0, 1, 125, 126, 127, 65'000, 65'535, 65'536, 90'000}) {
          const std::string text(size, 'x');
          EXPECT_EQ(client.call(size, "echo", {text})["result"], text);
        }
        client.send({{"type", "call"},
                     {"id", 1},
                     {"action", "echo"},
                     {"args", {std::string(100'000, 'x')}}});
        EXPECT_THAT(client.receiveClose(), StartsWith("1009 "));
        // Also in fragments, of which each is small.
        RawClient raw(server.port(), kLobby);
        raw.write(RawClient::text(kConnect) + RawClient::frame(0x01, std::string(60'000, 'x')) +
                  RawClient::frame(0x00, std::string(60'000, 'x')));
        EXPECT_THAT(raw.readClose(), StartsWith("1009 "));
      },
      {.messageBytesMax = 100'000});
}

// ---- Bounds

TEST_F(WebSocketTest, a_client_that_does_not_read_is_closed_and_the_others_are_served_on) {
  serve(
      [](LiveServer& server) {
        RawClient deaf(server.port(), kLobby);
        deaf.write(RawClient::text(R"({"type":"connect","subscribe":["said"]})"));
        BeastClient client(server.port(), kLobby);
        client.connect(subscribed());
        int heard = 0;
        for (int i = 0; i < 400; ++i) {
          client.send({{"type", "call"}, {"id", i}, {"action", "flood"}, {"args", {1, 50'000}}});
          while (client.receive()["type"] == "event") ++heard;
        }
        EXPECT_EQ(heard, 400);
        EXPECT_EQ(deaf.readClose(), "4002 this client does not take what it is sent");
      },
      {.closeTimeout = 60s, .sendBytesMax = 100'000});
}

TEST_F(WebSocketTest, a_client_that_never_reads_its_close_is_cut_off) {
  serve(
      [](LiveServer& server) {
        RawClient deaf(server.port(), kLobby);
        deaf.write(RawClient::text(R"({"type":"connect","subscribe":["said"]})"));
        BeastClient client(server.port(), kLobby);
        client.connect();
        int i = 0;
        while (server.stats().webSockets == 2) {
          client.call(i++, "flood", {20, 50'000});
          ASSERT_LT(i, 10'000);
        }
      },
      {.closeTimeout = 20ms, .sendBytesMax = 100'000});
}

TEST_F(WebSocketTest, no_more_is_read_while_too_many_calls_are_under_way) {
  serve(
      [](LiveServer& server) {
        BeastClient client(server.port(), kLobby);
        client.connect();
        for (int id = 1; id <= 5; ++id) {
          client.send({{"type", "call"}, {"id", id}, {"action", "wait"}, {"args", {"x"}}});
        }
        BeastClient other(server.port(), kLobby);
        other.connect();
        while (waiting < 2) std::this_thread::yield();
        for (int i = 0; i < 20; ++i) EXPECT_EQ(other.call(1, "echo", {"x"})["result"], "x");
        EXPECT_EQ(waiting, 2);
        mayGo = true;
        for (int id = 1; id <= 5; ++id) EXPECT_EQ(client.receive()["result"], "x");
        EXPECT_EQ(waiting, 5);
      },
      {.callsMax = 2});
}

TEST_F(WebSocketTest, a_silent_client_is_asked_for_a_sign_and_given_up_without_one) {
  serve(
      [](LiveServer& server) {
        RawClient dead(server.port(), kLobby);
        dead.write(RawClient::text(R"({"type":"connect"})"));
        EXPECT_THAT(dead.readFrame().payload, HasSubstr("connected"));
        EXPECT_EQ(dead.readFrame().first, 0x89);
        EXPECT_TRUE(dead.isAtEnd());
        RawClient alive(server.port(), kLobby);
        alive.write(RawClient::text(R"({"type":"connect"})"));
        alive.readFrame();
        for (int i = 0; i < 5; ++i) {
          EXPECT_EQ(alive.readFrame().first, 0x89);
          alive.write(RawClient::frame(0x8a, ""));
        }
      },
      {.pingInterval = 100ms});
}

// ---- Shutting down

TEST_F(WebSocketTest, a_server_that_closes_answers_calls_and_says_come_back) {
  serve([](LiveServer& server) {
    BeastClient idle(server.port(), kLobby);
    idle.connect();
    BeastClient busy(server.port(), kLobby);
    busy.connect();
    busy.send({{"type", "call"}, {"id", 1}, {"action", "wait"}, {"args", {"done"}}});
    while (waiting < 1) std::this_thread::yield();
    server.closeEarly();
    EXPECT_EQ(idle.receiveClose(), "1001 this node is shutting down; connect again");
    mayGo = true;
    EXPECT_EQ(busy.receive()["result"], "done");
    EXPECT_THAT(busy.receiveClose(), StartsWith("1001 "));
  });
}

}  // namespace
}  // namespace skep::testing
