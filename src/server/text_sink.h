// TextSink: buffered text to a file descriptor, with a gate.
//
// The gate is how a command keeps I1 on its way out: while it is shut, what is written waits in
// memory, so that rows can be rendered before the transaction that made them is durable. A failed
// write (the reader of a pipe went away, the disk is full) is kept, and everything after it is
// dropped: look at error() now and then.
//
// One thread at a time. Borrows the descriptor.
//
//   TextSink out(STDOUT_FILENO);
//   out.write("hello\n");
//   SKEP_CHECK_OK(out.flush());

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "skep/base/result.h"

namespace skep::server {

class TextSink {
 public:
  explicit TextSink(int descriptor) : descriptor_(descriptor) {}
  ~TextSink() { (void)flush(); }
  TextSink(const TextSink&) = delete;
  TextSink& operator=(const TextSink&) = delete;

  /// Appends; writes through when the buffer is full. Blocks while the reader is slow.
  void write(std::string_view text);
  /// Writes what is buffered; the first error of any write. Does nothing while the gate is shut.
  Status flush();

  /// Shuts the gate: nothing leaves until open(). At most kHeldBytesMax are kept; heldTooMuch()
  /// says that more came, which is lost: the caller then discards the rest too.
  void shut();
  void open();
  /// Forgets what was written since shut(), and opens the gate.
  void discard();
  bool heldTooMuch() const { return heldTooMuch_; }

  /// The first failed write. Its code is Aborted when the reader has gone away (EPIPE).
  const std::optional<Error>& error() const { return error_; }

  static constexpr std::size_t kHeldBytesMax = 256 * 1024 * 1024;

 private:
  static constexpr std::size_t kBufferBytes = 64 * 1024;

  int descriptor_;
  std::string buffer_;
  std::size_t shutAt_ = 0;  // where in buffer_ the gate was shut
  bool isShut_ = false;
  bool heldTooMuch_ = false;
  std::optional<Error> error_;
};

}  // namespace skep::server
