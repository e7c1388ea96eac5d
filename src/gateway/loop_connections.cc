#include "skep/gateway/loop_connections.h"

#include <utility>

#include "skep/fiber/fiber.h"
#include "skep/fiber/timer.h"

namespace skep::gateway {

LoopConnections::LoopConnections(fiber::Loop& loop, const ServerOptions& options,
                                 HttpHandler& handler)
    : shared_{.loop = loop, .options = options, .handler = handler} {}

void LoopConnections::serve(boost::asio::ip::tcp::socket socket) {
  if (shared_.isClosing) return;
  const auto connection = std::make_shared<HttpConnection>(std::move(socket), shared_);
  connections_.push_back(*connection);
  connection->read();
}

void LoopConnections::close() {
  shared_.isClosing = true;
  for (HttpConnection& connection : connections_) connection.finish();
  fiber::Timer patience(shared_.loop);
  patience.callAfter(shared_.options.drainTime, [this] {
    for (HttpConnection& connection : connections_) connection.cut();
  });
  shared_.requests.close();
  // What was cancelled still has to tell its handler.
  while (shared_.connectionCount > 0) fiber::sleepFor(std::chrono::milliseconds(1));
}

void LoopConnections::addTo(ServerStats& stats) const {
  stats.connections += shared_.connectionCount.load(std::memory_order_relaxed);
  stats.requests += shared_.requestCount.load(std::memory_order_relaxed);
}

}  // namespace skep::gateway
