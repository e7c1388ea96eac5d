// HttpConnection: one client's connection. Reads a request, has a fiber handle it, reads the next.
//
// Belongs to its loop. Shared: by the operation that is under way, and by the server's list.

#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/intrusive/list.hpp>
#include <memory>
#include <optional>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/gateway/http_handler.h"
#include "skep/gateway/server.h"
#include "skep/gateway/websocket.h"

namespace skep::gateway {

class HttpConnection : public std::enable_shared_from_this<HttpConnection>,
                       public boost::intrusive::list_base_hook<
                           boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  /// What all connections of one loop share; outlives them.
  struct Shared {
    fiber::Loop& loop;
    const ServerOptions& options;
    HttpHandler& handler;
    WebSocket::Shared& webSockets;
    fiber::Gate requests;  // those under way
    std::atomic<std::size_t> connectionCount{0};
    std::atomic<std::uint64_t> requestCount{0};
    bool isClosing = false;
  };

  HttpConnection(boost::asio::ip::tcp::socket socket, Shared& shared);
  ~HttpConnection();
  /// Waits for the next request. Does not suspend.
  void read();
  /// No more requests: closes at once when there is none under way.
  void finish();
  /// Ends whatever is under way.
  void cut();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void startRead();
  void readRest();
  void received(boost::beast::error_code error);
  void handle();
  void upgrade();
  bool write(HttpResponse& response);
  void refuse(const call::Failure& failure);
  void shutDown();

  boost::beast::tcp_stream stream_;
  Shared& shared_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  bool isHandling_ = false;
};

}  // namespace skep::gateway
