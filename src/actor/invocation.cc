#include "skep/actor/invocation.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "skep/actor/actor_instance.h"
#include "skep/actor/services.h"

namespace skep::actor {
namespace {

constexpr Duration kForever = std::chrono::hours(24) * 36'500;

}  // namespace

Invocation::Invocation(ActorInstance& instance, Duration timeout, std::vector<std::string> callers,
                       std::string_view what)
    : instance_(instance),
      activity_{.actor = instance.databaseName(), .what = what},
      deadline_(instance.clock().monotonic() + timeout),
      callers_(std::move(callers)),
      timer_(instance.loop()) {
  instance_.invocations_.push_back(*this);
  goOnFor(timeout);
}

Invocation::~Invocation() {
  SKEP_CHECK(!inTurn_, "an invocation ends by commit() or rollback()");
  leaveLine();
}

void Invocation::stop(std::string why) {
  if (stoppedBy_.empty()) stoppedBy_ = std::move(why);
  if (inTurn_) instance_.database().interrupt();
  abort_.requestAbort();
}

Status Invocation::checkGoing() const {
  if (isTimedOut_) return Error{ErrorCode::TimedOut, "the time for this call ran out"};
  if (abort_.isAborted()) return Error{ErrorCode::Aborted, stoppedBy_};
  return {};
}

void Invocation::goOnFor(Duration limit) {
  deadline_ = instance_.clock().monotonic() + limit;
  timer_.callAfter(limit, [this] {
    isTimedOut_ = true;
    stop();
  });
}

void Invocation::goOnUntilStopped() {
  goesOn_ = true;
  timer_.cancel();
  deadline_ = instance_.clock().monotonic() + kForever;
  if (instance_.state() == ActorInstance::State::Stopping) stop();
}

Status Invocation::takeLine() {
  if (instance_.type().options.concurrency != Concurrency::OneAtATime) return {};
  fiber::Mutex& line = instance_.exclusive_;
  if (!line.try_lock() && !line.lock(abort_.token())) return checkGoing();
  isInLine_ = true;
  return {};
}

void Invocation::leaveLine() {
  if (std::exchange(isInLine_, false)) instance_.exclusive_.unlock();
}

Status Invocation::beginAlone() {
  SKEP_CHECK_OK(takeLine());
  return begin();
}

Status Invocation::begin() {
  if (!instance_.turn_.try_lock() && !instance_.turn_.lock(abort_.token())) return checkGoing();
  Status begun = checkGoing();
  if (begun) begun = instance_.database().beginTurn();
  if (!begun) {
    instance_.turn_.unlock();
    return begun;
  }
  inTurn_ = true;
  return {};
}

Status Invocation::endTurn() {
  sql::Database& database = instance_.database();
  const store::Txid before = database.committedTxid();
  Status ended = instance_.behavior().beforeCommit(*this);
  if (ended) ended = services().beforeCommit();
  if (ended) {
    Result<store::Txid> committed = database.commitTurn();
    if (!committed) ended = std::move(committed).error();
  } else {
    (void)database.rollbackTurn();
  }
  seenTxid_ = database.committedTxid();
  if (ended) {
    hasEffects_ |= seenTxid_ != before || instance_.outbox().hasStaged();
    services().committed();
    instance_.outbox().committed(seenTxid_, isRelaxed_ ? Durability::Relaxed : Durability::Durable);
  } else {
    (void)instance_.behavior().afterRollback(*this);
    services().rolledBack();
    instance_.outbox().rolledBack();
  }
  const bool destroysNow = std::exchange(destroysInTurn_, false) && ended;
  inTurn_ = false;
  instance_.turn_.unlock();
  if (destroysNow) {
    destroys_ = hasEffects_ = true;
    instance_.destroyWithTurn();
  }
  return ended;
}

Status Invocation::commit() {
  return inTurn_ ? endTurn() : Status{};
}

void Invocation::rollback() {
  if (!inTurn_) return;
  sql::Database& database = instance_.database();
  // What cannot be rolled back is a broken database, whose memory goes with it.
  (void)database.rollbackTurn();
  (void)instance_.behavior().afterRollback(*this);
  services().rolledBack();
  instance_.outbox().rolledBack();
  seenTxid_ = database.committedTxid();
  destroysInTurn_ = false;
  inTurn_ = false;
  instance_.turn_.unlock();
}

const call::ActorAddress& Invocation::actor() const {
  return instance_.address();
}

sql::Database& Invocation::database() {
  return instance_.database();
}

Services& Invocation::services() {
  return instance_.services();
}

Clock& Invocation::clock() {
  return instance_.clock();
}

Duration Invocation::timeLeft() const {
  return std::max(Duration{}, deadline_ - instance_.clock().monotonic());
}

Status Invocation::pause(FunctionRef<void()> wait) {
  // Code that tries again and again after it was told to stop must not keep the loop from the others.
  if (!inTurn_) fiber::yield();
  if (inTurn_) SKEP_CHECK_OK(instance_.noteUnfinished());
  SKEP_CHECK_OK(commit());
  wait();
  return begin();
}

Status Invocation::pauseIdle(FunctionRef<void()> wait) {
  Background& background = services().background();
  if (!background.isRun(*this)) return pause(wait);
  return pause([&] {
    background.setWaiting(true);
    instance_.noteUse();
    wait();
    background.setWaiting(false);
  });
}

Status Invocation::flush() {
  Status durable;
  SKEP_CHECK_OK(pause([&] { durable = instance_.database().waitDurable(seenTxid_); }));
  return durable;
}

template <class Answer, class Ask>
Answer Invocation::askOthers(Ask ask) {
  Answer answer;
  Status paused = pause([&] {
    Status durable = instance_.database().waitDurable(seenTxid_);
    if (durable) {
      answer = ask();
    } else {
      answer = call::failureOf(durable.error(), "the actor's database");
    }
  });
  const auto* refused = std::get_if<call::Failure>(&answer);
  hasEffects_ |= refused == nullptr || !refused->isRetryable;
  if (!paused) return call::failureOf(paused.error(), "the actor's database");
  return answer;
}

call::Waiting Invocation::waiting() const {
  call::Waiting waiting{.callers = callers_, .timeout = timeLeft(), .requestId = requestId_};
  waiting.callers.push_back(instance_.databaseName());
  return waiting;
}

call::Reply Invocation::call(call::ActionRequest request) {
  call::Waiting mine = waiting();
  request.timeout = std::min(request.timeout.value_or(*mine.timeout), *mine.timeout);
  request.callers = std::move(mine.callers);
  request.requestId = mine.requestId;
  return askOthers<call::Reply>([&] { return instance_.router().run(std::move(request)); });
}

call::Outcome<call::QueueSent> Invocation::send(call::QueueSend message) {
  message.waiting = waiting();
  return askOthers<call::Outcome<call::QueueSent>>(
      [&] { return instance_.router().send(std::move(message)); });
}

call::Outcome<bool> Invocation::resolve(const call::ActorAddress& actor, call::Existence existence,
                                        std::optional<call::Payload> input) {
  return askOthers<call::Outcome<bool>>([&] {
    return instance_.router().resolve(actor, existence, std::move(input), nullptr, waiting());
  });
}

const call::Claims* Invocation::claims() const {
  const call::Claims* claims = nullptr;
  if (connection_ != nullptr) {
    claims = &connection_->claims();
  } else if (visit_ != nullptr) {
    claims = &visit_->claims;
  }
  return claims == nullptr || claims->bytes.empty() ? nullptr : claims;
}

bool Invocation::hasAction(const std::string& name) const {
  return instance_.behavior().hasAction(name);
}

std::string_view Invocation::connectionId() const {
  return connection_ == nullptr ? std::string_view() : connection_->id();
}

std::string Invocation::reference() const {
  if (!requestId_.empty()) return std::string(requestId_);
  if (connection_ != nullptr) return std::string(connectionId());
  return actor().toString();
}

void Invocation::noteError(std::string_view message) {
  instance_.owner().noteError(instance_.address(), message);
}

void Invocation::destroyActor() {
  destroysInTurn_ = inTurn_;
}
void Invocation::sleepActor() {
  instance_.requestStop(ActorInstance::Stop::Sleep);
}

}  // namespace skep::actor
