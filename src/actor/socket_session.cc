#include "skep/actor/socket_session.h"

#include <algorithm>
#include <utility>

#include "skep/actor/actor_instance.h"
#include "skep/base/utf8.h"

namespace skep::actor {
namespace {

constexpr Duration kForever = std::chrono::hours(24) * 36'500;

using call::Failure;
using call::FailureCode;
using call::WebSocketClose;
using call::WebSocketMessage;

/// A client's fields Sec-WebSocket-Protocol, each a list of tokens (RFC 6455 section 11.3.4).
std::vector<std::string> offeredIn(const call::Headers& headers) {
  std::vector<std::string> offered;
  for (const auto& [name, value] : headers) {
    if (name != "sec-websocket-protocol") continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      std::string_view token = rest.substr(0, comma);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      const std::size_t begin = std::min(token.find_first_not_of(" \t"), token.size());
      token.remove_prefix(begin);
      token = token.substr(0, token.find_last_not_of(" \t") + 1);
      if (!token.empty()) offered.emplace_back(token);
    }
  }
  return offered;
}

/// The gateway gives up a client that does not read; so does an actor.
Failure tooSlow() {
  return {FailureCode::ActionTimedOut, "the client does not take what it is sent"};
}

}  // namespace

Status sendTo(const SocketExchangePtr& to, Invocation& invocation, const SocketOptions& options,
              WebSocketMessage message) {
  if (message.kind == WebSocketMessage::Kind::Text && !isValidUtf8(message.bytes)) {
    return Error{ErrorCode::InvalidArgument, "a text message is UTF-8"};
  }
  if (!to->isOpen()) return {};
  if (to->sentCost() > options.sendBytesLimit) {
    to->fail(tooSlow());
    return {};
  }
  const std::size_t cost = message.cost();
  SKEP_CHECK_OK(invocation.say(
      cost, [to, message = std::move(message)]() mutable { to->send(std::move(message)); }));
  to->noteSent(cost);
  invocation.database().onRollback([to, cost] { to->noteUnsent(cost); });
  return {};
}

Status closeTo(const SocketExchangePtr& to, Invocation& invocation, WebSocketClose close) {
  SKEP_CHECK_OK(call::checkClose(close));
  if (!to->isOpen()) return {};
  SKEP_CHECK_OK(invocation.say(sizeof close, [to, close] { to->close(close); }));
  to->setClosing(std::move(close));
  invocation.database().onRollback([to] { to->setClosing(std::nullopt); });
  return {};
}

SocketSession::SocketSession(ActorInstance& instance, Invocation& invocation,
                             const call::HttpRequest& request, SocketExchangePtr exchange)
    : instance_(instance),
      invocation_(invocation),
      exchange_(std::move(exchange)),
      patience_(instance.loop()),
      offered_(offeredIn(request.headers)) {
  exchange_->setInvocation(&invocation, instance.type().options.actionTimeout);
}

SocketSession::~SocketSession() {
  exchange_->setOnChange(nullptr);
  exchange_->setInvocation(nullptr);
}

const SocketOptions& SocketSession::options() const {
  return instance_.type().options.sockets;
}

Status SocketSession::checkAccepted() const {
  if (isAccepted()) return {};
  return Error{ErrorCode::InvalidArgument, "a WebSocket is accepted before anything else"};
}

Status SocketSession::accept(std::string subprotocol) {
  if (isAccepted()) {
    return Error{ErrorCode::InvalidArgument, "the WebSocket has been accepted already"};
  }
  const bool isOffered = subprotocol.empty() ||
                         std::find(offered_.begin(), offered_.end(), subprotocol) != offered_.end();
  if (!isOffered) {
    return Error{ErrorCode::InvalidArgument,
                 "the client does not offer the subprotocol '" + subprotocol + "'"};
  }
  SKEP_CHECK_OK(invocation_.say(
      subprotocol.size(), [exchange = exchange_, subprotocol] { exchange->accept(subprotocol); }));
  if (!exchange_->startTalking()) {
    return Error{ErrorCode::Aborted, "this node is shutting down"};
  }
  invocation_.goOnUntilStopped();
  return {};
}

Status SocketSession::send(WebSocketMessage message) {
  SKEP_CHECK_OK(checkAccepted());
  return sendTo(exchange_, invocation_, options(), std::move(message));
}

Status SocketSession::close(WebSocketClose close) {
  SKEP_CHECK_OK(checkAccepted());
  return closeTo(exchange_, invocation_, std::move(close));
}

Result<std::optional<WebSocketMessage>> SocketSession::receive(std::optional<Duration> timeout) {
  SKEP_CHECK_OK(checkAccepted());
  SKEP_CHECK_OK(invocation_.pause([&] {
    letOthersRun();
    waitUntilTaken();
    waitForMessage(timeout.value_or(kForever));
    waitForOthers();
  }));
  return exchange_->take();
}

Status SocketSession::drain() {
  SKEP_CHECK_OK(checkAccepted());
  return invocation_.pause([&] { waitUntilTaken(); });
}

bool SocketSession::isReady() {
  if (!isAccepted()) return false;
  if (hasTooMuchOnItsWay()) {
    if (!patience_.isPending()) {
      patience_.callAfter(options().sendTimeout, [this] { exchange_->fail(tooSlow()); });
    }
    return false;
  }
  patience_.cancel();
  return exchange_->isOver() || exchange_->hasMessage();
}

void SocketSession::letOthersRun() {
  if (invocation_.isInLine()) invocation_.leaveLine();
}

void SocketSession::waitForOthers() {
  const bool isOneAtATime = instance_.type().options.concurrency == Concurrency::OneAtATime;
  // Without success it has to end, as the next turn finds out.
  if (isOneAtATime && !invocation_.isInLine()) (void)invocation_.takeLine();
}

bool SocketSession::hasTooMuchOnItsWay() const {
  return exchange_->isOpen() && exchange_->sentCost() > options().sendBytesMax;
}

void SocketSession::waitUntilTaken() {
  const fiber::AbortToken token = invocation_.abortToken();
  const MonotonicTime end = instance_.clock().monotonic() + options().sendTimeout;
  while (hasTooMuchOnItsWay()) {
    if (token.isAborted()) return;
    const Duration left = end - instance_.clock().monotonic();
    if (left <= Duration::zero()) return exchange_->fail(tooSlow());
    (void)exchange_->waitForChange(left, token);
  }
}

void SocketSession::waitForMessage(Duration patience) {
  const fiber::AbortToken token = invocation_.abortToken();
  const MonotonicTime end = instance_.clock().monotonic() + patience;
  while (!exchange_->hasMessage() && exchange_->isOpen() && !token.isAborted()) {
    const Duration left = end - instance_.clock().monotonic();
    if (left <= Duration::zero()) return;
    (void)exchange_->waitForChange(left, token);
  }
}

call::Outcome<std::monostate> SocketSession::finish() {
  if (!isAccepted()) {
    return Failure(FailureCode::RouteNotFound, "the actor does not take a WebSocket at this path");
  }
  if (!invocation_.isInTurn() || !exchange_->isOpen()) return std::monostate{};
  const Status closed = close({});
  if (!closed) return call::failureOf(closed.error(), instance_.address().toString());
  return std::monostate{};
}

}  // namespace skep::actor
