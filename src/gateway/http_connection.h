// HttpConnection: one client's connection. Reads a request, has a fiber handle it, reads the next.
//
// Belongs to its loop. Shared: by the operation that is under way, and by the server's list.

#pragma once

#include <atomic>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/intrusive/list.hpp>
#include <memory>
#include <optional>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/gateway/actor_answer.h"
#include "skep/gateway/framed_socket.h"
#include "skep/gateway/front.h"
#include "skep/gateway/stream.h"
#include "skep/gateway/websocket_upgrade.h"

namespace skep::gateway {

/// The other side of a connection.
struct Peer {
  boost::asio::ip::address address;
  std::shared_ptr<Client> client;  // null: a proxy, each of whose requests may be another client's
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection>,
                       public boost::intrusive::list_base_hook<
                           boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// What all connections of one loop share; outlives them.
  struct Shared {
    fiber::Loop& loop;
    Front& front;
    FramedSocket::Shared& webSockets;
    fiber::Gate requests;  // those under way
    std::atomic<std::size_t> connectionCount{0};
    std::atomic<std::uint64_t> requestCount{0};
    bool isClosing = false;
  };

  HttpConnection(std::unique_ptr<Stream> stream, Peer peer, Shared& shared);
  ~HttpConnection();
  /// Waits for the first request, in TLS once that is agreed upon. Does not suspend.
  void start();
  /// No more requests: closes at once when there is none under way.
  void finish();
  /// Ends whatever is under way.
  void cut();

 private:
  using Parser = boost::beast::http::request_parser<ArrivingBody>;

  void read();
  void readRest();
  void readMore();
  void readPart();
  bool admitHead();
  std::optional<call::Failure> begin();
  void endBegun();
  std::optional<call::Failure> holdBody();
  std::optional<call::Failure> explain(boost::beast::error_code error) const;
  void linger();
  bool wantsToBeTold() const;
  void tellToContinue();
  void received(boost::beast::error_code error);
  void handle(Client& client);
  bool relay(const HttpRequest& request, call::HttpRequest asked);
  bool answer(const HttpRequest& request, HttpResponse& response);
  void upgrade();
  void becomeRaw(RawUpgrade upgrade);
  bool write(HttpResponse& response);
  void refuse(const call::Failure& failure);
  void sendLast(HttpResponse response);
  void log(const HttpRequest& request, unsigned status) const;
  void shutDown();

  std::unique_ptr<Stream> stream_;  // until a WebSocket has it
  Peer peer_;
  Shared& shared_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  ActorAnswer* answer_ = nullptr;  // that is relayed now
  bool isHandling_ = false;
  bool wasToldToContinue_ = false;
  std::optional<HttpHandler::Admission>
      admission_;                  // of a request of which a part is still to come
  std::shared_ptr<Client> begun_;  // whose request is being read and counts already
  BodyLease body_;                 // of the request that is read or handled
};

}  // namespace skep::gateway
