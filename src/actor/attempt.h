// attempt(): runs a handler such that what it did and its end commit together, and tells how it went.
//
// The Dispatcher's, for timers and messages alike.

#pragma once

#include <optional>

#include "skep/actor/invocation.h"
#include "skep/base/function_ref.h"
#include "skep/base/result.h"
#include "skep/call/router.h"

namespace skep::actor {

class ActorInstance;

struct AttemptSteps {
  /// First in the first turn: whether there still is something to do.
  FunctionRef<Result<bool>()> take;
  FunctionRef<call::Reply(Invocation&)> handle;
  /// Last in the last turn.
  FunctionRef<Status()> finish;
};

struct Attempt {
  enum class End : std::uint8_t {
    Nothing,     // there was nothing to do
    Handled,     // and committed
    Failed,      // by its own fault: rolled back
    Prevented,   // by no fault of its own: rolled back
    Unreadable,  // what there is to do could not be read
    Lost,        // the actor is broken or on its way out
  };
  End end = End::Nothing;
  std::optional<call::Failure> failure;
  std::optional<call::Payload> reply;  // when Handled
};

/// On a fiber that counts as a call of the instance. Suspends.
Attempt attempt(ActorInstance& instance, const AttemptSteps& steps);
/// Runs `body` in a turn of its own; whether it was committed. Suspends.
bool inOwnTurn(ActorInstance& instance, FunctionRef<Status()> body);

}  // namespace skep::actor
