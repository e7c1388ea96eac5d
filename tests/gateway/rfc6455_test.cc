// What RFC 6455 says a server does with frames, case by case, in the order of the RFC's matters: an actor that
// says back what it hears, and a client that sends any bytes. Each case is sent whole and byte by byte.

#include <gmock/gmock.h>

#include "live_server.h"
#include "skep/api/web_socket.h"
#include "websocket_client.h"

namespace skep::testing {
namespace {

using namespace std::string_literals;
using Words = std::vector<std::string>;

struct Echo : Actor {
  static void define(Definition<Echo>& d) { d.onWebSocket(&Echo::talk); }
  void talk(Context&, WebSocket& socket) {
    socket.accept();
    while (const auto message = socket.receive()) {
      if (message->isText()) {
        socket.sendText(message->data());
      } else {
        socket.sendBinary(message->data());
      }
    }
  }
};

// First bytes of frames: FIN and the opcode.
constexpr std::uint8_t kText = 0x81;
constexpr std::uint8_t kBinary = 0x82;
constexpr std::uint8_t kPing = 0x89;
constexpr std::uint8_t kPong = 0x8a;
constexpr std::uint8_t kClose = 0x88;
constexpr std::uint8_t kTextBegins = 0x01;
constexpr std::uint8_t kBinaryBegins = 0x02;
constexpr std::uint8_t kGoesOn = 0x00;
constexpr std::uint8_t kEnds = 0x80;

std::string frame(std::uint8_t first, const std::string& payload = "") {
  return RawClient::frame(first, payload);
}
std::string close(int code, const std::string& reason = "") {
  return RawClient::close(code, reason);
}

/// A frame that the server sent, in a word.
std::string word(const RawClient::Frame& heard) {
  const std::string payload =
      heard.payload.size() > 200 ? std::to_string(heard.payload.size()) + " bytes" : heard.payload;
  switch (heard.first) {
    case kText:
      return "text " + payload;
    case kBinary:
      return "binary " + payload;
    case kPong:
      return "pong " + payload;
    case kClose:
      if (heard.payload.empty()) return "close";
      return "close " + std::to_string(static_cast<std::uint8_t>(heard.payload[0]) << 8 |
                                       static_cast<std::uint8_t>(heard.payload[1]));
    default:
      return "frame " + std::to_string(heard.first);
  }
}

struct Case {
  std::string what;
  std::string bytes;
  Words heard;
};

class Rfc6455Test : public ::testing::Test {
 protected:
  /// Sends each case on a connection of its own, and compares all that is heard. One that goes on is closed
  /// by the client in the end.
  static void check(const std::vector<Case>& cases) {
    LiveServer server;
    server.add<Echo>("echo");
    server.serve([&] {
      for (const Case& each : cases) {
        EXPECT_EQ(heardAfter(server, each, each.bytes.size()), each.heard) << each.what;
        if (each.bytes.size() > 2'000) continue;
        EXPECT_EQ(heardAfter(server, each, 1), each.heard) << each.what << ", byte by byte";
      }
    });
  }

 private:
  static Words heardAfter(LiveServer& server, const Case& sent, std::size_t step) {
    RawClient client(server.port(), "/actors/echo/a/request");
    for (std::size_t at = 0; at < sent.bytes.size(); at += step) {
      client.write(sent.bytes.substr(at, step));
    }
    Words heard;
    while (true) {
      if (heard.size() == sent.heard.size() && !sent.heard.back().starts_with("close")) {
        client.write(close(1000));
        EXPECT_EQ(word(client.readFrame()), "close 1000") << sent.what;
        EXPECT_TRUE(client.isAtEnd()) << sent.what;
        return heard;
      }
      const RawClient::Frame next = client.readFrame();
      if (next.first < 0) return heard;
      heard.push_back(word(next));
    }
  }
};

TEST_F(Rfc6455Test, messages_of_every_length_and_both_kinds) {
  std::vector<Case> cases;
  for (const std::size_t size : {0, 1, 125, 126, 127, 128, 65'535, 65'536, 70'000}) {
    const std::string payload(size, '*');
    const std::string said = size > 200 ? std::to_string(size) + " bytes" : payload;
    cases.push_back({"text of " + std::to_string(size), frame(kText, payload), {"text " + said}});
    cases.push_back(
        {"bytes of " + std::to_string(size), frame(kBinary, payload), {"binary " + said}});
  }
  cases.push_back(
      {"bytes that are no UTF-8", frame(kBinary, "\xff\x00\xfe"s), {"binary \xff\x00\xfe"s}});
  check(cases);
}

// Section 5.2
TEST_F(Rfc6455Test, frames_that_are_none) {
  std::vector<Case> cases = {
      {"not masked", "\x81\x02hi", {"close 1002"}},
      {"a ping that is not masked", "\x89\x00"s, {"close 1002"}},
      {"16 bits for a length of 125",
       "\x81\xfe\x00\x7d"s + "mask" + std::string(125, 'x'),
       {"close 1002"}},
      {"64 bits for a length of 65,535",
       "\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff"s,
       {"close 1002"}},
      {"a length above 2^63", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00"s, {"close 1002"}},
      {"more than a message may have", "\x81\xff\x00\x00\x00\x00\x00\x10\x00\x01"s, {"close 1009"}},
  };
  for (int bits = 1; bits <= 7; ++bits) {
    for (const std::uint8_t first : {kText, kBinary, kPing, kPong, kClose, kTextBegins}) {
      cases.push_back({"reserved bits " + std::to_string(bits) + " of " + std::to_string(first),
                       frame(static_cast<std::uint8_t>(first | bits << 4), "hi"),
                       {"close 1002"}});
    }
  }
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    const auto first = static_cast<std::uint8_t>(0x80 | opcode);
    for (const std::string& payload : {""s, "hi"s}) {
      cases.push_back({"opcode " + std::to_string(opcode),
                       frame(kPing, "before") + frame(first, payload) + frame(kPing, "behind"),
                       {"pong before", "close 1002"}});
    }
  }
  check(cases);
}

// Section 5.4
TEST_F(Rfc6455Test, fragments) {
  check({
      {"two", frame(kTextBegins, "a") + frame(kEnds, "b"), {"text ab"}},
      {"five, some empty",
       frame(kBinaryBegins) + frame(kGoesOn, "a") + frame(kGoesOn) + frame(kGoesOn, "b") +
           frame(kEnds),
       {"binary ab"}},
      {"all empty", frame(kTextBegins) + frame(kGoesOn) + frame(kEnds), {"text "}},
      {"two messages",
       frame(kTextBegins, "a") + frame(kEnds, "b") + frame(kBinaryBegins, "c") + frame(kEnds, "d"),
       {"text ab", "binary cd"}},
      {"a continuation of nothing", frame(kEnds, "a"), {"close 1002"}},
      {"a continuation of nothing, with more to come", frame(kGoesOn, "a"), {"close 1002"}},
      {"text within text", frame(kTextBegins, "a") + frame(kText, "b"), {"close 1002"}},
      {"bytes within text", frame(kTextBegins, "a") + frame(kBinaryBegins, "b"), {"close 1002"}},
      {"more than a message may have, in parts that may be",
       frame(kBinaryBegins, std::string(600'000, 'x')) + frame(kEnds, std::string(600'000, 'x')),
       {"close 1009"}},
  });
}

// Section 5.5
TEST_F(Rfc6455Test, control_frames) {
  std::string tenPings;
  Words tenPongs;
  for (int i = 0; i < 10; ++i) {
    tenPings += frame(kPing, std::to_string(i));
    tenPongs.push_back("pong " + std::to_string(i));
  }
  check({
      {"a ping", frame(kPing), {"pong "}},
      {"a ping with bytes", frame(kPing, "\x00\xff\xfe"s), {"pong \x00\xff\xfe"s}},
      {"the longest ping", frame(kPing, std::string(125, 'p')), {"pong " + std::string(125, 'p')}},
      {"a ping that is too long", frame(kPing, std::string(126, 'p')), {"close 1002"}},
      {"a pong that is too long", frame(kPong, std::string(126, 'p')), {"close 1002"}},
      {"ten pings", tenPings, tenPongs},
      {"pongs that nobody asked for",
       frame(kPong) + frame(kPong, "hi") + frame(kPing, "x"),
       {"pong x"}},
      {"a ping in parts", frame(0x09, "a") + frame(kEnds, "b"), {"close 1002"}},
      {"a pong in parts", frame(0x0a, "a") + frame(kEnds, "b"), {"close 1002"}},
      {"a close in parts", frame(0x08), {"close 1002"}},
      {"pings between the parts of a message",
       frame(kTextBegins, "a") + frame(kPing, "1") + frame(kGoesOn, "b") + frame(kPing, "2") +
           frame(kEnds, "c"),
       {"pong 1", "pong 2", "text abc"}},
      {"a close between the parts of a message",
       frame(kTextBegins, "a") + close(1000) + frame(kEnds, "b"),
       {"close 1000"}},
  });
}

// Sections 5.5.1 and 7.4
TEST_F(Rfc6455Test, closes) {
  std::vector<Case> cases = {
      {"without a code", frame(kClose), {"close"}},
      {"half a code", frame(kClose, "\x03"), {"close 1002"}},
      {"with a reason", close(1000, "bye"), {"close 1000"}},
      {"with the longest reason", close(1000, std::string(123, 'r')), {"close 1000"}},
      {"with a reason that is too long", close(1000, std::string(124, 'r')), {"close 1002"}},
      {"with a reason that is no UTF-8", close(1000, "\xce\xba\xed\xa0\x80"), {"close 1007"}},
      {"a ping behind it", close(1000) + frame(kPing), {"close 1000"}},
      {"a message behind it", close(1000) + frame(kText, "late"), {"close 1000"}},
      {"another behind it", close(1000) + close(1001), {"close 1000"}},
      {"nonsense behind it", close(1000) + "\xff\xff\xff\xff", {"close 1000"}},
  };
  for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                         3000, 3999, 4000, 4999}) {
    cases.push_back(
        {"code " + std::to_string(code), close(code), {"close " + std::to_string(code)}});
  }
  for (const int code : {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65'535}) {
    cases.push_back({"code " + std::to_string(code), close(code), {"close 1002"}});
  }
  check(cases);
}

// Section 8.1; the byte sequences follow table 3-7 of the Unicode standard.
TEST_F(Rfc6455Test, text_is_utf8_wherever_it_is_cut) {
  std::vector<Case> cases;
  for (const std::string& good :
       {"\0"s, "\x7f"s, "\xc2\x80"s, "\xdf\xbf"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s, "\xee\x80\x80"s,
        "\xef\xbf\xbd"s, "\xef\xbf\xbf"s, "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s,
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 \xf0\x9f\x90\x9d"s}) {
    cases.push_back({"good, whole: " + good, frame(kText, good), {"text " + good}});
    for (std::size_t cut = 0; cut <= good.size(); ++cut) {
      cases.push_back(
          {"good, cut at " + std::to_string(cut) + ": " + good,
           frame(kTextBegins, good.substr(0, cut)) + frame(kPing) + frame(kEnds, good.substr(cut)),
           {"pong ", "text " + good}});
    }
  }
  for (const std::string& bad :
       {"\x80"s, "\xbf"s, "\xc0\x80"s, "\xc1\xbf"s, "\xe0\x80\x80"s, "\xe0\x9f\xbf"s,
        "\xed\xa0\x80"s, "\xed\xbf\xbf"s, "\xf0\x80\x80\x80"s, "\xf0\x8f\xbf\xbf"s,
        "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xf8\x88\x80\x80\x80"s, "\xfe"s, "\xff"s,
        "\xc3("s, "\xe2\x82("s, "\xf0\x9f\x90("s}) {
    cases.push_back({"bad, whole", frame(kText, "ab" + bad + "cd"), {"close 1007"}});
    for (std::size_t cut = 0; cut <= bad.size(); ++cut) {
      cases.push_back({"bad, cut",
                       frame(kTextBegins, bad.substr(0, cut)) + frame(kEnds, bad.substr(cut)),
                       {"close 1007"}});
    }
    // It fails with the part that can not be right any more, whatever would follow.
    cases.push_back(
        {"bad, and the rest never comes", frame(kTextBegins, "ab" + bad + "cd"), {"close 1007"}});
  }
  for (const std::string& part : {"\xc2"s, "\xe2\x82"s, "\xf0\x9f\x90"s}) {
    cases.push_back({"the end is missing", frame(kText, part), {"close 1007"}});
    cases.push_back(
        {"the end is missing, in parts", frame(kTextBegins, part) + frame(kEnds), {"close 1007"}});
  }
  check(cases);
}

}  // namespace
}  // namespace skep::testing
