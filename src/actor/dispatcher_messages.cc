// The Dispatcher's part in messages that come from outside, and in those that the actor's code takes by
// itself.

#include <algorithm>
#include <utility>

#include "skep/actor/actor_instance.h"
#include "skep/actor/background.h"
#include "skep/actor/dispatcher.h"

namespace skep::actor {

using call::Failure;
using call::FailureCode;

/// One that waits for the reply to a message, on its own stack.
struct Dispatcher::ReplyWaiter {
  call::Encoding encoding = call::Encoding::Json;
  std::optional<call::Reply> reply;
  fiber::AbortSource arrived;
};

/// One that waits for a message.
struct Dispatcher::Receiver {
  fiber::AbortSource rung;
};

// ---- Replies

call::Encoding Dispatcher::replyEncoding(std::int64_t id) const {
  const auto waiter = replyWaiters_.find(id);
  return waiter == replyWaiters_.end() ? call::Encoding::Cbor : waiter->second->encoding;
}

void Dispatcher::reply(std::int64_t id, call::Reply reply) {
  const auto waiter = replyWaiters_.find(id);
  if (waiter == replyWaiters_.end()) return;
  waiter->second->reply = std::move(reply);
  waiter->second->arrived.requestAbort();
}

void Dispatcher::stopReplyWaiter(std::int64_t id, ReplyWaiter& waiter) {
  if (waiter.reply) return;
  std::string why = "the actor goes to sleep; the message is still in its queue";
  if (instance_.isDestroyed()) {
    why = "the actor is destroyed, and the message with it";
  } else if (taken_.contains(id)) {
    why =
        "the actor is on its way out; the message is being handled, and if that fails it is "
        "handled again";
  }
  waiter.reply = Failure(FailureCode::ActorStopped, why);
  waiter.arrived.requestAbort();
}

void Dispatcher::stopReplyWaiters() {
  for (const auto& [id, waiter] : replyWaiters_) stopReplyWaiter(id, *waiter);
}

void Dispatcher::stopIdleReplyWaiters() {
  for (const auto& [id, waiter] : replyWaiters_) {
    if (!taken_.contains(id)) stopReplyWaiter(id, *waiter);
  }
}

call::Outcome<call::QueueSent> Dispatcher::send(const call::QueueSend& message) {
  call::Outcome<Bytes> body = instance_.behavior().encodeMessage(message.queue, message.body);
  if (const auto* failed = std::get_if<Failure>(&body)) return *failed;
  ReplyWaiter waiter{.encoding = message.replyEncoding};
  call::QueueSent sent;
  const Duration limit = instance_.type().options.hookTimeout;
  Invocation invocation(instance_, std::min(message.waiting.timeout.value_or(limit), limit),
                        message.waiting.callers, "sending to a queue");
  Status done = invocation.begin();
  if (done) {
    const auto id = queues_.send(message.queue, std::get<Bytes>(std::move(body)), message.delay);
    if (const auto* failed = std::get_if<Failure>(&id)) {
      invocation.rollback();
      // That a queue is full tells of messages that may not be durable.
      if (auto lost = instance_.waitDurable(invocation.seenTxid())) return *lost;
      return *failed;
    }
    sent.id = std::get<std::int64_t>(id);
    if (message.replyTimeout) replyWaiters_[sent.id] = &waiter;
    done = invocation.commit();
  }
  if (!done) {
    replyWaiters_.erase(sent.id);
    return call::failureOf(done.error(), instance_.address().toString());
  }
  if (auto lost = instance_.waitDurable(invocation.seenTxid())) {
    replyWaiters_.erase(sent.id);
    return *lost;
  }
  if (!message.replyTimeout) return sent;
  if (isStopped_) stopReplyWaiter(sent.id, waiter);
  const Duration patience = *message.replyTimeout;
  if (!waiter.reply) {
    (void)fiber::sleepFor(std::min(patience, message.waiting.timeout.value_or(patience)),
                          waiter.arrived.token());
  }
  replyWaiters_.erase(sent.id);
  if (!waiter.reply) {
    return Failure(FailureCode::ReplyTimedOut, "no reply came in time; message " +
                                                   std::to_string(sent.id) +
                                                   " is still in queue '" + message.queue + "'");
  }
  // The reply may tell of what the handler wrote.
  if (auto lost = instance_.waitDurable(instance_.database().committedTxid())) return *lost;
  if (const auto* failed = std::get_if<Failure>(&*waiter.reply)) return *failed;
  sent.reply = std::get<call::Payload>(std::move(*waiter.reply));
  return sent;
}

// ---- Taking messages

void Dispatcher::ring(const std::string& queue) {
  const auto [first, last] = receivers_.equal_range(queue);
  for (auto each = first; each != last; ++each) each->second->rung.requestAbort();
}

Result<std::optional<QueuedMessage>> Dispatcher::receive(Invocation& invocation,
                                                         const std::string& queue,
                                                         std::optional<Duration> timeout) {
  const MonotonicTime startedAt = instance_.clock().monotonic();
  while (true) {
    SKEP_TRY(std::optional<QueuedMessage> message, queues_.next(queue, taken_));
    if (message) {
      taken_.insert(message->id);
      return message;
    }
    Duration wait = invocation.timeLeft();
    if (timeout) {
      const Duration left = *timeout - (instance_.clock().monotonic() - startedAt);
      if (left <= Duration{}) return std::optional<QueuedMessage>();
      wait = std::min(wait, left);
    }
    Receiver receiver;
    const auto place = receivers_.emplace(queue, &receiver);
    Status paused = invocation.pauseIdle([&] {
      fiber::AbortToken token = invocation.abortToken();
      const std::uint64_t id = token.onAbort([&] { receiver.rung.requestAbort(); });
      (void)fiber::sleepFor(wait, receiver.rung.token());
      token.remove(id);
    });
    receivers_.erase(place);
    SKEP_CHECK_OK(std::move(paused));
  }
}

Status Dispatcher::complete(const std::string& queue, const QueuedMessage& message,
                            call::Payload reply) {
  SKEP_TRY([[maybe_unused]] const bool wasThere, queues_.acknowledge(queue, message.id));
  settled_.push_back({.queue = queue, .message = message, .reply = std::move(reply)});
  return {};
}

Status Dispatcher::fail(const std::string& queue, const QueuedMessage& message,
                        const std::string& error) {
  SKEP_TRY(const bool isDead, queues_.fail(queue, message, error));
  Settled settled{.queue = queue, .message = message};
  if (isDead) settled.reply = Failure::user("message_failed", error);
  settled_.push_back(std::move(settled));
  return {};
}

void Dispatcher::abandon(const std::string& queue, const QueuedMessage& message) {
  // On its way out, the actor's code cannot help it: the message is as it was.
  if (isStopped_ || instance_.database().brokenBy() != nullptr) {
    taken_.erase(message.id);
    return;
  }
  abandoned_.push_back({.queue = queue, .message = message});
  if (isFailing_) return;
  isFailing_ = spawn("abandoned messages", [this] {
    failAbandoned();
    isFailing_ = false;
  });
}

void Dispatcher::failAbandoned() {
  while (!abandoned_.empty()) {
    const Settled settled = std::move(abandoned_.back());
    abandoned_.pop_back();
    bool isDead = false;
    const std::string error = "it was taken and not completed";
    (void)inOwnTurn(instance_, [&]() -> Status {
      SKEP_TRY(isDead, queues_.fail(settled.queue, settled.message, error));
      return {};
    });
    taken_.erase(settled.message.id);
    if (isDead) reply(settled.message.id, Failure::user("message_failed", error));
  }
}

}  // namespace skep::actor
