#include "skep/testkit/test_connection.h"

#include <utility>

#include "skep/testkit/test_connection_state.h"
#include "skep/testkit/test_host.h"

namespace skep {

void TestPeer::connected(const call::Connected& connected) {
  id = connected.id;
  changed.notifyAll();
}

void TestPeer::replied(std::uint64_t callId, call::Reply reply) {
  replies.insert_or_assign(callId, std::move(reply));
  changed.notifyAll();
}

void TestPeer::event(const std::shared_ptr<const call::Event>& event) {
  events[event->name()].push_back(
      api::parse({.encoding = call::Encoding::Cbor, .bytes = event->value()}));
}

void TestPeer::refused(const call::Failure& failure) {
  refusal = failure;
}

void TestPeer::closed(const call::Closed& why) {
  end = why;
  changed.notifyAll();
}

TestConnection::TestConnection(std::shared_ptr<State> state) : state_(std::move(state)) {}
TestConnection::TestConnection(TestConnection&&) noexcept = default;
TestConnection& TestConnection::operator=(TestConnection&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

TestConnection::~TestConnection() {
  if (state_ != nullptr) close();
}

Value TestConnection::callValue(const std::string& action, const Value& arguments) {
  const std::shared_ptr<State> state = state_;
  if (!isOpen()) throw ActorError(state->peer->end->failure);
  const std::uint64_t id = ++state->callCount;
  state->host->drive([state, id, action, arguments] {
    state->handle->call({.id = id,
                         .action = action,
                         .arguments = api::format(arguments, call::Encoding::Cbor),
                         .replyEncoding = call::Encoding::Cbor});
    state->peer->wait([&] { return state->peer->replies.contains(id); });
  });
  auto reply = state->peer->replies.extract(id);
  if (reply.empty()) throw ActorError(state->peer->end->failure);
  return api::parse(api::unwrap(std::move(reply.mapped())));
}

void TestConnection::subscribe(const std::string& event) {
  if (!isOpen()) throw ActorError(state_->peer->end->failure);
  state_->handle->subscribe({event});
  state_->host->settle();
  if (auto refused = std::exchange(state_->peer->refusal, std::nullopt))
    throw ActorError(std::move(*refused));
}

void TestConnection::unsubscribe(const std::string& event) {
  if (!isOpen()) return;
  state_->handle->unsubscribe({event});
  state_->host->settle();
}

std::vector<Value> TestConnection::takeValues(const std::string& event) {
  return std::exchange(state_->peer->events[event], {});
}

void TestConnection::close() {
  if (state_->handle == nullptr) return;
  const bool wasOpen = isOpen();
  if (wasOpen) state_->handle->close();
  state_->handle.reset();
  if (!wasOpen) return;
  state_->peer->end = call::Closed{.failure = call::Failure(), .mayRetry = false};
  state_->host->settle();
}

bool TestConnection::isOpen() const {
  return !state_->peer->end.has_value();
}

const std::string& TestConnection::endCode() const {
  static const std::string kNone;
  return state_->peer->end ? state_->peer->end->failure.code : kNone;
}

const std::string& TestConnection::id() const {
  return state_->peer->id;
}

}  // namespace skep
