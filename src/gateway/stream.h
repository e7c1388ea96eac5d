// Stream: the bytes of one client's socket, in plain text or inside TLS.
//
// Two ways of use, not at once: readiness (wait, then read or write what goes without waiting), which
// needs no buffer while nothing happens; and the asynchronous operations that Beast's functions for
// HTTP ask for (AsyncReadStream, AsyncWriteStream). Belongs to its loop; outlives its operations.

#pragma once

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <cstddef>
#include <string>
#include <utility>

#include "skep/fiber/loop.h"
#include "skep/fiber/timer.h"
#include "skep/gateway/tls.h"

namespace skep::gateway {

class Stream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using executor_type = Socket::executor_type;  // the name that Asio looks for
  using Error = boost::system::error_code;

  /// `session` null: plain text. The socket is made non-blocking.
  Stream(Socket socket, TlsSession session, fiber::Loop& loop);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  executor_type get_executor() { return socket_.get_executor(); }
  bool isEncrypted() const { return session_ != nullptr; }
  /// Cuts the operation that is under way after so much time, unless this is called again before.
  void expiresAfter(Duration duration);
  void expiresNever();
  /// The last operation was cut because its time ran out.
  bool hasExpired() const { return hasExpired_; }

  /// handler(error) when TLS is agreed upon; at once in plain text. Not from within this call.
  template <class Handler>
  void asyncHandshake(Handler handler);

  /// What is there; would_block when nothing is, eof behind the last byte.
  std::size_t readSome(boost::asio::mutable_buffer buffer, Error& error);
  /// Takes as many bytes as the socket does; would_block when none.
  template <class Buffers>
  std::size_t writeSome(const Buffers& buffers, Error& error);
  /// Nothing that was taken is still here. flush() tries again: would_block when not all went.
  bool isFlushed() const { return unsent_.empty(); }
  void flush(Error& error);

  /// handler(error) when reading or writing may go on. Not from within this call.
  template <class Handler>
  void awaitReadable(Handler handler);
  template <class Handler>
  void awaitWritable(Handler handler);

  /// The other side sees the end of what is sent.
  void shutdownSend();
  void cancel();
  void close();

  template <class Buffers, class Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler);
  template <class Buffers, class Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler);

 private:
  static constexpr std::size_t kRecordBytes = 16 * 1024;  // of TLS, at most

  Error handshake();
  std::size_t encrypt(const char* bytes, std::size_t count, Error& error);
  Error sessionError(int result);
  void endSession();
  void armTimer();
  void expire();
  static bool isBlocked(const Error& error) {
    return error == boost::asio::error::would_block || error == boost::asio::error::try_again;
  }
  template <class Buffers, class Handler>
  void readEncrypted(const Buffers& buffers, Handler handler);
  template <class Buffers, class Handler>
  void writeEncrypted(const Buffers& buffers, Handler handler, std::size_t taken = 0);

  Socket socket_;
  TlsSession session_;
  fiber::Loop& loop_;
  fiber::Timer timer_;
  MonotonicTime deadline_;  // while the timer is pending
  bool hasExpired_ = false;
  /// Was taken, but the socket did not: the session wants exactly these bytes again.
  std::string unsent_;
  bool isSessionBroken_ = false;
  Socket::wait_type readNeeds_ = Socket::wait_read;
  Socket::wait_type writeNeeds_ = Socket::wait_write;
};

template <class Buffers>
std::size_t Stream::writeSome(const Buffers& buffers, Error& error) {
  if (session_ == nullptr) return socket_.write_some(buffers, error);
  flush(error);
  if (error) return 0;
  std::array<char, kRecordBytes> record;
  const std::size_t gathered = boost::asio::buffer_copy(boost::asio::buffer(record), buffers);
  return gathered == 0 ? 0 : encrypt(record.data(), gathered, error);
}

template <class Handler>
void Stream::asyncHandshake(Handler handler) {
  const Error error = session_ == nullptr ? Error() : handshake();
  if (!isBlocked(error)) {
    return boost::asio::post(get_executor(),
                             [handler = std::move(handler), error]() mutable { handler(error); });
  }
  socket_.async_wait(readNeeds_, [this, handler = std::move(handler)](Error failed) mutable {
    if (failed) return handler(failed);
    asyncHandshake(std::move(handler));
  });
}

template <class Handler>
void Stream::awaitReadable(Handler handler) {
  // What has been decrypted already does not make the socket readable.
  if (session_ != nullptr && SSL_pending(session_.get()) > 0) {
    return boost::asio::post(get_executor(),
                             [handler = std::move(handler)]() mutable { handler(Error()); });
  }
  socket_.async_wait(readNeeds_, std::move(handler));
}

template <class Handler>
void Stream::awaitWritable(Handler handler) {
  socket_.async_wait(writeNeeds_, std::move(handler));
}

template <class Buffers, class Handler>
auto Stream::async_read_some(const Buffers& buffers, Handler&& handler) {
  return boost::asio::async_initiate<Handler, void(Error, std::size_t)>(
      [this](auto own, const Buffers& into) {
        if (session_ == nullptr) return socket_.async_read_some(into, std::move(own));
        readEncrypted(into, std::move(own));
      },
      handler, buffers);
}

template <class Buffers, class Handler>
auto Stream::async_write_some(const Buffers& buffers, Handler&& handler) {
  return boost::asio::async_initiate<Handler, void(Error, std::size_t)>(
      [this](auto own, const Buffers& from) {
        if (session_ == nullptr) return socket_.async_write_some(from, std::move(own));
        writeEncrypted(from, std::move(own));
      },
      handler, buffers);
}

template <class Buffers, class Handler>
void Stream::readEncrypted(const Buffers& buffers, Handler handler) {
  Error error;
  std::size_t bytes = 0;
  for (auto each = boost::asio::buffer_sequence_begin(buffers);
       each != boost::asio::buffer_sequence_end(buffers) && bytes == 0; ++each) {
    const boost::asio::mutable_buffer buffer(*each);
    if (buffer.size() > 0) bytes = readSome(buffer, error);
    if (error) break;
  }
  if (!isBlocked(error)) {
    return boost::asio::post(get_executor(),
                             [handler = std::move(handler), error, bytes]() mutable {
                               std::move(handler)(error, bytes);
                             });
  }
  awaitReadable([this, buffers, handler = std::move(handler)](Error failed) mutable {
    if (failed) return std::move(handler)(failed, std::size_t{0});
    readEncrypted(buffers, std::move(handler));
  });
}

/// Ends when all that was taken has gone to the socket: whoever closes afterwards loses nothing.
template <class Buffers, class Handler>
void Stream::writeEncrypted(const Buffers& buffers, Handler handler, std::size_t taken) {
  Error error;
  if (taken == 0) {
    taken = writeSome(buffers, error);
  } else {
    flush(error);
  }
  if (!isBlocked(error) && (error || isFlushed())) {
    return boost::asio::post(get_executor(),
                             [handler = std::move(handler), error, taken]() mutable {
                               std::move(handler)(error, taken);
                             });
  }
  awaitWritable([this, buffers, handler = std::move(handler), taken](Error failed) mutable {
    if (failed) return std::move(handler)(failed, std::size_t{0});
    writeEncrypted(buffers, std::move(handler), taken);
  });
}

}  // namespace skep::gateway
