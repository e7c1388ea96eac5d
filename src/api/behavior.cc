// TypedBehavior: an actor written with Definition, as the runtime runs it. The wall between its
// exceptions and the runtime.

#include <exception>
#include <map>
#include <utility>

#include "skep/actor/system_tables.h"
#include "skep/api/definition.h"
#include "skep/base/log.h"

namespace skep::api {
namespace {

using actor::Done;
using actor::Invocation;
using call::Failure;
using call::FailureCode;

class TypedBehavior final : public actor::Behavior {
 public:
  // Shared: the parts are the type's, which may be gone before its last actor.
  explicit TypedBehavior(std::shared_ptr<const ActorParts> parts)
      : parts_(std::move(parts)), actor_(parts_->make()) {}

  Done create(Invocation& invocation, const std::optional<call::Payload>& input) override {
    return guarded(invocation, [&](Context& c) {
      if (!parts_->onCreate) return;
      std::optional<Value> value;
      if (input) value = fromCaller([&] { return parseFromCaller(*input); });
      parts_->onCreate(*actor_, c, value ? &*value : nullptr);
    });
  }

  Done load(Invocation& invocation) override {
    if (!parts_->state) return {};
    auto state = actor::loadState(invocation.database());
    if (!state) return call::failureOf(state.error(), invocation.actor().toString());
    if (*state) saved_ = asText(**state);
    return guarded(invocation, [&](Context&) { loadSaved(); });
  }

  Done wake(Invocation& invocation) override { return hook(invocation, parts_->onWake); }

  call::Reply action(Invocation& invocation, const call::ActionRequest& request) override {
    const auto found = parts_->actions.find(request.action);
    if (found == parts_->actions.end()) {
      return Failure(FailureCode::UnknownAction, "actor type '" + invocation.actor().type +
                                                     "' has no action named '" + request.action +
                                                     "'");
    }
    call::Reply reply;
    const Done done = guarded(invocation, [&](Context& c) {
      const Value arguments = fromCaller([&] { return parseFromCaller(request.arguments); });
      reply = format(found->second(*actor_, c, arguments), request.replyEncoding);
    });
    if (const auto* failure = std::get_if<Failure>(&done)) return *failure;
    return reply;
  }

  bool hasAction(const std::string& name) const override { return parts_->actions.contains(name); }

  call::Outcome<Bytes> encodeMessage(const std::string& queue, const call::Payload& body) override {
    const auto found = parts_->queues.find(queue);
    if (found == parts_->queues.end()) {
      return Failure(FailureCode::UnknownQueue,
                     "the actor type has no queue named '" + queue + "'");
    }
    try {
      const Value value = fromCaller([&] { return parseFromCaller(body); });
      return toStored(found->second.check(value));
    } catch (const ActorError& wrong) {
      return wrong.failure();
    }
  }

  call::Reply message(Invocation& invocation, const std::string& queue, const Bytes& body,
                      call::Encoding replyEncoding) override {
    call::Reply reply;
    const Done done = guarded(invocation, [&](Context& c) {
      const auto& handle = parts_->queues.find(queue)->second.handle;
      reply = format(handle(*actor_, c, fromStored(body)), replyEncoding);
    });
    if (const auto* failure = std::get_if<Failure>(&done)) return *failure;
    return reply;
  }

  Done run(Invocation& invocation) override { return hook(invocation, parts_->run); }

  Done letPass(Invocation& invocation, const call::Visit& visit) override {
    return guarded(invocation, [&](Context& c) {
      if (parts_->onBeforeConnect) parts_->onBeforeConnect(*actor_, c, Visitor(visit));
    });
  }
  Done admit(Invocation& invocation, const call::ConnectRequest& request) override {
    return guarded(invocation, [&](Context& c) {
      const Visitor visitor(request, invocation.connection()->parameters());
      if (parts_->onBeforeConnect) parts_->onBeforeConnect(*actor_, c, visitor);
      if (!parts_->createConnectionState) return;
      const Value state = parts_->createConnectionState(*actor_, c, visitor);
      Status kept =
          invocation.setState(invocation.connection(), format(state, call::Encoding::Cbor).bytes);
      if (!kept) throwError(kept.error());
    });
  }
  Done connected(Invocation& invocation) override { return hook(invocation, parts_->onConnect); }
  Done disconnected(Invocation& invocation) override {
    return hook(invocation, parts_->onDisconnect);
  }

