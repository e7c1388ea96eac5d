#include "skep/gateway/websocket_frame.h"

#include <utility>

#include "skep/base/utf8.h"
#include "skep/call/web_socket.h"

namespace skep::gateway {
namespace {

constexpr std::uint8_t kLast = 0x80;
constexpr std::uint8_t kReserved = 0x70;
constexpr std::uint8_t kMasked = 0x80;
constexpr std::size_t kMaskBytes = 4;
constexpr std::size_t kControlBytesMax = 125;
constexpr std::size_t kReasonBytesMax = kControlBytesMax - 2;

std::uint8_t byteAt(std::span<const char> bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

void appendBigEndian(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
}

std::uint64_t bigEndian(std::span<const char> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value = value << 8 | byteAt(bytes, i);
  return value;
}

bool isControl(Opcode opcode) {
  return opcode >= Opcode::Close;
}

bool isKnown(std::uint8_t opcode) {
  return opcode <= 2 || (opcode >= 8 && opcode <= 10);
}

std::string_view view(std::span<const char> bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace

std::string encodeFrame(Opcode opcode, std::string_view payload) {
  std::string frame;
  frame.reserve(payload.size() + 10);
  frame += static_cast<char>(kLast | static_cast<std::uint8_t>(opcode));
  if (payload.size() < 126) {
    frame += static_cast<char>(payload.size());
  } else if (payload.size() <= 0xffff) {
    frame += static_cast<char>(126);
    appendBigEndian(frame, payload.size(), 2);
  } else {
    frame += static_cast<char>(127);
    appendBigEndian(frame, payload.size(), 8);
  }
  frame.append(payload);
  return frame;
}

std::string encodeClose(CloseCode code, std::string_view reason) {
  if (code == CloseCode::NoCode) return encodeFrame(Opcode::Close, {});
  if (reason.size() > kReasonBytesMax) {
    std::size_t end = kReasonBytesMax;
    while (end > 0 && isUtf8Continuation(reason[end])) --end;
    reason = reason.substr(0, end);
  }
  std::string payload;
  appendBigEndian(payload, static_cast<std::uint16_t>(code), 2);
  return encodeFrame(Opcode::Close, payload.append(reason));
}

FrameDecoder::Next FrameDecoder::next(std::span<char>& bytes) {
  if (std::exchange(isAssembled_, false)) std::string().swap(fragments_);
  while (true) {
    auto taken = takeFrame(bytes);
    if (const auto* broken = std::get_if<Broken>(&taken)) return *broken;
    if (std::holds_alternative<NeedMore>(taken)) return NeedMore{};
    const Frame& frame = std::get<Frame>(taken);
    if (isControl(frame.opcode)) return finishControl(frame);
    Next added = add(frame);
    if (!std::holds_alternative<NeedMore>(added)) return added;
  }
}

std::variant<FrameDecoder::NeedMore, FrameDecoder::Frame, FrameDecoder::Broken>
FrameDecoder::takeFrame(std::span<char>& bytes) const {
  if (bytes.size() < 2) return NeedMore{};
  const std::uint8_t first = byteAt(bytes, 0);
  const std::uint8_t second = byteAt(bytes, 1);
  if ((first & kReserved) != 0) return Broken{CloseCode::ProtocolError, "reserved bits are set"};
  if (!isKnown(first & 0x0f)) return Broken{CloseCode::ProtocolError, "unknown opcode"};
  if ((second & kMasked) == 0) return Broken{CloseCode::ProtocolError, "a frame is not masked"};
  Frame frame{.opcode = static_cast<Opcode>(first & 0x0f), .isLast = (first & kLast) != 0};
  std::uint64_t size = second & 0x7f;
  if (isControl(frame.opcode) && (!frame.isLast || size > kControlBytesMax)) {
    return Broken{CloseCode::ProtocolError, "a control frame is too long or fragmented"};
  }
  std::size_t head = 2;
  if (size >= 126) {
    const std::size_t sizeBytes = size == 126 ? 2 : 8;
    head += sizeBytes;
    if (bytes.size() < head) return NeedMore{};
    size = bigEndian(bytes.subspan(2, sizeBytes));
    if (size < 126 || (sizeBytes == 8 && size <= 0xffff) || size >> 63 != 0) {
      return Broken{CloseCode::ProtocolError, "a frame's length is not written as it must be"};
    }
  }
  if (!isControl(frame.opcode) && size > messageBytesMax_ - fragments_.size()) {
    return Broken{CloseCode::TooBig, "the message is too big"};
  }
  head += kMaskBytes;
  if (bytes.size() < head || bytes.size() - head < size) return NeedMore{};
  frame.payload = bytes.subspan(head, size);
  for (std::size_t i = 0; i < size; ++i) frame.payload[i] ^= bytes[head - kMaskBytes + i % 4];
  bytes = bytes.subspan(head + size);
  return frame;
}

FrameDecoder::Next FrameDecoder::finishControl(const Frame& frame) const {
  Message message{.opcode = frame.opcode, .payload = view(frame.payload)};
  if (frame.opcode != Opcode::Close || frame.payload.empty()) return message;
  if (frame.payload.size() < 2) {
    return Broken{CloseCode::ProtocolError, "half a close code"};
  }
  const std::uint64_t code = bigEndian(frame.payload.first(2));
  if (!call::isCloseCode(code))
    return Broken{CloseCode::ProtocolError, "this close code is not for sending"};
  message.closeCode = static_cast<CloseCode>(code);
  message.payload = view(frame.payload.subspan(2));
  if (!isValidUtf8(message.payload)) return Broken{CloseCode::BadText, "text that is no UTF-8"};
  return message;
}

FrameDecoder::Next FrameDecoder::add(const Frame& frame) {
  const bool isOpen = isInMessage();
  if (isOpen != (frame.opcode == Opcode::Continuation)) {
    return Broken{CloseCode::ProtocolError,
                  isOpen ? "a message begins within another" : "a continuation of no message"};
  }
  Message message{.opcode = isOpen ? fragmented_ : frame.opcode};
  if (!isOpen && frame.isLast) {
    message.payload = view(frame.payload);
  } else {
    if (!isOpen) checkedBytes_ = 0;
    fragments_.append(frame.payload.data(), frame.payload.size());
    if (!frame.isLast) {
      fragmented_ = message.opcode;
      return message.opcode == Opcode::Text ? checkSoFar() : NeedMore{};
    }
    fragmented_ = Opcode::Continuation;
    isAssembled_ = true;
    message.payload = fragments_;
  }
  const std::size_t checked = isOpen ? checkedBytes_ : 0;
  if (message.opcode == Opcode::Text && !isValidUtf8(message.payload.substr(checked))) {
    return Broken{CloseCode::BadText, "text that is no UTF-8"};
  }
  return message;
}

/// What can not become UTF-8 any more is not waited for.
FrameDecoder::Next FrameDecoder::checkSoFar() {
  const auto unfinished = unfinishedUtf8(std::string_view(fragments_).substr(checkedBytes_));
  if (!unfinished) return Broken{CloseCode::BadText, "text that is no UTF-8"};
  checkedBytes_ = fragments_.size() - *unfinished;
  return NeedMore{};
}

}  // namespace skep::gateway
