// SendQueue: frames that wait to be written to a socket. Their bytes are shared with other sockets'.
//
// Many are given to one system call. Belongs to its socket.

#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/container/static_vector.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace skep::gateway {

class SendQueue {
 public:
  using Frame = std::shared_ptr<const std::string>;
  static constexpr std::size_t kBuffersMax = 64;  // that one system call takes
  using Buffers = boost::container::static_vector<boost::asio::const_buffer, kBuffersMax>;

  void push(Frame frame);
  bool isEmpty() const { return start_ == frames_.size(); }
  /// That are not written yet.
  std::size_t bytes() const { return bytes_; }
  /// What to write next.
  Buffers next() const;
  void wrote(std::size_t bytes);
  /// In all bytes that were ever pushed: up to where they are written, and where they end.
  std::uint64_t writtenOffset() const { return writtenOffset_; }
  std::uint64_t endOffset() const { return writtenOffset_ + bytes_; }
  /// Drops all but a frame that is written in part: the other side would take what follows for its rest.
  void dropWaiting();

 private:
  std::vector<Frame> frames_;
  std::size_t start_ = 0;         // frames before it are written
  std::size_t writtenBytes_ = 0;  // of the first that is not
  std::size_t bytes_ = 0;
  std::uint64_t writtenOffset_ = 0;
};

}  // namespace skep::gateway
