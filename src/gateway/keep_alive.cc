#include "skep/gateway/keep_alive.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <chrono>

namespace skep::gateway {

namespace {

template <int kName>
using TcpOption = boost::asio::detail::socket_option::integer<IPPROTO_TCP, kName>;

constexpr int kProbes = 3;

}  // namespace

Status expectSignsOfLife(boost::asio::ip::tcp::acceptor& acceptor, Duration silence) {
  if (silence <= Duration::zero()) return {};
  // What the system takes is whole seconds, at most 32767 of them.
  const auto seconds =
      std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::seconds>(silence).count(), 2, 32767);
  const int idle = static_cast<int>((seconds + 1) / 2);
  const int interval = std::max(1, static_cast<int>(seconds - idle) / kProbes);
  boost::system::error_code error;
  const auto set = [&](const auto& option) {
    if (!error) acceptor.set_option(option, error);
  };
  set(boost::asio::socket_base::keep_alive(true));
  set(TcpOption<TCP_KEEPIDLE>(idle));
  set(TcpOption<TCP_KEEPINTVL>(interval));
  set(TcpOption<TCP_KEEPCNT>(kProbes));
  // While something is on its way the system asks for no signs, and repeats it for many minutes.
  set(TcpOption<TCP_USER_TIMEOUT>(static_cast<int>(seconds * 1000)));
  if (!error) return {};
  return Error{ErrorCode::Unavailable,
               "the system refuses to watch connections: " + error.message()};
}

}  // namespace skep::gateway
