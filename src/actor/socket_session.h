// SocketSession: how an actor's code talks with the client of one raw WebSocket.
//
//   accept(subprotocol)         once, first: leaves with the turn
//   send(message), close()      leave with the turn, too (I1): nothing of a turn that is rolled back
//   receive()                   a pause: the next message, or that there will be none
//
// From accept() on the call has no time limit, and keeps the actor awake, until some time after the
// WebSocket's end. It ends with the call, if not before. What the client sends waits for receive(), and the
// client's bytes wait in the network when there is too much of it; in turn receive() waits while the
// client has not taken what it was sent.
//
// Belongs to the fiber of its invocation; sendTo() and closeTo() to any invocation of the same actor.

#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skep/actor/socket_exchange.h"
#include "skep/base/result.h"
#include "skep/fiber/sync.h"

namespace skep::actor {

class ActorInstance;
struct SocketOptions;

/// With the invocation's turn. InvalidArgument: text that is no UTF-8, or no way to close; Aborted without a
/// turn; LimitExceeded when too much waits until it is durable. Nobody hears what is sent to a WebSocket
/// that is closed. A client that takes too little of what it is sent is closed instead.
Status sendTo(const SocketExchangePtr& to, Invocation& invocation, const SocketOptions& options,
              call::WebSocketMessage message);
Status closeTo(const SocketExchangePtr& to, Invocation& invocation, call::WebSocketClose close);

class SocketSession {
 public:
  /// While the code waits for a message the actor's other calls have their turns, also one at a time.
  SocketSession(ActorInstance& instance, Invocation& invocation, const call::HttpRequest& request,
                SocketExchangePtr exchange);
  ~SocketSession();
  SocketSession(const SocketSession&) = delete;
  SocketSession& operator=(const SocketSession&) = delete;

  /// The subprotocols that the client offers, the one that it likes best first.
  const std::vector<std::string>& offered() const { return offered_; }
  /// `subprotocol`: one of them, or empty. InvalidArgument otherwise, and the second time.
  Status accept(std::string subprotocol);
  bool isAccepted() const { return exchange_->isTalking(); }

  Status send(call::WebSocketMessage message);
  Status close(call::WebSocketClose close);
  /// A pause of the invocation. The next message, in the order in which the client sent them; nullopt when
  /// there will be none, or none came in that time: see exchange(). InvalidArgument before accept(), Aborted
  /// when the call has to end.
  Result<std::optional<call::WebSocketMessage>> receive(std::optional<Duration> timeout);
  /// A pause: waits until the client has taken so much that more may be sent.
  Status drain();

  // Instead of receive(), for code that is called back with each message.

  /// Whether take() gives a message, or it is over. Not as long as the client has more on its way than it may have: it
  /// has sendTimeout to take that. Does not suspend.
  bool isReady();
  /// The next message; nullopt: it is over.
  std::optional<call::WebSocketMessage> take() { return exchange_->take(); }
  /// Called on the loop when isReady() may have become true.
  void setOnChange(std::function<void()> onChange) { exchange_->setOnChange(std::move(onChange)); }
  /// In an actor that runs one call at a time: the others may run; waits for them, and suspends.
  void letOthersRun();
  void waitForOthers();

  const SocketExchangePtr& exchange() const { return exchange_; }
  const SocketOptions& options() const;

  /// For the runtime: within the last turn, after the code has returned. RouteNotFound: it did not accept.
  call::Outcome<std::monostate> finish();

 private:
  bool hasTooMuchOnItsWay() const;
  void waitUntilTaken();
  void waitForMessage(Duration patience);
  Status checkAccepted() const;

  ActorInstance& instance_;
  Invocation& invocation_;
  const SocketExchangePtr exchange_;
  fiber::Timer patience_;  // with a client that does not take what it is sent
  std::vector<std::string> offered_;
};

}  // namespace skep::actor
