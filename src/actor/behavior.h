// Behavior: the code of one actor, as the runtime calls it. The C++ API and the Node.js binding each
// implement it.
//
// One Behavior belongs to one awake actor: its members are the actor's volatile memory. The runtime
// calls it on the actor's loop, on a fiber, one turn at a time; a call ends or pauses a turn through
// its Invocation. Implementations never throw: what the actor's code throws becomes a Failure, and
// the open turn is rolled back.

#pragma once

#include <optional>
#include <string>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/call/router.h"

namespace skep::actor {

class HttpResponder;
class Invocation;
class SocketSession;

using Done = call::Outcome<std::monostate>;

class Behavior {
 public:
  virtual ~Behavior() = default;

  /// The actor is new: its state is made. In the same turn as the migrations: all or nothing.
  virtual Done create(Invocation& invocation, const std::optional<call::Payload>& input) = 0;
  /// The actor is not new: its state is read. In the same turn as the migrations.
  virtual Done load(Invocation& invocation) = 0;
  /// After create() or load(): volatile memory is made.
  virtual Done wake(Invocation& invocation) = 0;
  virtual call::Reply action(Invocation& invocation, const call::ActionRequest& request) = 0;
  /// Whether action() knows this name.
  virtual bool hasAction(const std::string& name) const = 0;
  /// What a sender gave as a message of `queue`, checked and encoded as it is stored (CBOR).
  virtual call::Outcome<Bytes> encodeMessage(const std::string& queue,
                                             const call::Payload& body) = 0;
  /// Handles a message of a queue that has a handler.
  virtual call::Reply message(Invocation& invocation, const std::string& queue, const Bytes& body,
                              call::Encoding replyEncoding) = 0;
  /// What the actor does of its own while it is awake. Ends when its invocation is aborted, at the
  /// latest.
  virtual Done run(Invocation& invocation) = 0;
  /// A client from outside asks for something without a connection: refuses it with a failure. Comes before
  /// what it asks for, in the same turn if that is an action. Only for types that have a gate.
  virtual Done letPass(Invocation& invocation, const call::Visit& visit) = 0;
  /// A client wants to connect: refuses it with a failure, or makes the state of invocation.connection().
  virtual Done admit(Invocation& invocation, const call::ConnectRequest& request) = 0;
  /// Whether the invocation's connection may hear an event that is guarded.
  virtual call::Outcome<bool> maySubscribe([[maybe_unused]] Invocation& invocation,
                                           [[maybe_unused]] const std::string& event) {
    return true;
  }
  /// Whether a client from outside may send to a queue that is guarded. Behind letPass().
  virtual call::Outcome<bool> mayPublish([[maybe_unused]] Invocation& invocation,
                                         [[maybe_unused]] const call::Visit& visit,
                                         [[maybe_unused]] const std::string& queue) {
    return true;
  }
  /// It is one of the actor's connections now. A failure ends it.
  virtual Done connected(Invocation& invocation) = 0;
  /// It is none any more. A failure is logged.
  virtual Done disconnected(Invocation& invocation) = 0;
  /// Answers a raw request, of a type that has a handler for them. What it says as a whole is sent when
  /// this returns well; without a word it is "no content".
  virtual Done request([[maybe_unused]] Invocation& invocation,
                       [[maybe_unused]] const call::HttpRequest& request,
                       [[maybe_unused]] HttpResponder& responder) {
    return {};
  }
  /// Talks with the client of a raw WebSocket, of a type that has a handler for them. It ends with this.
  virtual Done talk([[maybe_unused]] Invocation& invocation,
                    [[maybe_unused]] const call::HttpRequest& request,
                    [[maybe_unused]] SocketSession& session) {
    return {};
  }
  /// Before the actor goes to sleep. A failure is logged, and the actor sleeps all the same.
  virtual Done sleep(Invocation& invocation) = 0;
  /// Before everything of the actor is removed.
  virtual Done destroy(Invocation& invocation) = 0;
  /// Before a turn is committed: writes what must be committed with it.
  virtual Status beforeCommit(Invocation& invocation) = 0;
  /// A turn was rolled back: memory that follows the database is read again.
  virtual Status afterRollback(Invocation& invocation) = 0;
};

}  // namespace skep::actor
