// Clients for benchmarks of HTTP: connections that are kept, on one thread which waits with epoll. Each
// sends its next request when the last is answered.

#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/check.h"

namespace skep::bench {

inline std::string post(const std::string& path, const std::string& body) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class LoadConnection {
 public:
  explicit LoadConnection(std::uint16_t port)
      : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SKEP_CHECK(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0,
               "connect: %s", std::strerror(errno));
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }
  ~LoadConnection() { ::close(descriptor_); }
  LoadConnection(const LoadConnection&) = delete;
  LoadConnection& operator=(const LoadConnection&) = delete;

  void send(const std::string& request) {
    sentAt_ = std::chrono::steady_clock::now();
    SKEP_CHECK(::write(descriptor_, request.data(), request.size()) ==
               static_cast<ssize_t>(request.size()));
  }
  /// Waits for bytes; whether the response is there now. Anything but a 2xx ends the process.
  bool receive() {
    char buffer[16 * 1024];
    const ssize_t n = ::read(descriptor_, buffer, sizeof(buffer));
    SKEP_CHECK(n > 0, "the server has closed: %s", std::strerror(errno));
    unread_.append(buffer, static_cast<std::size_t>(n));
    const std::size_t head = unread_.find("\r\n\r\n");
    if (head == unread_.npos) return false;
    const std::size_t length = unread_.find("Content-Length: ");
    SKEP_CHECK(length < head, "no length: %s", unread_.c_str());
    if (unread_.size() < head + 4 + std::strtoul(unread_.c_str() + length + 16, nullptr, 10)) {
      return false;
    }
    SKEP_CHECK(unread_.compare(9, 1, "2") == 0, "%s", unread_.c_str());
    unread_.clear();
    return true;
  }
  void ask(const std::string& request) {
    send(request);
    while (!receive()) {
    }
  }
  double microsSinceSent() const {
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - sentAt_)
        .count();
  }
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
  std::string unread_;
  std::chrono::steady_clock::time_point sentAt_;
};

/// Keeps `count` connections busy with what `next` gives; `answered` gets the time of each. Until `next`
/// gives nothing, and all is answered.
inline void keepBusy(std::uint16_t port, std::size_t count,
                     const std::function<std::string()>& next,
                     const std::function<void(double micros)>& answered) {
  std::vector<std::unique_ptr<LoadConnection>> connections;
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  std::size_t busy = 0;
  const auto go = [&](LoadConnection& connection) {
    const std::string request = next();
    if (request.empty()) return;
    connection.send(request);
    ++busy;
  };
  for (std::size_t i = 0; i < count; ++i) {
    connections.push_back(std::make_unique<LoadConnection>(port));
    epoll_event interest{.events = EPOLLIN, .data = {.u64 = i}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, connections[i]->descriptor(), &interest);
  }
  for (const auto& each : connections) go(*each);
  while (busy > 0) {
    epoll_event events[256];
    const int ready = ::epoll_wait(poll, events, 256, 10'000);
    SKEP_CHECK(ready > 0, "nothing came for ten seconds");
    for (int i = 0; i < ready; ++i) {
      LoadConnection& connection = *connections[events[i].data.u64];
      if (!connection.receive()) continue;
      answered(connection.microsSinceSent());
      --busy;
      go(connection);
    }
  }
  ::close(poll);
}

}  // namespace skep::bench
