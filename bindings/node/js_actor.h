// JsActor: an actor written in JavaScript, as the runtime runs it.
//
// Its state lives in JavaScript. It is taken (encoded) on the JavaScript thread before the fiber commits a
// turn, written with that turn, and put back after a rollback. Belongs to its actor, on the JavaScript
// thread's loop.

#pragma once

#include <memory>
#include <optional>
#include <string>

#include "js_host.h"
#include "run.h"
#include "skep/actor/behavior.h"

namespace skep::node {

class JsActor final : public actor::Behavior {
 public:
  // Shared: the host and the type's parts may be gone before the last actor is.
  JsActor(std::shared_ptr<JsHost> host, std::shared_ptr<const JsType> type);
  ~JsActor() override;

  actor::Done create(actor::Invocation& invocation,
                     const std::optional<call::Payload>& input) override;
  actor::Done load(actor::Invocation& invocation) override;
  actor::Done wake(actor::Invocation& invocation) override;
  call::Reply action(actor::Invocation& invocation, const call::ActionRequest& request) override;
  bool hasAction(const std::string& name) const override { return type_->actions.contains(name); }
  call::Outcome<Bytes> encodeMessage(const std::string& queue, const call::Payload& body) override;
  call::Reply message(actor::Invocation& invocation, const std::string& queue, const Bytes& body,
                      call::Encoding replyEncoding) override;
  actor::Done run(actor::Invocation& invocation) override;
  actor::Done admit(actor::Invocation& invocation, const call::ConnectRequest& request) override;
  actor::Done connected(actor::Invocation& invocation) override;
  actor::Done disconnected(actor::Invocation& invocation) override;
  actor::Done letPass(actor::Invocation& invocation, const call::Visit& visit) override;
  call::Outcome<bool> maySubscribe(actor::Invocation& invocation,
                                   const std::string& event) override;
  call::Outcome<bool> mayPublish(actor::Invocation& invocation, const call::Visit& visit,
                                 const std::string& queue) override;
  actor::Done request(actor::Invocation& invocation, const call::HttpRequest& request,
                      actor::HttpResponder& responder) override;
  actor::Done talk(actor::Invocation& invocation, const call::HttpRequest& request,
                   actor::SocketSession& session) override;
  actor::Done sleep(actor::Invocation& invocation) override;
  actor::Done destroy(actor::Invocation& invocation) override;
  Status beforeCommit(actor::Invocation& invocation) override;
  Status afterRollback(actor::Invocation& invocation) override;

  /// What has changed goes into the database with the next commit. Outside fibers.
  void takeState();
  JsHost& host() { return *host_; }
  /// Tells the code of a run to end, soon.
  void tellAborted(Run::Id run, bool isTimeout);

 private:
  Settled serve(actor::Invocation& invocation, Dispatch what,
                actor::HttpResponder* responder = nullptr, actor::SocketSession* socket = nullptr);
  actor::Done hook(actor::Invocation& invocation, Dispatch what);
  call::Outcome<bool> ask(actor::Invocation& invocation, Dispatch what);

  const std::shared_ptr<JsHost> host_;
  const std::shared_ptr<const JsType> type_;
  const std::uint32_t id_;
  bool isIntroduced_ = false;         // JavaScript knows the actor's key
  std::string saved_;                 // the state as the database has it; empty: none
  std::optional<std::string> taken_;  // to be written with the next commit
};

}  // namespace skep::node
