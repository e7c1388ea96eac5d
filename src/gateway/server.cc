#include "skep/gateway/server.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>
#include <vector>

#include "skep/base/log.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"
#include "skep/gateway/http_connection.h"
#include "skep/gateway/websocket.h"

namespace skep::gateway {

namespace asio = boost::asio;
using asio::ip::tcp;

class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(fiber::Loop& loop, call::Router& router, ServerOptions options)
      : options_(std::move(options)),
        handler_(router),
        sockets_{
            .loop = loop, .router = router, .options = options_.webSocket, .stats = shared_.stats},
        shared_{.loop = loop, .options = options_, .handler = handler_, .webSockets = sockets_},
        acceptor_(loop.context()),
        retry_(loop) {}

  Status listen() {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(options_.address, error);
    if (error) {
      return Error{ErrorCode::InvalidArgument, "'" + options_.address + "' is no IP address"};
    }
    const tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      const ErrorCode code =
          error == asio::error::address_in_use ? ErrorCode::Locked : ErrorCode::InvalidArgument;
      return Error{code, "cannot listen on " + options_.address + ":" +
                             std::to_string(options_.port) + ": " + error.message()};
    }
    accept();
    return {};
  }

  std::uint16_t port() const {
    boost::system::error_code error;
    const tcp::endpoint endpoint = acceptor_.local_endpoint(error);
    return error ? std::uint16_t{0} : endpoint.port();
  }

  ServerStats stats() const { return shared_.stats; }

  void close() {
    shared_.isClosing = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    for (HttpConnection& connection : connections_) connection.finish();
    forWebSockets([](WebSocket& socket) { socket.finish(); });
    fiber::Timer patience(shared_.loop);
    patience.callAfter(options_.drainTime, [this] {
      for (HttpConnection& connection : connections_) connection.cut();
      forWebSockets([](WebSocket& socket) { socket.cut(); });
    });
    shared_.requests.close();
    // What was cancelled still has to tell its handler.
    while (shared_.stats.connections > 0 || shared_.stats.webSockets > 0)
      fiber::sleepFor(std::chrono::milliseconds(1));
  }

 private:
  /// One that is told to end may leave the list at once.
  template <class Function>
  void forWebSockets(Function function) {
    std::vector<std::shared_ptr<WebSocket>> all;
    for (WebSocket& socket : sockets_.open) all.push_back(socket.shared_from_this());
    for (const std::shared_ptr<WebSocket>& socket : all) function(*socket);
  }

  void accept() {
    acceptor_.async_accept(
        [self = shared_from_this()](boost::system::error_code error, tcp::socket socket) {
          self->accepted(error, std::move(socket));
        });
  }

  void accepted(boost::system::error_code error, tcp::socket socket) {
    if (shared_.isClosing) return;
    if (error) {
      // No descriptor is free, most likely: those who are served leave some.
      logWarn("gateway", "cannot accept a connection", {{"error", error.message()}});
      retry_.callAfter(kAcceptRetry, [this] { accept(); });
      return;
    }
    const auto connection = std::make_shared<HttpConnection>(std::move(socket), shared_);
    connections_.push_back(*connection);
    connection->read();
    accept();
  }

  static constexpr Duration kAcceptRetry = std::chrono::milliseconds(100);

  const ServerOptions options_;
  HttpHandler handler_;
  WebSocket::Shared sockets_;
  HttpConnection::Shared shared_;
  tcp::acceptor acceptor_;
  fiber::Timer retry_;
  boost::intrusive::list<HttpConnection, boost::intrusive::constant_time_size<false>> connections_;
};

Server::Server(fiber::Loop& loop, call::Router& router, ServerOptions options)
    : impl_(std::make_shared<Impl>(loop, router, std::move(options))) {}

Server::~Server() = default;

Status Server::listen() {
  return impl_->listen();
}
std::uint16_t Server::port() const {
  return impl_->port();
}
ServerStats Server::stats() const {
  return impl_->stats();
}
void Server::close() {
  impl_->close();
}

}  // namespace skep::gateway
