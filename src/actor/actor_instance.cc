#include "skep/actor/actor_instance.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "skep/actor/system_tables.h"
#include "skep/base/log.h"
#include "skep/vfs/paged_file.h"

namespace skep::actor {
namespace {

using call::Failure;
using call::FailureCode;

template <class T>
std::optional<Failure> failureIn(const call::Outcome<T>& outcome) {
  const Failure* failure = std::get_if<Failure>(&outcome);
  return failure == nullptr ? std::nullopt : std::optional<Failure>(*failure);
}

}  // namespace

ActorInstance::ActorInstance(Owner& owner, vfs::Environment& environment, const ActorType& type,
                             call::ActorAddress address)
    : owner_(owner),
      environment_(environment),
      type_(type),
      address_(std::move(address)),
      lastUsed_(environment.loop.clock().monotonic()) {}

ActorInstance::~ActorInstance() {
  SKEP_CHECK(state_ == State::Gone && database_ == nullptr, "actor %s goes while it is awake",
             address_.toString().c_str());
}

// ---- Start

std::optional<Failure> ActorInstance::start(call::Existence existence,
                                            const std::optional<call::Payload>& input) {
  std::optional<Failure> failed = open(existence);
  if (!failed) failed = initialize(input);
  if (failed) {
    // A creation that failed leaves nothing behind.
    const bool neverWas = database_ != nullptr && database_->head().txid == 0;
    const std::optional<store::Ownership> mine = closeDatabase();
    if (neverWas) (void)environment_.store.destroy(address_.databaseName(), mine);
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
  options.name = address_.databaseName();
  options.create =
      existence == call::Existence::Get ? store::Create::Never : store::Create::IfMissing;
  options.limits = type_.options.limits;
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
  if (!wasCreated_ && existence == call::Existence::Create) {
    return Failure(FailureCode::ActorExists, "actor " + address_.toString() + " exists already");
  }
  return std::nullopt;
}

/// Migrations and create() are one turn; wake() is the next, so that it sees a whole actor.
std::optional<Failure> ActorInstance::initialize(const std::optional<call::Payload>& input) {
  behavior_ = type_.makeBehavior();
  std::optional<Failure> failed = runHook([&](Invocation& invocation) -> Done {
    if (Status prepared = prepareSystemTables(*database_, services_->tables()); !prepared) {
      return explain(prepared.error(), &invocation);
    }
    if (auto bad = migrate(*database_, type_.migrations, clock().wallMs())) return *bad;
    return wasCreated_ ? behavior_->create(invocation, input) : behavior_->load(invocation);
  });
  if (failed) return failed;
  return runHook([&](Invocation& invocation) { return behavior_->wake(invocation); });
}

std::optional<Failure> ActorInstance::runHook(FunctionRef<Done(Invocation&)> hook,
                                              const ConnectionPtr& about, store::Txid* seen) {
  Invocation invocation(*this, type_.options.hookTimeout);
  invocation.setConnection(about);
  if (Status begun = invocation.begin(); !begun) return explain(begun.error(), &invocation);
  const Done done = hook(invocation);
  auto failed = failureIn(done);
  if (failed) {
    invocation.rollback();
  } else if (Status committed = invocation.commit(); !committed) {
    failed = explain(committed.error(), &invocation);
  }
  if (seen != nullptr) *seen = invocation.seenTxid();
  return failed;
}

// ---- Calls

call::Reply ActorInstance::run(const call::ActionRequest& request, const ConnectionPtr& from) {
  fiber::GateHolder inside(calls_);
  if (!inside) return Failure(FailureCode::ActorUnavailable, "the actor is on its way out");
  if (calls_.count() > type_.options.callsMax) {
    return Failure(FailureCode::ActorOverloaded,
                   "more than " + std::to_string(type_.options.callsMax) + " calls wait for it");
  }
  lastUsed_ = clock().monotonic();
  const bool isExclusive = type_.options.concurrency == Concurrency::OneAtATime;
  if (isExclusive && std::find(request.callers.begin(), request.callers.end(), database_->name()) !=
                         request.callers.end()) {
    return Failure(FailureCode::CallCycle,
                   address_.toString() + " is called by a call that it waits for itself");
  }
  const std::unique_lock<fiber::Mutex> alone = lockIfOneAtATime();
  const Duration limit = type_.options.actionTimeout;
  Invocation invocation(*this, std::min(request.timeout.value_or(limit), limit), request.callers);
  invocation.setConnection(from);
  if (request.visit) invocation.setVisit(&*request.visit);
  if (Status begun = invocation.begin(); !begun) return explain(begun.error(), &invocation);
  call::Reply reply = actionBehindGate(invocation, request);
  if (auto* failed = std::get_if<Failure>(&reply)) {
    invocation.rollback();
    reply = explain(std::move(*failed), invocation);
  } else if (Status committed = invocation.commit(); !committed) {
    reply = explain(committed.error(), &invocation);
  }
  // Also a failure may tell of what this or an earlier turn wrote.
  if (auto lost = waitDurable(invocation.seenTxid())) reply = *lost;
  lastUsed_ = clock().monotonic();
  return reply;
}

/// Both in one turn: so the gate costs a call, and what it writes belongs to the action.
call::Reply ActorInstance::actionBehindGate(Invocation& invocation,
                                            const call::ActionRequest& request) {
  if (request.visit && type_.hasGate) {
    Done passed = behavior_->letPass(invocation, *request.visit);
    if (auto* refused = std::get_if<Failure>(&passed)) return std::move(*refused);
  }
  return behavior_->action(invocation, request);
}

std::optional<Failure> ActorInstance::letPass(const call::Visit& visit) {
  if (!type_.hasGate) return std::nullopt;
  fiber::GateHolder inside(calls_);
  if (!inside) return Failure(FailureCode::ActorUnavailable, "the actor is on its way out");
  noteUse();
  const std::unique_lock<fiber::Mutex> alone = lockIfOneAtATime();
  store::Txid seen = 0;
  auto failed = runHook(
      [&](Invocation& invocation) {
        invocation.setVisit(&visit);
        return behavior_->letPass(invocation, visit);
      },
      nullptr, &seen);
  if (auto lost = waitDurable(seen)) return lost;
  return failed;
}

call::Outcome<call::QueueSent> ActorInstance::send(const call::QueueSend& message) {
  if (message.visit) {
    if (auto refused = letPass(*message.visit)) return *std::move(refused);
  }
  fiber::GateHolder inside(calls_);
  if (!inside) return Failure(FailureCode::ActorUnavailable, "the actor is on its way out");
  if (calls_.count() > type_.options.callsMax) {
    return Failure(FailureCode::ActorOverloaded,
                   "more than " + std::to_string(type_.options.callsMax) + " calls wait for it");
  }
  noteUse();
  return services_->dispatcher().send(message);
}

Failure ActorInstance::explain(Failure failure, const Invocation& invocation) const {
  if (invocation.isTimedOut()) {
    return {FailureCode::ActionTimedOut, "the action took too long"};
  }
  if (stopRequest_ == Stop::Destroy && invocation.abortToken().isAborted()) {
    return {FailureCode::ActorDestroyed, "actor " + address_.toString() + " was destroyed"};
  }
  return failure;
}

std::unique_lock<fiber::Mutex> ActorInstance::lockIfOneAtATime() {
  std::unique_lock<fiber::Mutex> alone(exclusive_, std::defer_lock);
  if (type_.options.concurrency == Concurrency::OneAtATime) alone.lock();
  return alone;
}

std::optional<Failure> ActorInstance::runBackground(Invocation& invocation) {
  if (Status begun = invocation.begin(); !begun) return explain(begun.error(), &invocation);
  const Done done = behavior_->run(invocation);
  if (auto failed = failureIn(done)) {
    invocation.rollback();
    if (database_->brokenBy() != nullptr) requestStop(Stop::Broken);
    return failed;
  }
  if (Status committed = invocation.commit(); !committed) {
    return explain(committed.error(), &invocation);
  }
  return waitDurable(invocation.seenTxid());
}

std::optional<Failure> ActorInstance::waitDurable() {
  fiber::GateHolder inside(calls_);
  if (inside) return waitDurable(database_->committedTxid());
  // An actor falls asleep when all is durable.
  if (stopRequest_ == Stop::Sleep) return std::nullopt;
  return Failure(FailureCode::ActorBroken, "the actor ended before all was durable");
}

std::optional<Failure> ActorInstance::waitDurable(store::Txid txid) {
  if (database_->brokenBy() == nullptr) {
    const bool waits = type_.options.durability != Durability::Relaxed;
    if (!waits || database_->waitDurable(txid)) {
      // What the same turns, and those before, had to say comes first.
      outbox_.flush();
      return std::nullopt;
    }
  }
  requestStop(Stop::Broken);
  return call::failureOf(*database_->brokenBy(), address_.toString());
}

Failure ActorInstance::explain(const Error& error, const Invocation* invocation) {
  if (invocation != nullptr && invocation->isTimedOut()) {
    return {FailureCode::ActionTimedOut, "the action took too long"};
  }
  if (database_ != nullptr && database_->brokenBy() != nullptr) requestStop(Stop::Broken);
  if (stopRequest_ == Stop::Destroy) {
    return {FailureCode::ActorDestroyed, "actor " + address_.toString() + " was destroyed"};
  }
  Failure failure = call::failureOf(error, address_.toString());
  if (failure.is(FailureCode::Internal)) {
    logWarn("actor", "internal error",
            {{"actor", address_.toString()}, {"error", error.toString()}});
    owner_.noteError(address_, error.toString());
  }
  return failure;
}

// ---- End

void ActorInstance::requestStop(Stop how) {
  if (stopRequest_ >= how || state_ == State::Stopping || state_ == State::Gone) return;
  stopRequest_ = how;
  if (state_ == State::Awake) owner_.stopRequested(*this);
}

bool ActorInstance::stop() {
  if (state_ != State::Awake || !stopRequest_) return false;
  state_ = State::Stopping;
  changed_.notifyAll();
  services_->stop();
  if (*stopRequest_ != Stop::Sleep) {
    for (Invocation& invocation : invocations_) invocation.stop();
  }
  calls_.close();
  services_->join();
  if (const Error* error = database_->brokenBy()) {
    owner_.noteError(address_, "it lost its database: " + error->toString());
  }
  if (database_->brokenBy() == nullptr) runLastHook();
  if (database_->brokenBy() == nullptr) finishOutbox();
  const std::optional<store::Ownership> mine = closeDatabase();
  if (*stopRequest_ == Stop::Destroy) {
    Status gone = environment_.store.destroy(address_.databaseName(), mine);
    if (!gone) stopFailure_ = call::failureOf(gone.error(), address_.toString());
  }
  return true;
}

void ActorInstance::runLastHook() {
  const bool sleeps = *stopRequest_ == Stop::Sleep;
  const auto failed = runHook([&](Invocation& invocation) {
    return sleeps ? behavior_->sleep(invocation) : behavior_->destroy(invocation);
  });
  if (!failed) return;
  const char* what = sleeps ? "onSleep failed" : "onDestroy failed";
  logWarn("actor", what, {{"actor", address_.toString()}, {"error", failed->toString()}});
  owner_.noteError(address_, std::string(what) + ": " + failed->toString());
}

/// Gives what only this owner may remove.
std::optional<store::Ownership> ActorInstance::closeDatabase() {
  behavior_.reset();
  if (database_ == nullptr) return std::nullopt;
  alarmMs_ = services_->dispatcher().alarmMs();
  // What a database that closes badly still had to write was never acknowledged to anybody.
  (void)database_->close();
  const store::Ownership mine{.id = database_->file().id(), .epoch = database_->head().epoch};
  services_.reset();
  database_.reset();
  return mine;
}

void ActorInstance::becomeGone() {
  state_ = State::Gone;
  changed_.notifyAll();
}

}  // namespace skep::actor
