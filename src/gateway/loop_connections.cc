#include "skep/gateway/loop_connections.h"

#include <utility>
#include <vector>

#include "skep/fiber/fiber.h"
#include "skep/fiber/timer.h"
#include "skep/gateway/turn_away.h"

namespace skep::gateway {

LoopConnections::LoopConnections(fiber::Loop& loop, Front& front)
    : sockets_{.loop = loop,
               .router = front.router,
               .options = front.options.webSocket,
               .credentials = front.credentials},
      shared_{.loop = loop, .front = front, .webSockets = sockets_} {}

/// One that is told to end may leave the list at once.
template <class Function>
void LoopConnections::forWebSockets(Function function) {
  std::vector<std::shared_ptr<FramedSocket>> all;
  for (FramedSocket& socket : sockets_.open) all.push_back(socket.shared_from_this());
  for (const std::shared_ptr<FramedSocket>& socket : all) function(*socket);
}

void LoopConnections::serve(boost::asio::ip::tcp::socket socket) {
  if (shared_.isClosing) return;
  boost::system::error_code error;
  const auto peer = socket.remote_endpoint(error).address();
  if (error) return;  // the client has gone
  Front& front = shared_.front;
  // A proxy's connections are those of many clients.
  const MonotonicTime now = shared_.loop.clock().monotonic();
  const bool isProxy = front.clients.isProxy(peer);
  std::shared_ptr<Client> client = isProxy ? nullptr : front.clients.open(peer, {}, now);
  if (client == nullptr && !isProxy) {
    return turnAway(socket.native_handle(), front,
                    {call::FailureCode::RateLimited, "this client has too many open connections"});
  }
  TlsSession session;
  if (front.tls != nullptr) {
    front.tls->reloadIfChanged(now);
    session = front.tls->newSession(socket.native_handle());
    if (session == nullptr) return;
  }
  const auto connection = std::make_shared<HttpConnection>(
      std::make_unique<Stream>(std::move(socket), std::move(session), shared_.loop),
      Peer{peer, std::move(client)}, shared_);
  connections_.push_back(*connection);
  connection->start();
}

void LoopConnections::close() {
  shared_.isClosing = true;
  for (HttpConnection& connection : connections_) connection.finish();
  forWebSockets([](FramedSocket& socket) { socket.finish(); });
  fiber::Timer patience(shared_.loop);
  patience.callAfter(shared_.front.options.drainTime, [this] {
    for (HttpConnection& connection : connections_) connection.cut();
    forWebSockets([](FramedSocket& socket) { socket.cut(); });
  });
  shared_.requests.close();
  // What was cancelled still has to tell its handler.
  while (shared_.connectionCount > 0 || sockets_.openCount > 0)
    fiber::sleepFor(std::chrono::milliseconds(1));
}

void LoopConnections::addTo(ServerStats& stats) const {
  stats.connections += shared_.connectionCount.load(std::memory_order_relaxed);
  stats.requests += shared_.requestCount.load(std::memory_order_relaxed);
  stats.webSockets += sockets_.openCount.load(std::memory_order_relaxed);
  stats.messages += sockets_.messageCount.load(std::memory_order_relaxed);
}

}  // namespace skep::gateway
