#include "skep/actor/http_responder.h"

#include <utility>

#include "skep/actor/actor_instance.h"

namespace skep::actor {
namespace {

constexpr unsigned kNoContent = 204;

Error alreadyAnswered() {
  return {ErrorCode::InvalidArgument, "the request has been answered already"};
}

}  // namespace

HttpResponder::HttpResponder(ActorInstance& instance, Invocation& invocation,
                             HttpExchangePtr exchange)
    : instance_(instance), invocation_(invocation), exchange_(std::move(exchange)) {
  exchange_->setInvocation(&invocation);
}

HttpResponder::~HttpResponder() {
  exchange_->setInvocation(nullptr);
}

Status HttpResponder::stage(std::size_t bytes, std::function<void()> leave) {
  if (!invocation_.isInTurn()) {
    return Error{ErrorCode::Aborted, "this call has ended, or was told to stop"};
  }
  return instance_.outbox().say(bytes, std::move(leave));
}

Status HttpResponder::respond(call::HttpResponse response) {
  if (hasBegun() || response_) return alreadyAnswered();
  SKEP_CHECK_OK(call::checkHead(response.head));
  response_ = std::move(response);
  return {};
}

Status HttpResponder::begin(call::HttpHead head) {
  if (hasBegun() || response_) return alreadyAnswered();
  SKEP_CHECK_OK(call::checkHead(head));
  const std::size_t bytes = sizeof head;
  SKEP_CHECK_OK(stage(bytes, [exchange = exchange_, head = std::move(head)]() mutable {
    exchange->begin(std::move(head));
  }));
  if (!exchange_->startStreaming()) {
    return Error{ErrorCode::Aborted, "this node is shutting down"};
  }
  invocation_.goOnUntilStopped();
  return {};
}

Status HttpResponder::write(std::string bytes) {
  if (!hasBegun()) return Error{ErrorCode::InvalidArgument, "a stream begins with its head"};
  if (bytes.empty()) return invocation_.pause([] {});
  const std::size_t size = bytes.size();
  SKEP_CHECK_OK(stage(size, [exchange = exchange_, bytes = std::move(bytes)]() mutable {
    exchange->chunk(std::move(bytes));
  }));
  exchange_->noteSent(size);
  const HttpOptions& options = instance_.type().options.http;
  const Status paused = invocation_.pause([&] {
    const fiber::AbortToken token = invocation_.abortToken();
    if (exchange_->waitUntilTaken(options.sendBytesMax, options.sendTimeout, token)) return;
    if (token.isAborted()) return;
    exchange_->fail(
        {call::FailureCode::ActionTimedOut, "the client does not take what it is sent"});
    invocation_.stop("the client does not take what it is sent");
  });
  return paused;
}

Status HttpResponder::finish() {
  if (!hasBegun()) return {};
  return stage(0, [exchange = exchange_] { exchange->end(); });
}

call::HttpResponse HttpResponder::takeResponse() {
  if (response_) return *std::exchange(response_, std::nullopt);
  return {.head = {.status = kNoContent}, .body = {}};
}

}  // namespace skep::actor
