// StoreProbe: whether the store answers now, for those who cannot wait as long as it may take.
//
// Threading: ask() on a fiber of any loop; the rest on the probe's. Lifetime: close() before it goes.

#pragma once

#include <cstdint>
#include <functional>

#include "skep/base/result.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"

namespace skep::server {

class StoreProbe {
 public:
  /// The time that the store has to answer.
  static constexpr Duration kPatience = std::chrono::seconds(1);

  /// `look` asks the store something, however long that takes; on a fiber of `loop`, once at a time.
  StoreProbe(fiber::Loop& loop, std::function<Status()> look);

  /// What a look gives that was under way or begins now. Unavailable when it does not end in time. Suspends.
  Status ask();
  /// Waits for the look that is under way. Suspends.
  void close();

 private:
  Status askHere();
  void beginLook();

  fiber::Loop& loop_;
  const std::function<Status()> look_;
  bool isLooking_ = false;
  std::uint64_t looks_ = 0;  // that have ended
  Status outcome_;           // of the newest
  fiber::Event ended_;
  fiber::Gate work_;
};

}  // namespace skep::server
