#include "skep/server/remote_client.h"

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <utility>

namespace skep::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using beast::error_code;

namespace {

constexpr auto kConnectTime = std::chrono::seconds(10);
constexpr auto kReplyTime = std::chrono::seconds(150);  // longer than actions take
constexpr auto kIdleTime = std::chrono::seconds(60);    // of a socket; asked for a sign before
constexpr auto kCloseTime = std::chrono::seconds(2);
constexpr std::size_t kReplyBytesMax = 256 * 1024 * 1024;

Error errorOf(const error_code& error, const RemoteUrl& url) {
  const std::string server = url.host + ":" + url.port;
  if (error == beast::error::timeout) {
    return {ErrorCode::TimedOut, server + " did not answer in time"};
  }
  if (error.category() == asio::error::get_ssl_category()) {
    return {ErrorCode::AccessDenied, "no TLS with " + server + ": " + error.message()};
  }
  return {ErrorCode::Unavailable, server + ": " + error.message()};
}

bool isUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

void appendEscaped(std::string& path, char c) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  path += '%';
  path += kDigits[byte >> 4];
  path += kDigits[byte & 15];
}

}  // namespace

Result<RemoteUrl> parseRemoteUrl(std::string_view text) {
  const auto bad = [] {
    return Error{ErrorCode::InvalidArgument,
                 "the server's URL is http://HOST:PORT or https://HOST:PORT"};
  };
  const auto parsed = boost::urls::parse_uri(text);
  if (!parsed) return bad();
  const boost::urls::url_view url = *parsed;
  const bool isTls = url.scheme_id() == boost::urls::scheme::https;
  if ((!isTls && url.scheme_id() != boost::urls::scheme::http) || url.has_userinfo() ||
      url.has_query() || url.has_fragment() || url.host().empty()) {
    return bad();
  }
  std::string prefix(url.encoded_path());
  while (prefix.ends_with('/')) prefix.pop_back();
  return RemoteUrl{.isTls = isTls,
                   .host = url.host_address(),
                   .port = url.has_port() ? std::string(url.port())
                           : isTls        ? "443"
                                          : "80",
                   .prefix = std::move(prefix)};
}

std::string pathOf(const call::ActorAddress& actor) {
  std::string path = "/" + actor.type;
  for (const std::string& part : actor.key) {
    path += '/';
    // With its first letter encoded no part is a word of the routes.
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (i > 0 && isUnreserved(part[i])) {
        path += part[i];
      } else {
        appendEscaped(path, part[i]);
      }
    }
  }
  return path;
}

// ---- The loop that the calls run

struct RemoteClient::Context {
  asio::io_context io;
  asio::ssl::context tls{asio::ssl::context::tls_client};
  std::atomic<bool> isInterrupted{false};

  /// Runs until the operation that `start` begins has called its handler; its error.
  /// operation_aborted: interrupt() came first, and the operation's object must go.
  template <class Start>
  error_code await(Start start, bool evenWhenInterrupted = false) {
    error_code result = asio::error::operation_aborted;
    // Shared: a handler that never runs goes with its operation, later than this call.
    const auto place = std::make_shared<error_code*>(&result);
    bool isDone = false;
    const auto done = std::make_shared<bool*>(&isDone);
    io.restart();
    if (isInterrupted && !evenWhenInterrupted) return result;
    start([place, done](error_code error, auto&&...) {
      if (*place == nullptr) return;
      **place = error;
      **done = true;
    });
    while (!isDone && !(isInterrupted && !evenWhenInterrupted)) {
      if (io.run_one() == 0) break;
    }
    *place = nullptr;
    return result;
  }
};

// ---- One connection

class RemoteClient::Link {
 public:
  virtual ~Link() = default;
  virtual error_code connect(const tcp::resolver::results_type& endpoints) = 0;
  virtual error_code ask(http::request<http::string_body>& request,
                         http::response<http::string_body>& response) = 0;
  virtual error_code upgrade(const std::string& target, const std::string& token,
                             http::response<http::string_body>& response) = 0;
  virtual error_code send(const std::string& message) = 0;
  virtual error_code receive(std::string& message) = 0;
  virtual void close() = 0;
  virtual websocket::close_reason reason() const = 0;
};

