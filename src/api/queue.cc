#include "skep/api/queue.h"

#include "skep/api/turn.h"

namespace skep::api {

actor::Queues& UntypedQueue::rows() {
  return servicesOf(invocation_).queues();
}

std::int64_t UntypedQueue::send(const Value& body, const SendOptions& options) {
  return unwrap(rows().send(name_, toStored(body), options.delay));
}

std::optional<actor::QueuedMessage> UntypedQueue::next(
    std::optional<std::chrono::nanoseconds> timeout) {
  (void)unwrap(rows().size(name_));  // unknown_queue
  return unwrap(servicesOf(invocation_).dispatcher().receive(invocation_, name_, timeout));
}

void UntypedQueue::complete(const actor::QueuedMessage& message, const Value& reply) {
  actor::Dispatcher& dispatcher = servicesOf(invocation_).dispatcher();
  unwrap(dispatcher.complete(name_, message, format(reply, dispatcher.replyEncoding(message.id))));
}

void UntypedQueue::fail(const actor::QueuedMessage& message, const std::string& error) {
  unwrap(servicesOf(invocation_).dispatcher().fail(name_, message, error));
}

void UntypedQueue::abandon(const actor::QueuedMessage& message) {
  invocation_.services().dispatcher().abandon(name_, message);
}

}  // namespace skep::api
