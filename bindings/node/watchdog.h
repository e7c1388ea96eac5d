// Watchdog: tells the log when JavaScript does not come back: a loop without end, say. All actors of that
// thread wait meanwhile, and nothing on it could say so itself.
//
// A fiber of another thread asks the JavaScript thread for a sign, and then waits for it.
//
// Threading: made and destroyed on the JavaScript thread, or on a fiber of its loop; watch() is a fiber of
// another loop, and stop() belongs to that one.

#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"

namespace skep::node {

/// Whose code runs on a JavaScript thread. Any thread.
class CurrentActor {
 public:
  void set(std::string actor);
  /// Its code has come back; other code may run.
  void clear();
  struct Name {
    std::string actor;  // empty: nobody's yet
    bool isCurrent = false;
  };
  Name name() const;

 private:
  mutable std::mutex lock_;
  Name name_;
};

class Watchdog {
 public:
  /// Asks `loop`. Both outlive this, until watch() has returned.
  Watchdog(fiber::Loop& loop, const CurrentActor& current) : loop_(loop), current_(current) {}

  /// Until stop(). Suspends.
  void watch();
  void stop() { stop_.requestAbort(); }

 private:
  void tell(Duration since) const;

  fiber::Loop& loop_;
  const CurrentActor& current_;
  fiber::AbortSource stop_;
};

}  // namespace skep::node
