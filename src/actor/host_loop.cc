#include "skep/actor/host_loop.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "skep/base/log.h"

namespace skep::actor {
namespace {

using call::Existence;
using call::Failure;
using call::FailureCode;

// How often idle actors are looked for. An actor sleeps at most this much later than it might.
constexpr Duration kIdleRound = std::chrono::seconds(1);
constexpr Duration kLeanAfter = std::chrono::seconds(3);  // idle, but awake and with less memory

Failure shuttingDown() {
  return {FailureCode::ShuttingDown, "this node is shutting down"};
}

/// Why the store says nothing of the actor.
Failure unknownActor(const call::ActorAddress& actor, const Result<store::DatabaseInfo>& stored) {
  if (stored || stored.error().code == ErrorCode::NotFound) {
    return {FailureCode::ActorNotFound, "there is no actor " + actor.toString()};
  }
  return call::failureOf(stored.error(), "the store");
}

bool isAmong(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Null: it went well.
template <class T>
const Failure* failureOf(const call::Outcome<T>& outcome) {
  return std::get_if<Failure>(&outcome);
}
const Failure* failureOf(const std::optional<Failure>& failed) {
  return failed ? &*failed : nullptr;
}

void bump(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

HostLoop::HostLoop(call::Router& router, const Registry& registry, vfs::Environment& environment,
                   AlarmWatch& alarms)
    : router_(router),
      registry_(registry),
      environment_(environment),
      alarms_(alarms),
      fibers_(environment.loop),
      connections_(fibers_, *this),
      exchanges_(fibers_, [this](const auto& request,
                                 const auto& exchange) { return answer(request, exchange); }),
      sockets_(fibers_, [this](const auto& request,
                               const auto& exchange) { return talk(request, exchange); }),
      idleTimer_(environment.loop),
      patience_(environment.loop) {}

/// Gives what `body(instance)` does with the awake actor, or why there is none.
template <class Body>
auto HostLoop::withActor(const call::ActorAddress& actor, Existence existence,
                         const std::optional<call::Payload>& input, const call::Waiting& waiting,
                         Body body, bool* created) -> std::invoke_result_t<Body, ActorInstance&> {
  const fiber::GateHolder inside(calls_);
  if (!inside) return shuttingDown();
  if (auto cycle = refuseCycle(actor, waiting)) return *std::move(cycle);
  auto acquired = acquire(actor, existence, input, waiting, created);
  if (auto* failed = std::get_if<Failure>(&acquired)) return std::move(*failed);
  const InstancePtr instance = std::get<InstancePtr>(std::move(acquired));
  auto result = body(*instance);
  // Nobody hears of a destruction before the store has done it; but who is waited for by what has to end
  // first must not wait.
  if (!instance->isDestroyed() || isAmong(waiting.callers, instance->databaseName())) return result;
  const std::optional<Failure>& undone = instance->waitUntilEnded();
  const Failure* failed = failureOf(result);
  if (undone && (failed == nullptr || failed->is(FailureCode::ActorDestroyed))) return *undone;
  return result;
}

/// Before anything of it is waited for. An actor that takes one call at a time looks again by itself.
std::optional<Failure> HostLoop::refuseCycle(const call::ActorAddress& actor,
                                             const call::Waiting& waiting) const {
  if (waiting.callers.empty()) return std::nullopt;
  if (waiting.callers.size() >= kCallDepthMax) {
    return Failure(FailureCode::CallCycle, "calls of actors are nested " +
                                               std::to_string(kCallDepthMax) +
                                               " deep: " + actor.toString() + " is not called");
  }
  const std::string name = actor.databaseName();
  if (!isAmong(waiting.callers, name)) return std::nullopt;
  const auto found = instances_.find(name);
  if (found == instances_.end()) return std::nullopt;
  if (found->second->state() == ActorInstance::State::Starting) {
    return Failure(FailureCode::CallCycle,
                   actor.toString() + " is still starting, and waits for this call itself");
  }
  if (!found->second->isLeaving()) return std::nullopt;
  return Failure(FailureCode::ActorStopped,
                 "the actor is on its way out and waits for the end of this call");
}

call::Reply HostLoop::run(const call::ActionRequest& request, const ConnectionPtr& from) {
  const call::Waiting waiting{
      .callers = request.callers, .timeout = request.timeout, .requestId = request.requestId};
  return withActor(request.actor, request.existence, request.input, waiting,
                   [&](ActorInstance& instance) -> call::Reply {
                     bump(actions_);
                     const MonotonicTime start = environment_.loop.clock().monotonic();
                     call::Reply reply = instance.run(request, from);
                     actionTime_.record(environment_.loop.clock().monotonic() - start);
                     if (std::holds_alternative<Failure>(reply)) bump(actionsFailed_);
                     return reply;
                   });
}

call::Outcome<call::QueueSent> HostLoop::send(const call::QueueSend& message) {
  return withActor(message.actor, message.existence, message.input, message.waiting,
                   [&](ActorInstance& instance) { return instance.send(message); });
}

AlarmWatch::Woken HostLoop::wake(const call::ActorAddress& actor) {
  using Woken = AlarmWatch::Woken;
  fiber::GateHolder inside(calls_);
  if (!inside || registry_.find(actor.type) == nullptr) return Woken::NotHere;
  if (isAwake(actor.databaseName())) return Woken::Before;
  const auto acquired = acquire(actor, Existence::Get, std::nullopt, {}, nullptr);
  const auto* failed = std::get_if<Failure>(&acquired);
  if (failed == nullptr) return Woken::Now;
  if (failed->is(FailureCode::ActorElsewhere)) return Woken::Elsewhere;
  logWarn("actor", "an actor cannot wake for its alarm",
          {{"actor", actor.toString()}, {"error", failed->toString()}});
  return Woken::Failed;
}

std::optional<Failure> HostLoop::letIn(const ConnectionPtr& connection,
                                       const call::ConnectRequest& request) {
  return withActor(request.actor, request.existence, request.input,
                   {.requestId = call::requestIdOf(request.headers)},
                   [&](ActorInstance& instance) { return instance.letIn(connection, request); });
}

std::optional<Failure> HostLoop::maySubscribe(const ConnectionPtr& connection,
                                              const std::string& event) {
  return withActor(
      connection->actor(), Existence::Get, std::nullopt, {},
      [&](ActorInstance& instance) { return instance.maySubscribe(connection, event); });
}

void HostLoop::disconnected(const ConnectionPtr& connection) {
  const ActorType* type = typeOf(connection->actor());
  if (type == nullptr || !type->hasOnDisconnect) return;
  const auto failed = withActor(connection->actor(), Existence::Get, std::nullopt, {},
                                [&](ActorInstance& instance) -> std::optional<Failure> {
                                  instance.disconnected(connection);
                                  return std::nullopt;
                                });
  // An actor that was destroyed has nothing left to tidy up.
  if (!failed || failed->is(FailureCode::ActorNotFound)) return;
  if (failed->is(FailureCode::ShuttingDown)) return;
  logWarn("actor", "onDisconnect could not run",
          {{"actor", connection->actor().toString()}, {"error", failed->toString()}});
}

std::optional<Failure> HostLoop::answer(const call::HttpRequest& request,
                                        const HttpExchangePtr& exchange) {
  const ActorType* type = typeOf(request.actor);
  if (type != nullptr && !type->hasRequestHandler) {
    return Failure(FailureCode::RouteNotFound,
                   "actor type '" + type->name + "' does not answer raw requests");
  }
  return withActor(request.actor, request.existence, std::nullopt,
                   {.requestId = call::requestIdOf(request.headers)},
                   [&](ActorInstance& instance) { return instance.request(request, exchange); });
}

std::optional<Failure> HostLoop::talk(const call::HttpRequest& request,
                                      const SocketExchangePtr& exchange) {
  const ActorType* type = typeOf(request.actor);
  if (type != nullptr && !type->hasSocketHandler) {
    return Failure(FailureCode::RouteNotFound,
                   "actor type '" + type->name + "' does not speak raw WebSocket");
  }
  return withActor(request.actor, request.existence, std::nullopt,
                   {.requestId = call::requestIdOf(request.headers)},
                   [&](ActorInstance& instance) { return instance.talk(request, exchange); });
}

/// Connections outlive sleep, and nothing else that ends an instance.
void HostLoop::endConnections(const ActorInstance& instance) {
  if (instance.stopRequest() == ActorInstance::Stop::Sleep) return;
  if (instance.isDestroyed() && !instance.stopFailure()) {
    return connections_.endAll(
        instance.address(),
        {.failure = {FailureCode::ActorDestroyed,
                     "actor " + instance.address().toString() + " was destroyed"}});
  }
  connections_.endAll(
      instance.address(),
      {.failure = {FailureCode::ActorBroken, "the actor lost its database; connect again"},
       .mayRetry = true});
}

call::Outcome<bool> HostLoop::resolve(const call::ActorAddress& actor, Existence existence,
                                      const std::optional<call::Payload>& input,
                                      const call::Visit* visit, const call::Waiting& waiting) {
  bool created = false;
  const auto whenDurable = [&](ActorInstance& instance) -> call::Outcome<bool> {
    if (visit != nullptr) {
      if (auto refused = instance.letPass(*visit, waiting.requestId)) return *std::move(refused);
    }
    if (auto lost = instance.waitDurable()) return *std::move(lost);
    return created;
  };
  return withActor(actor, existence, input, waiting, whenDurable, &created);
}

call::Outcome<std::monostate> HostLoop::destroy(const call::ActorAddress& actor) {
  fiber::GateHolder inside(calls_);
  if (!inside) return shuttingDown();
  while (true) {
    auto acquired = acquire(actor, Existence::Get, std::nullopt, {}, nullptr);
    if (auto* failed = std::get_if<Failure>(&acquired)) {
      if (failed->is(FailureCode::ActorNotFound) || failed->isRetryable) return std::move(*failed);
      // One that cannot wake, because a migration fails say, goes without its hook.
      if (Status gone = environment_.store.destroy(actor.databaseName()); !gone) {
        return call::failureOf(gone.error(), actor.toString());
      }
      errors_.forget(actor.databaseName());
      return std::monostate{};
    }
    const InstancePtr instance = std::get<InstancePtr>(std::move(acquired));
    instance->requestStop(ActorInstance::Stop::Destroy);
    while (instance->state() != ActorInstance::State::Gone) instance->waitForChange();
    if (const auto& failed = instance->stopFailure()) return *failed;
    // It may have gone in another way before it heard of this.
    if (instance->isDestroyed()) return std::monostate{};
  }
}

call::Outcome<std::monostate> HostLoop::sleep(const call::ActorAddress& actor) {
  fiber::GateHolder inside(calls_);
  if (!inside) return shuttingDown();
  const std::string name = actor.databaseName();
  const auto found = instances_.find(name);
  if (found == instances_.end()) {
    auto known = environment_.store.info(name);
    if (known && known->head.txid != 0) return std::monostate{};
    return unknownActor(actor, known);
  }
  const InstancePtr instance = found->second;
  instance->requestStop(ActorInstance::Stop::Sleep);
  const MonotonicTime start = environment_.loop.clock().monotonic();
  const Duration limit = instance->type().options.actionTimeout;
  while (instance->state() != ActorInstance::State::Gone) {
    const Duration left = limit - (environment_.loop.clock().monotonic() - start);
    if (instance->waitForChange(left)) continue;
    if (instance->state() == ActorInstance::State::Stopping) {
      instance->waitForChange();
      continue;
    }
    instance->withdrawSleep();
    return Failure(FailureCode::ActionTimedOut, "calls of the actor are still under way");
  }
  return std::monostate{};
}

call::Outcome<call::ActorDetails> HostLoop::info(const call::ActorAddress& actor) {
  fiber::GateHolder inside(calls_);
  if (!inside) return shuttingDown();
  const std::string name = actor.databaseName();
  const auto stored = environment_.store.info(name);
  if (!stored || stored->head.txid == 0) return unknownActor(actor, stored);
  call::ActorDetails details{
      .info = {.actor = actor,
               .createdMs = stored->createdMs,
               .bytes = std::uint64_t{stored->head.pageCount} * store::kPageBytes},
      .storedBytes = stored->storedBytes,
      .txid = stored->head.txid,
      .alarmMs = stored->head.alarmMs,
      .lastError = errors_.find(name)};
  if (const auto found = instances_.find(name); found != instances_.end()) {
    details.info.isAwake = true;
    details.callsUnderWay = found->second->calls().count();
    details.memoryBytes = found->second->memoryBytes();
  }
  if (const Audience* audience = connections_.find(name)) details.connections = audience->count();
  return details;
}

void HostLoop::noteError(const call::ActorAddress& actor, std::string_view message) {
  errors_.note(actor.databaseName(), message, environment_.loop.clock().wallMs());
}

call::Outcome<HostLoop::InstancePtr> HostLoop::acquire(const call::ActorAddress& actor,
                                                       Existence existence,
                                                       const std::optional<call::Payload>& input,
                                                       const call::Waiting& waiting,
                                                       bool* created) {
  const ActorType* type = registry_.find(actor.type);
  if (type == nullptr) {
    return Failure(FailureCode::UnknownType, "no actor type is named '" + actor.type + "'");
  }
  const std::string name = actor.databaseName();
  const MonotonicTime begin = environment_.loop.clock().monotonic();
  const Duration limit =
      std::min(waiting.timeout.value_or(type->options.actionTimeout), type->options.actionTimeout);
  while (true) {
    if (isCutOff_) return shuttingDown();
    const auto found = instances_.find(name);
    if (found == instances_.end()) {
      return start(*type, actor, existence, input, waiting, created);
    }
    const InstancePtr instance = found->second;
    if (instance->state() == ActorInstance::State::Awake && !instance->isLeaving()) {
      if (existence != Existence::Create) return instance;
      // That it exists is so when its creation is durable; one that was lost can be made now.
      if (instance->awaitDurable()) continue;
      return Failure(FailureCode::ActorExists, "actor " + actor.toString() + " exists already");
    }
    // Starting: it may fail, and then each caller tries for itself. Leaving: the next one follows.
    const Duration left = limit - (environment_.loop.clock().monotonic() - begin);
    if (!instance->waitForChange(left)) {
      return Failure(FailureCode::ActionTimedOut, "the actor did not wake in time");
    }
  }
}

call::Outcome<HostLoop::InstancePtr> HostLoop::start(const ActorType& type,
                                                     const call::ActorAddress& actor,
                                                     Existence existence,
                                                     const std::optional<call::Payload>& input,
                                                     const call::Waiting& waiting, bool* created) {
  // Its run() keeps a stack for as long as it is awake.
  if (type.hasRun && !environment_.loop.hasRoom(fiber::Priority::Inside)) {
    return Failure(FailureCode::ActorOverloaded, "too many actors run on this node");
  }
  const auto instance = std::make_shared<ActorInstance>(*this, environment_, type, actor);
  instances_.emplace(instance->databaseName(), instance);
  const MonotonicTime begin = environment_.loop.clock().monotonic();
  std::optional<Failure> failed = instance->start(existence, input, waiting);
  if (failed) {
    noteFailedWake(actor, *failed);
    instances_.erase(instance->databaseName());
    instance->becomeGone();
    return std::move(*failed);
  }
  bump(wakes_);
  wakeTime_.record(environment_.loop.clock().monotonic() - begin);
  if (instance->wasCreated()) bump(creations_);
  if (created != nullptr) *created = instance->wasCreated();
  awake_.store(instances_.size(), std::memory_order_relaxed);
  watchIdle();
  return instance;
}

/// What is worth to be known later: not that an actor does not exist, or that its creation was refused.
void HostLoop::noteFailedWake(const call::ActorAddress& actor, const Failure& failure) {
  if (failure.is(FailureCode::ActorNotFound) || failure.is(FailureCode::ActorExists)) return;
  if (failure.is(FailureCode::ActorElsewhere)) return;
  if (failure.group == "user" || failure.is(FailureCode::Internal))
    return;  // told already, or no error
  noteError(actor, "it cannot wake: " + failure.toString());
}

void HostLoop::stopRequested(ActorInstance& instance) {
  const auto found = instances_.find(instance.databaseName());
  SKEP_CHECK(found != instances_.end() && found->second.get() == &instance);
  if (!stops_.tryEnter()) return;  // close() stops every actor itself
  environment_.loop.spawn("stop actor", [this, stopped = found->second] {
    stop(stopped);
    stops_.leave();
  });
}

void HostLoop::stop(const InstancePtr& instance) {
  if (!instance->stop()) return;  // another fiber does, or nobody wants it any more
  // A connection's reply comes before its end.
  instance->tellEnded();
  if (instance->isDestroyed()) fiber::yield();
  if (instance->stopRequest() == ActorInstance::Stop::Broken) bump(broken_);
  if (instance->isDestroyed() && !instance->stopFailure()) {
    errors_.forget(instance->databaseName());
  }
  instances_.erase(instance->databaseName());
  awake_.store(instances_.size(), std::memory_order_relaxed);
  if (instance->alarmMs()) alarms_.expect(*instance->alarmMs());
  endConnections(*instance);
  instance->becomeGone();
}

/// One timer for all: idleness is looked at in rounds, so that a call costs no timer.
void HostLoop::watchIdle() {
  if (idleTimer_.isPending() || instances_.empty()) return;
  idleTimer_.callAfter(kIdleRound, [this] {
    sleepIdle();
    watchIdle();
  });
}

void HostLoop::sleepIdle() {
  const MonotonicTime now = environment_.loop.clock().monotonic();
  std::vector<ActorInstance*> idle;
  std::vector<InstancePtr> unused;
  for (const auto& [name, instance] : instances_) {
    if (instance->state() != ActorInstance::State::Awake || instance->calls().count() != 0)
      continue;
    const Duration time = now - instance->lastUsed();
    if (time >= instance->type().options.sleepAfter && instance->isIdle()) {
      idle.push_back(instance.get());
    } else if (time >= kLeanAfter && !instance->isLean()) {
      unused.push_back(instance);
    }
  }
  for (ActorInstance* instance : idle) instance->requestIdleSleep();
  if (!unused.empty()) makeLean(std::move(unused));
}

void HostLoop::makeLean(std::vector<InstancePtr> unused) {
  fibers_.spawnBeyondBound("idle memory", [unused = std::move(unused)] {
    for (const InstancePtr& instance : unused) {
      instance->releaseMemory();
      fiber::yield();  // they may be many
    }
  });
}

void HostLoop::stopCallsAfter(Duration patience) {
  patience_.callAfter(patience, [this] { cutOff(); });
}

void HostLoop::cutOff() {
  isCutOff_ = true;
  std::vector<InstancePtr> all;
  for (const auto& [name, instance] : instances_) all.push_back(instance);
  for (const InstancePtr& instance : all) instance->cutOff();
}

void HostLoop::close() {
  connections_.close();
  exchanges_.close();
  sockets_.close();
  fibers_.close();
  calls_.close();
  idleTimer_.cancel();
  patience_.cancel();
  for (auto& [name, instance] : instances_) instance->requestLastSleep();
  stops_.close();
  SKEP_CHECK(instances_.empty(), "actors are awake behind a closed host");
}

void HostLoop::addTo(HostStats& stats) const {
  stats.actorsAwake += awake_.load(std::memory_order_relaxed);
  stats.wakes += wakes_.load(std::memory_order_relaxed);
  stats.creations += creations_.load(std::memory_order_relaxed);
  stats.actions += actions_.load(std::memory_order_relaxed);
  stats.actionsFailed += actionsFailed_.load(std::memory_order_relaxed);
  stats.broken += broken_.load(std::memory_order_relaxed);
  stats.actionTime.add(actionTime_.counts());
  stats.wakeTime.add(wakeTime_.counts());
}

}  // namespace skep::actor
