#include "skep/gateway/http_connection.h"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "skep/fiber/fiber.h"

namespace skep::gateway {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using call::Failure;
using call::FailureCode;

namespace {

constexpr std::size_t kReadBytes = 4096;

/// Starts `operation` with a handler that wakes the calling fiber, and gives what it got. Suspends.
template <class Operation>
beast::error_code await(Operation operation) {
  beast::error_code result;
  fiber::suspend([&](fiber::Waker waker) {
    operation([&result, waker](beast::error_code error, std::size_t) mutable {
      result = error;
      waker.wake();
    });
  });
  return result;
}

}  // namespace

HttpConnection::HttpConnection(boost::asio::ip::tcp::socket socket, Shared& shared)
    : stream_(std::move(socket)), shared_(shared) {
  beast::error_code ignored;
  stream_.socket().set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  ++shared_.connectionCount;
}

HttpConnection::~HttpConnection() {
  --shared_.connectionCount;
}

void HttpConnection::read() {
  if (shared_.isClosing) return shutDown();
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(shared_.options.headerBytesMax));
  parser_->body_limit(shared_.options.bodyBytesMax);
  if (buffer_.size() > 0) return readRest();
  // Idle: no time for the request runs until its first byte has come.
  stream_.expires_after(shared_.options.idleTimeout);
  stream_.async_read_some(buffer_.prepare(kReadBytes),
                          [self = shared_from_this()](beast::error_code error, std::size_t bytes) {
                            self->buffer_.commit(bytes);
                            if (error) return self->shutDown();
                            self->readRest();
                          });
}

void HttpConnection::readRest() {
  stream_.expires_after(shared_.options.readTimeout);
  http::async_read(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](beast::error_code error, std::size_t) { self->received(error); });
}

void HttpConnection::received(beast::error_code error) {
  if (error == http::error::body_limit) {
    return refuse({FailureCode::BodyTooLarge, "a request's body has at most " +
                                                  std::to_string(shared_.options.bodyBytesMax) +
                                                  " bytes"});
  }
  if (error == http::error::header_limit) {
    return refuse({FailureCode::BodyTooLarge, "a request's head has at most " +
                                                  std::to_string(shared_.options.headerBytesMax) +
                                                  " bytes"});
  }
  const bool isMalformed =
      error && error != http::error::end_of_stream && error != http::error::partial_message &&
      error.category() == http::make_error_code(http::error::bad_method).category();
  if (isMalformed) {
    return refuse({FailureCode::InvalidRequest, "the request is malformed: " + error.message()});
  }
  if (error) return shutDown();
  if (isUpgrade(parser_->get())) return upgrade();
  if (!shared_.requests.tryEnter()) return shutDown();
  isHandling_ = true;
  shared_.loop.spawn("http", [self = shared_from_this()] {
    self->handle();
    self->shared_.requests.leave();
  });
}

/// The connection goes on as a WebSocket, if that is allowed.
void HttpConnection::upgrade() {
  ++shared_.requestCount;
  auto checked = checkUpgrade(parser_->get(), shared_.options.webSocket);
  if (const auto* failure = std::get_if<Failure>(&checked)) return refuse(*failure);
  if (shared_.isClosing) return shutDown();
  std::string received = beast::buffers_to_string(buffer_.data());
  const auto socket = std::make_shared<WebSocket>(
      stream_.release_socket(), std::get<WebSocketUpgrade>(std::move(checked)), shared_.webSockets);
  socket->start(std::move(received));
}

/// Runs on a fiber; answers what has arrived, one request after the other.
void HttpConnection::handle() {
  HttpRequest request = parser_->release();
  ++shared_.requestCount;
  HttpResponse response = shared_.handler.handle(request);
  if (shared_.isClosing) response.keep_alive(false);
  const bool isWritten = write(response);
  isHandling_ = false;
  if (isWritten && response.keep_alive()) {
    read();
  } else {
    shutDown();
  }
}

bool HttpConnection::write(HttpResponse& response) {
  stream_.expires_after(shared_.options.writeTimeout);
  const beast::error_code error =
      await([&](auto handler) { http::async_write(stream_, response, std::move(handler)); });
  return !error;
}

/// Answers what could not be read, and closes: where the next request starts is unknown.
void HttpConnection::refuse(const Failure& failure) {
  if (!shared_.requests.tryEnter()) return shutDown();
  shared_.loop.spawn("http refusal", [self = shared_from_this(), failure] {
    HttpResponse response = failureResponse(self->parser_->get(), failure);
    response.keep_alive(false);
    self->write(response);
    self->shutDown();
    self->shared_.requests.leave();
  });
}

void HttpConnection::finish() {
  if (!isHandling_) cut();
}

void HttpConnection::cut() {
  stream_.cancel();
}

void HttpConnection::shutDown() {
  beast::error_code ignored;
  stream_.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.close();
}

}  // namespace skep::gateway
