// SocketExchange: the actor's end of one raw WebSocket (call/web_socket.h). SocketExchanges: those of a loop.
//
//   Asking ──accept()──► Open ──► Over     by close(), by the client; from both: fail()
//
// What it tells the client's end has passed the output gate already: the actor's code talks to a
// SocketSession, which stages it with the turn. What the client sends waits here until the code takes it.
//
// Belongs to its loop, but for SocketExchanges::start(). Shared: by the fiber that talks, by what waits in
// the outbox, by the handle of the client's end, and by other code of the actor that sends to it.

#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "skep/actor/call_fibers.h"
#include "skep/base/clock.h"
#include "skep/call/http.h"
#include "skep/call/web_socket.h"
#include "skep/fiber/timer.h"

namespace skep::actor {

class Invocation;

class SocketExchange : public boost::intrusive::list_base_hook<
                           boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  enum class Phase : std::uint8_t { Asking, Open, Over };

  explicit SocketExchange(std::shared_ptr<call::WebSocketPeer> peer) : peer_(std::move(peer)) {}
  SocketExchange(const SocketExchange&) = delete;
  SocketExchange& operator=(const SocketExchange&) = delete;

  Phase phase() const { return phase_; }
  bool isOver() const { return phase_ == Phase::Over; }

  // --- To the client's end; nobody hears what is said when it is over. ---

  void accept(std::string subprotocol);
  /// Of a turn of other code: nobody hears it either if accept() was rolled back.
  void send(call::WebSocketMessage message);
  void close(call::WebSocketClose close);
  void fail(const call::Failure& failure);

  // --- From the client's end. ---

  void arrive(call::WebSocketMessage message);
  void taken(std::size_t cost);
  /// The client has closed it, or is gone. Before it was accepted, whoever answers is told to stop; later
  /// they learn it from receiving nothing more, and have some time to come to their end.
  void clientClosed(call::WebSocketClose close);

  // --- For the actor's code. ---

  /// The invocation that talks, and how long it may go on when this is over; null: none.
  void setInvocation(Invocation* invocation, Duration timeAfter = {});
  /// The client is let in. False: it must not be, as the host closes.
  bool startTalking();
  bool isTalking() const { return isTalking_; }
  /// The code has closed it, in a turn that may not be committed yet.
  void setClosing(std::optional<call::WebSocketClose> close) { closing_ = std::move(close); }
  /// Whether what is sent now still goes out, as far as is known.
  bool isOpen() const { return !isOver() && !closing_; }
  /// How it ended, once it is not open.
  const call::WebSocketClose& ending() const { return isOver() || !closing_ ? ending_ : *closing_; }
  /// So much is on its way to the client from now on, or is not after all.
  void noteSent(std::size_t cost) { sentCost_ += cost; }
  void noteUnsent(std::size_t cost) { sentCost_ -= cost; }
  std::size_t sentCost() const { return sentCost_; }
  /// The oldest message of the client; there is none after the code has closed.
  std::optional<call::WebSocketMessage> take();
  bool hasMessage() const { return !arrived_.empty() && !closing_; }
  /// Suspends until something of the above changes. False: nothing did for that long.
  bool waitForChange(Duration patience, fiber::AbortToken token);
  /// Instead, for code that is called back: called on the loop, does not suspend. Null: nothing is.
  void setOnChange(std::function<void()> onChange) { onChange_ = std::move(onChange); }

  /// None may go on, or begin: the host closes.
  void refuseTalking();

 private:
  void becomeOver(call::WebSocketClose ending);
  void changed() {
    if (waiting_ != nullptr) waiting_->requestAbort();
    if (onChange_) onChange_();
  }

  std::shared_ptr<call::WebSocketPeer> peer_;  // null when Over
  Phase phase_ = Phase::Asking;
  bool isTalking_ = false;  // as the code that talks has it: phase_ follows through the gate
  std::optional<call::WebSocketClose> closing_;
  bool mayTalk_ = true;
  Invocation* invocation_ = nullptr;
  Duration timeAfter_{};
  call::WebSocketClose ending_;
  std::deque<call::WebSocketMessage> arrived_;
  std::size_t sentCost_ = 0;               // and not taken
  fiber::AbortSource* waiting_ = nullptr;  // the fiber that talks
  std::function<void()> onChange_;
};

using SocketExchangePtr = std::shared_ptr<SocketExchange>;

class SocketExchanges {
 public:
  /// Has the actor talk, which suspends; what kept it from doing so, or ended it.
  using Talk = std::function<std::optional<call::Failure>(const call::HttpRequest& request,
                                                          const SocketExchangePtr& exchange)>;

  SocketExchanges(CallFibers& fibers, Talk talk) : fibers_(fibers), talk_(std::move(talk)) {}
  SocketExchanges(const SocketExchanges&) = delete;
  SocketExchanges& operator=(const SocketExchanges&) = delete;

  /// Any thread. Does not suspend.
  std::unique_ptr<call::WebSocketHandle> start(call::HttpRequest request,
                                               std::shared_ptr<call::WebSocketPeer> peer);
  /// Ends those that are open, and that would open later. Does not suspend.
  void close();

 private:
  class Handle;
  void run(const SocketExchangePtr& exchange, call::HttpRequest request);

  CallFibers& fibers_;
  const Talk talk_;
  boost::intrusive::list<SocketExchange, boost::intrusive::constant_time_size<false>> underWay_;
};

}  // namespace skep::actor
