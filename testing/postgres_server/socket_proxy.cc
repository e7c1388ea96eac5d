#include "skep/testing/postgres_server/socket_proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "skep/base/check.h"

namespace skep::testing {
namespace {

sockaddr_un addressOf(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  SKEP_CHECK(path.string().size() < sizeof address.sun_path, "%s is too long", path.c_str());
  std::strcpy(address.sun_path, path.c_str());
  return address;
}

constexpr std::size_t kFolderBytesMax = 70;  // a Unix socket's path has at most 107 bytes

int makeSocket() {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SKEP_CHECK(fd >= 0, "no socket");
  return fd;
}

}  // namespace

SocketProxy::SocketProxy(std::filesystem::path server) : server_(std::move(server)) {
  std::filesystem::path base = std::filesystem::temp_directory_path();
  if (base.string().size() > kFolderBytesMax) base = "/tmp";
  std::string name = (base / "skep-proxy-XXXXXX").string();
  SKEP_CHECK(mkdtemp(name.data()) != nullptr, "cannot make %s", name.c_str());
  directory_ = name;
  const sockaddr_un address = addressOf(directory_ / server_.filename());
  listener_ = makeSocket();
  SKEP_CHECK(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                 listen(listener_, 16) == 0,
             "cannot listen in %s", name.c_str());
  SKEP_CHECK(pipe2(wakePipe_, O_CLOEXEC) == 0, "no pipe");
  thread_ = std::thread([this] { run(); });
}

SocketProxy::~SocketProxy() {
  stopping_ = true;
  const char byte = 0;
  SKEP_CHECK(::write(wakePipe_[1], &byte, 1) == 1, "cannot wake the proxy");
  thread_.join();
  for (const int fd : {listener_, wakePipe_[0], wakePipe_[1]}) close(fd);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void SocketProxy::cutAfter(Direction direction, std::size_t bytes) {
  std::lock_guard lock(mutex_);
  cutDirection_ = direction;
  bytesUntilCut_ = bytes;
  cut_ = false;
}

bool SocketProxy::disarm() {
  std::lock_guard lock(mutex_);
  cutDirection_.reset();
  return cut_;
}

void SocketProxy::run() {
  while (!stopping_) {
    std::vector<pollfd> polled = {{wakePipe_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const Connection& connection : connections_) {
      polled.push_back({connection.client, POLLIN, 0});
      polled.push_back({connection.server, POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    auto next = polled.begin() + 2;
    for (auto it = connections_.begin(); it != connections_.end();) {
      const short fromClient = (next++)->revents;
      const short fromServer = (next++)->revents;
      const bool alive = (fromClient == 0 || forward(*it, Direction::ToServer)) &&
                         (fromServer == 0 || forward(*it, Direction::ToClient));
      if (alive) {
        ++it;
        continue;
      }
      close(it->client);
      close(it->server);
      it = connections_.erase(it);
    }
    if (polled[1].revents != 0) acceptOne();
  }
  for (const Connection& connection : connections_) {
    close(connection.client);
    close(connection.server);
  }
}

void SocketProxy::acceptOne() {
  Connection connection;
  connection.client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  connection.server = makeSocket();
  const sockaddr_un address = addressOf(server_);
  if (connection.client >= 0 &&
      connect(connection.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
          0) {
    connections_.push_back(connection);
    return;
  }
  close(connection.server);
  if (connection.client >= 0) close(connection.client);
}

// False when the connection has ended or is to be cut.
bool SocketProxy::forward(Connection& connection, Direction direction) {
  const bool toServer = direction == Direction::ToServer;
  char buffer[16 * 1024];
  const ssize_t got = read(toServer ? connection.client : connection.server, buffer, sizeof buffer);
  if (got <= 0) return false;
  return deliver(toServer ? connection.server : connection.client, direction, buffer,
                 static_cast<std::size_t>(got));
}

bool SocketProxy::deliver(int to, Direction direction, const char* data, std::size_t size) {
  bool cuts = false;
  {
    std::lock_guard lock(mutex_);
    if (cutDirection_ == direction) {
      cuts = size > bytesUntilCut_;
      size = std::min(size, bytesUntilCut_);
      bytesUntilCut_ -= size;
      if (cuts) {
        cut_ = true;
        cutDirection_.reset();
      }
    }
  }
  while (size > 0) {
    const ssize_t sent = send(to, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return !cuts;
}

}  // namespace skep::testing
