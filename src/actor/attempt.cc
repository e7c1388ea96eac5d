#include "skep/actor/attempt.h"

#include <utility>

#include "skep/actor/actor_instance.h"
#include "skep/base/log.h"

namespace skep::actor {
namespace {

using call::Failure;
using call::FailureCode;
using End = Attempt::End;

/// Whose fault it is that a handler failed.
End endOf(ActorInstance& instance, const Invocation& invocation, const Failure& failure) {
  if (instance.database().brokenBy() != nullptr) return End::Lost;
  if (invocation.abortToken().isAborted() && !invocation.isTimedOut()) return End::Lost;
  return failure.isRetryable ? End::Prevented : End::Failed;
}

}  // namespace

Attempt attempt(ActorInstance& instance, const AttemptSteps& steps) {
  Invocation invocation(instance, instance.type().options.actionTimeout, {},
                        "a timer or a message");
  if (Status begun = invocation.beginAlone(); !begun) {
    // Nothing was taken yet: what is due stays so.
    return {.end = invocation.isTimedOut() ? End::Unreadable : End::Lost};
  }
  // Its own time begins when it runs: nobody waits for it.
  if (invocation.isInLine()) invocation.goOnFor(instance.type().options.actionTimeout);
  const Result<bool> taken = steps.take();
  if (!taken) {
    invocation.rollback();
    return {.end = End::Unreadable};
  }
  if (!*taken) {
    (void)invocation.commit();  // of nothing
    return {.end = End::Nothing};
  }
  call::Reply reply = steps.handle(invocation);
  Status ended;
  if (std::holds_alternative<call::Payload>(reply)) {
    // Code that took no notice of having been told to stop has no turn to commit any more.
    ended = invocation.isInTurn() ? steps.finish()
                                  : Error{ErrorCode::Aborted, "it was told to stop and went on"};
    if (ended) ended = invocation.commit();
    if (ended) return {.end = End::Handled, .reply = std::get<call::Payload>(std::move(reply))};
    reply = call::failureOf(ended.error(), instance.address().toString());
  }
  invocation.rollback();
  Failure failure = std::get<Failure>(std::move(reply));
  if (invocation.isTimedOut()) {
    failure = Failure(FailureCode::ActionTimedOut, "the action took too long");
  }
  const End end = endOf(instance, invocation, failure);
  return {.end = end, .failure = std::move(failure)};
}

bool inOwnTurn(ActorInstance& instance, FunctionRef<Status()> body) {
  Invocation invocation(instance, instance.type().options.hookTimeout);
  Status done = invocation.begin();
  if (done) {
    done = body();
    if (done) {
      done = invocation.commit();
    } else {
      invocation.rollback();
    }
  }
  if (!done && instance.database().brokenBy() == nullptr && !invocation.abortToken().isAborted()) {
    logWarn("actor", "what is due could not be looked after",
            {{"actor", instance.address().toString()}, {"error", done.error().toString()}});
  }
  return done.ok();
}

}  // namespace skep::actor
