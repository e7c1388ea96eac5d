// Blocking WebSocket clients of the tests: BeastClient speaks through Boost.Beast, RawClient writes what
// a client never should.

#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace skep::testing {

class BeastClient {
 public:
  using Json = nlohmann::json;

  BeastClient(std::uint16_t port, const std::string& path, const std::string& origin = {})
      : stream_(context_) {
    namespace websocket = boost::beast::websocket;
    stream_.next_layer().connect({boost::asio::ip::make_address("127.0.0.1"), port});
    stream_.set_option(websocket::stream_base::decorator([&](websocket::request_type& request) {
      request.set(boost::beast::http::field::sec_websocket_protocol, "skep.1");
      if (!origin.empty()) request.set(boost::beast::http::field::origin, origin);
    }));
    stream_.read_message_max(64 * 1024 * 1024);
    stream_.handshake(response_, "localhost:" + std::to_string(port), path, error_);
  }

  /// Of the handshake.
  bool isOpen() const { return !error_; }
  unsigned status() const { return response_.result_int(); }
  std::string header(const std::string& name) const { return std::string(response_[name]); }

  void sendText(const std::string& text) {
    stream_.text(true);
    stream_.write(boost::asio::buffer(text), error_);
  }
  void send(const Json& message) { sendText(message.dump()); }
  void sendCbor(const Json& message) {
    stream_.binary(true);
    stream_.write(boost::asio::buffer(Json::to_cbor(message)), error_);
  }
  /// The next message; null once the server has closed.
  Json receive() {
    boost::beast::flat_buffer buffer;
    stream_.read(buffer, error_);
    if (error_) return nullptr;
    const std::string bytes = boost::beast::buffers_to_string(buffer.data());
    return stream_.got_text() ? Json::parse(bytes) : Json::from_cbor(bytes);
  }
  std::string receiveText() { return receive().dump(); }
  /// Reads up to the server's close; its code and reason.
  std::string receiveClose() {
    while (!error_) receive();
    return std::to_string(stream_.reason().code) + " " + stream_.reason().reason.c_str();
  }
  void close() { stream_.close(boost::beast::websocket::close_code::normal, error_); }
  /// Connects to the actor, and gives the answer.
  Json connect(Json message = Json::object()) {
    message["type"] = "connect";
    send(message);
    return receive();
  }
  Json call(std::uint64_t id, const std::string& action, Json arguments = Json::array()) {
    send({{"type", "call"}, {"id", id}, {"action", action}, {"args", std::move(arguments)}});
    return receive();
  }

 private:
  boost::asio::io_context context_;
  boost::beast::websocket::stream<boost::asio::ip::tcp::socket> stream_;
  boost::beast::websocket::response_type response_;
  boost::system::error_code error_;
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(context_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    // Each write is seen at once, by itself.
    socket_.set_option(boost::asio::ip::tcp::no_delay(true));
  }
  RawClient(std::uint16_t port, const std::string& path) : RawClient(port) {
    write("GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    head_ = readHead();
  }
  const std::string& head() const { return head_; }

  void write(const std::string& bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes), ignored);
  }
  std::string readHead() { return readUntil("\r\n\r\n"); }
  /// Up to the end of `text`; all that still comes when it does not.
  std::string readUntil(const std::string& text) {
    boost::system::error_code error;
    std::size_t size =
        boost::asio::read_until(socket_, boost::asio::dynamic_buffer(read_), text, error);
    if (error) size = read_.size();
    std::string head = read_.substr(0, size);
    read_.erase(0, size);
    return head;
  }
  std::string readAll() {
    boost::system::error_code error;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(read_), error);
    return std::exchange(read_, {});
  }
  void hangUp() { socket_.close(); }
  /// Nothing more is sent; what comes can still be read.
  void endSending() {
    boost::system::error_code ignored;
    socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
  }

  /// A masked frame; `first`: the FIN bit and the opcode.
  static std::string frame(std::uint8_t first, const std::string& payload) {
    std::string bytes(1, static_cast<char>(first));
    const std::string mask = "\x11\x22\x33\x44";
    if (payload.size() < 126) {
      bytes += static_cast<char>(0x80 | payload.size());
    } else if (payload.size() <= 0xffff) {
      bytes += static_cast<char>(0x80 | 126);
      bytes += static_cast<char>(payload.size() >> 8);
      bytes += static_cast<char>(payload.size());
    } else {
      bytes += static_cast<char>(0x80 | 127);
      for (int i = 7; i >= 0; --i) bytes += static_cast<char>(payload.size() >> (8 * i));
    }
    bytes += mask;
    for (std::size_t i = 0; i < payload.size(); ++i) {
      bytes += static_cast<char>(payload[i] ^ mask[i % 4]);
    }
    return bytes;
  }
  static std::string text(const std::string& payload) { return frame(0x81, payload); }
  static std::string close(int code, const std::string& reason = "") {
    std::string payload;
    payload += static_cast<char>(code >> 8);
    payload += static_cast<char>(code);
    return frame(0x88, payload + reason);
  }

  struct Frame {
    int first = -1;  // -1: the connection is closed
    std::string payload;
  };
  Frame readFrame() {
    if (!fill(2)) return {};
    Frame frame{.first = static_cast<std::uint8_t>(read_[0])};
    std::size_t size = static_cast<std::uint8_t>(read_[1]);
    std::size_t head = 2;
    if (size >= 126) {
      const std::size_t sizeBytes = size == 126 ? 2 : 8;
      if (!fill(head + sizeBytes)) return {};
      size = 0;
      for (std::size_t i = 0; i < sizeBytes; ++i) {
        size = size << 8 | static_cast<std::uint8_t>(read_[head + i]);
      }
      head += sizeBytes;
    }
    if (!fill(head + size)) return {};
    frame.payload = read_.substr(head, size);
    read_.erase(0, head + size);
    return frame;
  }
  /// Reads up to a close frame: "code reason"; "cut" when the connection just ends.
  std::string readClose() {
    while (true) {
      const Frame frame = readFrame();
      if (frame.first < 0) return "cut";
      if (frame.first != 0x88) continue;
      if (frame.payload.size() < 2) return "no code";
      const int code = static_cast<std::uint8_t>(frame.payload[0]) << 8 |
                       static_cast<std::uint8_t>(frame.payload[1]);
      return std::to_string(code) + " " + frame.payload.substr(2);
    }
  }
  /// Whether nothing but the end follows.
  bool isAtEnd() { return readFrame().first < 0; }

 private:
  bool fill(std::size_t bytes) {
    boost::system::error_code error;
    if (read_.size() < bytes) {
      boost::asio::read(socket_, boost::asio::dynamic_buffer(read_),
                        boost::asio::transfer_at_least(bytes - read_.size()), error);
    }
    return read_.size() >= bytes;
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_;
  std::string read_;
  std::string head_;
};

}  // namespace skep::testing
