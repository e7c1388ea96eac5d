// ActorWorld: actors in a test, on a clock that the test moves.
//
//   ActorWorld world;
//   world.add<Counter>("counter");
//   EXPECT_EQ(world.call("counter", "a", "increment", "[5]"), "5");
//   world.advance(31s);               // the actor falls asleep
//   world.restart();                  // a new process, in good order
//   world.crash();                    // a new process, after the death of the old one
//
// call() gives the reply as JSON, or "group.code: message" of a failure. Fibers of the test's own:
// spawn() them, then settle().

#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "skep/actor/host.h"
#include "skep/api/definition.h"
#include "skep/backend/memory/memory_store.h"
#include "skep/fiber/loop.h"
#include "skep/store/commit_pipeline.h"
#include "skep/testing/watched_store.h"
#include "skep/vfs/environment.h"

namespace skep::testing {

class ActorWorld {
 public:
  explicit ActorWorld(fiber::LoopOptions loop = {})
      : loopOptions_(loop), memory_(clock_), store_(memory_) {}
  ~ActorWorld() {
    store_.forgetHooks();
    end();
  }

  template <class T>
  void add(const std::string& name) {
    Status added = registry_.add(actorType<T>(name));
    ASSERT_TRUE(added.ok()) << added.error().toString();
  }
  void add(actor::ActorType type) {
    Status added = registry_.add(std::move(type));
    ASSERT_TRUE(added.ok()) << added.error().toString();
  }

  /// Runs an action on a fiber, and the loop until that ends.
  std::string call(const std::string& type, const std::string& key, const std::string& action,
                   const std::string& arguments = "[]");
  std::string call(call::ActionRequest request);
  static call::ActionRequest request(const std::string& type, const std::string& key,
                                     const std::string& action,
                                     const std::string& arguments = "[]");
  static std::string textOf(const call::Reply& reply);

  /// Runs `body` on a fiber, and the loop until that ends.
  void run(const std::function<void()>& body);
  void spawn(std::function<void()> body) { process().loop.spawn("test", std::move(body)); }
  /// Runs the loop until nothing is ready.
  void settle() { process().loop.runUntilIdle(); }
  void advance(Duration duration);

  /// The process ends in good order. The next call starts a new one.
  void restart();
  /// The process dies: it never runs again, and what was not durable is gone. The next call starts a new
  /// one; so does settle().
  void crash();

  actor::Host& host() { return process().host; }
  WatchedStore& store() { return store_; }
  ManualClock& clock() { return clock_; }
  actor::Registry& registry() { return registry_; }

 private:
  struct Process {
    Process(Clock& clock, store::PageStore& store, const actor::Registry& registry,
            fiber::LoopOptions options)
        : loop(clock, options),
          pipeline(loop, store),
          cache(64 * 1024 * 1024),
          environment{loop, store, pipeline, cache, {}},
          host(registry, {&environment}) {
      loop.spawn("start", [this] { host.start(); });
      loop.runUntilIdle();
    }
    fiber::Loop loop;
    store::CommitPipeline pipeline;
    vfs::PageCache cache;
    vfs::Environment environment;
    actor::Host host;
  };
  Process& process();
  void end();

  const fiber::LoopOptions loopOptions_;
  ManualClock clock_;
  backend::MemoryStore memory_;
  WatchedStore store_;
  actor::Registry registry_;
  std::unique_ptr<Process> process_;
};

}  // namespace skep::testing
