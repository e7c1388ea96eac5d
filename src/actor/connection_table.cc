#include "skep/actor/connection_table.h"

#include <algorithm>
#include <utility>

#include "skep/actor/actor_type.h"
#include "skep/base/random_id.h"

namespace skep::actor {
namespace {

using call::Failure;
using call::FailureCode;

/// Whether a client that was not let in, or lost its connection, for this reason may come back.
bool mayRetry(const Failure& failure) {
  return failure.isRetryable || failure.is(FailureCode::ActorBroken) ||
         failure.is(FailureCode::ActorStopped) || failure.is(FailureCode::ActionTimedOut);
}

/// What the actor's code threw instead of an answer is one, too.
std::optional<Failure> asRefusal(std::optional<Failure> failed) {
  if (!failed || (failed->group != "user" && failed->group != "internal")) return failed;
  return Failure(FailureCode::Forbidden, failed->toString());
}

/// Whether its messages need not wait.
bool isReady(const Connection& connection) {
  return connection.phase() == Connection::Phase::Open && !connection.isAsking();
}

bool hasAll(const std::vector<std::string>& events) {
  return std::find(events.begin(), events.end(), "*") != events.end();
}

call::Closed shuttingDown() {
  return {.failure = {FailureCode::ShuttingDown, "this node is shutting down"}, .mayRetry = true};
}

}  // namespace

std::optional<Failure> refuseSubscription(const ActorType& type, const std::string& event,
                                          std::size_t subscriptions) {
  if (!type.events.contains(event)) {
    return Failure(FailureCode::UnknownEvent,
                   "actor type '" + type.name + "' has no event named '" + event + "'");
  }
  if (subscriptions < type.options.connections.subscriptionsMax) return std::nullopt;
  return Failure(FailureCode::LimitExceeded,
                 "a connection subscribes to at most " +
                     std::to_string(type.options.connections.subscriptionsMax) + " events");
}

std::vector<std::string> expandSubscriptions(const ActorType& type,
                                             std::vector<std::string> events) {
  const auto all = std::find(events.begin(), events.end(), "*");
  if (all == events.end() || type.events.contains("*")) return events;
  events.erase(all);
  for (const auto& [event, options] : type.events) {
    if (std::find(events.begin(), events.end(), event) == events.end()) events.push_back(event);
  }
  return events;
}

/// What the client's end holds. Its calls cross over to the table's loop.
class ConnectionTable::Handle final : public call::ConnectionHandle {
 public:
  Handle(ConnectionTable& table, ConnectionPtr connection)
      : table_(table), connection_(std::move(connection)) {}

  void call(call::ConnectionCall message) override {
    cross([message = std::move(message)](ConnectionTable& table,
                                         const ConnectionPtr& connection) mutable {
      table.call(connection, std::move(message));
    });
  }
  void subscribe(std::vector<std::string> events) override {
    cross([events = std::move(events)](ConnectionTable& table, const ConnectionPtr& connection) {
      table.subscribe(connection, events);
    });
  }
  void unsubscribe(std::vector<std::string> events) override {
    cross([events = std::move(events)](ConnectionTable& table, const ConnectionPtr& connection) {
      table.unsubscribe(connection, events);
    });
  }
  void close() override {
    cross(
        [](ConnectionTable& table, const ConnectionPtr& connection) { table.closed(connection); });
  }
  void open(call::ConnectRequest request) {
    cross([request = std::move(request)](ConnectionTable& table,
                                         const ConnectionPtr& connection) mutable {
      table.open(connection, std::move(request));
    });
  }

 private:
  template <class Message>
  void cross(Message message) {
    if (fiber::currentLoop() == &table_.loop_) return message(table_, connection_);
    table_.loop_.post([&table = table_, connection = connection_,
                       message = std::move(message)]() mutable { message(table, connection); });
  }

