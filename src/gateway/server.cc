#include "skep/gateway/server.h"

#include <boost/asio/ip/tcp.hpp>
#include <utility>
#include <vector>

#include "skep/base/check.h"
#include "skep/base/log.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"
#include "skep/gateway/keep_alive.h"
#include "skep/gateway/loop_connections.h"
#include "skep/gateway/turn_away.h"

namespace skep::gateway {

namespace asio = boost::asio;
using asio::ip::tcp;

class Server::Listener : public std::enable_shared_from_this<Server::Listener> {
 public:
  Listener(const std::vector<fiber::Loop*>& loops, call::Router& router, ServerOptions options)
      : front_(router, std::move(options)),
        acceptor_(loops.front()->context()),
        retry_(*loops.front()) {
    for (fiber::Loop* loop : loops) {
      loops_.push_back(std::make_unique<LoopConnections>(*loop, front_));
    }
  }

  Status listen() {
    const ServerOptions& options = front_.options;
    if (options.tls) {
      SKEP_TRY(front_.tls, TlsContext::open(*options.tls));
    }
    if (!options.pages.empty()) {
      SKEP_TRY(front_.pages, StaticFiles::load(options.pages));
    }
    boost::system::error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    if (error) {
      return Error{ErrorCode::InvalidArgument, "'" + options.address + "' is no IP address"};
    }
    const tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      const ErrorCode code =
          error == asio::error::address_in_use ? ErrorCode::Locked : ErrorCode::InvalidArgument;
      return Error{code, "cannot listen on " + options.address + ":" +
                             std::to_string(options.port) + ": " + error.message()};
    }
    SKEP_CHECK_OK(expectSignsOfLife(acceptor_, options.vanishedTimeout));
    accept();
    return {};
  }

  std::uint16_t port() const {
    boost::system::error_code error;
    const tcp::endpoint endpoint = acceptor_.local_endpoint(error);
    return error ? std::uint16_t{0} : endpoint.port();
  }

  ServerStats stats() const {
    ServerStats stats;
    for (const auto& loop : loops_) loop->addTo(stats);
    stats.bodyBytes = front_.bodies.bytes();
    return stats;
  }

  void announceEnd() { front_.handler.announceEnd(); }

  void close() {
    isClosing_ = true;
    announceEnd();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    std::vector<fiber::OneShot<bool>> closed(loops_.size());
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      loops_[i]->loop().spawn("close connections", [this, &closed, i] {
        loops_[i]->close();
        closed[i].set(true);
      });
    }
    for (auto& each : closed) (void)each.wait();
  }

 private:
  void accept() {
    acceptor_.async_accept(
        [self = shared_from_this()](boost::system::error_code error, tcp::socket socket) {
          self->accepted(error, std::move(socket));
        });
  }

  void accepted(boost::system::error_code error, tcp::socket socket) {
    if (isClosing_) return;
    if (error) {
      // No descriptor is free, most likely: those who are served leave some. Said once, not each time.
      if (!std::exchange(isStuck_, true)) {
        logWarn("gateway", "cannot accept connections", {{"error", error.message()}});
      }
      const bool isFull = error == asio::error::no_descriptors ||
                          error == boost::system::errc::too_many_files_open_in_system;
      if (isFull && spare_.turnAwayOne(acceptor_, front_)) return accept();
      retry_.callAfter(kAcceptRetry, [this] { accept(); });
      return;
    }
    if (std::exchange(isStuck_, false)) logInfo("gateway", "accepts connections again");
    LoopConnections& next = *loops_[next_++ % loops_.size()];
    if (&next == loops_.front().get()) {
      next.serve(std::move(socket));
    } else {
      handOver(std::move(socket), next);
    }
    accept();
  }

  /// To another loop, whose context the socket then belongs to.
  static void handOver(tcp::socket socket, LoopConnections& next) {
    boost::system::error_code error;
    const tcp::endpoint local = socket.local_endpoint(error);
    const auto handle = error ? -1 : socket.release(error);
    if (error) return;  // the client has gone
    next.loop().post([&next, handle, protocol = local.protocol()] {
      tcp::socket own(next.loop().context());
      boost::system::error_code failed;
      own.assign(protocol, handle, failed);
      SKEP_CHECK(!failed, "a socket cannot be handed over: %s", failed.message().c_str());
      next.serve(std::move(own));
    });
  }

  static constexpr Duration kAcceptRetry = std::chrono::milliseconds(100);

  Front front_;
  std::vector<std::unique_ptr<LoopConnections>> loops_;
  std::size_t next_ = 0;
  bool isClosing_ = false;
  bool isStuck_ = false;  // the last connection could not be accepted
  tcp::acceptor acceptor_;
  SpareDescriptor spare_;
  fiber::Timer retry_;
};

Server::Server(fiber::Loop& loop, call::Router& router, ServerOptions options)
    : Server(std::vector{&loop}, router, std::move(options)) {}

Server::Server(const std::vector<fiber::Loop*>& loops, call::Router& router, ServerOptions options)
    : listener_(std::make_shared<Listener>(loops, router, std::move(options))) {}

Server::~Server() = default;

Status Server::listen() {
  return listener_->listen();
}
std::uint16_t Server::port() const {
  return listener_->port();
}
ServerStats Server::stats() const {
  return listener_->stats();
}
void Server::announceEnd() {
  listener_->announceEnd();
}
void Server::close() {
  listener_->close();
}

}  // namespace skep::gateway
