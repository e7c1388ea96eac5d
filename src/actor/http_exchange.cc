#include "skep/actor/http_exchange.h"

#include "skep/actor/invocation.h"
#include "skep/base/check.h"

namespace skep::actor {

using call::Failure;
using call::FailureCode;

// ---- To the client's end

void HttpExchange::answer(call::HttpResponse response) {
  if (isOver()) return;
  SKEP_CHECK(phase_ == Phase::Waiting, "a request is answered once");
  peer_->answered(std::move(response));
  becomeOver();
}

void HttpExchange::begin(call::HttpHead head) {
  if (isOver()) return;
  SKEP_CHECK(phase_ == Phase::Waiting, "a request is answered once");
  phase_ = Phase::Streaming;
  peer_->begun(std::move(head));
}

void HttpExchange::chunk(std::string bytes) {
  if (isOver()) return;
  SKEP_CHECK(phase_ == Phase::Streaming, "a stream begins with its head");
  peer_->chunk(std::move(bytes));
}

void HttpExchange::end() {
  if (isOver()) return;
  SKEP_CHECK(phase_ == Phase::Streaming, "a stream begins with its head");
  peer_->ended();
  becomeOver();
}

void HttpExchange::fail(const Failure& failure) {
  if (isOver()) return;
  peer_->failed(failure);
  becomeOver();
}

void HttpExchange::becomeOver() {
  phase_ = Phase::Over;
  peer_.reset();
}

// ---- From the client's end

void HttpExchange::taken(std::size_t bytes) {
  SKEP_CHECK(bytes <= sentBytes_, "a client takes what it was sent");
  sentBytes_ -= bytes;
  if (waiting_ != nullptr && sentBytes_ <= awaitedBytes_) waiting_->requestAbort();
}

void HttpExchange::close() {
  if (isOver()) return;
  becomeOver();
  if (invocation_ != nullptr) invocation_->stop("the client has gone");
}

// ---- For the code that answers

bool HttpExchange::startStreaming() {
  isStreaming_ = mayStream_;
  return mayStream_;
}

bool HttpExchange::waitUntilTaken(std::size_t bytesMax, Duration patience,
                                  fiber::AbortToken token) {
  if (sentBytes_ > bytesMax && !isOver()) {
    fiber::AbortSource done;
    waiting_ = &done;
    awaitedBytes_ = bytesMax;
    const std::uint64_t id = token.onAbort([&done] { done.requestAbort(); });
    (void)fiber::sleepFor(patience, done.token());
    token.remove(id);
    waiting_ = nullptr;
  }
  return sentBytes_ <= bytesMax && !isOver();
}

void HttpExchange::refuseStreaming() {
  mayStream_ = false;
  if (!isStreaming_) return;
  fail({FailureCode::ShuttingDown, "this node is shutting down"});
  if (invocation_ != nullptr) invocation_->stop("this node is shutting down");
}

// ---- HttpExchanges

/// What the client's end holds. Its calls cross over to the actor's loop.
class HttpExchanges::Handle final : public call::HttpHandle {
 public:
  Handle(fiber::Loop& loop, HttpExchangePtr exchange)
      : loop_(loop), exchange_(std::move(exchange)) {}

  void taken(std::size_t bytes) override {
    cross([bytes](HttpExchange& exchange) { exchange.taken(bytes); });
  }
  void close() override {
    cross([](HttpExchange& exchange) { exchange.close(); });
  }

 private:
  template <class Message>
  void cross(Message message) {
    if (fiber::currentLoop() == &loop_) return message(*exchange_);
    loop_.post([exchange = exchange_, message] { message(*exchange); });
  }

  fiber::Loop& loop_;
  const HttpExchangePtr exchange_;
};

std::unique_ptr<call::HttpHandle> HttpExchanges::start(call::HttpRequest request,
                                                       std::shared_ptr<call::HttpPeer> peer) {
  auto exchange = std::make_shared<HttpExchange>(std::move(peer));
  auto handle = std::make_unique<Handle>(fibers_.loop(), exchange);
  // Later, also on the same loop: the peer hears nothing before the caller has the handle.
  fibers_.loop().post(
      [this, exchange = std::move(exchange), request = std::move(request)]() mutable {
        run(exchange, std::move(request));
      });
  return handle;
}

void HttpExchanges::run(const HttpExchangePtr& exchange, call::HttpRequest request) {
  if (exchange->isOver()) return;
  const bool begun = fibers_.spawn("http request", [this, exchange, request = std::move(request)] {
    underWay_.push_back(*exchange);
    if (const auto failed = answer_(request, exchange)) exchange->fail(*failed);
    exchange->unlink();
  });
  if (!begun) exchange->fail(fibers_.refusal());
}

void HttpExchanges::close() {
  for (HttpExchange& exchange : underWay_) exchange.refuseStreaming();
}

}  // namespace skep::actor
