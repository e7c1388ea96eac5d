#include "skep/server/script_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace skep::server {
namespace {

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

struct ReadOutcome {
  std::string text;
  int error = 0;
};

ReadOutcome readSome(int descriptor) {
  ReadOutcome outcome;
  outcome.text.resize(kReadBytes);
  ssize_t count = 0;
  do {
    count = ::read(descriptor, outcome.text.data(), outcome.text.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) outcome.error = errno;
  outcome.text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return outcome;
}

}  // namespace

ScriptInput::ScriptInput(std::string_view text) : ended_(true) {
  splitter_.append(text);
  splitter_.finish();
}

Result<std::optional<SqlPiece>> ScriptInput::next() {
  while (true) {
    if (std::optional<SqlPiece> piece = splitter_.next()) {
      if (piece->text.size() > kStatementBytesMax) break;
      if (piece->text.find('\0') != std::string::npos) {
        return Error{ErrorCode::InvalidArgument,
                     "the statement at line " + std::to_string(piece->line) +
                         " holds a NUL character: is the script UTF-8 text?"};
      }
      return piece;
    }
    if (ended_) return std::optional<SqlPiece>();
    if (splitter_.pendingBytes() > kStatementBytesMax) break;
    SKEP_CHECK_OK(readMore());
  }
  return Error{ErrorCode::LimitExceeded, "a statement may have at most " +
                                             std::to_string(kStatementBytesMax) +
                                             " bytes (16 MiB); one in this script is longer"};
}

Status ScriptInput::readMore() {
  ReadOutcome outcome = fiber::offload(*pool_, [this] { return readSome(descriptor_); });
  if (outcome.error != 0) {
    return Error{ErrorCode::Unavailable,
                 std::string("cannot read the script: ") + std::strerror(outcome.error)};
  }
  bytesRead_ += outcome.text.size();
  std::string_view text = outcome.text;
  if (atStart_ && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  atStart_ = false;
  if (outcome.text.empty()) {
    ended_ = true;
    splitter_.finish();
  } else {
    splitter_.append(text);
  }
  return {};
}

}  // namespace skep::server
