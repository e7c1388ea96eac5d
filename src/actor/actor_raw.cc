// What an awake actor does about raw requests and raw WebSockets: its own code answers, or talks.

#include "skep/actor/actor_instance.h"
#include "skep/actor/http_responder.h"
#include "skep/actor/outcome.h"
#include "skep/actor/raw_head.h"
#include "skep/actor/socket_session.h"

namespace skep::actor {

std::optional<call::Failure> ActorInstance::request(const call::HttpRequest& request,
                                                    const HttpExchangePtr& exchange) {
  fiber::GateHolder inside(calls_);
  if (auto refused = refuseCall(inside)) return refused;
  Invocation invocation(*this, type_.options.actionTimeout, {}, "a raw request");
  HttpResponder responder(*this, invocation, exchange);
  const Status begun = invocation.beginAlone();
  if (!begun && exchange->isOver()) return std::nullopt;  // the client has gone meanwhile
  if (!begun) return explain(begun.error(), &invocation);
  const RawHead head(request);
  const call::Visit visit{.claims = request.claims, .head = &head};
  Done done = passGate(invocation, visit);
  if (!failureIn(done)) done = behavior_->request(invocation, request, responder);
  if (!failureIn(done)) done = outcomeOf(responder.finish(), *database_);
  if (auto failed = finishCall(invocation, failureIn(done))) return failed;
  if (responder.hasBegun()) return std::nullopt;
  if (isDestroyed()) {
    invocation.leaveLine();
    inside.leave();
    if (const auto& failed = waitUntilEnded()) return failed;
  }
  exchange->answer(responder.takeResponse());
  return std::nullopt;
}

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
