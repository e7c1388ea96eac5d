// SocketProxy: stands between a client and a server's Unix socket, and cuts connections where a
// test says.
//
// The proxy listens in a temporary directory of its own, under the server's socket's name, so that
// a PostgreSQL URL differs only in its `host`. Bytes are counted per direction over all connections
// since the last cutAfter(): the connection that carries the byte after the limit is cut, both
// ways, after exactly that many bytes.
//
// Threading: any thread. The proxy has one thread of its own.
//
//   SocketProxy proxy(server.socketPath());
//   proxy.cutAfter(SocketProxy::Direction::ToClient, 0);   // the next answer never arrives

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace skep::testing {

class SocketProxy {
 public:
  enum class Direction : std::uint8_t { ToServer, ToClient };

  explicit SocketProxy(std::filesystem::path server);
  ~SocketProxy();
  SocketProxy(const SocketProxy&) = delete;
  SocketProxy& operator=(const SocketProxy&) = delete;

  /// The directory of the proxy's socket: libpq's `host`.
  const std::filesystem::path& directory() const { return directory_; }

  /// Cuts one connection, once: the one that would carry the byte after `bytes` more in that
  /// direction.
  void cutAfter(Direction direction, std::size_t bytes);
  /// Takes cutAfter() back. Returns whether a connection was cut since.
  bool disarm();

 private:
  struct Connection {
    int client = -1;
    int server = -1;
  };

  void run();
  void acceptOne();
  bool forward(Connection& connection, Direction direction);
  bool deliver(int to, Direction direction, const char* data, std::size_t size);

  std::filesystem::path server_;
  std::filesystem::path directory_;
  int listener_ = -1;
  int wakePipe_[2] = {-1, -1};
  std::atomic<bool> stopping_ = false;
  std::list<Connection> connections_;  // the thread's own

  std::mutex mutex_;
  std::optional<Direction> cutDirection_;
  std::size_t bytesUntilCut_ = 0;
  bool cut_ = false;

  std::thread thread_;
};

}  // namespace skep::testing
