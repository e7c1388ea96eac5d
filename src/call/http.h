// Raw HTTP: a request that an actor's own code answers, at once or bit by bit.
//
//   client's end                              actor's end
//   Router::request(request, peer)     ──►    the handler runs
//                                      ◄──    answered(): a whole response
//                                      ◄──    or begun(), chunk() …, ended(): a stream
//                                      ◄──    or, at any time, failed()
//   taken()                            ──►    so many bytes of chunks went to the client
//   close()                            ──►    the client has gone: the handler is told to stop
//
// After answered(), ended() or failed() nothing follows. The two ends talk in messages only, as those of
// connections do (call/connection.h). The actor's end has only so many bytes of chunks on their way that
// were not taken; then its writer waits. What arrives at the client's end may leave the process: it is
// durable (I1).

#pragma once

#include <cstddef>
#include <string>

#include "skep/base/result.h"
#include "skep/call/address.h"
#include "skep/call/failure.h"
#include "skep/call/message.h"
#include "skep/call/visit.h"

namespace skep::call {

struct HttpRequest {
  ActorAddress actor;
  Existence existence = Existence::GetOrCreate;
  std::string method;      // as it came: "GET"
  std::string path = "/";  // what stands behind the actor's own, percent-encoded as it came
  std::string query;       // without '?', percent-encoded as it came
  Headers headers;         // names in lower case
  std::string body;
  Claims claims;                    // of the client
  std::int64_t claimsExpireMs = 0;  // when they end, and a stream with them; 0: never
};

struct HttpHead {
  unsigned status = 200;
  Headers headers = {};
};

struct HttpResponse {
  HttpHead head;
  std::string body;
};

/// All names and values of a response's headers: browsers and proxies take hardly more.
inline constexpr std::size_t kHeadBytesMax = 32 * 1024;

/// InvalidArgument: a status outside of 200 to 599, a name that is no token, a value with control
/// characters, or a field that says how bytes travel, which is for the gateway to say; more than kHeadBytesMax.
Status checkHead(const HttpHead& head);

/// The client's end. Called on the actor's loop; does not suspend, and does not call the handle from
/// within.
class HttpPeer {
 public:
  virtual ~HttpPeer() = default;
  virtual void answered(HttpResponse response) = 0;
  virtual void begun(HttpHead head) = 0;
  virtual void chunk(std::string bytes) = 0;
  virtual void ended() = 0;
  /// Once a stream has begun its client can only be cut off.
  virtual void failed(const Failure& failure) = 0;
};

/// The way to the actor's end. One thread at a time; does not suspend. Goes away before the Router is
/// closed; that alone does not close.
class HttpHandle {
 public:
  virtual ~HttpHandle() = default;
  virtual void taken(std::size_t bytes) = 0;
  /// The peer hears nothing more.
  virtual void close() = 0;
};

}  // namespace skep::call