  Done request(Invocation& invocation, const call::HttpRequest& request,
               actor::HttpResponder& responder) override {
    return guarded(invocation,
                   [&](Context& c) { parts_->onRequest(*actor_, c, request, responder); });
  }

  Done talk(Invocation& invocation, const call::HttpRequest& request,
            actor::SocketSession& session) override {
    return guarded(invocation,
                   [&](Context& c) { parts_->onWebSocket(*actor_, c, request, session); });
  }

  Done sleep(Invocation& invocation) override { return hook(invocation, parts_->onSleep); }
  Done destroy(Invocation& invocation) override { return hook(invocation, parts_->onDestroy); }

  Status beforeCommit(Invocation& invocation) override {
    if (!parts_->state) return {};
    std::string state = format(parts_->state->save(*actor_), call::Encoding::Cbor).bytes;
    if (state == saved_) return {};
    SKEP_CHECK_OK(actor::saveState(invocation.database(), asBytes(state)));
    std::swap(saved_, state);
    // The database calls this when what was just saved is rolled back after all.
    invocation.database().onRollback([this, before = std::move(state)] { saved_ = before; });
    return {};
  }

  Status afterRollback(Invocation&) override {
    if (parts_->state) loadSaved();
    return {};
  }

 private:
  Done hook(Invocation& invocation, const ActorParts::Hook& function) {
    return guarded(invocation, [&](Context& c) {
      if (function) function(*actor_, c);
    });
  }

  Done hook(Invocation& invocation, const ActorParts::ConnectionHook& function) {
    return guarded(invocation, [&](Context& c) {
      if (!function) return;
      Connection connection = *c.connection();
      function(*actor_, c, connection);
    });
  }

  void loadSaved() {
    if (saved_.empty()) return;
    parts_->state->load(*actor_, parse({.encoding = call::Encoding::Cbor, .bytes = saved_}));
  }

  /// Runs the actor's code; what it throws becomes a failure.
  template <class Body>
  Done guarded(Invocation& invocation, Body body) {
    try {
      Context context(invocation, *parts_);
      body(context);
      return {};
    } catch (const UserError& error) {
      return Failure::user(error.code(), error.what(), error.metadata());
    } catch (const Forbidden& error) {
      return Failure(FailureCode::Forbidden, error.what());
    } catch (const ActorError& error) {
      return error.failure();
    } catch (const std::exception& error) {
      return masked(invocation, error.what());
    } catch (...) {
      return masked(invocation, "something that is no std::exception");
    }
  }

  static Failure masked(Invocation& invocation, const char* what) {
    logError("actor", "the actor's code threw",
             {{"actor", invocation.actor().toString()},
              {"request", invocation.requestId()},
              {"connection", invocation.connectionId()},
              {"error", what}});
    invocation.noteError(what);
    return {FailureCode::Internal,
            "an internal error; the server's log has more under " + invocation.reference()};
  }

  const std::shared_ptr<const ActorParts> parts_;
  const std::unique_ptr<Actor> actor_;
  std::string saved_;  // the state as the database has it, encoded
};

}  // namespace

actor::ActorType makeActorType(std::string name, std::vector<actor::Migration> migrations,
                               ActorOptions options, ActorParts parts) {
  std::map<std::string, EventOptions, std::less<>> events;
  for (const auto& [event, type] : parts.events) events.emplace(event, type.options);
  const bool hasOnDisconnect = static_cast<bool>(parts.onDisconnect);
  auto shared = std::make_shared<const ActorParts>(std::move(parts));
  actor::QueueTypes queues;
  for (const auto& [queue, part] : shared->queues) {
    queues[queue] = {.options = part.options, .hasHandler = part.handle != nullptr};
  }
  return {.name = std::move(name),
          .migrations = std::move(migrations),
          .options = options,
          .queues = std::move(queues),
          .hasRun = shared->run != nullptr,
          .events = std::move(events),
          .hasGate = shared->onBeforeConnect != nullptr,
          .hasOnDisconnect = hasOnDisconnect,
          .hasRequestHandler = shared->onRequest != nullptr,
          .hasSocketHandler = shared->onWebSocket != nullptr,
          .makeBehavior = [shared] { return std::make_unique<TypedBehavior>(shared); }};
}

}  // namespace skep::api
