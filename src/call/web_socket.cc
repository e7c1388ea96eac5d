#include "skep/call/web_socket.h"

#include "skep/base/utf8.h"

namespace skep::call {

/// RFC 6455 section 7.4, and the IANA registry for the codes up to 1014.
bool isCloseCode(std::uint64_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code != 1004 && code != WebSocketClose::kNoCode &&
         code != WebSocketClose::kNoClose;
}

Status checkClose(const WebSocketClose& close) {
  // Of extensions that were not agreed upon; only clients send it.
  constexpr std::uint16_t kMandatoryExtension = 1010;
  if (!isCloseCode(close.code) || close.code == kMandatoryExtension) {
    return Error{ErrorCode::InvalidArgument,
                 std::to_string(close.code) + " is no code to close a WebSocket with"};
  }
  if (close.reason.size() > WebSocketClose::kReasonBytesMax || !isValidUtf8(close.reason)) {
    return Error{ErrorCode::InvalidArgument,
                 "the reason to close a WebSocket is at most 123 bytes of UTF-8"};
  }
  return {};
}

}  // namespace skep::call
