// HttpResponder: how an actor's code answers a raw request: with a response as a whole, or with a stream.
//
//   whole:    respond(response)                        it leaves when the call has ended well
//   stream:   begin(head), write(bytes) …              each leaves with the turn that said it (I1)
//
// A stream that has begun has no time limit; it keeps the actor awake. It ends with the call. When that
// fails, its client is cut off; when the client goes, or does not take what it is sent, the call is told
// to stop. Belongs to the fiber of its invocation.

#pragma once

#include <optional>
#include <string>

#include "skep/actor/http_exchange.h"
#include "skep/base/result.h"
#include "skep/call/http.h"

namespace skep::actor {

class ActorInstance;

class HttpResponder {
 public:
  HttpResponder(ActorInstance& instance, Invocation& invocation, HttpExchangePtr exchange);
  ~HttpResponder();
  HttpResponder(const HttpResponder&) = delete;
  HttpResponder& operator=(const HttpResponder&) = delete;

  /// InvalidArgument: a head that cannot be sent (call::checkHead), or something was said already.
  Status respond(call::HttpResponse response);
  Status begin(call::HttpHead head);
  bool hasBegun() const { return exchange_->isStreaming(); }
  /// A pause of the invocation: commits the turn, and waits while too much is on its way to the client.
  /// InvalidArgument before begin(); Aborted when the call has to end.
  Status write(std::string bytes);

  /// For the runtime: within the last turn, after the code has returned.
  Status finish();
  /// For the runtime: what the code said as a whole, once that may leave.
  call::HttpResponse takeResponse();

 private:
  Status stage(std::size_t bytes, std::function<void()> leave);

  ActorInstance& instance_;
  Invocation& invocation_;
  const HttpExchangePtr exchange_;
  std::optional<call::HttpResponse> response_;
};

}  // namespace skep::actor
