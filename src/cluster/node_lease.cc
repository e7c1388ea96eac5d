#include "skep/cluster/node_lease.h"

#include <algorithm>

namespace skep::cluster {

void NodeLease::begin(store::Incarnation incarnation, MonotonicTime sentAt, Duration granted) {
  end();
  endsNs_ = endOf(sentAt, granted).ns;
  incarnation_ = incarnation;
}

void NodeLease::extend(MonotonicTime sentAt, Duration granted) {
  endsNs_ = std::max(endsNs_.load(), endOf(sentAt, granted).ns);
}

void NodeLease::end() {
  incarnation_ = 0;
  endsNs_ = 0;
}

bool NodeLease::isHeldBy(store::Incarnation incarnation) const {
  if (incarnation == 0 || incarnation_.load() != incarnation) return false;
  const std::int64_t endsNs = endsNs_.load();
  // Asked last of all: the thread may have stood still until now.
  const bool isInTime = clock_.monotonic().ns < endsNs;
  // The end may be a later incarnation's.
  return isInTime && incarnation_.load() == incarnation;
}

}  // namespace skep::cluster
