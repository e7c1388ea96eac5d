#include "skep/cluster/node_watch.h"

#include <algorithm>

namespace skep::cluster {

void NodeWatch::see(const std::vector<store::NodeBeat>& beats, store::Incarnation self,
                    MonotonicTime now) {
  if (isCutOff(now)) seen_.clear();
  heard_ = now;
  std::map<store::Incarnation, Seen> seen;
  for (const store::NodeBeat& beat : beats) {
    if (beat.incarnation == self) continue;
    const auto before = seen_.find(beat.incarnation);
    const bool isOld = before != seen_.end() && before->second.beat >= beat.beat;
    seen[beat.incarnation] = isOld ? before->second : Seen{.beat = beat.beat, .since = now};
  }
  seen_ = std::move(seen);
}

std::vector<NodeWatch::Suspect> NodeWatch::suspects(MonotonicTime now) const {
  std::vector<Suspect> suspects;
  if (isCutOff(now)) return suspects;
  for (const auto& [incarnation, seen] : seen_) {
    if (now - seen.since >= lease_) suspects.push_back({incarnation, seen.beat});
  }
  return suspects;
}

std::optional<MonotonicTime> NodeWatch::nextSuspicion() const {
  std::optional<MonotonicTime> next;
  for (const auto& [incarnation, seen] : seen_) {
    const MonotonicTime time = seen.since + lease_;
    next = next ? std::min(*next, time) : time;
  }
  return next;
}

}  // namespace skep::cluster
