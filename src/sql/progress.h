// Progress: how long work tells how far it is, and hears that it is to be given up.
//
//   Phases phases(progress, 2, pageCount);
//   if (!phases.report(pagesDone, pageCount)) return givenUp();
//   phases.next();

#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

#include "skep/base/result.h"

namespace skep::sql {

/// Called now and then with the pages done and the pages in all, a page once for each pass over it:
/// `done` never falls, and stays at or below `total`. Returning false gives the work up (Aborted).
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

inline Error givenUp() {
  return Error{ErrorCode::Aborted, "given up"};
}

/// Work of several passes over the same pages, seen as one. Borrows the function, which may be
/// empty.
class Phases {
 public:
  Phases(const Progress& progress, std::uint64_t count, std::uint64_t pages)
      : progress_(progress), pages_(pages), total_(count * pages) {}

  /// Starts the next phase: the one before is done.
  void next() { ++phase_; }
  /// `done` of this phase's `total` (0: unknown, or nothing to do) are done. False: give up.
  bool report(std::uint64_t done, std::uint64_t total) {
    if (!progress_.get()) return true;
    const std::uint64_t share = total == 0 ? 0 : std::min(done, total) * pages_ / total;
    furthest_ = std::max(furthest_, std::min(phase_ * pages_ + share, total_));
    return progress_.get()(furthest_, total_);
  }

 private:
  std::reference_wrapper<const Progress> progress_;
  std::uint64_t pages_;
  std::uint64_t total_;
  std::uint64_t phase_ = 0;
  std::uint64_t furthest_ = 0;
};

}  // namespace skep::sql
