// What an awake actor does about raw WebSockets.

#include <mutex>

#include "skep/actor/actor_instance.h"
#include "skep/actor/outcome.h"
#include "skep/actor/raw_head.h"
#include "skep/actor/socket_session.h"

namespace skep::actor {

std::optional<call::Failure> ActorInstance::talk(const call::HttpRequest& request,
                                                 const SocketExchangePtr& exchange) {
  const fiber::GateHolder inside(calls_);
  if (auto refused = refuseCall(inside)) return refused;
  std::unique_lock<fiber::Mutex> alone = lockIfOneAtATime();
  Invocation invocation(*this, type_.options.actionTimeout);
  SocketSession session(*this, invocation, request, exchange, alone);
  if (exchange->isOver()) return std::nullopt;  // it had to wait, and the client has gone
  if (Status begun = invocation.begin(); !begun) return explain(begun.error(), &invocation);
  const RawHead head(request);
  const call::Visit visit{.claims = request.claims, .head = &head};
  Done done = passGate(invocation, visit);
  if (!failureIn(done)) done = behavior_->talk(invocation, request, session);
  if (!failureIn(done)) done = session.finish();
  return finishCall(invocation, failureIn(done));
}

}  // namespace skep::actor
