// HttpClient: one connection to a server of a test, which speaks HTTP over it and waits for each answer.

#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdint>
#include <string>

namespace skep::testing {

/// One connection to a server. Gives an empty text when the server goes away.
class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port) : socket_(context_) {
    boost::beast::error_code error;
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port}, error);
  }
  std::string ask(boost::beast::http::verb verb, const std::string& target,
                  const std::string& body = "") {
    boost::beast::http::request<boost::beast::http::string_body> request(verb, target, 11);
    request.set(boost::beast::http::field::host, "localhost");
    request.body() = body;
    request.prepare_payload();
    boost::beast::error_code error;
    boost::beast::http::write(socket_, request, error);
    boost::beast::http::response<boost::beast::http::string_body> response;
    if (!error) boost::beast::http::read(socket_, buffer_, response, error);
    status = error ? 0 : response.result_int();
    return error ? "" : response.body();
  }
  /// The reply of an action, as JSON.
  std::string call(const std::string& actor, const std::string& action,
                   const std::string& arguments = "[]") {
    return ask(boost::beast::http::verb::post, "/actors/" + actor + "/actions/" + action,
               arguments);
  }
  unsigned status = 0;

 private:
  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
};

}  // namespace skep::testing
