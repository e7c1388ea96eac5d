#include "skep/gateway/stream.h"

#include <openssl/err.h>

namespace skep::gateway {

namespace asio = boost::asio;

namespace {

constexpr Duration kExpireAgain = std::chrono::seconds(1);

}  // namespace

Stream::Stream(Socket socket, TlsSession session, fiber::Loop& loop)
    : socket_(std::move(socket)), session_(std::move(session)), loop_(loop), timer_(loop) {
  Error ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
}

void Stream::expiresAfter(Duration duration) {
  hasExpired_ = false;
  const MonotonicTime before = std::exchange(deadline_, loop_.clock().monotonic() + duration);
  if (!timer_.isPending() || deadline_ < before) armTimer();
}

void Stream::expiresNever() {
  timer_.cancel();
}

/// The timer is not moved with each deadline: it looks, when it fires, whether there is a later one.
void Stream::armTimer() {
  timer_.callAfter(deadline_ - loop_.clock().monotonic(), [this] {
    if (loop_.clock().monotonic() < deadline_) return armTimer();
    expire();
  });
}

/// Again and again: what had come already when the time ran out was not cut, and may be followed by more.
void Stream::expire() {
  hasExpired_ = true;
  cancel();
  timer_.callAfter(kExpireAgain, [this] {
    if (loop_.clock().monotonic() < deadline_) return armTimer();
    expire();
  });
}

Stream::Error Stream::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(session_.get());
  if (result == 1) return {};
  const Error error = sessionError(result);
  if (isBlocked(error)) {
    readNeeds_ = SSL_want_write(session_.get()) ? Socket::wait_write : Socket::wait_read;
  }
  return error;
}

std::size_t Stream::readSome(asio::mutable_buffer buffer, Error& error) {
  if (session_ == nullptr) return socket_.read_some(buffer, error);
  ERR_clear_error();
  std::size_t bytes = 0;
  const int result = SSL_read_ex(session_.get(), buffer.data(), buffer.size(), &bytes);
  error = Error();
  if (result == 1) return bytes;
  error = sessionError(result);
  if (isBlocked(error)) {
    const bool wantsWrite = SSL_want_write(session_.get());
    readNeeds_ = wantsWrite ? Socket::wait_write : Socket::wait_read;
  }
  return 0;
}

std::size_t Stream::encrypt(const char* bytes, std::size_t count, Error& error) {
  ERR_clear_error();
  std::size_t taken = 0;
  const int result = SSL_write_ex(session_.get(), bytes, count, &taken);
  error = Error();
  if (result == 1) return taken;
  error = sessionError(result);
  if (!isBlocked(error)) return 0;
  writeNeeds_ = SSL_want_read(session_.get()) ? Socket::wait_read : Socket::wait_write;
  error = Error();
  unsent_.assign(bytes, count);
  return count;
}

void Stream::flush(Error& error) {
  error = Error();
  while (!unsent_.empty()) {
    const std::string bytes = std::exchange(unsent_, {});
    const std::size_t taken = encrypt(bytes.data(), bytes.size(), error);
    if (error) return;
    if (!unsent_.empty()) {
      error = asio::error::would_block;
      return;
    }
    unsent_.assign(bytes, taken);
  }
}

Stream::Error Stream::sessionError(int result) {
  switch (SSL_get_error(session_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return asio::error::would_block;
    case SSL_ERROR_ZERO_RETURN:
      return asio::error::eof;
    default:
      isSessionBroken_ = true;
      return asio::error::connection_aborted;
  }
}

/// Tells the other side that what follows, if anything does, is not from here.
void Stream::endSession() {
  if (session_ == nullptr || isSessionBroken_ || !socket_.is_open()) return;
  ERR_clear_error();
  (void)SSL_shutdown(session_.get());
}

void Stream::shutdownSend() {
  endSession();
  Error ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::cancel() {
  Error ignored;
  socket_.cancel(ignored);
}

void Stream::close() {
  timer_.cancel();
  endSession();
  Error ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace skep::gateway
