// What an awake actor does about connections: the hooks, and what its code says to them.

#include <utility>

#include "skep/actor/actor_instance.h"
#include "skep/actor/connection_table.h"
#include "skep/actor/outcome.h"
#include "skep/base/log.h"

namespace skep::actor {

using call::Failure;
using call::FailureCode;

namespace {

std::optional<Failure> refuse(const ActorType& type, const call::ConnectRequest& request,
                              const Connection& connection, std::size_t connections) {
  const ConnectionOptions& options = type.options.connections;
  if (connection.parameters().bytes.size() > options.parameterBytesMax) {
    return Failure(FailureCode::InvalidRequest, "a connection's parameters have at most " +
                                                    std::to_string(options.parameterBytesMax) +
                                                    " bytes");
  }
  if (connections >= options.countMax) {
    return Failure(FailureCode::ActorOverloaded,
                   "the actor has " + std::to_string(options.countMax) + " connections already");
  }
  for (std::size_t i = 0; i < request.subscriptions.size(); ++i) {
    if (auto refusal = refuseSubscription(type, request.subscriptions[i], i)) return refusal;
  }
  return std::nullopt;
}

std::string subscribing(const std::string& event) {
  return "subscribe to the event '" + event + "'";
}

}  // namespace

// ---- ActorInstance

std::optional<Failure> ActorInstance::letIn(const ConnectionPtr& connection,
                                            const call::ConnectRequest& request) {
  const fiber::GateHolder inside(calls_);
  if (auto refused = refuseCall(inside)) return refused;
  const Audience* others = audience();
  if (auto no = refuse(type_, request, *connection, others == nullptr ? 0 : others->count())) {
    return no;
  }
  Invocation invocation(*this, type_.options.hookTimeout, {}, "onConnect");
  invocation.setConnection(connection);
  if (Status begun = invocation.beginAlone(); !begun) return explain(begun.error(), &invocation);
  Done done = behavior_->admit(invocation, request);
  if (std::holds_alternative<std::monostate>(done)) {
    owner_.admit(connection);
    std::vector<Failure> refusals;
    auto allowed = allowedOf(invocation, request, refusals);
    if (auto* failed = std::get_if<Failure>(&allowed)) {
      done = std::move(*failed);
    } else {
      call::ConnectRequest granted = request;
      granted.subscriptions = std::get<std::vector<std::string>>(std::move(allowed));
      // The client hears that it is connected before it hears what onConnect says.
      Status welcomed = welcome(connection, granted, refusals);
      done = welcomed ? behavior_->connected(invocation) : explain(welcomed.error(), &invocation);
    }
  }
  return finishCall(invocation, failureIn(done));
}

call::Outcome<std::vector<std::string>> ActorInstance::allowedOf(
    Invocation& invocation, const call::ConnectRequest& request, std::vector<Failure>& refusals) {
  std::vector<std::string> allowed;
  for (const std::string& event : request.subscriptions) {
    const bool isGuarded = type_.events.find(event)->second.isGuarded;
    const auto answer =
        isGuarded ? behavior_->maySubscribe(invocation, event) : call::Outcome<bool>(true);
    if (const auto* failed = std::get_if<Failure>(&answer)) return *failed;
    const Done permission = permitted(answer, subscribing(event));
    if (const auto refusal = failureIn(permission)) {
      if (!invocation.connection()->wantsAll()) refusals.push_back(*refusal);
    } else {
      allowed.push_back(event);
    }
  }
  return allowed;
}

Status ActorInstance::welcome(const ConnectionPtr& connection, const call::ConnectRequest& granted,
                              const std::vector<Failure>& refusals) {
  SKEP_CHECK_OK(outbox_.welcome(connection, granted));
  for (const Failure& refusal : refusals) {
    SKEP_CHECK_OK(outbox_.say(refusal.message.size(), [connection, refusal] {
      connection->tell([&](call::ConnectionPeer& peer) { peer.refused(refusal); });
    }));
  }
  return {};
}

std::optional<Failure> ActorInstance::maySubscribe(const ConnectionPtr& connection,
                                                   const std::string& event) {
  const fiber::GateHolder inside(calls_);
  if (auto refused = refuseCall(inside)) return refused;
  Invocation invocation(*this, type_.options.hookTimeout, {}, "canSubscribe");
  invocation.setConnection(connection);
  if (Status begun = invocation.beginAlone(); !begun) return explain(begun.error(), &invocation);
  // A "no" undoes nothing that the code has noted of it.
  const auto answer = behavior_->maySubscribe(invocation, event);
  if (auto failed = finishCall(invocation, failureIn(answer))) return failed;
  return failureIn(permitted(answer, subscribing(event)));
}

void ActorInstance::disconnected(const ConnectionPtr& connection) {
  const fiber::GateHolder inside(calls_);
  if (!inside) return;
  noteUse();
  Invocation invocation(*this, type_.options.hookTimeout, {}, "onDisconnect");
  invocation.setConnection(connection);
  const auto failed = runWhole(
      invocation, [&](Invocation& each) { return behavior_->disconnected(each); }, Line::Waits);
  if (!failed) return;
  logWarn("actor", "onDisconnect failed",
          {{"actor", address_.toString()}, {"error", failed->toString()}});
}

/// Before the database is closed: what is still to leave leaves, and where the events stand is saved.
void ActorInstance::finishOutbox() {
  if (*stopRequest_ == Stop::Sleep && outbox_.mustSave()) {
    const auto failed = runHook("saving events", [&](Invocation& invocation) -> Done {
      if (Status saved = outbox_.save(*database_); !saved) {
        return explain(saved.error(), &invocation);
      }
      return {};
    });
    // Clients that come back are told then that they missed some: they may have.
    if (failed) {
      logWarn("actor", "the position of the events was not saved",
              {{"actor", address_.toString()}, {"error", failed->toString()}});
    }
  }
  if (const store::Txid newest = outbox_.newestTxid()) (void)awaitDurable(newest);
}

// ---- Invocation

std::vector<ConnectionPtr> Invocation::connections() const {
  const Audience* audience = instance_.audience();
  return audience == nullptr ? std::vector<ConnectionPtr>() : audience->admitted();
}

Status Invocation::checkTurn() const {
  if (inTurn_) return {};
  return Error{ErrorCode::Aborted, "this call has ended: its time ran out, or the actor goes"};
}

Status Invocation::broadcast(std::string_view event, std::string value, std::string except) {
  SKEP_CHECK_OK(checkTurn());
  return instance_.outbox().broadcast(event, std::move(value), std::move(except));
}

Status Invocation::send(const ConnectionPtr& to, std::string_view event, std::string value) {
  SKEP_CHECK_OK(checkTurn());
  return instance_.outbox().send(to, event, std::move(value));
}

Status Invocation::disconnect(const ConnectionPtr& connection, const std::string& reason) {
  SKEP_CHECK_OK(checkTurn());
  return instance_.outbox().close(connection,
                                  {.failure = Failure(FailureCode::Disconnected, reason)});
}

Status Invocation::say(std::size_t bytes, std::function<void()> leave) {
  SKEP_CHECK_OK(checkTurn());
  return instance_.outbox().say(bytes, std::move(leave));
}

Status Invocation::setState(const ConnectionPtr& connection, std::string state) {
  SKEP_CHECK_OK(checkTurn());
  const std::size_t bytesMax = instance_.type().options.connections.stateBytesMax;
  if (state.size() > bytesMax) {
    return Error{ErrorCode::LimitExceeded,
                 "a connection's state has at most " + std::to_string(bytesMax) + " bytes"};
  }
  database().onRollback(
      [connection, before = connection->state()] { connection->setState(before); });
  connection->setState(std::move(state));
  return {};
}

Status Invocation::setTags(const ConnectionPtr& connection, std::set<std::string> tags) {
  SKEP_CHECK_OK(checkTurn());
  const std::size_t countMax = instance_.type().options.connections.tagsMax;
  if (tags.size() > countMax) {
    return Error{ErrorCode::LimitExceeded,
                 "a connection has at most " + std::to_string(countMax) + " tags"};
  }
  database().onRollback([connection, before = connection->tags()] { connection->setTags(before); });
  connection->setTags(std::move(tags));
  return {};
}

}  // namespace skep::actor
