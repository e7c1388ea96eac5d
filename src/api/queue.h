// Queue<Body>: a durable queue of this actor. Message<Body>: one that was taken from it.
//
// A queue is declared in define(), with a handler (d.queue("jobs", &T::handle)) or without, to be read by
// the actor's own code, mostly run() (d.queue<Job>("jobs")). Sending belongs to the turn, like SQL; so does
// completing. First in, first out, but for messages with a delay and those that failed. From c.queue<Body>();
// valid as long as the Context.
//
//   c.queue<Job>("jobs").send(job, {.delay = 5s});
//
//   while (auto message = c.queue<Job>("jobs").next()) {
//     work(message->body());
//     message->complete();
//   }
//
// ActorError: unknown_queue, queue_full, value_too_large.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "skep/actor/invocation.h"
#include "skep/actor/queue.h"
#include "skep/api/stored.h"

namespace skep {

using actor::QueueOptions;

struct SendOptions {
  std::chrono::nanoseconds delay{};
};

/// One that failed too often.
template <class Body>
struct DeadMessage {
  std::int64_t id = 0;
  Body body;
  std::string error;  // of the last try
};

namespace api {

/// What a Queue does whatever its messages are.
class UntypedQueue {
 public:
  UntypedQueue(actor::Invocation& invocation, std::string name)
      : invocation_(invocation), name_(std::move(name)) {}

  std::int64_t send(const Value& body, const SendOptions& options);
  std::optional<actor::QueuedMessage> next(std::optional<std::chrono::nanoseconds> timeout);
  void complete(const actor::QueuedMessage& message, const Value& reply);
  void fail(const actor::QueuedMessage& message, const std::string& error);
  void abandon(const actor::QueuedMessage& message);
  actor::Queues& rows();
  const std::string& name() const { return name_; }

 private:
  actor::Invocation& invocation_;
  std::string name_;
};

}  // namespace api

/// A message that this code has taken. complete() or fail() settles it, with the turn; without either it
/// counts as failed when it goes. Moves, does not copy; goes before the action that took it ends.
template <class Body>
class Message {
 public:
  Message(api::UntypedQueue queue, actor::QueuedMessage message)
      : queue_(std::move(queue)), message_(std::move(message)) {}
  Message(Message&& other) noexcept
      : queue_(std::move(other.queue_)),
        message_(std::move(other.message_)),
        isSettled_(std::exchange(other.isSettled_, true)) {}
  Message& operator=(Message&&) = delete;
  ~Message() {
    if (!isSettled_) queue_.abandon(message_);
  }

  /// InvalidValue when it is of another type than the queue has now.
  Body body() const { return api::fromStoredAs<Body>(message_.body, "message"); }
  std::int64_t id() const { return message_.id; }
  int tries() const { return message_.tries; }

  /// It goes with the commit of this turn; a sender that waits gets `reply`.
  void complete() { settle(nullptr); }
  template <class Reply>
  void complete(const Reply& reply) {
    settle(api::toValue(reply));
  }
  /// It is tried again later, or dead if that was the last try.
  void fail(const std::string& error) {
    queue_.fail(message_, error);
    isSettled_ = true;
  }

 private:
  void settle(const Value& reply) {
    queue_.complete(message_, reply);
    isSettled_ = true;
  }

  api::UntypedQueue queue_;
  actor::QueuedMessage message_;
  bool isSettled_ = false;
};

template <class Body>
class Queue {
 public:
  Queue(actor::Invocation& invocation, std::string name) : queue_(invocation, std::move(name)) {}

  /// The message's id, which no other message of this actor ever gets.
  std::int64_t send(const Body& body, const SendOptions& options = {}) {
    return queue_.send(api::Codec<Body>::encode(body), options);
  }
  /// The first message that is due; waits for one, at most for `timeout` if that is given. A wait: see
  /// Context. In run(), the actor may fall asleep meanwhile.
  std::optional<Message<Body>> next(std::optional<std::chrono::nanoseconds> timeout = {}) {
    std::optional<actor::QueuedMessage> message = queue_.next(timeout);
    if (!message) return std::nullopt;
    return std::optional<Message<Body>>(std::in_place, queue_, std::move(*message));
  }
  /// How many wait, or are handled now.
  std::size_t size() { return api::unwrap(queue_.rows().size(queue_.name())); }

  /// The dead ones with a greater id than `after`, by id.
  std::vector<DeadMessage<Body>> dead(std::int64_t after = 0, std::size_t countMax = 1000) {
    std::vector<DeadMessage<Body>> messages;
    for (auto& each : api::unwrap(queue_.rows().dead(queue_.name(), after, countMax))) {
      messages.push_back({.id = each.id,
                          .body = api::fromStoredAs<Body>(each.body, "message"),
                          .error = each.error});
    }
    return messages;
  }
  /// A dead one waits again, as if it had never failed. Whether there was one.
  bool requeueDead(std::int64_t id) {
    return api::unwrap(queue_.rows().requeueDead(queue_.name(), id));
  }
  bool removeDead(std::int64_t id) {
    return api::unwrap(queue_.rows().removeDead(queue_.name(), id));
  }

 private:
  api::UntypedQueue queue_;
};

}  // namespace skep