template <class Stream>
class RemoteClient::LinkOver final : public Link {
 public:
  template <class... Args>
  LinkOver(const RemoteUrl& url, Context& context, Args&... args)
      : url_(url), context_(context), socket_(context.io, args...) {}

  error_code connect(const tcp::resolver::results_type& endpoints) override {
    auto& tcpStream = beast::get_lowest_layer(socket_);
    tcpStream.expires_after(kConnectTime);
    error_code error =
        context_.await([&](auto handler) { tcpStream.async_connect(endpoints, handler); });
    if constexpr (isTls) {
      if (error) return error;
      auto& tls = socket_.next_layer();
      tls.set_verify_mode(asio::ssl::verify_peer);
      tls.set_verify_callback(asio::ssl::host_name_verification(url_.host));
      SSL_set_tlsext_host_name(tls.native_handle(), url_.host.c_str());
      error = context_.await(
          [&](auto handler) { tls.async_handshake(asio::ssl::stream_base::client, handler); });
    }
    return error;
  }

  error_code ask(http::request<http::string_body>& request,
                 http::response<http::string_body>& response) override {
    auto& stream = socket_.next_layer();
    beast::get_lowest_layer(stream).expires_after(kReplyTime);
    error_code error =
        context_.await([&](auto handler) { http::async_write(stream, request, handler); });
    if (error) return error;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kReplyBytesMax);
    error =
        context_.await([&](auto handler) { http::async_read(stream, buffer_, parser, handler); });
    if (!error) response = parser.release();
    return error;
  }

  error_code upgrade(const std::string& target, const std::string& token,
                     http::response<http::string_body>& response) override {
    beast::get_lowest_layer(socket_).expires_never();  // the socket has its own times
    socket_.set_option(websocket::stream_base::timeout{
        .handshake_timeout = kConnectTime, .idle_timeout = kIdleTime, .keep_alive_pings = true});
    socket_.set_option(
        websocket::stream_base::decorator([&token](websocket::request_type& request) {
          request.set(http::field::sec_websocket_protocol, "skep.1");
          if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
        }));
    socket_.read_message_max(kReplyBytesMax);
    return context_.await(
        [&](auto handler) { socket_.async_handshake(response, hostField(url_), target, handler); });
  }

  error_code send(const std::string& message) override {
    socket_.text(true);
    return context_.await(
        [&](auto handler) { socket_.async_write(asio::buffer(message), handler); });
  }

  error_code receive(std::string& message) override {
    const error_code error =
        context_.await([&](auto handler) { socket_.async_read(buffer_, handler); });
    if (!error) message = beast::buffers_to_string(buffer_.data());
    buffer_.consume(buffer_.size());
    return error;
  }

  void close() override {
    // A read that was interrupted is still under way, and takes the other side's close.
    asio::steady_timer patience(context_.io, kCloseTime);
    patience.async_wait([this](error_code error) {
      if (!error) beast::get_lowest_layer(socket_).close();
    });
    (void)context_.await(
        [&](auto handler) { socket_.async_close(websocket::close_code::normal, handler); }, true);
  }

  websocket::close_reason reason() const override { return socket_.reason(); }

  static std::string hostField(const RemoteUrl& url) {
    const bool isV6 = url.host.find(':') != url.host.npos;
    return (isV6 ? "[" + url.host + "]" : url.host) + ":" + url.port;
  }

 private:
  static constexpr bool isTls = !std::is_same_v<Stream, beast::tcp_stream>;

  const RemoteUrl& url_;
  Context& context_;
  websocket::stream<Stream> socket_;
  beast::flat_buffer buffer_;
};

// ---- The client

RemoteClient::RemoteClient(RemoteUrl url, std::string token)
    : url_(std::move(url)), token_(std::move(token)), context_(std::make_unique<Context>()) {
  error_code ignored;
  context_->tls.set_default_verify_paths(ignored);
}

RemoteClient::~RemoteClient() {
  link_.reset();
  socket_.reset();
}

