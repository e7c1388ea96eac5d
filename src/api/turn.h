// What an actor's code reaches through its invocation, within a turn only.

#pragma once

#include "skep/actor/invocation.h"
#include "skep/actor/services.h"
#include "skep/api/stored.h"

namespace skep::api {

/// Code that went on after it was told to stop has no turn any more: nothing that it writes could be rolled
/// back. ActorError then.
inline void checkInTurn(const actor::Invocation& invocation) {
  if (!invocation.isInTurn()) {
    throwError({ErrorCode::Aborted, "this call was told to stop: let the exception pass"});
  }
}

inline actor::Services& servicesOf(actor::Invocation& invocation) {
  checkInTurn(invocation);
  return invocation.services();
}

}  // namespace skep::api
