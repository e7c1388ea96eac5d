// Actors as they cross the wire, in JSON or CBOR (docs/formats/http.md). Any thread.

#pragma once

#include <string>

#include "skep/call/router.h"

namespace skep::wire {

/// {"type", "key"}
std::string encodeActor(const call::ActorAddress& actor, call::Encoding encoding);
/// {"actors": [{"type", "key", "createdMs", "bytes", "awake"}], "next"?}
std::string encodeList(const call::ActorList& list, call::Encoding encoding);
/// As in the list, and {"storedBytes", "txid", "connections", "callsUnderWay", "memoryBytes", "alarmMs"?,
/// "lastError"?: {"message", "timeMs"}}
std::string encodeDetails(const call::ActorDetails& details, call::Encoding encoding);
/// {"id", "reply"?}; the reply has that encoding already.
std::string encodeSent(const call::QueueSent& sent, call::Encoding encoding);
std::string encodeNull(call::Encoding encoding);

}  // namespace skep::wire
