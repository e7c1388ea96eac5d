// ClientLimits: how much of the server one client may take. A client is an IP address.
//
// Behind a proxy all clients would be one: the addresses of proxies that are trusted are given, and
// then the client is the last one in `X-Forwarded-For` that is not such a proxy. Threading: any; a
// connection looks its client up once, and counts without a lock.

#pragma once

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "skep/base/clock.h"
#include "skep/base/result.h"

namespace skep::gateway {

struct ClientLimitOptions {
  std::size_t connectionsMax = 50'000;  // open at once
  std::size_t underWayMax = 20'000;     // requests and calls
  double perSecondMax = 200'000;        // requests and calls; that many may also come at once
  std::vector<std::string> trustedProxies = {};  // "10.0.0.0/8", "192.0.2.7"
};

class ClientLimits;

/// What one client has open and under way.
class Client {
 public:
  explicit Client(const ClientLimitOptions& options) : options_(options) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// False: too many at once, or too fast. Otherwise end() when it is answered.
  bool tryBegin(MonotonicTime now);
  void end() { underWay_.fetch_sub(1, std::memory_order_relaxed); }
  /// Bytes of bodies that it sends now.
  std::atomic<std::size_t>& bodyBytes() { return bodyBytes_; }

 private:
  friend class ClientLimits;
  static bool tryCount(std::atomic<std::size_t>& count, std::size_t max);
  bool tryTake(MonotonicTime now);
  /// Nothing that it did counts any more.
  bool isRested(MonotonicTime now) const;

  const ClientLimitOptions& options_;
  std::atomic<std::size_t> connections_ = 0;
  std::atomic<std::size_t> underWay_ = 0;
  std::atomic<std::size_t> bodyBytes_ = 0;
  /// When the requests so far would have come, had they come evenly at the highest rate (the generic
  /// cell rate algorithm of ITU-T I.371): a bucket of tokens in one number.
  std::atomic<std::int64_t> evenlyNs_ = 0;
};

class ClientLimits {
 public:
  using Address = boost::asio::ip::address;

  /// `options` outlives it, and its proxies have passed checkProxies().
  explicit ClientLimits(const ClientLimitOptions& options);
  /// InvalidArgument: something that is neither an address nor a network.
  static Status checkProxies(const std::vector<std::string>& proxies);

  bool isProxy(const Address& peer) const;
  /// The client behind a connection from `peer` that says so in X-Forwarded-For. Shared by its requests
  /// and connections; remembered until what they took does not count any more.
  std::shared_ptr<Client> clientOf(const Address& peer, std::string_view forwardedFor,
                                   MonotonicTime now);
  /// The same, and counts a connection of it for as long as somebody holds what this returns. Null: it
  /// has as many as it may.
  std::shared_ptr<Client> open(const Address& peer, std::string_view forwardedFor,
                               MonotonicTime now);

 private:
  static constexpr std::size_t kSweepAtLeast = 1024;

  struct Network {
    Address address;
    unsigned bits = 0;
  };
  static Result<Network> parseNetwork(std::string_view text);
  static bool contains(const Network& network, const Address& address);
  Address original(const Address& peer, std::string_view forwardedFor) const;

  const ClientLimitOptions& options_;
  std::vector<Network> proxies_;
  std::mutex mutex_;  // for what follows
  std::unordered_map<std::string, std::shared_ptr<Client>> clients_;
  std::size_t sweepAt_ = kSweepAtLeast;
};

}  // namespace skep::gateway
