#include "skep/gateway/http_connection.h"

#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "skep/fiber/fiber.h"
#include "skep/gateway/raw_websocket.h"
#include "skep/gateway/text.h"
#include "skep/gateway/websocket.h"

namespace skep::gateway {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using call::Failure;
using call::FailureCode;

namespace {

constexpr std::size_t kReadBytes = 4096;

// A client that still sends while it is refused may do so for a while, unread.
constexpr Duration kLingerTime = std::chrono::seconds(2);
constexpr std::size_t kLingerBytes = 64 * 1024;  // at once

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

/// All lines of the field: a proxy may add one of its own behind what the client sent (RFC 9110 section 5.3).
std::string forwardedForOf(const HttpRequest& request) {
  std::string all;
  const auto [first, last] = request.equal_range("X-Forwarded-For");
  for (auto field = first; field != last; ++field) {
    if (!all.empty()) all += ", ";
    all += view(field->value());
  }
  return all;
}

/// One, so that nobody in front of us may take the request for another host's (RFC 9112 section 3.2).
std::optional<Failure> checkHost(const HttpRequest& request) {
  const std::size_t count = request.count(http::field::host);
  if (count == 1 || (count == 0 && request.version() < 11)) return std::nullopt;
  return Failure(FailureCode::InvalidRequest, "a request of HTTP/1.1 has one field 'Host'");
}

Failure tooMuch() {
  return {FailureCode::RateLimited, "this client asks too much at once, or too fast"};
}

}  // namespace

HttpConnection::HttpConnection(std::unique_ptr<Stream> stream, Peer peer, Shared& shared)
    : stream_(std::move(stream)), peer_(std::move(peer)), shared_(shared) {
  ++shared_.connectionCount;
}

HttpConnection::~HttpConnection() {
  endBegun();
  --shared_.connectionCount;
}

void HttpConnection::read() {
  if (shared_.isClosing) return shutDown();
  parser_.emplace();
  parser_->eager(true);
  wasToldToContinue_ = false;
  isHeadChecked_ = false;
  body_ = {};
  parser_->header_limit(static_cast<std::uint32_t>(shared_.front.options.headerBytesMax));
  parser_->body_limit(shared_.front.options.bodyBytesMax);
  if (buffer_.size() > 0) return readRest();
  // Idle: no time for the request runs until its first byte has come.
  stream_->expiresAfter(shared_.front.options.idleTimeout);
  stream_->async_read_some(buffer_.prepare(kReadBytes),
                           [self = shared_from_this()](beast::error_code error, std::size_t bytes) {
                             self->buffer_.commit(bytes);
                             if (error) return self->shutDown();
                             self->readRest();
                           });
}

void HttpConnection::readRest() {
  stream_->expiresAfter(shared_.front.options.readTimeout);
  readMore();
}

void HttpConnection::readMore() {
  http::async_read_some(*stream_, buffer_, *parser_,
                        [self = shared_from_this()](beast::error_code error, std::size_t) {
                          if (error || self->parser_->is_done()) return self->received(error);
                          if (const auto failure = self->checkHead()) {
                            self->endBegun();
                            return self->refuse(*failure);
                          }
                          if (self->wantsToBeTold()) return self->tellToContinue();
                          self->readMore();
                        });
}

/// Why the body, of which more is to come, is not read. A request that came at once is looked at when it is
/// handled.
std::optional<Failure> HttpConnection::checkHead() {
  if (isHeadChecked_ || !parser_->is_header_done()) return std::nullopt;
  isHeadChecked_ = true;
  const HttpRequest& request = parser_->get();
  if (auto failure = checkHost(request)) return failure;
  begun_ = clientOf(request);
  if (!begun_->tryBegin(shared_.loop.clock().monotonic())) {
    begun_.reset();
    return tooMuch();
  }
  if (auto failure = shared_.front.handler.checkHead(request)) return failure;
  const auto length = parser_->content_length();
  body_ = shared_.front.bodies.take(begun_, length ? *length : shared_.front.options.bodyBytesMax);
  if (body_) return std::nullopt;
  return Failure(FailureCode::ActorOverloaded,
                 "too many large requests are under way on this node");
}

std::shared_ptr<Client> HttpConnection::clientOf(const HttpRequest& request) {
  if (peer_.client != nullptr) return peer_.client;
  return shared_.front.clients.clientOf(peer_.address, forwardedForOf(request),
                                        shared_.loop.clock().monotonic());
}

/// Of a request that is not handled after all.
void HttpConnection::endBegun() {
  if (begun_ != nullptr) std::exchange(begun_, nullptr)->end();
}

/// Whether the client waits with its body until it is told to go on (RFC 9110 section 10.1.1).
bool HttpConnection::wantsToBeTold() const {
  if (wasToldToContinue_ || !parser_->is_header_done()) return false;
  const HttpRequest& request = parser_->get();
  return request.version() >= 11 && beast::iequals(request[http::field::expect], "100-continue");
}

void HttpConnection::tellToContinue() {
  static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  wasToldToContinue_ = true;
  boost::asio::async_write(*stream_, boost::asio::buffer(kContinue),
                           [self = shared_from_this()](beast::error_code error, std::size_t) {
                             if (error) return self->shutDown();
                             self->readMore();
                           });
}

void HttpConnection::received(beast::error_code error) {
  const bool isUpgrading = !error && isUpgrade(parser_->get());
  if (error || isUpgrading) endBegun();
  if (error == http::error::body_limit) {
    return refuse({FailureCode::BodyTooLarge,
                   "a request's body has at most " +
                       std::to_string(shared_.front.options.bodyBytesMax) + " bytes"});
  }
  if (error == http::error::header_limit) {
    return refuse({FailureCode::BodyTooLarge,
                   "a request's head has at most " +
                       std::to_string(shared_.front.options.headerBytesMax) + " bytes"});
  }
  const bool isMalformed =
      error && error != http::error::end_of_stream && error != http::error::partial_message &&
      error.category() == http::make_error_code(http::error::bad_method).category();
  if (isMalformed) {
    return refuse({FailureCode::InvalidRequest, "the request is malformed: " + error.message()});
  }
  if (error) return shutDown();
  if (const auto failure = checkHost(parser_->get())) {
    endBegun();
    return refuse(*failure);
  }
  if (isUpgrading) return upgrade();
  std::shared_ptr<Client> client = std::exchange(begun_, nullptr);
  if (client == nullptr) {
    client = clientOf(parser_->get());
    if (!client->tryBegin(shared_.loop.clock().monotonic())) return refuse(tooMuch());
  }
  if (!shared_.requests.tryEnter()) {
    client->end();
    return shutDown();
  }
  isHandling_ = true;
  const auto answer = [self = shared_from_this(), client] {
    self->handle(*client);
    self->shared_.requests.leave();
  };
  if (shared_.loop.trySpawn("http", answer, fiber::Priority::Outside)) return;
  isHandling_ = false;
  client->end();
  shared_.requests.leave();
  refuse({FailureCode::ActorOverloaded, "too many calls are under way on this node"});
}

/// The connection goes on as a WebSocket, if that is allowed.
void HttpConnection::upgrade() {
  ++shared_.requestCount;
  const HttpRequest& request = parser_->get();
  auto checked = checkUpgrade(request, shared_.front.origins, shared_.front.credentials);
  if (const auto* failure = std::get_if<Failure>(&checked)) return refuse(*failure);
  if (shared_.isClosing) return shutDown();
  if (peer_.client == nullptr) {
    peer_.client = shared_.front.clients.open(peer_.address, forwardedForOf(request),
                                              shared_.loop.clock().monotonic());
    if (peer_.client == nullptr) {
      return refuse({FailureCode::RateLimited, "this client has too many connections"});
    }
  }
  if (auto* raw = std::get_if<RawUpgrade>(&checked)) return becomeRaw(std::move(*raw));
  // It counts as a request that is answered at once.
  if (!peer_.client->tryBegin(shared_.loop.clock().monotonic())) return refuse(tooMuch());
  peer_.client->end();
  std::string received = beast::buffers_to_string(buffer_.data());
  const auto socket = std::make_shared<WebSocket>(std::move(stream_),
                                                  std::get<WebSocketUpgrade>(std::move(checked)),
                                                  std::move(peer_.client), shared_.webSockets);
  socket->start(std::move(received));
}

/// Opening one runs an actor's code, so it counts as a request.
void HttpConnection::becomeRaw(RawUpgrade upgrade) {
  if (!peer_.client->tryBegin(shared_.loop.clock().monotonic())) return refuse(tooMuch());
  std::string received = beast::buffers_to_string(buffer_.data());
  const auto socket = std::make_shared<RawWebSocket>(std::move(stream_), std::move(upgrade),
                                                     parser_->release(), std::move(peer_.client),
                                                     shared_.webSockets, shared_.front.handler);
  socket->start(std::move(received));
}

/// Runs on a fiber; answers what has arrived, one request after the other.
void HttpConnection::handle(Client& client) {
  HttpRequest request = parser_->release();
  ++shared_.requestCount;
  HttpHandler::Answer answer = shared_.front.handler.handle(request);
  bool goesOn = false;
  if (auto* asked = std::get_if<call::HttpRequest>(&answer)) {
    goesOn = relay(request, std::move(*asked));
    client.end();
  } else {
    client.end();
    auto& response = std::get<HttpResponse>(answer);
    if (shared_.isClosing) response.keep_alive(false);
    goesOn = write(response) && response.keep_alive();
  }
  isHandling_ = false;
  if (goesOn) {
    read();
  } else {
    shutDown();
  }
}

/// An actor's own code answers.
bool HttpConnection::relay(const HttpRequest& request, call::HttpRequest asked) {
  ActorAnswer answer(*stream_, buffer_, shared_.front, request, shared_.isClosing,
                     asked.claimsExpireMs);
  answer_ = &answer;
  const bool goesOn = answer.serve(std::move(asked));
  answer_ = nullptr;
  return goesOn;
}

bool HttpConnection::write(HttpResponse& response) {
  stream_->expiresAfter(shared_.front.options.writeTimeout);
  const beast::error_code error =
      await([&](auto handler) { http::async_write(*stream_, response, std::move(handler)); });
  return !error;
}

/// Answers what could not be read or taken, and closes: where the next request starts may be unknown. Takes
/// no fiber, unless the client still sends: those may be what there is too little of.
void HttpConnection::refuse(const Failure& failure) {
  if (!shared_.requests.tryEnter()) return shutDown();
  auto response =
      std::make_shared<HttpResponse>(shared_.front.handler.refuse(parser_->get(), failure));
  response->keep_alive(false);
  const auto answer = [self = shared_from_this(), response] {
    if (self->write(*response)) self->linger();
    self->shutDown();
    self->shared_.requests.leave();
  };
  const bool stillSends = !parser_->is_done();
  if (stillSends && shared_.loop.trySpawn("http refusal", answer, fiber::Priority::Inside)) return;
  stream_->expiresAfter(shared_.front.options.writeTimeout);
  http::async_write(*stream_, *response,
                    [self = shared_from_this(), response](beast::error_code, std::size_t) {
                      self->shutDown();
                      self->shared_.requests.leave();
                    });
}

/// A client that still sends would be reset by a close, and might never see the answer (RFC 9112 section
/// 9.6).
void HttpConnection::linger() {
  stream_->shutdownSend();
  stream_->expiresAfter(kLingerTime);  // of all of it
  beast::error_code error;
  while (!error && !shared_.isClosing) {
    buffer_.clear();
    error = await([&](auto handler) {
      stream_->async_read_some(buffer_.prepare(kLingerBytes), std::move(handler));
    });
  }
}

void HttpConnection::finish() {
  if (answer_ != nullptr) answer_->finish();
  if (!isHandling_) cut();
}

void HttpConnection::cut() {
  if (answer_ != nullptr) answer_->cut();
  if (stream_ != nullptr) stream_->cancel();
}

void HttpConnection::shutDown() {
  if (stream_ != nullptr) stream_->close();
}

}  // namespace skep::gateway
