// SimLink: one direction of a network path, that takes time, loses, and can be cut; and SimCall, a call that
// goes over two of them.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "skep/fiber/sync.h"
#include "skep/testing/cluster/sim_time.h"

namespace skep::testing {

struct SimLink {
  bool isCut = false;
  Duration delayMin = std::chrono::microseconds(100);
  Duration delayMax = std::chrono::milliseconds(3);  // so what is sent later may arrive first
  double loss = 0;

  /// Runs `arrive` when the message has come through, if it does. One that is on its way when the link is cut
  /// still arrives.
  void send(SimTime& time, std::mt19937_64& random, std::function<void()> arrive) const {
    const auto range = static_cast<std::uint64_t>((delayMax - delayMin).count() + 1);
    const Duration delay = delayMin + Duration(static_cast<std::int64_t>(random() % range));
    const bool isLost = std::uniform_real_distribution<>()(random) < loss;
    if (!isCut && !isLost) time.after(delay, std::move(arrive));
  }
};

/// An answer that a fiber waits for. What comes after its time limit is not heard.
template <class T>
class SimAnswer {
 public:
  /// On the world's side.
  void give(T value) {
    if (value_) return;
    value_.emplace(std::move(value));
    given_.notifyAll();
  }
  /// Suspends; nothing when the time limit, by the fiber's loop's clock, came first.
  std::optional<T> wait(Duration timeLimit) {
    if (!value_) (void)given_.waitFor(timeLimit);
    return std::move(value_);
  }

 private:
  std::optional<T> value_;
  fiber::Event given_;
};

}  // namespace skep::testing
