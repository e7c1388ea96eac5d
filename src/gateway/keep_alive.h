// Keep-alive of TCP: by which a client that has vanished is noticed, whose machine lost power or its network
// and so never said that it goes. A connection on which nothing is said (a stream of events, an idle
// WebSocket) would stay for ever otherwise. Any thread.

#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "skep/base/clock.h"
#include "skep/base/result.h"

namespace skep::gateway {

/// Whoever is accepted afterwards is given up when its machine has acknowledged nothing for `silence`:
/// neither the signs of life that the system asks for after half of it, nor what it was sent. (On Linux a
/// connection inherits these options, so that none of them costs a system call.) Zero: never. Unavailable:
/// the system refuses the options.
Status expectSignsOfLife(boost::asio::ip::tcp::acceptor& acceptor, Duration silence);

}  // namespace skep::gateway
