#include "skep/gateway/turn_away.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/beast/http/write.hpp>
#include <sstream>
#include <string>
#include <utility>

#include "skep/gateway/common_fields.h"

namespace skep::gateway {

void turnAway(int socket, const Front& front, const call::Failure& why) {
  if (front.tls != nullptr) return;
  HttpRequest unread;
  nameRequest(unread);
  HttpResponse response = front.handler.refuse(unread, why);
  response.keep_alive(false);
  std::ostringstream text;
  text << response;
  const std::string bytes = std::move(text).str();
  (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)::shutdown(socket, SHUT_WR);
}

SpareDescriptor::SpareDescriptor() : spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

SpareDescriptor::~SpareDescriptor() {
  if (spare_ >= 0) ::close(spare_);
}

bool SpareDescriptor::turnAwayOne(boost::asio::ip::tcp::acceptor& acceptor, const Front& front) {
  if (spare_ >= 0) ::close(std::exchange(spare_, -1));
  const int socket =
      ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (socket >= 0) {
    turnAway(socket, front,
             {call::FailureCode::ActorOverloaded, "this node has too many connections"});
    ::close(socket);
  }
  spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  return socket >= 0;
}

}  // namespace skep::gateway
