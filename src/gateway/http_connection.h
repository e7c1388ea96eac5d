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
  /// Waits for the next request. Does not suspend.
  void read();
  /// No more requests: closes at once when there is none under way.
  void finish();
  /// Ends whatever is under way.
  void cut();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void readRest();
  void readMore();
  std::optional<call::Failure> checkHead();
  std::shared_ptr<Client> clientOf(const HttpRequest& request);
  void endBegun();
  void linger();
  bool wantsToBeTold() const;
  void tellToContinue();
  void received(boost::beast::error_code error);
  void handle(Client& client);
  bool relay(const HttpRequest& request, call::HttpRequest asked);
  void upgrade();
  void becomeRaw(RawUpgrade upgrade);
  bool write(HttpResponse& response);
  void refuse(const call::Failure& failure);
  void shutDown();

  std::unique_ptr<Stream> stream_;  // until a WebSocket has it
  Peer peer_;
  Shared& shared_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  ActorAnswer* answer_ = nullptr;  // that is relayed now
  bool isHandling_ = false;
  bool wasToldToContinue_ = false;
  bool isHeadChecked_ = false;
  std::shared_ptr<Client> begun_;  // whose request is being read and counts already
  BodyLease body_;                 // of the request that is read or handled
};

}  // namespace skep::gateway
