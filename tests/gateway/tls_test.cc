// TLS: the same server inside an encrypted connection.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "certificates.h"
#include "http_client.h"
#include "live_server.h"
#include "skep/testing/temp_directory.h"

namespace skep::testing {
namespace {

using Transport = HttpClient::Transport;
using Verb = HttpClient::Verb;

struct Text : Actor {
  static void define(Definition<Text>& d) {
    d.action("repeat", &Text::repeat);
    d.event<std::string>("said");
    d.action("say", &Text::say);
    d.onRequest(&Text::request);
  }
  std::string repeat(Context&, std::string text, std::int64_t times) {
    std::string all;
    for (std::int64_t i = 0; i < times; ++i) all += text;
    return all;
  }
  void say(Context& c, std::string text) { c.broadcast("said", text); }
  void request(Context&, const HttpRequest&, HttpStream& stream) {
    stream.begin();
    for (int i = 0; i < 20; ++i) stream.write(std::string(100'000, 'x'));
  }
};

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() : files_{directory_ / "certificate.pem", directory_ / "key.pem"} {
    writeCertificate(files_);
  }
  void serve(const std::function<void(LiveServer&)>& body) {
    LiveServer server({.tls = files_});
    server.add<Text>("text");
    server.serve([&] { body(server); });
  }
  static std::string repeat(HttpClient& client, std::size_t times) {
    return client
        .ask(Verb::post, "/actors/text/a/actions/repeat", {},
             "[\"0123456789\"," + std::to_string(times) + "]")
        .body();
  }

  TempDirectory directory_;
  gateway::TlsFiles files_;
};

TEST_F(TlsTest, requests_are_answered_and_the_connection_is_kept) {
  serve([](LiveServer& server) {
    HttpClient client(server.port(), Transport::Tls);
    ASSERT_TRUE(client.isConnected());
    for (int i = 0; i < 100; ++i) EXPECT_EQ(repeat(client, 1), "\"0123456789\"");
  });
}

TEST_F(TlsTest, bodies_are_larger_than_what_a_socket_takes_at_once) {
  serve([](LiveServer& server) {
    HttpClient client(server.port(), Transport::Tls);
    constexpr std::size_t kTimes = 1'000'000;
    EXPECT_EQ(repeat(client, kTimes).size(), 10 * kTimes + 2);
    const std::string big(5'000'000, 'x');
    const auto echoed =
        client.ask(Verb::post, "/actors/text/a/actions/repeat", {}, "[\"" + big + "\",1]");
    EXPECT_EQ(echoed.body(), "\"" + big + "\"");
  });
}

TEST_F(TlsTest, streams_are_sent_in_chunks_and_the_connection_is_kept) {
  serve([](LiveServer& server) {
    HttpClient client(server.port(), Transport::Tls);
    for (int i = 0; i < 3; ++i) {
      const auto response = client.ask(Verb::get, "/actors/text/a/request/");
      EXPECT_TRUE(response.chunked());
      EXPECT_EQ(response.body(), std::string(2'000'000, 'x'));
    }
  });
}

TEST_F(TlsTest, who_speaks_in_plain_text_is_cut_off_and_others_are_served) {
  serve([](LiveServer& server) {
    HttpClient plain(server.port());
    plain.sendRaw("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    plain.sendRaw("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(plain.receive().result_int(), 0u);
    HttpClient client(server.port(), Transport::Tls);
    EXPECT_EQ(client.ask(Verb::get, "/health").result_int(), 200u);
  });
}

TEST_F(TlsTest, a_client_that_leaves_in_the_middle_harms_nobody) {
  serve([](LiveServer& server) {
    for (int i = 0; i < 20; ++i) {
      HttpClient client(server.port(), Transport::Tls);
      client.sendRaw(
          "POST /actors/text/a/actions/repeat HTTP/1.1\r\nHost: localhost\r\n"
          "Content-Length: 22\r\n\r\n[\"0123456789\", 800000]");
    }
    HttpClient client(server.port(), Transport::Tls);
    EXPECT_EQ(repeat(client, 1), "\"0123456789\"");
  });
}

TEST_F(TlsTest, a_socket_carries_calls_and_many_large_events) {
  serve([](LiveServer& server) {
    namespace websocket = boost::beast::websocket;
    namespace ssl = boost::asio::ssl;
    boost::asio::io_context context;
    ssl::context tls(ssl::context::tls_client);
    websocket::stream<ssl::stream<boost::asio::ip::tcp::socket>> socket(context, tls);
    boost::beast::get_lowest_layer(socket).connect(
        {boost::asio::ip::make_address("127.0.0.1"), server.port()});
    socket.next_layer().handshake(ssl::stream_base::client);
    socket.handshake("localhost", "/actors/text/a/connect");
    const auto send = [&](const std::string& text) { socket.write(boost::asio::buffer(text)); };
    const auto receive = [&] {
      boost::beast::flat_buffer buffer;
      socket.read(buffer);
      return nlohmann::json::parse(boost::beast::buffers_to_string(buffer.data()));
    };
    send(R"({"type":"connect","subscribe":["said"]})");
    EXPECT_EQ(receive()["type"], "connected");
    const std::string large(100'000, 'z');
    constexpr int kCount = 30;
    for (int i = 0; i < kCount; ++i) {
      send(nlohmann::json{
          {"type", "call"}, {"id", i}, {"action", "say"}, {"args", {std::to_string(i) + large}}}
               .dump());
    }
    for (int events = 0, replies = 0; events + replies < 2 * kCount;) {
      const auto message = receive();
      if (message["type"] == "reply") {
        EXPECT_EQ(message["id"], replies++);
      } else {
        EXPECT_EQ(message["value"], std::to_string(events++) + large);
      }
    }
    boost::system::error_code ignored;  // the server may have closed the socket first
    socket.close(websocket::close_code::normal, ignored);
    EXPECT_EQ(socket.reason().code, websocket::close_code::normal);
  });
}

TEST_F(TlsTest, a_renewed_certificate_is_shown_to_new_clients) {
  serve([&](LiveServer& server) {
    HttpClient before(server.port(), Transport::Tls);
    const std::string old = before.certificate();
    writeCertificate(files_);
    // The server looks once a second.
    std::string now = old;
    while (now == old) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      now = HttpClient(server.port(), Transport::Tls).certificate();
    }
    EXPECT_EQ(before.ask(Verb::get, "/health").result_int(), 200u);
    // What cannot be used changes nothing.
    const gateway::TlsFiles other{directory_ / "other.pem", files_.key};
    writeCertificate(other);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    EXPECT_EQ(HttpClient(server.port(), Transport::Tls).certificate(), now);
  });
}

TEST_F(TlsTest, files_that_are_no_certificate_are_refused_at_the_start) {
  EXPECT_TRUE(gateway::TlsContext::open(files_).ok());
  const auto refused = [&](gateway::TlsFiles files, const std::string& named) {
    const auto opened = gateway::TlsContext::open(files);
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.error().message, ::testing::HasSubstr(named));
  };
  refused({directory_ / "none.pem", files_.key}, "none.pem");
  refused({files_.key, files_.key}, "key.pem");
  refused({files_.certificate, files_.certificate}, "certificate.pem");
  const gateway::TlsFiles other{directory_ / "other.pem", directory_ / "other_key.pem"};
  writeCertificate(other);
  refused({files_.certificate, other.key}, "other_key.pem");
}

}  // namespace
}  // namespace skep::testing
