#include "skep/actor/actor_instance.h"

#include <algorithm>
#include <utility>

#include "skep/actor/outcome.h"
#include "skep/actor/system_tables.h"
#include "skep/base/log.h"
#include "skep/vfs/paged_file.h"

namespace skep::actor {

using call::Failure;
using call::FailureCode;

namespace {

/// That onSleep gets when the host has no more time.
constexpr Duration kLastHookTime = std::chrono::seconds(5);

}  // namespace

ActorInstance::ActorInstance(Owner& owner, vfs::Environment& environment, const ActorType& type,
                             call::ActorAddress address)
    : owner_(owner),
      environment_(environment),
      type_(type),
      address_(std::move(address)),
      databaseName_(address_.databaseName()),
      lastUsed_(environment.loop.clock().monotonic()) {}

ActorInstance::~ActorInstance() {
  SKEP_CHECK(state_ == State::Gone && database_ == nullptr, "actor %s goes while it is awake",
             address_.toString().c_str());
}

// ---- Start

std::optional<Failure> ActorInstance::start(call::Existence existence,
                                            const std::optional<call::Payload>& input,
                                            const call::Waiting& waiting) {
  const auto tryStart = [&] {
    std::optional<Failure> failed = open(existence);
    return failed ? failed : initialize(existence, input, waiting);
  };
  std::optional<Failure> failed = tryStart();
  if (failed && isHalfMade_ && !wasCreated_) {
    // What is left of a creation that was cut short is as if it had never been.
    isHalfMade_ = false;
    const std::optional<store::Ownership> mine = closeDatabase();
    alarmMs_.reset();
    const Status gone = environment_.store.destroy(databaseName_, mine);
    failed = gone ? tryStart() : explain(gone.error(), nullptr);
  }
  if (failed) {
    // A creation that failed leaves nothing behind, also what turns of it have committed.
    const bool neverWas = database_ != nullptr && wasCreated_ && !isMade_;
    isClosed_ = true;
    const std::optional<store::Ownership> mine = closeDatabase();
    if (neverWas) (void)environment_.store.destroy(databaseName_, mine);
    return failed;
  }
  state_ = State::Awake;
  changed_.notifyAll();
  if (stopRequest_) {
    owner_.stopRequested(*this);
  } else {
    services_->start();
  }
  return std::nullopt;
}

std::optional<Failure> ActorInstance::open(call::Existence existence) {
  sql::DatabaseOptions options;
  options.name = databaseName_;
  options.create =
      existence == call::Existence::Get ? store::Create::Never : store::Create::IfMissing;
  options.limits = type_.options.limits;
  options.extensions = &type_.extensions;
  auto opened = sql::Database::open(environment_, std::move(options));
  if (!opened) {
    if (opened.error().code == ErrorCode::NotFound) {
      return Failure(FailureCode::ActorNotFound, "there is no actor " + address_.toString());
    }
    return explain(opened.error(), nullptr);
  }
  database_ = std::move(*opened);
  services_ = std::make_unique<Services>(*this);
  // A database without a commit is what a creation that was cut short has left.
  wasCreated_ = database_->head().txid == 0;
  if (wasCreated_ && existence == call::Existence::Get) {
    return Failure(FailureCode::ActorNotFound, "there is no actor " + address_.toString());
  }
  return std::nullopt;
}

/// Migrations and create() are one turn, unless create() pauses; wake() is the next, so that it sees a whole
/// actor.
std::optional<Failure> ActorInstance::initialize(call::Existence existence,
                                                 const std::optional<call::Payload>& input,
                                                 const call::Waiting& waiting) {
  behavior_ = type_.makeBehavior();
  const auto loading = [&](Invocation& invocation) { return load(invocation, existence, input); };
  if (auto failed = runHook(wasCreated_ ? "onCreate" : "loading", loading, waiting)) return failed;
  isMade_ = true;
  const auto wake = [&](Invocation& invocation) { return behavior_->wake(invocation); };
  return runHook("onWake", wake, waiting);
}

Done ActorInstance::load(Invocation& invocation, call::Existence existence,
                         const std::optional<call::Payload>& input) {
  const Result<Making> making = prepareSystemTables(*database_, services_->tables());
  if (!making) return explain(making.error(), &invocation);
  if (*making == Making::UnderWay) {
    isHalfMade_ = true;
    return Failure(FailureCode::ActorUnavailable, "the actor's creation did not end");
  }
  if (!wasCreated_ && existence == call::Existence::Create) {
    return Failure(FailureCode::ActorExists, "actor " + address_.toString() + " exists already");
  }
  if (auto bad = migrate(*database_, type_.migrations, clock().wallMs())) return *bad;
  if (!wasCreated_) return behavior_->load(invocation);
  Done done = behavior_->create(invocation, input);
  if (isHalfMade_ && !failureIn(done)) {
    if (Status noted = noteMaking(*database_, Making::Ended); !noted) {
      return explain(noted.error(), &invocation);
    }
  }
  return done;
}

Status ActorInstance::noteUnfinished() {
  if (isMade_ || !wasCreated_ || std::exchange(isHalfMade_, true)) return {};
  return noteMaking(*database_, Making::UnderWay);
}

/// A hook of an actor that others wait for has no more time than they have.
std::optional<Failure> ActorInstance::runHook(std::string_view what,
                                              FunctionRef<Done(Invocation&)> hook,
                                              const call::Waiting& waiting) {
  const Duration limit = type_.options.hookTimeout;
  const bool othersWait = !waiting.callers.empty() && waiting.timeout;
  Invocation invocation(*this, othersWait ? std::min(*waiting.timeout, limit) : limit,
                        waiting.callers, what);
  invocation.setRequestId(waiting.requestId);
  return runWhole(invocation, hook);
}

/// Begins an invocation, runs its code and ends it, without waiting for durability.
std::optional<Failure> ActorInstance::runWhole(Invocation& invocation,
                                               FunctionRef<Done(Invocation&)> code, Line line) {
  const Status begun = line == Line::Waits ? invocation.beginAlone() : invocation.begin();
  if (!begun) return explain(begun.error(), &invocation);
  const Done done = code(invocation);
  if (auto failed = failureIn(done)) {
    invocation.rollback();
    if (invocation.isTimedOut()) return explain(std::move(*failed), invocation);
    return failed;
  }
  if (Status committed = invocation.commit(); !committed) {
    return explain(committed.error(), &invocation);
  }
  return std::nullopt;
}

// ---- Calls

/// Why a call that `inside` stands for is not taken, if it is not.
std::optional<Failure> ActorInstance::refuseCall(const fiber::GateHolder& inside) {
  if (!inside) return Failure(FailureCode::ActorUnavailable, "the actor is on its way out");
  if (isCutOff_) return Failure(FailureCode::ShuttingDown, "this node is shutting down");
  if (calls_.count() > type_.options.callsMax) {
    return Failure(FailureCode::ActorOverloaded,
                   "more than " + std::to_string(type_.options.callsMax) + " calls wait for it");
  }
  noteUse();
  return std::nullopt;
}

/// Ends the invocation of a call whose code gave a failure, or none: what its caller gets waits until
/// all that it could have seen is durable.
std::optional<Failure> ActorInstance::finishCall(Invocation& invocation,
                                                 std::optional<Failure> failed) {
  if (failed) {
    invocation.rollback();
    failed = explain(std::move(*failed), invocation);
  } else if (Status committed = invocation.commit(); !committed) {
    failed = explain(committed.error(), &invocation);
  }
  // Also a failure may tell of what this or an earlier turn wrote.
  if (auto lost = passOutputGate(invocation)) failed = lost;
  noteUse();
  return failed;
}

std::optional<Failure> ActorInstance::passOutputGate(const Invocation& invocation) {
  const store::Txid txid = invocation.seenTxid();
  const bool isRelaxed = invocation.isRelaxed() || type_.options.durability == Durability::Relaxed;
  const bool mayBeOld = isRelaxed && !database_->checkLease();
  if (!isRelaxed || mayBeOld || database_->brokenBy() != nullptr) return waitDurable(txid);
  outbox_.watch(txid);
  outbox_.flush();
  // What the call has sent comes before its reply, also when something older holds it up.
  return outbox_.holdsUpTo(txid) ? awaitDurable(txid) : std::nullopt;
}

call::Reply ActorInstance::run(const call::ActionRequest& request, const ConnectionPtr& from) {
  const fiber::GateHolder inside(calls_);
  if (auto refused = refuseCall(inside)) return *std::move(refused);
  const bool isExclusive = type_.options.concurrency == Concurrency::OneAtATime;
  if (isExclusive && std::find(request.callers.begin(), request.callers.end(), databaseName_) !=
                         request.callers.end()) {
    return Failure(FailureCode::CallCycle,
                   address_.toString() + " is called by a call that it waits for itself");
  }
  const Duration limit = type_.options.actionTimeout;
  Invocation invocation(*this, std::min(request.timeout.value_or(limit), limit), request.callers,
                        request.action);
  invocation.setConnection(from);
  invocation.setRequestId(request.requestId);
  if (Status begun = invocation.beginAlone(); !begun) return explain(begun.error(), &invocation);
  call::Reply reply;
  if (request.visit) {
    Done passed = passGate(invocation, *request.visit);
    if (auto* refused = std::get_if<Failure>(&passed)) reply = std::move(*refused);
  }
  if (!failureIn(reply)) reply = behavior_->action(invocation, request);
  if (auto failed = finishCall(invocation, failureIn(reply))) return *std::move(failed);
  return reply;
}

std::optional<Failure> ActorInstance::letPass(const call::Visit& visit,
                                              std::string_view requestId) {
  return letPass(visit, requestId, nullptr);
}

std::optional<Failure> ActorInstance::letPass(const call::Visit& visit, std::string_view requestId,
                                              const std::string* guardedQueue) {
  if (!type_.hasGate && guardedQueue == nullptr) return std::nullopt;
  const fiber::GateHolder inside(calls_);
  if (auto refused = refuseCall(inside)) return refused;
  Invocation invocation(*this, type_.options.hookTimeout, {}, "onBeforeConnect");
  invocation.setRequestId(requestId);
  if (Status begun = invocation.beginAlone(); !begun) return explain(begun.error(), &invocation);
  const Done passed = passGate(invocation, visit);
  if (failureIn(passed) || guardedQueue == nullptr) {
    return finishCall(invocation, failureIn(passed));
  }
  const auto answer = behavior_->mayPublish(invocation, visit, *guardedQueue);
  if (auto failed = finishCall(invocation, failureIn(answer))) return failed;
  return failureIn(permitted(answer, "send to the queue '" + *guardedQueue + "'"));
}

call::Outcome<call::QueueSent> ActorInstance::send(const call::QueueSend& message) {
  if (message.visit) {
    const auto queue = type_.queues.find(message.queue);
    const bool isGuarded = queue != type_.queues.end() && queue->second.isGuarded;
    if (auto refused = letPass(*message.visit, message.waiting.requestId,
                               isGuarded ? &message.queue : nullptr)) {
      return *std::move(refused);
    }
  }
  const fiber::GateHolder inside(calls_);
  if (auto refused = refuseCall(inside)) return *std::move(refused);
  return services_->dispatcher().send(message);
}

Done ActorInstance::permitted(const call::Outcome<bool>& answer, const std::string& what) const {
  if (const auto* failed = std::get_if<Failure>(&answer)) return *failed;
  if (std::get<bool>(answer)) return {};
  return Failure(FailureCode::Forbidden, address_.toString() + " does not let this client " + what);
}

Done ActorInstance::passGate(Invocation& invocation, const call::Visit& visit) {
  invocation.setVisit(&visit);
  return type_.hasGate ? behavior_->letPass(invocation, visit) : Done();
}

Failure ActorInstance::explain(Failure failure, const Invocation& invocation) const {
  if (invocation.isTimedOut()) {
    return {FailureCode::ActionTimedOut, "the action took too long"};
  }
  if (isDestroyed() && invocation.abortToken().isAborted()) {
    return {FailureCode::ActorDestroyed, "actor " + address_.toString() + " was destroyed"};
  }
  if (invocation.hasEffects()) {
    // What may be repeated has certainly not happened, and this has in part.
    if (!failure.isRetryable) return failure;
    return {FailureCode::ActorStopped,
            "a part of the call was done before it failed: " + failure.toString()};
  }
  if (isCutOff_ && failure.is(FailureCode::ActorStopped)) {
    return {FailureCode::ShuttingDown, "this node is shutting down"};
  }
  return failure;
}

void ActorInstance::releaseMemory() {
  const fiber::GateHolder inside(calls_);  // the database stays open meanwhile
  if (!inside || state_ != State::Awake || std::exchange(isLean_, true)) return;
  database_->releaseMemory();
}

std::optional<Failure> ActorInstance::runBackground(Invocation& invocation) {
  auto failed = runWhole(invocation, [&](Invocation& each) { return behavior_->run(each); });
  if (!failed) return waitDurable(invocation.seenTxid());
  if (database_->brokenBy() != nullptr) requestStop(Stop::Broken);
  return failed;
}

std::optional<Failure> ActorInstance::waitDurable() {
  if (type_.options.durability != Durability::Relaxed) return awaitDurable();
  const fiber::GateHolder inside(calls_);
  return inside ? waitDurable(database_->committedTxid()) : std::nullopt;
}

std::optional<Failure> ActorInstance::awaitDurable() {
  fiber::GateHolder inside(calls_);
  if (inside) return awaitDurable(database_->committedTxid());
  // An actor falls asleep when all is durable; one for which that failed is broken.
  (void)waitUntilEnded();
  if (stopRequest_ == Stop::Sleep) return std::nullopt;
  return Failure(FailureCode::ActorBroken, "the actor ended before all was durable");
}

std::optional<Failure> ActorInstance::waitDurable(store::Txid txid) {
  if (type_.options.durability != Durability::Relaxed || !database_->checkLease() ||
      database_->brokenBy() != nullptr) {
    return awaitDurable(txid);
  }
  outbox_.flush();
  return std::nullopt;
}

std::optional<Failure> ActorInstance::awaitDurable(store::Txid txid) {
  if (database_->brokenBy() == nullptr && database_->waitDurable(txid)) {
    // What the same turns, and those before, had to say comes first.
    outbox_.flush();
    return std::nullopt;
  }
  requestStop(Stop::Broken);
  return call::failureOf(*database_->brokenBy(), address_.toString());
}

Failure ActorInstance::explain(const Error& error, const Invocation* invocation) {
  if (invocation != nullptr && invocation->isTimedOut()) {
    return {FailureCode::ActionTimedOut, "the action took too long"};
  }
  if (database_ != nullptr && database_->brokenBy() != nullptr) requestStop(Stop::Broken);
  const bool isStopped = invocation == nullptr || invocation->abortToken().isAborted();
  if (isDestroyed() && isStopped) {
    return {FailureCode::ActorDestroyed, "actor " + address_.toString() + " was destroyed"};
  }
  Failure failure =
      call::failureOf(error, invocation != nullptr ? invocation->reference() : address_.toString());
  if (invocation != nullptr) failure = explain(std::move(failure), *invocation);
  if (failure.is(FailureCode::Internal)) {
    const bool isCall = invocation != nullptr;
    logError("actor", "internal error",
             {{"actor", address_.toString()},
              {"request", isCall ? invocation->requestId() : std::string_view()},
              {"connection", isCall ? invocation->connectionId() : std::string_view()},
              {"error", error.toString()}});
    owner_.noteError(address_, error.toString());
  }
  return failure;
}

// ---- End

void ActorInstance::requestStop(Stop how) {
  isIdleSleep_ = false;
  if (how == Stop::Destroy) isDestroyOfTurn_ = false;
  if (stopRequest_ >= how || isClosed_ || state_ == State::Gone) return;
  const bool isNew = !stopRequest_ || state_ == State::Awake;
  stopRequest_ = how;
  calls_.wakeWaiters();
  if (state_ == State::Stopping) return stopInvocations();
  if (state_ == State::Awake && isNew) owner_.stopRequested(*this);
}

void ActorInstance::requestIdleSleep() {
  if (stopRequest_) return;
  requestStop(Stop::Sleep);
  isIdleSleep_ = true;
  usedBeforeSleep_ = lastUsed_;
}

void ActorInstance::requestLastSleep() {
  isLastSleep_ = true;
  requestStop(Stop::Sleep);
  calls_.wakeWaiters();
}

void ActorInstance::withdrawSleep() {
  if (stopRequest_ != Stop::Sleep || state_ != State::Awake || isLastSleep_) return;
  stopRequest_.reset();
  calls_.wakeWaiters();
}

void ActorInstance::destroyWithTurn() {
  const bool isWanted = isDestroyed() && !isDestroyOfTurn_;
  requestStop(Stop::Destroy);
  isDestroyOfTurn_ = !isWanted;
}

/// False: not any more.
bool ActorInstance::waitUntilItMaySleep() {
  while (state_ == State::Awake && stopRequest_ == Stop::Sleep && !isLastSleep_ &&
         calls_.count() != 0) {
    if (isIdleSleep_ && lastUsed_ != usedBeforeSleep_) {
      stopRequest_.reset();
      break;
    }
    // Who has nothing else to do is told; whose end is in sight is not.
    stopInvocations();
    services_->dispatcher().stopIdleReplyWaiters();
    calls_.waitForEmpty();
  }
  return state_ == State::Awake && stopRequest_;
}

void ActorInstance::stopInvocations() {
  for (Invocation& invocation : invocations_) {
    // Who destroys the actor goes on to its end, if it has one.
    const bool isAsked = *stopRequest_ != Stop::Sleep && !invocation.destroysActor();
    if (isAsked || invocation.goesOnUntilStopped()) invocation.stop();
  }
}

bool ActorInstance::stop() {
  if (state_ != State::Awake || !stopRequest_ || !waitUntilItMaySleep()) return false;
  state_ = State::Stopping;
  changed_.notifyAll();
  services_->stop();
  stopInvocations();
  calls_.close();
  services_->join();
  if (const Error* error = database_->brokenBy()) {
    owner_.noteError(address_, "it lost its database: " + error->toString());
  }
  runLastHooks();
  if (database_->brokenBy() == nullptr) finishOutbox();
  // It did not fall asleep, it was lost: its clients hear of it.
  const bool isLost = database_->brokenBy() != nullptr;
  if (isLost) stopRequest_ = std::max(*stopRequest_, Stop::Broken);
  isClosed_ = true;
  const std::optional<store::Ownership> mine = closeDatabase();
  if (!isDestroyed()) return true;
  if (isLost && isDestroyOfTurn_) {
    stopFailure_ =
        Failure(FailureCode::ActorBroken,
                "the actor lost its database before it was known whether it is destroyed");
  } else if (Status gone = environment_.store.destroy(databaseName_, mine); !gone) {
    stopFailure_ = call::failureOf(gone.error(), address_.toString());
  }
  return true;
}

const std::optional<Failure>& ActorInstance::waitUntilEnded() {
  while (!isEnded_) changed_.wait();
  return stopFailure_;
}

void ActorInstance::tellEnded() {
  isEnded_ = true;
  changed_.notifyAll();
}

void ActorInstance::cutOff() {
  isCutOff_ = true;
  for (Invocation& invocation : invocations_) invocation.stop("this node is shutting down");
  if (state_ == State::Awake) services_->dispatcher().stopReplyWaiters();
  changed_.notifyAll();
}

/// onSleep, or onDestroy; both, when the first one destroys the actor.
void ActorInstance::runLastHooks() {
  if (database_->brokenBy() != nullptr || *stopRequest_ == Stop::Broken) return;
  const Stop how = *stopRequest_;
  runLastHook(how);
  if (how == Stop::Sleep && isDestroyed() && database_->brokenBy() == nullptr) {
    runLastHook(Stop::Destroy);
  }
}

void ActorInstance::runLastHook(Stop how) {
  const bool sleeps = how == Stop::Sleep;
  const char* name = sleeps ? "onSleep" : "onDestroy";
  const Duration limit = type_.options.hookTimeout;
  Invocation invocation(*this, isCutOff_ ? std::min(limit, kLastHookTime) : limit, {}, name);
  const auto failed = runWhole(invocation, [&](Invocation& each) {
    return sleeps ? behavior_->sleep(each) : behavior_->destroy(each);
  });
  if (!failed) return;
  const std::string what = std::string(name) + " failed";
  logWarn("actor", what, {{"actor", address_.toString()}, {"error", failed->toString()}});
  owner_.noteError(address_, what + ": " + failed->toString());
}

/// Gives what only this owner may remove.
std::optional<store::Ownership> ActorInstance::closeDatabase() {
  behavior_.reset();
  if (database_ == nullptr) return std::nullopt;
  alarmMs_ = services_->dispatcher().alarmMs();
  // Somebody may wait for what a database that closes badly still had to write.
  const Status closed = database_->close();
  if (!closed && stopRequest_ == Stop::Sleep) stopRequest_ = Stop::Broken;
  const store::Ownership mine{.id = database_->file().id(), .epoch = database_->head().epoch};
  services_.reset();
  database_.reset();
  return mine;
}

void ActorInstance::becomeGone() {
  isEnded_ = true;
  state_ = State::Gone;
  changed_.notifyAll();
}

}  // namespace skep::actor
