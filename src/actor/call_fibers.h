// CallFibers: the fibers on which a loop does what clients ask for. Bounded by what the process's stacks
// allow (fiber/stack_budget.h).
//
// Belongs to its loop.

#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>

#include "skep/call/failure.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"

namespace skep::actor {

class CallFibers {
 public:
  explicit CallFibers(fiber::Loop& loop) : loop_(loop) {}
  CallFibers(const CallFibers&) = delete;
  CallFibers& operator=(const CallFibers&) = delete;

  fiber::Loop& loop() { return loop_; }
  /// False: see refusal().
  bool spawn(std::string_view name, std::function<void()> body) {
    return loop_.hasRoom(fiber::Priority::Outside) &&
           start(name, std::move(body), fiber::Priority::Outside);
  }
  /// For what must not be left undone, and of which there are few. False: closed.
  bool spawnBeyondBound(std::string_view name, std::function<void()> body) {
    return start(name, std::move(body), fiber::Priority::Internal);
  }
  /// Why spawn() did not.
  call::Failure refusal() const {
    if (isClosed()) return {call::FailureCode::ShuttingDown, "this node is shutting down"};
    return {call::FailureCode::ActorOverloaded, "too many calls are under way on this node"};
  }
  bool isClosed() const { return gate_.isClosed(); }
  /// Refuses new ones and waits for the others. Suspends.
  void close() { gate_.close(); }

 private:
  bool start(std::string_view name, std::function<void()> body, fiber::Priority priority) {
    if (!gate_.tryEnter()) return false;
    loop_.spawn(
        name,
        [this, body = std::move(body)]() mutable {
          // What it holds goes before somebody may think that it has ended.
          std::exchange(body, nullptr)();
          gate_.leave();
        },
        priority);
    return true;
  }

  fiber::Loop& loop_;
  fiber::Gate gate_;
};

}  // namespace skep::actor
