// HttpClient: a blocking client of one connection, in plain text or over TLS.

#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace skep::testing {

class HttpClient {
 public:
  using Response = boost::beast::http::response<boost::beast::http::string_body>;
  using Fields = std::map<std::string, std::string>;
  using Verb = boost::beast::http::verb;
  enum class Transport { Plain, Tls };

  /// Over TLS it takes whatever certificate the server shows: certificate() gives it.
  explicit HttpClient(std::uint16_t port, Transport transport = Transport::Plain)
      : tls_(boost::asio::ssl::context::tls_client), stream_(context_, tls_) {
    stream_.next_layer().connect({boost::asio::ip::make_address("127.0.0.1"), port}, error_);
    if (transport == Transport::Plain) return;
    isEncrypted_ = true;
    stream_.handshake(boost::asio::ssl::stream_base::client, error_);
  }
  bool isConnected() const { return !error_; }
  /// As the server shows it, in DER.
  std::string certificate() {
    const std::unique_ptr<X509, decltype(&X509_free)> shown(
        SSL_get1_peer_certificate(stream_.native_handle()), &X509_free);
    std::string bytes(static_cast<std::size_t>(i2d_X509(shown.get(), nullptr)), '\0');
    auto* out = reinterpret_cast<unsigned char*>(bytes.data());
    i2d_X509(shown.get(), &out);
    return bytes;
  }

  void sendRaw(std::string_view bytes) {
    withStream(
        [&](auto& stream) { boost::asio::write(stream, boost::asio::buffer(bytes), error_); });
  }
  /// Status 0: the connection broke.
  Response receive() {
    Response response;
    response.result(0);
    withStream([&](auto& stream) {
      boost::beast::http::response_parser<boost::beast::http::string_body> parser;
      parser.body_limit(boost::none);
      boost::beast::http::read(stream, buffer_, parser, error_);
      if (!error_) response = parser.release();
    });
    return response;
  }
  Response ask(Verb verb, const std::string& target, const Fields& fields = {},
               const std::string& body = {}) {
    boost::beast::http::request<boost::beast::http::string_body> request(verb, target, 11);
    request.set(boost::beast::http::field::host, "localhost");
    for (const auto& [name, value] : fields) request.set(name, value);
    request.body() = body;
    request.prepare_payload();
    withStream([&](auto& stream) { boost::beast::http::write(stream, request, error_); });
    return receive();
  }
  /// Whether the server has closed the connection, once everything before was read.
  bool isClosed() {
    char byte = 0;
    withStream(
        [&](auto& stream) { boost::asio::read(stream, boost::asio::buffer(&byte, 1), error_); });
    return error_ == boost::asio::error::eof || error_ == boost::asio::error::connection_reset ||
           error_ == boost::asio::ssl::error::stream_truncated;
  }

 private:
  template <class Function>
  void withStream(Function function) {
    if (isEncrypted_) {
      function(stream_);
    } else {
      function(stream_.next_layer());
    }
  }

  boost::asio::io_context context_;
  boost::asio::ssl::context tls_;
  boost::asio::ssl::stream<boost::asio::ip::tcp::socket> stream_;
  boost::beast::flat_buffer buffer_;
  boost::system::error_code error_;
  bool isEncrypted_ = false;
};

}  // namespace skep::testing
