// WebSocket frames (RFC 6455 section 5), the server's side: from bytes to messages, and back.
//
// Whole frames only are taken: the caller keeps the bytes of one that has not arrived whole. Fragments are
// put together here. Every rule of the RFC about what a client may send is checked, and the first that
// is broken ends the connection with the close code that it asks for. Any thread.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace skep::gateway {

enum class CloseCode : std::uint16_t {
  Normal = 1000,
  GoingAway = 1001,      // the server shuts down: come back
  ProtocolError = 1002,  // broken frames
  Unsupported = 1003,    // a message in another encoding than the connection's
  NoCode = 1005,         // never sent: a close frame without a code
  BadText = 1007,        // text that is no UTF-8
  Policy = 1008,         // the rules of skep.1 are broken
  TooBig = 1009,
  InternalError = 1011,  // the code of an actor that speaks for itself failed
  TryAgain = 1013,       // the actor can not serve the connection now: come back
  // Skep's own.
  Refused = 4000,       // for good
  Disconnected = 4001,  // by the actor
  TooSlow = 4002,       // the client does not take what it is sent
};

enum class Opcode : std::uint8_t {
  Continuation = 0,
  Text = 1,
  Binary = 2,
  Close = 8,
  Ping = 9,
  Pong = 10
};

/// A frame from the server: whole, not masked.
std::string encodeFrame(Opcode opcode, std::string_view payload);
/// `reason` is cut to what fits: 123 bytes, at the end of a character.
std::string encodeClose(CloseCode code, std::string_view reason);

class FrameDecoder {
 public:
  explicit FrameDecoder(std::size_t messageBytesMax) : messageBytesMax_(messageBytesMax) {}

  struct NeedMore {};
  /// A message put together, or a control frame. `payload` is valid until the next call.
  struct Message {
    Opcode opcode = Opcode::Text;
    std::string_view payload;                 // of a Close: the reason
    CloseCode closeCode = CloseCode::NoCode;  // of a Close
  };
  struct Broken {
    CloseCode code;
    const char* reason;
  };
  using Next = std::variant<NeedMore, Message, Broken>;

  /// Takes from the front of `bytes`, which it unmasks in place. A fragment that completes nothing is
  /// taken too. After Broken nothing more may be asked.
  Next next(std::span<char>& bytes);
  /// The first frames of a message have come, and not the last.
  bool isInMessage() const { return fragmented_ != Opcode::Continuation; }

 private:
  struct Frame {
    Opcode opcode = Opcode::Text;
    bool isLast = false;
    std::span<char> payload;
  };
  std::variant<NeedMore, Frame, Broken> takeFrame(std::span<char>& bytes) const;
  Next finishControl(const Frame& frame) const;
  Next add(const Frame& frame);
  Next checkSoFar();

  const std::size_t messageBytesMax_;
  std::string fragments_;
  std::size_t checkedBytes_ = 0;              // of text in fragments_: whole characters
  Opcode fragmented_ = Opcode::Continuation;  // Continuation: no message is open
  bool isAssembled_ = false;                  // fragments_ was given away with the last message
};

}  // namespace skep::gateway
