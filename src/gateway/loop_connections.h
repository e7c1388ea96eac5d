// LoopConnections: the connections that one loop serves. Belongs to that loop, but for the counters.

#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/intrusive/list.hpp>

#include "skep/gateway/http_connection.h"

namespace skep::gateway {

class LoopConnections {
 public:
  LoopConnections(fiber::Loop& loop, const ServerOptions& options, HttpHandler& handler);

  /// Takes a socket of this loop's context.
  void serve(boost::asio::ip::tcp::socket socket);
  /// Closes idle connections and waits for requests under way: at most drainTime, then cuts them
  /// off. Suspends.
  void close();

  fiber::Loop& loop() { return shared_.loop; }
  void addTo(ServerStats& stats) const;  // any thread

 private:
  HttpConnection::Shared shared_;
  boost::intrusive::list<HttpConnection, boost::intrusive::constant_time_size<false>> connections_;
};

}  // namespace skep::gateway
