#include "skep/gateway/client_limits.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

#include "skep/base/check.h"

namespace skep::gateway {
namespace {

using boost::asio::ip::address;

/// As 16 bytes: an IPv4 address as the IPv6 address that stands for it.
boost::asio::ip::address_v6::bytes_type bytesOf(const address& address) {
  if (address.is_v6()) return address.to_v6().to_bytes();
  return boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4()).to_bytes();
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

bool Client::tryCount(std::atomic<std::size_t>& count, std::size_t max) {
  if (count.fetch_add(1, std::memory_order_relaxed) < max) return true;
  count.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

bool Client::tryBegin(MonotonicTime now) {
  if (!tryCount(underWay_, options_.underWayMax)) return false;
  if (tryTake(now)) return true;
  end();
  return false;
}

bool Client::tryTake(MonotonicTime now) {
  if (options_.perSecondMax <= 0) return true;
  constexpr std::int64_t kSecondNs = 1'000'000'000;
  const auto intervalNs = static_cast<std::int64_t>(kSecondNs / options_.perSecondMax);
  std::int64_t evenly = evenlyNs_.load(std::memory_order_relaxed);
  while (true) {
    const std::int64_t next = std::max(evenly, now.ns) + intervalNs;
    if (next - now.ns > std::max(kSecondNs, intervalNs)) return false;
    if (evenlyNs_.compare_exchange_weak(evenly, next, std::memory_order_relaxed)) return true;
  }
}

ClientLimits::ClientLimits(const ClientLimitOptions& options) : options_(options) {
  for (const std::string& text : options.trustedProxies) {
    auto network = parseNetwork(text);
    SKEP_CHECK(network.ok(), "%s", network.error().message.c_str());
    proxies_.push_back(std::move(*network));
  }
}

Status ClientLimits::checkProxies(const std::vector<std::string>& proxies) {
  for (const std::string& text : proxies) {
    SKEP_TRY(const Network network, parseNetwork(text));
    (void)network;
  }
  return {};
}

Result<ClientLimits::Network> ClientLimits::parseNetwork(std::string_view text) {
  const Error wrong{ErrorCode::InvalidArgument,
                    "'" + std::string(text) + "' is neither an IP address nor a network of them"};
  const std::size_t slash = text.find('/');
  boost::system::error_code error;
  Network network;
  network.address = boost::asio::ip::make_address(std::string(text.substr(0, slash)), error);
  if (error) return wrong;
  const unsigned widest = network.address.is_v4() ? 32 : 128;
  network.bits = widest;
  if (slash != text.npos) {
    const std::string_view bits = text.substr(slash + 1);
    const auto [end, failed] =
        std::from_chars(bits.data(), bits.data() + bits.size(), network.bits);
    if (failed != std::errc() || end != bits.data() + bits.size() || network.bits > widest) {
      return wrong;
    }
  }
  network.bits += 128 - widest;
  return network;
}

bool ClientLimits::contains(const Network& network, const Address& address) {
  const auto left = bytesOf(network.address);
  const auto right = bytesOf(address);
  const std::size_t whole = network.bits / 8;
  if (!std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(whole), right.begin())) {
    return false;
  }
  const unsigned rest = network.bits % 8;
  return rest == 0 || ((left[whole] ^ right[whole]) >> (8 - rest)) == 0;
}

bool ClientLimits::isProxy(const Address& peer) const {
  return std::any_of(proxies_.begin(), proxies_.end(),
                     [&](const Network& each) { return contains(each, peer); });
}

/// From the right: each proxy adds at the end whom it heard from; what stands further left is hearsay.
ClientLimits::Address ClientLimits::original(const Address& peer,
                                             std::string_view forwardedFor) const {
  Address address = peer;
  while (isProxy(address) && !forwardedFor.empty()) {
    const std::size_t comma = forwardedFor.rfind(',');
    const std::string_view last =
        trim(comma == forwardedFor.npos ? forwardedFor : forwardedFor.substr(comma + 1));
    boost::system::error_code error;
    const Address next = boost::asio::ip::make_address(std::string(last), error);
    if (error) break;
    address = next;
    forwardedFor = comma == forwardedFor.npos ? std::string_view() : forwardedFor.substr(0, comma);
  }
  return address;
}

bool Client::isRested(MonotonicTime now) const {
  return underWay_ == 0 && connections_ == 0 && evenlyNs_ <= now.ns;
}

std::shared_ptr<Client> ClientLimits::clientOf(const Address& peer, std::string_view forwardedFor,
                                               MonotonicTime now) {
  const std::string name = original(peer, forwardedFor).to_string();
  const std::lock_guard lock(mutex_);
  if (clients_.size() >= sweepAt_) {
    std::erase_if(clients_, [&](const auto& each) {
      return each.second.use_count() == 1 && each.second->isRested(now);
    });
    sweepAt_ = std::max(kSweepAtLeast, 2 * clients_.size());
  }
  std::shared_ptr<Client>& client = clients_[name];
  if (client == nullptr) client = std::make_shared<Client>(options_);
  return client;
}

std::shared_ptr<Client> ClientLimits::open(const Address& peer, std::string_view forwardedFor,
                                           MonotonicTime now) {
  std::shared_ptr<Client> client = clientOf(peer, forwardedFor, now);
  if (!Client::tryCount(client->connections_, options_.connectionsMax)) return nullptr;
  Client* const counted = client.get();
  return {counted, [held = std::move(client)](Client* each) {
            each->connections_.fetch_sub(1, std::memory_order_relaxed);
          }};
}

}  // namespace skep::gateway
