#include "watchdog.h"

#include <utility>

#include "skep/base/log.h"

namespace skep::node {
namespace {

/// How often a sign is asked for, and how long it may take.
constexpr Duration kPatience = std::chrono::seconds(1);

}  // namespace

void CurrentActor::set(std::string actor) {
  const std::lock_guard guard(lock_);
  name_ = {std::move(actor), true};
}

void CurrentActor::clear() {
  const std::lock_guard guard(lock_);
  name_.isCurrent = false;
}

CurrentActor::Name CurrentActor::name() const {
  const std::lock_guard guard(lock_);
  return name_;
}

void Watchdog::watch() {
  // Shared: the sign may come when nobody waits for it any more.
  const auto isAnswered = std::make_shared<std::atomic<bool>>(true);
  Duration waited{};
  bool isTold = false;
  do {
    if (*isAnswered) {
      waited = {};
      isTold = false;
      *isAnswered = false;
      loop_.post([isAnswered] { *isAnswered = true; });
    } else {
      waited += kPatience;
      if (!std::exchange(isTold, true)) tell(waited);
    }
  } while (fiber::sleepFor(kPatience, stop_.token()));
}

void Watchdog::tell(Duration since) const {
  const CurrentActor::Name name = current_.name();
  logWarn("actor", "JavaScript does not come back, and all actors of its thread wait",
          {{name.isCurrent ? "actor" : "last_actor", name.actor},
           {"waited_ms", since.count() / 1'000'000}});
}

}  // namespace skep::node
