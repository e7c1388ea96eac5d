// The messages of a connection as they cross the wire, in JSON or CBOR (docs/formats/websocket.md).
// Any thread.
//
// What a message carries for the actor (arguments, parameters, input, results) is taken out and put in as
// it is: it is decoded once, by the code that it is for.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skep/call/connection.h"

namespace skep::wire {

/// What a client sends. The views are parts of what was decoded.
struct ClientMessage {
  enum class Type : std::uint8_t { Connect, Call, Subscribe, Unsubscribe, Ping } type = Type::Ping;
  std::optional<std::uint64_t> id;  // Call: always; Ping: to be repeated
  std::string action;               // Call
  std::string_view arguments;       // Call; empty: none were sent
  std::vector<std::string> events;  // Subscribe, Unsubscribe, Connect
  std::string token;                // Connect; empty: none
  std::string_view parameters;      // Connect, as the next; empty: none
  std::string_view input;
  call::Existence existence = call::Existence::GetOrCreate;
  std::optional<call::EventPosition> resume;
  std::string resumedConnection;
};

/// Why a message is none, and which call it was meant to be, as far as can be seen.
struct BadMessage {
  call::Failure failure;
  std::optional<std::uint64_t> id;
};

std::variant<ClientMessage, BadMessage> decodeClientMessage(std::string_view bytes,
                                                            call::Encoding encoding);

std::string encodeConnected(const call::Connected& connected, call::Encoding encoding);
/// `result` is in that encoding.
std::string encodeResult(std::uint64_t id, std::string_view result, call::Encoding encoding);
/// `id`: of the call that failed, if it was one.
std::string encodeError(std::optional<std::uint64_t> id, const call::Failure& failure,
                        bool mayRetry, call::Encoding encoding);
std::string encodeEvent(const call::Event& event, call::Encoding encoding);
std::string encodeMissed(const call::EventPosition& now, call::Encoding encoding);
std::string encodePong(std::optional<std::uint64_t> id, call::Encoding encoding);

}  // namespace skep::wire
