// What an awake actor does about raw WebSockets.

#include "skep/actor/actor_instance.h"
#include "skep/actor/outcome.h"
#include "skep/actor/raw_head.h"
#include "skep/actor/socket_session.h"

namespace skep::actor {

std::optional<call::Failure> ActorInstance::talk(const call::HttpRequest& request,
                                                 const SocketExchangePtr& exchange) {
  const fiber::GateHolder inside(calls_);
  if (auto refused = refuseCall(inside)) return refused;
  Invocation invocation(*this, type_.options.actionTimeout, {}, "a raw WebSocket");
  SocketSession session(*this, invocation, request, exchange);
  const Status begun = invocation.beginAlone();
  if (!begun && exchange->isOver()) return std::nullopt;  // the client has gone meanwhile
  if (!begun) return explain(begun.error(), &invocation);
  const RawHead head(request);
  const call::Visit visit{.claims = request.claims, .head = &head};
  Done done = passGate(invocation, visit);
  if (!failureIn(done)) done = behavior_->talk(invocation, request, session);
  if (!failureIn(done)) done = session.finish();
  return finishCall(invocation, failureIn(done));
}

}  // namespace skep::actor
