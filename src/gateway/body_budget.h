// BodyBudget: how many bytes of requests' bodies the server has in memory, or waits for, at once.
//
// One client may have half of it, so that others get through. A lease is taken before a body is read
// and given back when the request has been answered. Any thread.
//
//   BodyLease lease = budget.take(client, bytes);
//   if (!lease) return overloaded;

#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "skep/gateway/client_limits.h"

namespace skep::gateway {

class BodyBudget;

/// A part of the budget; gives it back when it goes. False: there was none.
class BodyLease {
 public:
  BodyLease() = default;
  BodyLease(BodyLease&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)),
        client_(std::move(other.client_)),
        bytes_(other.bytes_) {}
  BodyLease& operator=(BodyLease other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(client_, other.client_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~BodyLease();
  explicit operator bool() const { return budget_ != nullptr; }

 private:
  friend class BodyBudget;
  BodyLease(BodyBudget& budget, std::shared_ptr<Client> client, std::size_t bytes)
      : budget_(&budget), client_(std::move(client)), bytes_(bytes) {}

  BodyBudget* budget_ = nullptr;
  std::shared_ptr<Client> client_;  // shared with its connections
  std::size_t bytes_ = 0;
};

class BodyBudget {
 public:
  explicit BodyBudget(std::size_t bytesMax) : bytesMax_(bytesMax) {}
  BodyBudget(const BodyBudget&) = delete;
  BodyBudget& operator=(const BodyBudget&) = delete;

  BodyLease take(const std::shared_ptr<Client>& client, std::size_t bytes) {
    if (!tryAdd(client->bodyBytes(), bytes, bytesMax_ / 2)) return {};
    if (tryAdd(bytes_, bytes, bytesMax_)) return {*this, client, bytes};
    client->bodyBytes() -= bytes;
    return {};
  }
  std::size_t bytes() const { return bytes_; }

 private:
  friend class BodyLease;
  static bool tryAdd(std::atomic<std::size_t>& sum, std::size_t bytes, std::size_t max) {
    // What is larger than all of it goes alone.
    const std::size_t before = sum.fetch_add(bytes);
    if (before == 0 || before + bytes <= max) return true;
    sum -= bytes;
    return false;
  }

  const std::size_t bytesMax_;
  std::atomic<std::size_t> bytes_ = 0;
};

inline BodyLease::~BodyLease() {
  if (budget_ == nullptr) return;
  budget_->bytes_ -= bytes_;
  client_->bodyBytes() -= bytes_;
}

}  // namespace skep::gateway
