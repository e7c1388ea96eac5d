#include "skep/gateway/actor_answer.h"

#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <charconv>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "skep/fiber/fiber.h"
#include "skep/gateway/common_fields.h"
#include "skep/gateway/text.h"

namespace skep::gateway {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadBytes = 4096;
constexpr unsigned kHttp11 = 11;
constexpr unsigned kNoContent = 204;
constexpr unsigned kNotModified = 304;
constexpr std::string_view kEventStream = "text/event-stream";

bool hasNoBody(const HttpRequest& request, unsigned status) {
  return request.method() == http::verb::head || status == kNoContent || status == kNotModified;
}

void addFields(const call::Headers& headers, http::fields& fields) {
  for (const auto& [name, value] : headers) fields.insert(name, value);
}

std::optional<std::uint64_t> lengthIn(const http::fields& fields) {
  const std::string_view text = view(fields[http::field::content_length]);
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return length;
}

std::string chunkHead(std::size_t bytes) {
  std::array<char, 20> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), bytes, 16);
  return std::string(digits.data(), end) + "\r\n";
}

}  // namespace

/// One thing that the actor's end said.
struct ActorAnswer::Part {
  struct Ended {};
  std::variant<call::HttpResponse, call::HttpHead, std::string, Ended, call::Failure> said;
};

/// Where the actor's end, on its loop, puts what it says.
class ActorAnswer::Inbox final : public call::HttpPeer {
 public:
  void answered(call::HttpResponse response) override { put({std::move(response)}); }
  void begun(call::HttpHead head) override { put({std::move(head)}); }
  void chunk(std::string bytes) override { put({std::move(bytes)}); }
  void ended() override { put({Part::Ended()}); }
  void failed(const call::Failure& failure) override { put({failure}); }

  /// What has come since the last time; waits for something, or for interrupt(). Suspends.
  std::vector<Part> take() {
    fiber::suspend([this](fiber::Waker waker) {
      const std::lock_guard lock(mutex_);
      if (!parts_.empty() || isInterrupted_) {
        waker.wake();
      } else {
        waker_ = waker;
      }
    });
    const std::lock_guard lock(mutex_);
    return std::exchange(parts_, {});
  }
  void interrupt() {
    const std::lock_guard lock(mutex_);
    isInterrupted_ = true;
    wake();
  }
  bool isInterrupted() {
    const std::lock_guard lock(mutex_);
    return isInterrupted_;
  }

 private:
  void put(Part part) {
    const std::lock_guard lock(mutex_);
    parts_.push_back(std::move(part));
    wake();
  }
  void wake() {
    if (waker_) std::exchange(waker_, fiber::Waker()).wake();
  }

  std::mutex mutex_;
  std::vector<Part> parts_;
  fiber::Waker waker_;
  bool isInterrupted_ = false;
};

ActorAnswer::ActorAnswer(Stream& stream, boost::beast::flat_buffer& buffer, Front& front,
                         const HttpRequest& request, const bool& isClosing,
                         std::int64_t tokenExpiresMs)
    : stream_(stream),
      buffer_(buffer),
      front_(front),
      request_(request),
      isClosing_(isClosing),
      inbox_(std::make_shared<Inbox>()),
      expiresMs_(tokenExpiresMs),
      expiry_(*fiber::currentLoop()) {}

ActorAnswer::~ActorAnswer() = default;

bool ActorAnswer::serve(call::HttpRequest asked) {
  stream_.expiresNever();
  actor_ = front_.router.request(std::move(asked), inbox_);
  watch();
  while (!isOver_) {
    std::vector<Part> parts = inbox_->take();
    // Gone, or cut off: nobody listens any more.
    if (inbox_->isInterrupted()) break;
    for (Part& part : parts) {
      if (!isOver_) relay(part);
    }
    flush();
  }
  actor_->close();
  stopWatching();
  return mayGoOn_ && !isClosing_ && request_.keep_alive();
}

void ActorAnswer::finish() {
  if (neverEnds_) cut();
}

void ActorAnswer::cut() {
  inbox_->interrupt();
}

// ---- What the actor says

void ActorAnswer::relay(Part& part) {
  if (auto* response = std::get_if<call::HttpResponse>(&part.said)) {
    whole(std::move(*response));
  } else if (const auto* head = std::get_if<call::HttpHead>(&part.said)) {
    begin(*head);
  } else if (const auto* chunk = std::get_if<std::string>(&part.said)) {
    add(*chunk);
  } else if (const auto* failure = std::get_if<call::Failure>(&part.said)) {
    fail(*failure);
  } else {
    end();
  }
}

void ActorAnswer::whole(call::HttpResponse answered) {
  HttpResponse response(static_cast<http::status>(answered.head.status), request_.version());
  addFields(answered.head.headers, response);
  if (!hasNoBody(request_, answered.head.status)) {
    response.body() = std::move(answered.body);
    response.prepare_payload();
  } else if (request_.method() == http::verb::head && !lengthIn(response)) {
    response.content_length(answered.body.size());
  } else if (request_.method() != http::verb::head) {
    response.erase(http::field::content_length);
  }
  addCommonFields(request_, front_.origins, response);
  write(response);
}

