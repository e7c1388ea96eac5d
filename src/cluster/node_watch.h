// NodeWatch: which nodes have not renewed for a whole lease, by this node's own clock.
//
// Counts from when the newest beat of a node was received: later than the node counts, which does so from
// before it was sent. Only time counts in which this node itself has heard from the store: after an outage
// all nodes have not renewed for long, and none is to blame. No I/O; belongs to one loop.

#pragma once

#include <map>
#include <optional>
#include <vector>

#include "skep/base/clock.h"
#include "skep/store/membership.h"

namespace skep::cluster {

class NodeWatch {
 public:
  struct Suspect {
    store::Incarnation incarnation = 0;
    std::uint64_t beat = 0;
  };

  /// After `silenceMax` without hearing anything, this node has been cut off itself.
  NodeWatch(Duration lease, Duration silenceMax) : lease_(lease), silenceMax_(silenceMax) {}

  /// These nodes are alive, as was received at `now`. `self` is not watched.
  void see(const std::vector<store::NodeBeat>& beats, store::Incarnation self, MonotonicTime now);
  std::vector<Suspect> suspects(MonotonicTime now) const;
  /// When the next one becomes a suspect, if nobody renews.
  std::optional<MonotonicTime> nextSuspicion() const;
  void forget() {
    seen_.clear();
    heard_.reset();
  }

 private:
  struct Seen {
    std::uint64_t beat = 0;
    MonotonicTime since;
  };

  bool isCutOff(MonotonicTime now) const { return !heard_ || now - *heard_ > silenceMax_; }

  const Duration lease_;
  const Duration silenceMax_;
  std::optional<MonotonicTime> heard_;
  std::map<store::Incarnation, Seen> seen_;
};

}  // namespace skep::cluster