  ConnectionTable& table_;
  const ConnectionPtr connection_;
};

std::unique_ptr<call::ConnectionHandle> ConnectionTable::connect(
    call::ConnectRequest request, std::shared_ptr<call::ConnectionPeer> peer) {
  call::Payload parameters = std::move(request.parameters);
  if (parameters.bytes.empty()) parameters = {.encoding = call::Encoding::Json, .bytes = "null"};
  auto handle = std::make_unique<Handle>(
      *this, std::make_shared<Connection>(randomId(), request.actor, std::move(parameters),
                                          request.claims, std::move(peer)));
  handle->open(std::move(request));
  return handle;
}

// ---- The beginning

void ConnectionTable::open(const ConnectionPtr& connection, call::ConnectRequest request) {
  if (const ActorType* type = host_.typeOf(request.actor)) {
    connection->wantsAll_ = hasAll(request.subscriptions);
    request.subscriptions = expandSubscriptions(*type, std::move(request.subscriptions));
  }
  const bool begun = fibers_.spawn("connect", [this, connection, request = std::move(request)] {
    if (auto failed = host_.letIn(connection, request)) {
      end(connection, {.failure = *failed, .mayRetry = mayRetry(*failed)});
    } else {
      opened(connection);
    }
  });
  if (!begun) end(connection, {.failure = fibers_.refusal(), .mayRetry = true});
}

void ConnectionTable::opened(const ConnectionPtr& connection) {
  if (fibers_.isClosed()) end(connection, shuttingDown());
  if (connection->phase_ == Connection::Phase::Closed) {
    // It was closed while the hooks ran. They have seen it, so the last one sees it too.
    return host_.disconnected(connection);
  }
  connection->phase_ = Connection::Phase::Open;
  runWaiting(connection);
}

void ConnectionTable::runWaiting(const ConnectionPtr& connection) {
  while (isReady(*connection) && !connection->waiting_.empty()) {
    const std::function<void()> message = std::move(connection->waiting_.front());
    connection->waiting_.pop_front();
    message();
  }
}

void ConnectionTable::admit(const ConnectionPtr& connection) {
  if (connection->phase_ == Connection::Phase::Closed) return;
  audiences_[connection->actor().databaseName()].admit(connection);
}

Audience* ConnectionTable::find(const std::string& databaseName) {
  const auto found = audiences_.find(databaseName);
  return found == audiences_.end() ? nullptr : &found->second;
}

// ---- What clients send

bool ConnectionTable::whenOpen(const ConnectionPtr& connection, std::function<void()> message) {
  if (isReady(*connection)) {
    message();
    return true;
  }
  if (connection->phase_ == Connection::Phase::Closed) return true;
  const ActorType* type = host_.typeOf(connection->actor());
  if (type != nullptr && connection->waiting_.size() >= type->options.connections.waitingMax) {
    return false;
  }
  connection->waiting_.push_back(std::move(message));
  return true;
}

void ConnectionTable::call(const ConnectionPtr& connection, call::ConnectionCall message) {
  if (isReady(*connection)) {
    return startCall(connection, std::move(message));
  }
  const std::uint64_t id = message.id;
  const bool waits = whenOpen(connection, [this, connection, message = std::move(message)] {
    startCall(connection, message);
  });
  if (waits) return;
  connection->tell([&](call::ConnectionPeer& peer) {
    peer.replied(id, Failure(FailureCode::ActorOverloaded,
                             "too many messages wait until the connection is open"));
  });
}

void ConnectionTable::startCall(const ConnectionPtr& connection, call::ConnectionCall message) {
  const std::uint64_t id = message.id;
  const bool begun =
      fibers_.spawn("connection call", [this, connection, message = std::move(message)]() mutable {
        call::Reply reply = host_.run({.actor = connection->actor(),
                                       .existence = call::Existence::Get,
                                       .input = std::nullopt,
                                       .action = std::move(message.action),
                                       .arguments = std::move(message.arguments),
                                       .replyEncoding = message.replyEncoding,
                                       .timeout = std::nullopt,
                                       .callers = {}},
                                      connection);
        connection->tell(
            [&](call::ConnectionPeer& peer) { peer.replied(message.id, std::move(reply)); });
      });
  if (begun) return;
  connection->tell([&](call::ConnectionPeer& peer) { peer.replied(id, fibers_.refusal()); });
}

void ConnectionTable::subscribe(const ConnectionPtr& connection,
                                const std::vector<std::string>& events) {
  const bool waits =
      whenOpen(connection, [this, connection, events] { startSubscribing(connection, events); });
  if (waits) return;
  connection->tell([](call::ConnectionPeer& peer) {
    peer.refused(
        {FailureCode::ActorOverloaded, "too many messages wait until the connection is open"});
  });
}

/// At once, unless the actor has to be asked: then what the client sends behind it waits.
void ConnectionTable::startSubscribing(const ConnectionPtr& connection,
                                       const std::vector<std::string>& named) {
  const ActorType* type = host_.typeOf(connection->actor());
  if (type == nullptr) return;
  std::vector<std::string> guarded;
  for (std::string& event : expandSubscriptions(*type, named)) {
    const auto found = type->events.find(event);
    if (found != type->events.end() && found->second.isGuarded) {
      guarded.push_back(std::move(event));
    } else {
      subscribeTo(connection, event);
    }
  }
  if (guarded.empty()) return;
  const auto ask = [this, connection, guarded = std::move(guarded), wantsAll = hasAll(named)] {
    for (const std::string& event : guarded) {
      const auto refusal = asRefusal(host_.maySubscribe(connection, event));
      if (!refusal) {
        subscribeTo(connection, event);
      } else if (!wantsAll) {
        connection->tell([&](call::ConnectionPeer& peer) { peer.refused(*refusal); });
      }
    }
    connection->isAsking_ = false;
    runWaiting(connection);
  };
  connection->isAsking_ = true;
  if (fibers_.spawn("subscribe", ask)) return;
  connection->isAsking_ = false;
  connection->tell([&](call::ConnectionPeer& peer) { peer.refused(fibers_.refusal()); });
}

void ConnectionTable::subscribeTo(const ConnectionPtr& connection, const std::string& event) {
  const ActorType* type = host_.typeOf(connection->actor());
  Audience* audience = find(connection->actor().databaseName());
  if (type == nullptr || audience == nullptr) return;
  if (connection->phase_ == Connection::Phase::Closed) return;
  if (auto refusal = refuseSubscription(*type, event, connection->subscriptions_.size())) {
    connection->tell([&](call::ConnectionPeer& peer) { peer.refused(*refusal); });
  } else {
    audience->subscribe(*connection, event);
  }
}

void ConnectionTable::unsubscribe(const ConnectionPtr& connection,
                                  const std::vector<std::string>& events) {
  whenOpen(connection, [this, connection, events] {
    const ActorType* type = host_.typeOf(connection->actor());
    Audience* audience = find(connection->actor().databaseName());
    if (type == nullptr || audience == nullptr) return;
    for (const std::string& event : expandSubscriptions(*type, events)) {
      audience->unsubscribe(*connection, event);
    }
  });
}

// ---- The end

void ConnectionTable::closed(const ConnectionPtr& connection) {
  if (connection->phase_ == Connection::Phase::Closed) return;
  if (leave(connection)) tellActor(connection);
}

void ConnectionTable::end(const ConnectionPtr& connection, const call::Closed& why) {
  if (connection->phase_ == Connection::Phase::Closed) return;
  connection->tell([&](call::ConnectionPeer& peer) { peer.closed(why); });
  const bool wasDestroyed = why.failure.is(FailureCode::ActorDestroyed);
  if (leave(connection) && !wasDestroyed) tellActor(connection);
}

/// It is no connection of the actor's any more. True when the actor has to be told so.
bool ConnectionTable::leave(const ConnectionPtr& connection) {
  const bool wasOpen = connection->phase_ == Connection::Phase::Open;
  connection->phase_ = Connection::Phase::Closed;
  connection->peer_.reset();
  connection->waiting_.clear();
  const auto found = audiences_.find(connection->actor().databaseName());
  if (found != audiences_.end()) {
    found->second.remove(*connection);
    if (found->second.count() == 0) audiences_.erase(found);
  }
  const ActorType* type = host_.typeOf(connection->actor());
  return wasOpen && type != nullptr && type->hasOnDisconnect;
}

/// One fiber for all that leave an actor at once.
void ConnectionTable::tellActor(const ConnectionPtr& connection) {
  if (fibers_.isClosed()) return;
  const std::string actor = connection->actor().databaseName();
  std::deque<ConnectionPtr>& leaving = leaving_[actor];
  leaving.push_back(connection);
  if (leaving.size() > 1) return;
  const auto tell = [this, actor] {
    std::deque<ConnectionPtr>& left = leaving_.at(actor);
    while (!left.empty()) {
      const ConnectionPtr next = left.front();
      host_.disconnected(next);
      left.pop_front();
    }
    leaving_.erase(actor);
  };
  if (!fibers_.spawnBeyondBound("disconnect", tell)) leaving_.erase(actor);
}

void ConnectionTable::endAll(const call::ActorAddress& actor, const call::Closed& why) {
  const Audience* audience = find(actor.databaseName());
  if (audience == nullptr) return;
  for (const ConnectionPtr& connection : audience->admitted()) end(connection, why);
}

void ConnectionTable::close() {
  while (!audiences_.empty()) {
    for (const ConnectionPtr& connection : audiences_.begin()->second.admitted()) {
      end(connection, shuttingDown());
    }
  }
}

}  // namespace skep::actor
