// Visit: what is known of a client from outside that asks an actor for something. Calls from other actors
// are none. Plain values; any thread.

#pragma once

#include "skep/call/message.h"

namespace skep::call {

/// The fields of a request that is under way. Most actor types look at none of them, so they are gathered
/// only when one does.
class RequestHead {
 public:
  /// Names in lower case.
  virtual Headers fields() const = 0;

 protected:
  ~RequestHead() = default;
};

/// What a checked token says of the client: one encoded value, an object. No bytes: no token was asked
/// for.
using Claims = Payload;

/// One request that needs no connection.
struct Visit {
  Claims claims;
  const RequestHead* head = nullptr;  // outlives the call; null: it has no fields
};

}  // namespace skep::call
