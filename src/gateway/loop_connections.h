// LoopConnections: the connections that one loop serves. Belongs to that loop, but for the counters.

#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/intrusive/list.hpp>

#include "skep/gateway/framed_socket.h"
#include "skep/gateway/front.h"
#include "skep/gateway/http_connection.h"

namespace skep::gateway {

class LoopConnections {
 public:
  LoopConnections(fiber::Loop& loop, Front& front);

  /// Takes a socket of this loop's context.
  void serve(boost::asio::ip::tcp::socket socket);
  /// Closes idle connections, says goodbye to WebSockets and waits for requests under way: at most drainTime, then cuts them
  /// off. Suspends.
  void close();

  fiber::Loop& loop() { return shared_.loop; }
  void addTo(ServerStats& stats) const;  // any thread

 private:
  template <class Function>
  void forWebSockets(Function function);

  FramedSocket::Shared sockets_;
  HttpConnection::Shared shared_;
  boost::intrusive::list<HttpConnection, boost::intrusive::constant_time_size<false>> connections_;
};

}  // namespace skep::gateway
