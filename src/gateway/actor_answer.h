// ActorAnswer: relays what an actor's own code answers to one HTTP request: a whole response, or a stream
// as it comes.
//
// A stream travels in chunks (RFC 9112 section 7.1), or by its length when the actor gives one. It is
// complete only if its code has ended well: otherwise the connection is cut, and the last chunk (or the
// rest of the length) is missing; so it is when the client's token expires. Meanwhile the client's side is watched: when it ends, so does the code.
//
// Belongs to its connection's loop, and to the fiber that serves.

#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "skep/call/http.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"
#include "skep/gateway/front.h"
#include "skep/gateway/stream.h"

namespace skep::gateway {

class ActorAnswer {
 public:
  /// What the client sends meanwhile is put behind what `buffer` holds. All outlive it.
  ActorAnswer(Stream& stream, boost::beast::flat_buffer& buffer, Front& front,
              const HttpRequest& request, const bool& isClosing, std::int64_t tokenExpiresMs);
  ~ActorAnswer();
  ActorAnswer(const ActorAnswer&) = delete;
  ActorAnswer& operator=(const ActorAnswer&) = delete;

  /// Asks the actor, and answers the client. Whether the connection can go on. Suspends.
  bool serve(call::HttpRequest asked);
  /// The server closes: streams of events end, as they never would by themselves.
  void finish();
  void cut();

 private:
  class Inbox;
  struct Part;

  void relay(Part& part);
  void whole(call::HttpResponse response);
  void begin(const call::HttpHead& head);
  void add(std::string_view chunk);
  void end();
  void fail(const call::Failure& failure);
  /// Writes what was gathered; the actor may go on with so much.
  void flush();
  void write(HttpResponse& response);
  template <class Operation>
  void await(Operation operation);
  void watch();
  void look();
  void stopWatching();

  Stream& stream_;
  boost::beast::flat_buffer& buffer_;
  Front& front_;
  const HttpRequest& request_;
  const bool& isClosing_;
  const std::shared_ptr<Inbox> inbox_;
  std::unique_ptr<call::HttpHandle> actor_;

  bool isOver_ = false;
  bool mayGoOn_ = false;  // the client knows where the response ends
  bool hasBegun_ = false;
  bool isBodyless_ = false;
  bool isChunked_ = false;
  bool neverEnds_ = false;                   // by itself
  std::optional<std::uint64_t> lengthLeft_;  // of a stream that told its length
  std::string gathered_;                     // as it is sent
  std::size_t gatheredBytes_ = 0;            // as the actor counts them

  const std::int64_t expiresMs_;  // of the client's token; 0: never
  fiber::Timer expiry_;           // of a stream

  bool isWatching_ = false;
  bool isLeaving_ = false;
  fiber::Event watched_;
};

}  // namespace skep::gateway
