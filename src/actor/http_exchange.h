// HttpExchange: the actor's end of one raw request (call/http.h). HttpExchanges: those of a loop.
//
//   Waiting ──answer()────────────────────► Over
//      └──────begin()──► Streaming ──end()──► Over      from each of them: fail(), close()
//
// What it tells the client's end has passed the output gate already: the code that answers talks to an
// HttpResponder, which stages it with the turn.
//
// Belongs to its loop, but for HttpExchanges::start(). Shared: by the fiber that answers, by what waits
// in the outbox, and by the handle of the client's end.

#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "skep/actor/call_fibers.h"
#include "skep/base/clock.h"
#include "skep/call/http.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"

namespace skep::actor {

class Invocation;

class HttpExchange : public boost::intrusive::list_base_hook<
                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  enum class Phase : std::uint8_t { Waiting, Streaming, Over };

  explicit HttpExchange(std::shared_ptr<call::HttpPeer> peer) : peer_(std::move(peer)) {}
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  Phase phase() const { return phase_; }
  bool isOver() const { return phase_ == Phase::Over; }

  // --- To the client's end; nobody hears what is said when it is over. ---

  void answer(call::HttpResponse response);
  void begin(call::HttpHead head);
  void chunk(std::string bytes);
  void end();
  void fail(const call::Failure& failure);

  // --- From the client's end. ---

  void taken(std::size_t bytes);
  /// The client has gone: whoever answers is told to stop.
  void close();

  // --- For the code that answers. ---

  /// The invocation that answers; null: none.
  void setInvocation(Invocation* invocation) { invocation_ = invocation; }
  /// The response is to be a stream. False: it must not, as the host closes.
  bool startStreaming();
  bool isStreaming() const { return isStreaming_; }
  /// So many bytes of chunks are on their way to the client from now on.
  void noteSent(std::size_t bytes) { sentBytes_ += bytes; }
  /// Suspends until at most so many bytes are on their way. False: they are not after `patience`, or it is
  /// over, or aborted.
  bool waitUntilTaken(std::size_t bytesMax, Duration patience, fiber::AbortToken token);

  /// No stream may go on, or begin: the host closes.
  void refuseStreaming();

 private:
  void becomeOver();

  std::shared_ptr<call::HttpPeer> peer_;  // null when Over
  Phase phase_ = Phase::Waiting;
  bool isStreaming_ = false;  // as the code that answers has it: phase_ follows through the gate
  bool mayStream_ = true;
  Invocation* invocation_ = nullptr;
  std::size_t sentBytes_ = 0;              // and not taken
  std::size_t awaitedBytes_ = 0;           // what the writer waits for
  fiber::AbortSource* waiting_ = nullptr;  // the writer
};

using HttpExchangePtr = std::shared_ptr<HttpExchange>;

class HttpExchanges {
 public:
  /// Has the actor answer, which suspends; what kept it from doing so.
  using Answer = std::function<std::optional<call::Failure>(const call::HttpRequest& request,
                                                            const HttpExchangePtr& exchange)>;

  HttpExchanges(CallFibers& fibers, Answer answer) : fibers_(fibers), answer_(std::move(answer)) {}
  HttpExchanges(const HttpExchanges&) = delete;
  HttpExchanges& operator=(const HttpExchanges&) = delete;

  /// Any thread. Does not suspend.
  std::unique_ptr<call::HttpHandle> start(call::HttpRequest request,
                                          std::shared_ptr<call::HttpPeer> peer);
  /// Cuts off what streams now, or begins to later. Does not suspend.
  void close();

 private:
  class Handle;
  void run(const HttpExchangePtr& exchange, call::HttpRequest request);

  CallFibers& fibers_;
  const Answer answer_;
  boost::intrusive::list<HttpExchange, boost::intrusive::constant_time_size<false>> underWay_;
};

}  // namespace skep::actor
