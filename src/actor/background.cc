#include "skep/actor/background.h"

#include <functional>

#include "skep/actor/actor_instance.h"
#include "skep/base/log.h"

namespace skep::actor {
namespace {

// run() has no time limit.
constexpr Duration kForever = std::chrono::hours(24) * 36'500;
constexpr RetryOptions kRestarts = {.longest = std::chrono::minutes(1)};
// One that ran for so long before it failed starts over with the shortest wait.
constexpr Duration kLongRun = std::chrono::minutes(5);

}  // namespace

void Background::start() {
  if (!instance_.type().hasRun || !running_.tryEnter()) return;
  instance_.loop().spawn("run", [this] {
    runAgainAndAgain();
    running_.leave();
  });
}

void Background::stop() {
  stop_.requestAbort();
  if (invocation_ != nullptr) invocation_->stop();
}

void Background::runAgainAndAgain() {
  const std::uint64_t seed = std::hash<std::string>{}(instance_.databaseName());
  for (int failures = 0; !stop_.isAborted();) {
    const MonotonicTime startedAt = instance_.clock().monotonic();
    std::optional<call::Failure> failed;
    {
      Invocation invocation(instance_, kForever);
      invocation_ = &invocation;
      failed = instance_.runBackground(invocation);
      invocation_ = nullptr;
      isWaiting_ = false;
    }
    if (!failed) return;
    // A broken actor goes; the next one has a run() of its own.
    if (stop_.isAborted() || instance_.database().brokenBy() != nullptr) return;
    if (instance_.clock().monotonic() - startedAt >= kLongRun) failures = 0;
    ++failures;
    logWarn("actor", "run failed and starts again",
            {{"actor", instance_.address().toString()}, {"error", failed->toString()}});
    const Duration wait = std::chrono::milliseconds(kRestarts.delayMs(failures, seed));
    if (!fiber::sleepFor(wait, stop_.token())) return;
  }
}

}  // namespace skep::actor
