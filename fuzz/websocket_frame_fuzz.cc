// WebSocket frames: any bytes. How they are cut on their way must not matter: all at once, and a few at a
// time, give the same messages and the same end.

#include <cstdint>
#include <string>
#include <vector>

#include "skep/base/check.h"
#include "skep/base/utf8.h"
#include "skep/gateway/websocket_frame.h"

namespace skep::gateway {
namespace {

constexpr std::size_t kMessageBytesMax = 4096;

/// What is decoded, as text, with `step` bytes arriving at a time.
std::vector<std::string> decode(std::string_view input, std::size_t step) {
  FrameDecoder decoder(kMessageBytesMax);
  std::vector<std::string> seen;
  std::string unread;
  while (!input.empty()) {
    unread.append(input.substr(0, step));
    input.remove_prefix(std::min(step, input.size()));
    std::span<char> rest = unread;
    while (true) {
      const FrameDecoder::Next next = decoder.next(rest);
      if (std::holds_alternative<FrameDecoder::NeedMore>(next)) break;
      if (const auto* broken = std::get_if<FrameDecoder::Broken>(&next)) {
        seen.push_back("broken " + std::to_string(static_cast<int>(broken->code)));
        return seen;
      }
      const auto& message = std::get<FrameDecoder::Message>(next);
      SKEP_CHECK(message.payload.size() <= kMessageBytesMax);
      SKEP_CHECK(message.opcode != Opcode::Text || isValidUtf8(message.payload));
      seen.push_back(std::to_string(static_cast<int>(message.opcode)) + " " +
                     std::to_string(static_cast<int>(message.closeCode)) + " " +
                     std::string(message.payload));
    }
    unread.erase(0, unread.size() - rest.size());
  }
  return seen;
}

}  // namespace
}  // namespace skep::gateway

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto whole = skep::gateway::decode(input, size == 0 ? 1 : size);
  for (const std::size_t step : {1, 3, 16}) {
    SKEP_CHECK(skep::gateway::decode(input, step) == whole, "cut into %zu, it differs", step);
  }
  return 0;
}
