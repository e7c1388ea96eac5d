// RemoteClient: a command's conversation with a server: HTTP requests, and one WebSocket.
//
// Each call blocks, with a time limit, until it is done or interrupt() is called. One thread, but for
// interrupt().
//
//   SKEP_TRY(RemoteUrl url, parseRemoteUrl("http://127.0.0.1:6420"));
//   RemoteClient client(url, token);
//   SKEP_TRY(RemoteReply reply, client.ask("POST", "/actors/counter/a/actions/increment", "[5]"));

#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "skep/base/result.h"
#include "skep/call/address.h"

namespace skep::server {

inline constexpr std::string_view kDefaultRemoteUrl = "http://127.0.0.1:6420";

struct RemoteUrl {
  bool isTls = false;
  std::string host;
  std::string port;
  std::string prefix;  // of all paths, without a slash at its end
};

/// InvalidArgument when it is no http:// or https:// URL, or has what does not belong there (a password, a
/// query).
Result<RemoteUrl> parseRemoteUrl(std::string_view text);

/// "/{type}/{key…}", percent-encoded so that no part is taken for a word of the routes.
std::string pathOf(const call::ActorAddress& actor);

struct RemoteReply {
  unsigned status = 0;
  std::string body;
  bool isGood() const { return status >= 200 && status < 300; }
};

/// Errors: Unavailable (the server cannot be reached, or the connection broke), TimedOut, AccessDenied (its
/// certificate is not trusted), Aborted (interrupt()).
class RemoteClient {
 public:
  /// `token`: shown with each request; empty: none.
  RemoteClient(RemoteUrl url, std::string token);
  ~RemoteClient();
  RemoteClient(const RemoteClient&) = delete;
  RemoteClient& operator=(const RemoteClient&) = delete;

  /// The connection is kept for the next request.
  Result<RemoteReply> ask(const char* method, const std::string& target,
                          const std::string& body = {});

  /// Opens a WebSocket, in place of one that is open. A reply that is not good: the server refused it.
  Result<RemoteReply> openSocket(const std::string& target);
  Status send(const std::string& message);
  /// The next message; nothing: the other side has closed the socket, closeCode() says how.
  Result<std::optional<std::string>> receive();
  unsigned closeCode() const;  // 1006: without a close
  std::string closeReason() const;
  /// Closes the socket in good order, also after interrupt().
  void closeSocket();

  /// Waits.
  Status sleepFor(std::chrono::milliseconds duration);
  /// Ends what waits, and all that follows, with Aborted. Any thread.
  void interrupt();

 private:
  class Link;
  template <class Stream>
  class LinkOver;
  struct Context;
  std::unique_ptr<Link> makeLink();
  /// A new connection to the server.
  Result<std::unique_ptr<Link>> connect();

  const RemoteUrl url_;
  const std::string token_;
  const std::unique_ptr<Context> context_;
  std::unique_ptr<Link> link_;    // HTTP
  std::unique_ptr<Link> socket_;  // WebSocket
  unsigned closeCode_ = 1006;
  std::string closeReason_;
};

}  // namespace skep::server
