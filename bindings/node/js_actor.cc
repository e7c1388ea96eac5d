#include "js_actor.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "skep/actor/system_tables.h"

namespace skep::node {

using actor::Done;
using actor::Invocation;
using call::Failure;
using call::FailureCode;

namespace {

constexpr std::string_view kCborTrue = "\xf5";

/// "GET /path?query"
std::string lineOf(const call::HttpRequest& request) {
  std::string line = request.method + " " + request.path;
  if (!request.query.empty()) line += "?" + request.query;
  return line;
}

}  // namespace

JsActor::JsActor(std::shared_ptr<JsHost> host, std::shared_ptr<const JsType> type)
    : host_(std::move(host)), type_(std::move(type)), id_(host_->nextActor()) {}

JsActor::~JsActor() {
  host_->node().call([host = host_, id = id_] { host->forget(id); });
}

Settled JsActor::serve(Invocation& invocation, Dispatch what, actor::HttpResponder* responder,
                       actor::SocketSession* socket) {
  what.connection = invocation.connection();
  Run run(host_->node(), *this, invocation);
  run.responder = responder;
  run.socket = socket;
  return run.serve([this, what = std::move(what), id = run.id(), key = invocation.actor().key] {
    const bool isNew = !std::exchange(isIntroduced_, true);
    host_->dispatch(what, id, id_, type_->index, isNew ? &key : nullptr);
  });
}

Done JsActor::hook(Invocation& invocation, Dispatch what) {
  Settled settled = serve(invocation, std::move(what));
  if (settled.failure) return *std::move(settled.failure);
  return {};
}

Done JsActor::create(Invocation& invocation, const std::optional<call::Payload>& input) {
  return hook(invocation, {.kind = Kind::Create, .payload = input});
}

Done JsActor::load(Invocation& invocation) {
  auto state = actor::loadState(invocation.database());
  if (!state) return call::failureOf(state.error(), invocation.actor().toString());
  Dispatch what{.kind = Kind::Load};
  if (*state) {
    saved_ = asText(**state);
    what.payload = call::Payload{call::Encoding::Cbor, saved_};
  }
  return hook(invocation, std::move(what));
}

Done JsActor::wake(Invocation& invocation) {
  return hook(invocation, {.kind = Kind::Wake});
}

call::Reply JsActor::action(Invocation& invocation, const call::ActionRequest& request) {
  if (!hasAction(request.action)) {
    return Failure(FailureCode::UnknownAction, "actor type '" + invocation.actor().type +
                                                   "' has no action named '" + request.action +
                                                   "'");
  }
  Settled settled = serve(invocation, {.kind = Kind::Action,
                                       .name = request.action,
                                       .payload = request.arguments,
                                       .replyEncoding = request.replyEncoding});
  if (settled.failure) return *std::move(settled.failure);
  if (settled.result) return *std::move(settled.result);
  return call::Payload{request.replyEncoding,
                       request.replyEncoding == call::Encoding::Json ? "null" : "\xf6"};
}

call::Outcome<Bytes> JsActor::encodeMessage(const std::string& queue, const call::Payload& body) {
  if (!type_->queues.contains(queue)) {
    return Failure(FailureCode::UnknownQueue, "the actor type has no queue named '" + queue + "'");
  }
  if (body.encoding == call::Encoding::Cbor) {
    const ByteView bytes = asBytes(body.bytes);
    return Bytes(bytes.begin(), bytes.end());
  }
  const auto value = nlohmann::json::parse(body.bytes, nullptr, false);
  if (value.is_discarded()) {
    return Failure(FailureCode::InvalidArguments, "the message is no JSON");
  }
  std::string cbor;
  nlohmann::json::to_cbor(value, cbor);
  const ByteView bytes = asBytes(cbor);
  return Bytes(bytes.begin(), bytes.end());
}

call::Reply JsActor::message(Invocation& invocation, const std::string& queue, const Bytes& body,
                             call::Encoding replyEncoding) {
  Settled settled =
      serve(invocation, {.kind = Kind::Message,
                         .name = queue,
                         .payload = call::Payload{call::Encoding::Cbor, std::string(asText(body))},
                         .replyEncoding = replyEncoding});
  if (settled.failure) return *std::move(settled.failure);
  if (settled.result) return *std::move(settled.result);
  return call::Payload{replyEncoding, replyEncoding == call::Encoding::Json ? "null" : "\xf6"};
}

Done JsActor::run(Invocation& invocation) {
  return hook(invocation, {.kind = Kind::Run});
}

Done JsActor::admit(Invocation& invocation, const call::ConnectRequest& request) {
  Settled settled = serve(invocation, {.kind = Kind::Admit,
                                       .payload = invocation.connection()->parameters(),
                                       .headers = &request.headers});
  if (settled.failure) return *std::move(settled.failure);
  if (!settled.result) return {};
  Status kept = invocation.setState(invocation.connection(), std::move(settled.result->bytes));
  if (!kept) return call::failureOf(kept.error(), invocation.actor().toString());
  return {};
}

Done JsActor::connected(Invocation& invocation) {
  return hook(invocation, {.kind = Kind::Connected});
}
Done JsActor::disconnected(Invocation& invocation) {
  return hook(invocation, {.kind = Kind::Disconnected});
}
Done JsActor::letPass(Invocation& invocation, const call::Visit& visit) {
  const call::Headers headers = visit.head != nullptr ? visit.head->fields() : call::Headers();
  return hook(invocation, {.kind = Kind::Pass, .headers = &headers});
}

call::Outcome<bool> JsActor::ask(Invocation& invocation, Dispatch what) {
  Settled settled = serve(invocation, std::move(what));
  if (settled.failure) return *std::move(settled.failure);
  return settled.result && settled.result->bytes == kCborTrue;
}

call::Outcome<bool> JsActor::maySubscribe(Invocation& invocation, const std::string& event) {
  return ask(invocation, {.kind = Kind::Subscribe, .name = event});
}
call::Outcome<bool> JsActor::mayPublish(Invocation& invocation, const call::Visit& visit,
                                        const std::string& queue) {
  const call::Headers headers = visit.head != nullptr ? visit.head->fields() : call::Headers();
  return ask(invocation, {.kind = Kind::Publish, .name = queue, .headers = &headers});
}

Done JsActor::request(Invocation& invocation, const call::HttpRequest& request,
                      actor::HttpResponder& responder) {
  Settled settled = serve(invocation,
                          {.kind = Kind::Request,
                           .name = lineOf(request),
                           .payload = call::Payload{call::Encoding::Cbor, request.body},
                           .headers = &request.headers},
                          &responder);
  if (settled.failure) return *std::move(settled.failure);
  return {};
}

Done JsActor::talk(Invocation& invocation, const call::HttpRequest& request,
                   actor::SocketSession& session) {
  Settled settled = serve(
      invocation,
      {.kind = Kind::Talk,
       .name = lineOf(request),
       .payload = call::Payload{call::Encoding::Json, nlohmann::json(session.offered()).dump()},
       .headers = &request.headers},
      nullptr, &session);
  if (settled.failure) return *std::move(settled.failure);
  return {};
}

Done JsActor::sleep(Invocation& invocation) {
  return hook(invocation, {.kind = Kind::Sleep});
}
Done JsActor::destroy(Invocation& invocation) {
  return hook(invocation, {.kind = Kind::Destroy});
}

void JsActor::takeState() {
  if (auto state = host_->takeState(id_)) taken_ = std::move(state);
}

void JsActor::tellAborted(Run::Id run, bool isTimeout) {
  host_->node().call([host = host_, run, isTimeout] { host->abort(run, isTimeout); });
}

Status JsActor::beforeCommit(Invocation& invocation) {
  if (!taken_) return {};
  std::string state = *std::exchange(taken_, std::nullopt);
  if (state == saved_) return {};
  SKEP_CHECK_OK(actor::saveState(invocation.database(), asBytes(state)));
  std::swap(saved_, state);
  // The database calls this when what was just saved is rolled back after all.
  invocation.database().onRollback([this, before = std::move(state)] { saved_ = before; });
  return {};
}

Status JsActor::afterRollback(Invocation&) {
  taken_.reset();
  host_->node().call([host = host_, id = id_, state = saved_] { host->restoreState(id, state); });
  return {};
}

}  // namespace skep::node
