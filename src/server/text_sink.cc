#include "skep/server/text_sink.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "skep/base/check.h"

namespace skep::server {
namespace {

std::optional<Error> writeAll(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EAGAIN) {
      pollfd ready{.fd = descriptor, .events = POLLOUT, .revents = 0};
      (void)::poll(&ready, 1, -1);
    } else if (errno == EPIPE) {
      return Error{ErrorCode::Aborted, "the reader of the output has gone away"};
    } else if (errno != EINTR) {
      const ErrorCode code = errno == ENOSPC ? ErrorCode::StoreFull : ErrorCode::Unavailable;
      return Error{code, std::string("cannot write the output: ") + std::strerror(errno)};
    }
  }
  return std::nullopt;
}

}  // namespace

void TextSink::write(std::string_view text) {
  if (error_) return;
  if (isShut_ && buffer_.size() - shutAt_ + text.size() > kHeldBytesMax) {
    heldTooMuch_ = true;
    return;
  }
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) (void)flush();
}

Status TextSink::flush() {
  if (error_) return *error_;
  if (isShut_) return {};
  error_ = writeAll(descriptor_, buffer_);
  buffer_.clear();
  if (error_) return *error_;
  return {};
}

void TextSink::shut() {
  SKEP_CHECK(!isShut_, "the gate is shut once");
  isShut_ = true;
  heldTooMuch_ = false;
  shutAt_ = buffer_.size();
}

void TextSink::open() {
  isShut_ = false;
  if (buffer_.size() >= kBufferBytes) (void)flush();
}

void TextSink::discard() {
  if (isShut_) buffer_.resize(shutAt_);
  isShut_ = false;
}

}  // namespace skep::server