void ActorAnswer::fail(const call::Failure& failure) {
  if (hasBegun_) {
    // Without its end: the client sees that something is missing.
    flush();
    isOver_ = true;
    return;
  }
  HttpResponse response = front_.handler.refuse(request_, failure);
  write(response);
}

void ActorAnswer::begin(const call::HttpHead& head) {
  hasBegun_ = true;
  http::response<http::empty_body> response(static_cast<http::status>(head.status),
                                            request_.version());
  addFields(head.headers, response);
  isBodyless_ = hasNoBody(request_, head.status);
  lengthLeft_ = lengthIn(response);
  isChunked_ = !isBodyless_ && !lengthLeft_ && request_.version() >= kHttp11;
  neverEnds_ = view(response[http::field::content_type]).starts_with(kEventStream);
  addCommonFields(request_, front_.origins, response);
  // One length, or none: two would let what follows be taken for another response.
  response.erase(http::field::content_length);
  if (lengthLeft_ && head.status != kNoContent) response.content_length(*lengthLeft_);
  if (isChunked_) response.set(http::field::transfer_encoding, "chunked");
  // A client of HTTP/1.0 takes what comes until the connection ends.
  const bool endsWithConnection = !isBodyless_ && !isChunked_ && !lengthLeft_;
  response.keep_alive(request_.keep_alive() && !isClosing_ && !endsWithConnection);
  http::response_serializer<http::empty_body> serializer(response);
  await([&](auto handler) { http::async_write_header(stream_, serializer, std::move(handler)); });
  if (isOver_) return;
  if (isBodyless_) {
    mayGoOn_ = true;
    isOver_ = true;
  }
  if (neverEnds_ && isClosing_) isOver_ = true;
  if (expiresMs_ == 0) return;
  const std::int64_t leftMs = expiresMs_ - fiber::currentLoop()->clock().wallMs();
  expiry_.callAfter(std::chrono::milliseconds(std::max<std::int64_t>(0, leftMs)),
                    [this] { cut(); });
}

void ActorAnswer::add(std::string_view chunk) {
  if (chunk.empty()) return;  // in chunks, that would be the end
  gatheredBytes_ += chunk.size();
  if (lengthLeft_) {
    // More than it told would be taken for the next response.
    if (chunk.size() > *lengthLeft_) {
      isOver_ = true;
      return;
    }
    *lengthLeft_ -= chunk.size();
  }
  if (isChunked_) gathered_ += chunkHead(chunk.size());
  gathered_ += chunk;
  if (isChunked_) gathered_ += "\r\n";
}

void ActorAnswer::end() {
  if (isChunked_) gathered_ += "0\r\n\r\n";
  flush();
  if (isOver_) return;
  isOver_ = true;
  mayGoOn_ = isChunked_ || (lengthLeft_ && *lengthLeft_ == 0);
}

// ---- To the client

void ActorAnswer::flush() {
  if (gathered_.empty() || isOver_) return;
  await([&](auto handler) {
    asio::async_write(stream_, asio::buffer(gathered_), std::move(handler));
  });
  gathered_.clear();
  const std::size_t taken = std::exchange(gatheredBytes_, 0);
  if (!isOver_ && taken > 0) actor_->taken(taken);
}

void ActorAnswer::write(HttpResponse& response) {
  response.keep_alive(request_.keep_alive() && !isClosing_);
  await([&](auto handler) { http::async_write(stream_, response, std::move(handler)); });
  mayGoOn_ = !isOver_;
  isOver_ = true;
}

/// Runs a write; after an error it is over. Suspends.
template <class Operation>
void ActorAnswer::await(Operation operation) {
  stream_.expiresAfter(front_.options.writeTimeout);
  error_code failed;
  fiber::suspend([&](fiber::Waker waker) {
    operation([&failed, waker](error_code error, std::size_t) mutable {
      failed = error;
      waker.wake();
    });
  });
  stream_.expiresNever();
  if (failed) isOver_ = true;
}

// ---- The client's side

void ActorAnswer::watch() {
  isWatching_ = true;
  stream_.awaitReadable([this](error_code error) {
    isWatching_ = false;
    if (!isLeaving_) {
      if (error) {
        cut();
      } else {
        look();
      }
    }
    watched_.notifyAll();
  });
}

/// It is readable: there is its next request already, or its end.
void ActorAnswer::look() {
  error_code error;
  const std::size_t bytes = stream_.readSome(buffer_.prepare(kReadBytes), error);
  buffer_.commit(bytes);
  const bool isBlocked = error == asio::error::would_block || error == asio::error::try_again;
  if (error && !isBlocked) return cut();
  // Who sends more than a head is not watched any more: a write shows when it goes.
  if (buffer_.size() < front_.options.headerBytesMax) watch();
}

void ActorAnswer::stopWatching() {
  isLeaving_ = true;
  if (isWatching_) stream_.cancel();
  while (isWatching_) watched_.wait();
}

}  // namespace skep::gateway
