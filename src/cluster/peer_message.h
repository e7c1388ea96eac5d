// What nodes say to each other, as bytes (docs/formats/node-protocol.md). Any thread.
//
// A call carries a request for an actor to the node that is believed to own it; a result carries the outcome
// back. What a request holds for the actor (arguments, input, results) is passed on as it is.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/call/router.h"

namespace skep::cluster {

/// What a call asks for: one for each method of a Router that a node forwards.
struct ResolveRequest {
  call::ActorAddress actor;
  call::Existence existence = call::Existence::GetOrCreate;
  std::optional<call::Payload> input;
  std::optional<call::Visit> visit;
  call::Waiting waiting;
};
struct DestroyRequest {
  call::ActorAddress actor;
};
struct SleepRequest {
  call::ActorAddress actor;
};
struct InfoRequest {
  call::ActorAddress actor;
};
using PeerRequest = std::variant<call::ActionRequest, call::QueueSend, ResolveRequest,
                                 DestroyRequest, SleepRequest, InfoRequest>;

/// A request with what its visit refers to: the fields of the client's request, if there is a client.
struct ReceivedRequest {
  class Head final : public call::RequestHead {
   public:
    call::Headers fields() const override { return headers; }
    call::Headers headers;
  };
  std::unique_ptr<Head> head;
  PeerRequest request;
};

Bytes encodeRequest(const PeerRequest& request);
/// Corrupt: it is none.
Result<ReceivedRequest> decodeRequest(ByteView bytes);

using PeerOutcome = std::variant<call::Failure, call::Payload, call::QueueSent, bool,
                                 std::monostate, call::ActorDetails>;

Bytes encodeOutcome(const PeerOutcome& outcome);
Result<PeerOutcome> decodeOutcome(ByteView bytes);

}  // namespace skep::cluster
