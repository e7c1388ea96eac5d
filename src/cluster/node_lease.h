// NodeLease: this node's right to answer, by its own monotonic clock (I6).
//
// A renewal that succeeded extends it, counted from before the renewal was sent. It stops before the
// lease that the store granted does, by a tenth: so far may two clocks differ in rate
// (docs/decisions/0030-cluster.md).
//
// Threading: any thread; one changes it (Member).

#pragma once

#include <atomic>

#include "skep/base/clock.h"
#include "skep/store/membership.h"

namespace skep::cluster {

class NodeLease final : public store::Lease {
 public:
  explicit NodeLease(Clock& clock) : clock_(clock) {}

  /// A new incarnation, whose join was sent at `sentAt` and granted `granted`.
  void begin(store::Incarnation incarnation, MonotonicTime sentAt, Duration granted);
  /// A renewal of it succeeded. Renewals may come back in another order than they were sent.
  void extend(MonotonicTime sentAt, Duration granted);
  /// For ever: what was claimed under it is not answered for any more.
  void end();

  store::Incarnation incarnation() const override { return incarnation_.load(); }
  bool isHeldBy(store::Incarnation incarnation) const override;
  bool isHeld() const { return isHeldBy(incarnation()); }

 private:
  static MonotonicTime endOf(MonotonicTime sentAt, Duration granted) {
    return sentAt + granted / 10 * 9;
  }

  Clock& clock_;
  std::atomic<store::Incarnation> incarnation_{0};
  std::atomic<std::int64_t> endsNs_{0};
};

}  // namespace skep::cluster