std::unique_ptr<RemoteClient::Link> RemoteClient::makeLink() {
  if (url_.isTls) {
    return std::make_unique<LinkOver<beast::ssl_stream<beast::tcp_stream>>>(url_, *context_,
                                                                            context_->tls);
  }
  return std::make_unique<LinkOver<beast::tcp_stream>>(url_, *context_);
}

Result<std::unique_ptr<RemoteClient::Link>> RemoteClient::connect() {
  tcp::resolver resolver(context_->io);
  tcp::resolver::results_type endpoints;
  error_code error = context_->await([&](auto handler) {
    resolver.async_resolve(url_.host, url_.port,
                           [&endpoints, handler](error_code failed, auto found) mutable {
                             if (!failed) endpoints = found;
                             handler(failed);
                           });
  });
  std::unique_ptr<Link> link = makeLink();
  if (!error) error = link->connect(endpoints);
  if (context_->isInterrupted) return Error{ErrorCode::Aborted, "interrupted"};
  if (error) return errorOf(error, url_);
  return link;
}

Result<RemoteReply> RemoteClient::ask(const char* method, const std::string& target,
                                      const std::string& body) {
  http::request<http::string_body> request(http::string_to_verb(method), url_.prefix + target, 11);
  request.set(http::field::host, LinkOver<beast::tcp_stream>::hostField(url_));
  request.set(http::field::accept, "application/json");
  if (!token_.empty()) request.set(http::field::authorization, "Bearer " + token_);
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = body;
  request.prepare_payload();
  if (link_ == nullptr) {
    SKEP_TRY(link_, connect());
  }
  http::response<http::string_body> response;
  const error_code error = link_->ask(request, response);
  if (error || !response.keep_alive()) link_.reset();
  if (context_->isInterrupted) return Error{ErrorCode::Aborted, "interrupted"};
  if (error) return errorOf(error, url_);
  return RemoteReply{.status = response.result_int(), .body = std::move(response.body())};
}

Result<RemoteReply> RemoteClient::openSocket(const std::string& target) {
  socket_.reset();
  closeCode_ = 1006;
  closeReason_.clear();
  SKEP_TRY(std::unique_ptr<Link> link, connect());
  http::response<http::string_body> response;
  const error_code error = link->upgrade(url_.prefix + target, token_, response);
  if (context_->isInterrupted) return Error{ErrorCode::Aborted, "interrupted"};
  if (error == websocket::error::upgrade_declined) {
    return RemoteReply{.status = response.result_int(), .body = std::move(response.body())};
  }
  if (error) return errorOf(error, url_);
  socket_ = std::move(link);
  return RemoteReply{.status = 200, .body = {}};
}

Status RemoteClient::send(const std::string& message) {
  const error_code error = socket_->send(message);
  if (context_->isInterrupted) return Error{ErrorCode::Aborted, "interrupted"};
  if (error) return errorOf(error, url_);
  return {};
}

Result<std::optional<std::string>> RemoteClient::receive() {
  std::string message;
  const error_code error = socket_->receive(message);
  if (!error) return std::optional(std::move(message));
  if (context_->isInterrupted) return Error{ErrorCode::Aborted, "interrupted"};
  if (error == websocket::error::closed) {
    closeCode_ = socket_->reason().code;
    closeReason_ = std::string(socket_->reason().reason.c_str());
  }
  socket_.reset();
  return std::optional<std::string>();
}

unsigned RemoteClient::closeCode() const {
  return closeCode_;
}
std::string RemoteClient::closeReason() const {
  return closeReason_;
}

void RemoteClient::closeSocket() {
  if (socket_ != nullptr) socket_->close();
  socket_.reset();
}

Status RemoteClient::sleepFor(std::chrono::milliseconds duration) {
  asio::steady_timer timer(context_->io, duration);
  (void)context_->await([&](auto handler) { timer.async_wait(handler); });
  if (context_->isInterrupted) return Error{ErrorCode::Aborted, "interrupted"};
  return {};
}

void RemoteClient::interrupt() {
  context_->isInterrupted = true;
  // Wakes run_one(), if it waits.
  asio::post(context_->io, [] {});
}

}  // namespace skep::server
