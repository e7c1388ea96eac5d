// Clients for benchmarks of WebSockets: many sockets on one thread, which waits with epoll. They write
// frames with a mask of zeros, and count messages without decoding them.

#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

class LoadSocket {
 public:
  /// Connects, upgrades, and sends `connect`; returns when that is answered. `source`: the client's address,
  /// as one address has not ports enough for very many.
  LoadSocket(std::uint16_t port, const std::string& path, const std::string& connect,
             std::uint32_t source = INADDR_LOOPBACK)
      : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    SKEP_CHECK(descriptor_ >= 0, "socket: %s", std::strerror(errno));
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    sockaddr_in own{.sin_family = AF_INET};
    own.sin_addr.s_addr = htonl(source);
    SKEP_CHECK(::bind(descriptor_, reinterpret_cast<sockaddr*>(&own), sizeof(own)) == 0, "bind: %s",
               std::strerror(errno));
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SKEP_CHECK(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0,
               "connect: %s", std::strerror(errno));
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    write("GET " + path +
          " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
          frame(connect));
    while (unread_.find("\r\n\r\n") == unread_.npos) readSome();
    unread_.erase(0, unread_.find("\r\n\r\n") + 4);
    takeMessages();
    while (messages_ == 0) {
      readSome();
      takeMessages();
    }
    messages_ = 0;
  }
  ~LoadSocket() { ::close(descriptor_); }
  LoadSocket(const LoadSocket&) = delete;
  LoadSocket& operator=(const LoadSocket&) = delete;

  static std::string frame(const std::string& text) {
    SKEP_CHECK(text.size() < 65536);
    std::string bytes("\x81");
    if (text.size() < 126) {
      bytes += static_cast<char>(0x80 | text.size());
    } else {
      bytes += static_cast<char>(0xfe);
      bytes += static_cast<char>(text.size() >> 8);
      bytes += static_cast<char>(text.size());
    }
    return bytes.append(4, '\0') + text;
  }

  void write(const std::string& bytes) {
    std::size_t written = 0;
    while (written < bytes.size()) {
      const ssize_t n = ::write(descriptor_, bytes.data() + written, bytes.size() - written);
      SKEP_CHECK(n > 0, "write: %s", std::strerror(errno));
      written += static_cast<std::size_t>(n);
    }
  }
  /// Waits for bytes, and gives the number of messages that they complete.
  std::size_t receive() {
    readSome();
    return takeMessages();
  }
  int descriptor() const { return descriptor_; }

 private:
  void readSome() {
    char buffer[64 * 1024];
    const ssize_t n = ::read(descriptor_, buffer, sizeof(buffer));
    SKEP_CHECK(n > 0, "the server has closed: %s", std::strerror(errno));
    unread_.append(buffer, static_cast<std::size_t>(n));
  }
  std::size_t takeMessages() {
    std::size_t taken = 0;
    std::size_t at = 0;
    while (unread_.size() - at >= 2) {
      std::size_t size = static_cast<std::uint8_t>(unread_[at + 1]);
      std::size_t head = 2;
      if (size == 126) {
        if (unread_.size() - at < 4) break;
        size = static_cast<std::size_t>(static_cast<std::uint8_t>(unread_[at + 2])) << 8 |
               static_cast<std::uint8_t>(unread_[at + 3]);
        head = 4;
      }
      if (unread_.size() - at < head + size) break;
      at += head + size;
      ++taken;
    }
    unread_.erase(0, at);
    messages_ += taken;
    return taken;
  }

  const int descriptor_;
  std::string unread_;
  std::size_t messages_ = 0;
};

/// Waits for all of `sockets`; calls `ready` with the index of each that has something to read, until it
/// returns false.
inline void serveAll(const std::vector<std::unique_ptr<LoadSocket>>& sockets,
                     const std::function<bool(std::size_t index)>& ready) {
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    epoll_event interest{.events = EPOLLIN, .data = {.u64 = i}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, sockets[i]->descriptor(), &interest);
  }
  bool goesOn = true;
  while (goesOn) {
    epoll_event events[256];
    const int count = ::epoll_wait(poll, events, 256, 1000);
    SKEP_CHECK(count > 0, "nothing came for a second");
    for (int i = 0; i < count && goesOn; ++i) goesOn = ready(events[i].data.u64);
  }
  ::close(poll);
}

}  // namespace skep::bench
