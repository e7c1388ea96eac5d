// BodyBudget: how many bytes of requests' bodies the server has in memory at once.
//
// One client may have half of it, so that others get through. A lease grows with what arrives and is given
// back when the request has been answered. Any thread.
//
//   BodyLease lease(budget, client);
//   if (lease.growTo(arrived) != BodyLease::Growth::Granted) return tooMuch;

#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "skep/gateway/client_limits.h"

namespace skep::gateway {

class BodyBudget;

/// A part of the budget; gives it back when it goes. One thread at a time.
class BodyLease {
 public:
  enum class Growth { Granted, ClientHasTooMuch, ServerHasTooMuch };

  /// None, of no budget.
  BodyLease() = default;
  BodyLease(BodyBudget& budget, std::shared_ptr<Client> client)
      : budget_(&budget), client_(std::move(client)) {}
  BodyLease(BodyLease&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)),
        client_(std::move(other.client_)),
        bytes_(std::exchange(other.bytes_, 0)) {}
  BodyLease& operator=(BodyLease other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(client_, other.client_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~BodyLease();

  /// Never shrinks. When it is not granted it stays as large as it was.
  Growth growTo(std::size_t bytes);

 private:
  BodyBudget* budget_ = nullptr;
  std::shared_ptr<Client> client_;  // shared with its connections
  std::size_t bytes_ = 0;
};

class BodyBudget {
 public:
  explicit BodyBudget(std::size_t bytesMax) : bytesMax_(bytesMax) {}
  BodyBudget(const BodyBudget&) = delete;
  BodyBudget& operator=(const BodyBudget&) = delete;

  std::size_t bytes() const { return bytes_; }

 private:
  friend class BodyLease;
  /// `mine` of the sum is the lease's own: what is larger than all of it goes alone.
  static bool tryAdd(std::atomic<std::size_t>& sum, std::size_t mine, std::size_t more,
                     std::size_t max) {
    const std::size_t before = sum.fetch_add(more);
    if (before == mine || before + more <= max) return true;
    sum -= more;
    return false;
  }

  const std::size_t bytesMax_;
  std::atomic<std::size_t> bytes_ = 0;
};

inline BodyLease::Growth BodyLease::growTo(std::size_t bytes) {
  if (bytes <= bytes_) return Growth::Granted;
  const std::size_t more = bytes - bytes_;
  std::atomic<std::size_t>& ofClient = client_->bodyBytes();
  if (!BodyBudget::tryAdd(ofClient, bytes_, more, budget_->bytesMax_ / 2)) {
    return Growth::ClientHasTooMuch;
  }
  if (!BodyBudget::tryAdd(budget_->bytes_, bytes_, more, budget_->bytesMax_)) {
    ofClient -= more;
    return Growth::ServerHasTooMuch;
  }
  bytes_ = bytes;
  return Growth::Granted;
}

inline BodyLease::~BodyLease() {
  if (bytes_ == 0) return;
  budget_->bytes_ -= bytes_;
  client_->bodyBytes() -= bytes_;
}

}  // namespace skep::gateway
