#include "skep/actor/socket_exchange.h"

#include "skep/actor/invocation.h"
#include "skep/base/check.h"

namespace skep::actor {

using call::Failure;
using call::FailureCode;
using call::WebSocketClose;
using call::WebSocketMessage;

// ---- To the client's end

void SocketExchange::accept(std::string subprotocol) {
  if (isOver()) return;
  SKEP_CHECK(phase_ == Phase::Asking, "a WebSocket is accepted once");
  phase_ = Phase::Open;
  peer_->accepted(std::move(subprotocol));
}

void SocketExchange::send(WebSocketMessage message) {
  if (phase_ == Phase::Open) peer_->message(std::move(message));
}

void SocketExchange::close(WebSocketClose close) {
  if (phase_ != Phase::Open) return;
  peer_->close(close);
  becomeOver(std::move(close));
}

void SocketExchange::fail(const Failure& failure) {
  if (isOver()) return;
  peer_->failed(failure);
  becomeOver({.code = WebSocketClose::kNoClose, .reason = failure.toString()});
}

void SocketExchange::becomeOver(WebSocketClose ending) {
  phase_ = Phase::Over;
  ending_ = std::move(ending);
  peer_.reset();
  if (invocation_ != nullptr) invocation_->goOnFor(timeAfter_);
  changed();
}

// ---- From the client's end

void SocketExchange::arrive(WebSocketMessage message) {
  if (isOver()) return;
  arrived_.push_back(std::move(message));
  changed();
}

void SocketExchange::taken(std::size_t cost) {
  SKEP_CHECK(cost <= sentCost_, "a client takes what it was sent");
  sentCost_ -= cost;
  changed();
}

void SocketExchange::clientClosed(WebSocketClose close) {
  if (isOver()) return;
  const bool wasAsking = phase_ == Phase::Asking;
  becomeOver(std::move(close));
  if (wasAsking && invocation_ != nullptr) invocation_->stop("the client has gone");
}

// ---- For the actor's code

void SocketExchange::setInvocation(Invocation* invocation, Duration timeAfter) {
  invocation_ = invocation;
  timeAfter_ = timeAfter;
}

bool SocketExchange::startTalking() {
  isTalking_ = mayTalk_;
  return mayTalk_;
}

std::optional<WebSocketMessage> SocketExchange::take() {
  if (!hasMessage()) return std::nullopt;
  WebSocketMessage message = std::move(arrived_.front());
  arrived_.pop_front();
  if (peer_ != nullptr) peer_->taken(message.cost());
  return message;
}

bool SocketExchange::waitForChange(Duration patience, fiber::AbortToken token) {
  fiber::AbortSource change;
  waiting_ = &change;
  const std::uint64_t id = token.onAbort([&change] { change.requestAbort(); });
  const bool nothing = fiber::sleepFor(patience, change.token());
  token.remove(id);
  waiting_ = nullptr;
  return !nothing;
}

void SocketExchange::refuseTalking() {
  mayTalk_ = false;
  if (!isTalking_) return;
  fail({FailureCode::ShuttingDown, "this node is shutting down"});
  if (invocation_ != nullptr) invocation_->stop("this node is shutting down");
}

// ---- SocketExchanges

/// What the client's end holds. Its calls cross over to the actor's loop.
class SocketExchanges::Handle final : public call::WebSocketHandle {
 public:
  Handle(fiber::Loop& loop, SocketExchangePtr exchange)
      : loop_(loop), exchange_(std::move(exchange)) {}

  void message(WebSocketMessage message) override {
    cross([message = std::move(message)](SocketExchange& exchange) mutable {
      exchange.arrive(std::move(message));
    });
  }
  void taken(std::size_t cost) override {
    cross([cost](SocketExchange& exchange) { exchange.taken(cost); });
  }
  void closed(WebSocketClose close) override {
    cross([close = std::move(close)](SocketExchange& exchange) mutable {
      exchange.clientClosed(std::move(close));
    });
  }

 private:
  template <class Message>
  void cross(Message message) {
    if (fiber::currentLoop() == &loop_) return message(*exchange_);
    loop_.post(
        [exchange = exchange_, message = std::move(message)]() mutable { message(*exchange); });
  }

  fiber::Loop& loop_;
  const SocketExchangePtr exchange_;
};

std::unique_ptr<call::WebSocketHandle> SocketExchanges::start(
    call::HttpRequest request, std::shared_ptr<call::WebSocketPeer> peer) {
  auto exchange = std::make_shared<SocketExchange>(std::move(peer));
  auto handle = std::make_unique<Handle>(fibers_.loop(), exchange);
  // Later, also on the same loop: the peer hears nothing before the caller has the handle.
  fibers_.loop().post(
      [this, exchange = std::move(exchange), request = std::move(request)]() mutable {
        run(exchange, std::move(request));
      });
  return handle;
}

void SocketExchanges::run(const SocketExchangePtr& exchange, call::HttpRequest request) {
  if (exchange->isOver()) return;
  const bool begun = fibers_.spawn("web socket", [this, exchange, request = std::move(request)] {
    underWay_.push_back(*exchange);
    if (const auto failed = talk_(request, exchange)) exchange->fail(*failed);
    exchange->unlink();
  });
  if (!begun) exchange->fail(fibers_.refusal());
}

void SocketExchanges::close() {
  for (SocketExchange& exchange : underWay_) exchange.refuseTalking();
}

}  // namespace skep::actor
