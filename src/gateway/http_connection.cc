#include "skep/gateway/http_connection.h"

#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "skep/base/log.h"
#include "skep/fiber/fiber.h"
#include "skep/gateway/common_fields.h"
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
constexpr unsigned kSwitchingProtocols = 101;

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

void HttpConnection::start() {
  if (!stream_->isEncrypted()) return read();
  stream_->expiresAfter(shared_.front.options.tlsTimeout);
  stream_->asyncHandshake([self = shared_from_this()](beast::error_code error) {
    if (error) return self->shutDown();
    self->read();
  });
}

void HttpConnection::read() {
  if (shared_.isClosing) return shutDown();
  parser_.emplace();
  parser_->eager(true);
  wasToldToContinue_ = false;
  admission_.reset();
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
  stream_->expiresAfter(shared_.front.options.headTimeout);
  readMore();
}

void HttpConnection::readMore() {
  http::async_read_some(*stream_, buffer_, *parser_,
                        [self = shared_from_this()](beast::error_code error, std::size_t) {
                          if (error || self->parser_->is_done()) return self->received(error);
                          self->readPart();
                        });
}

/// More of the request is to come. One that came at once is looked at when it is handled.
void HttpConnection::readPart() {
  if (!parser_->is_header_done()) return readMore();
  if (!admission_ && !admitHead()) return;
  if (const auto failure = holdBody()) {
    endBegun();
    return refuse(*failure);
  }
  if (wantsToBeTold()) return tellToContinue();
  readMore();
}

/// False: it is answered already, and its body is not read.
bool HttpConnection::admitHead() {
  HttpRequest& request = parser_->get();
  if (isUpgrade(request)) {
    refuse({FailureCode::InvalidRequest, "a request that opens a WebSocket has no body"});
    return false;
  }
  if (const auto failure = begin()) {
    refuse(*failure);
    return false;
  }
  admission_ = shared_.front.handler.admit(request);
  if (auto* response = std::get_if<HttpResponse>(&*admission_)) {
    endBegun();
    sendLast(std::move(*response));
    return false;
  }
  body_ = BodyLease(shared_.front.bodies, begun_);
  stream_->expiresAfter(shared_.front.options.bodyTimeout);
  return true;
}

/// What has come of the body takes its part of the memory for all of them.
std::optional<Failure> HttpConnection::holdBody() {
  switch (body_.growTo(parser_->get().body().size())) {
    case BodyLease::Growth::Granted:
      return std::nullopt;
    case BodyLease::Growth::ClientHasTooMuch:
      return Failure(FailureCode::RateLimited, "this client sends too many large requests at once");
    case BodyLease::Growth::ServerHasTooMuch:
      return Failure(FailureCode::ActorOverloaded,
                     "too many large requests are under way on this node");
  }
  SKEP_UNREACHABLE();
}

