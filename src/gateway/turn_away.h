// What becomes of connections that are not taken: each hears why, as the answer to the request that it is about
// to send, and is closed. Nothing is kept for it, and nothing waited for.

#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "skep/call/failure.h"
#include "skep/gateway/front.h"

namespace skep::gateway {

/// Answers as far as the socket takes that at once; the caller closes it. Over TLS there is no answer, as nothing
/// is agreed upon yet. Any thread.
void turnAway(int socket, const Front& front, const call::Failure& why);

/// A file descriptor that is kept for the time when no other is free: with it, whoever waits to be accepted then is
/// turned away, rather than left waiting. Belongs to its acceptor's loop.
class SpareDescriptor {
 public:
  SpareDescriptor();
  ~SpareDescriptor();
  SpareDescriptor(const SpareDescriptor&) = delete;
  SpareDescriptor& operator=(const SpareDescriptor&) = delete;

  /// Accepts one connection and turns it away. False: there was none, or no descriptor either.
  bool turnAwayOne(boost::asio::ip::tcp::acceptor& acceptor, const Front& front);

 private:
  int spare_ = -1;
};

}  // namespace skep::gateway