/// The request counts for its client, until endBegun() or until it is answered.
std::optional<Failure> HttpConnection::begin() {
  const HttpRequest& request = parser_->get();
  if (auto failure = checkHost(request)) return failure;
  const MonotonicTime now = shared_.loop.clock().monotonic();
  std::shared_ptr<Client> client =
      peer_.client != nullptr
          ? peer_.client
          : shared_.front.clients.clientOf(peer_.address, forwardedForOf(request), now);
  if (!client->tryBegin(now)) return tooMuch();
  begun_ = std::move(client);
  return std::nullopt;
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

/// Null: the client has gone, or said nothing.
std::optional<Failure> HttpConnection::explain(beast::error_code error) const {
  if (stream_->hasExpired()) {
    return Failure(FailureCode::RequestTimedOut, "the request did not come whole in time");
  }
  if (error == http::error::body_limit) {
    return Failure(FailureCode::BodyTooLarge,
                   "a request's body has at most " +
                       std::to_string(shared_.front.options.bodyBytesMax) + " bytes");
  }
  if (error == http::error::header_limit) {
    return Failure(FailureCode::BodyTooLarge,
                   "a request's head has at most " +
                       std::to_string(shared_.front.options.headerBytesMax) + " bytes");
  }
  const bool isMalformed =
      error != http::error::end_of_stream && error != http::error::partial_message &&
      error.category() == http::make_error_code(http::error::bad_method).category();
  if (!isMalformed) return std::nullopt;
  return Failure(FailureCode::InvalidRequest, "the request is malformed: " + error.message());
}

/// All of the request, or what is wrong with it.
void HttpConnection::received(beast::error_code error) {
  if (error) {
    endBegun();
    if (const auto failure = explain(error)) return refuse(*failure);
    return shutDown();
  }
  if (isUpgrade(parser_->get())) return upgrade();
  if (begun_ == nullptr) {
    if (const auto failure = begin()) return refuse(*failure);
  }
  std::shared_ptr<Client> client = std::exchange(begun_, nullptr);
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
  HttpRequest& request = parser_->get();
  nameRequest(request);
  if (const auto failure = checkHost(request)) return refuse(*failure);
  if (shared_.isClosing) return shutDown();
  if (peer_.client == nullptr) {
    peer_.client = shared_.front.clients.open(peer_.address, forwardedForOf(request),
                                              shared_.loop.clock().monotonic());
    if (peer_.client == nullptr) {
      return refuse({FailureCode::RateLimited, "this client has too many connections"});
    }
  }
  // It counts as a request also when it is refused: to check a token is work.
  if (!peer_.client->tryBegin(shared_.loop.clock().monotonic())) return refuse(tooMuch());
  auto checked = checkUpgrade(request, shared_.front.origins, shared_.front.credentials);
  if (auto* raw = std::get_if<RawUpgrade>(&checked)) return becomeRaw(std::move(*raw));
  peer_.client->end();
  if (std::holds_alternative<WebSocketUpgrade>(checked)) log(request, kSwitchingProtocols);
  if (const auto* failure = std::get_if<Failure>(&checked)) return refuse(*failure);
  std::string received = beast::buffers_to_string(buffer_.data());
  const auto socket = std::make_shared<WebSocket>(std::move(stream_),
                                                  std::get<WebSocketUpgrade>(std::move(checked)),
                                                  std::move(peer_.client), shared_.webSockets);
  socket->start(std::move(received));
}

/// Opening one runs an actor's code: the request that began stays under way meanwhile.
void HttpConnection::becomeRaw(RawUpgrade upgrade) {
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
  HttpHandler& handler = shared_.front.handler;
  HttpHandler::Answer answer =
      handler.handle(request, admission_ ? *std::move(admission_) : handler.admit(request));
  bool goesOn = false;
  if (auto* asked = std::get_if<call::HttpRequest>(&answer)) {
    goesOn = relay(request, std::move(*asked));
    client.end();
  } else {
    client.end();
    goesOn = this->answer(request, std::get<HttpResponse>(answer));
  }
  isHandling_ = false;
  if (goesOn) {
    read();
  } else {
    shutDown();
  }
}

bool HttpConnection::answer(const HttpRequest& request, HttpResponse& response) {
  if (shared_.isClosing) response.keep_alive(false);
  log(request, response.result_int());
  return write(response) && response.keep_alive();
}

/// An actor's own code answers.
bool HttpConnection::relay(const HttpRequest& request, call::HttpRequest asked) {
  ActorAnswer answer(*stream_, buffer_, shared_.front, request, shared_.isClosing,
                     asked.claimsExpireMs);
  answer_ = &answer;
  const bool goesOn = answer.serve(std::move(asked));
  answer_ = nullptr;
  log(request, answer.status());
  return goesOn;
}

bool HttpConnection::write(HttpResponse& response) {
  stream_->expiresAfter(shared_.front.options.writeTimeout);
  const beast::error_code error =
      await([&](auto handler) { http::async_write(*stream_, response, std::move(handler)); });
  return !error;
}

/// Answers what could not be read or taken.
void HttpConnection::refuse(const Failure& failure) {
  HttpRequest& request = parser_->get();
  nameRequest(request);
  sendLast(shared_.front.handler.refuse(request, failure));
}

/// Answers, and closes: where the next request starts may be unknown. Takes no fiber, unless the client still
/// sends: those may be what there is too little of.
void HttpConnection::sendLast(HttpResponse last) {
  if (!shared_.requests.tryEnter()) return shutDown();
  log(parser_->get(), last.result_int());
  auto response = std::make_shared<HttpResponse>(std::move(last));
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

/// Not the query, which may say what nobody else should read.
void HttpConnection::log(const HttpRequest& request, unsigned status) const {
  if (!isLogged(LogLevel::Debug)) return;
  const std::string_view target = view(request.target());
  logDebug("gateway", "request",
           {{"request", requestIdOf(request)},
            {"method", view(request.method_string())},
            {"path", target.substr(0, target.find('?'))},
            {"status", status},
            {"client", peer_.address.to_string()}});
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
