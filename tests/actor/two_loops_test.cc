// A host with two loops, each on a thread of its own: actors of both are woken for what is due.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "skep/actor/host.h"
#include "skep/api/registry.h"
#include "skep/backend/memory/memory_store.h"
#include "skep/fiber/loop.h"
#include "skep/store/commit_pipeline.h"
#include "skep/vfs/environment.h"

namespace skep::testing {
namespace {

using namespace std::chrono_literals;

std::atomic<int> ran{0};

struct Clockwork : Actor {
  static void define(Definition<Clockwork>& d) {
    d.action("plan", &Clockwork::plan).action("work", &Clockwork::work);
    d.queue("tasks", &Clockwork::task);
  }
  void plan(Context& c) {
    c.schedule().after(20ms, "work");
    c.queue<std::string>("tasks").send("task", {.delay = 20ms});
  }
  void work(Context& c) {
    c.kv().put("worked", true);
    ++ran;
  }
  void task(Context&, std::string) { ++ran; }
};

/// A loop on a thread, with what databases need of it.
struct Core {
  Core(Clock& clock, store::PageStore& store, vfs::PageCache& cache)
      : loop(clock),
        pipeline(loop, store),
        environment{loop, store, pipeline, cache, {}},
        thread([this] { loop.run(); }) {}
  ~Core() {
    fiber::OneShot<bool> closed;
    loop.spawn("close", [&] {
      pipeline.close();
      closed.set(true);
    });
    closed.wait();
    loop.stop();
    thread.join();
  }
  fiber::Loop loop;
  store::CommitPipeline pipeline;
  vfs::Environment environment;
  std::thread thread;
};

TEST(TwoLoopsTest, actors_of_both_loops_are_woken) {
  ran = 0;
  SystemClock clock;
  backend::MemoryStore store(clock);
  vfs::PageCache cache(16 * 1024 * 1024);
  const Registry types = registry<Clockwork>("clockwork");
  Core first(clock, store, cache);
  Core second(clock, store, cache);
  actor::Host host(types, {&first.environment, &second.environment});
  host.start();
  constexpr int kActors = 40;
  for (int i = 0; i < kActors; ++i) {
    const call::ActorAddress actor{.type = "clockwork", .key = {std::to_string(i)}};
    const call::Reply reply =
        host.run({.actor = actor, .action = "plan", .arguments = {.bytes = "[]"}});
    EXPECT_TRUE(std::holds_alternative<call::Payload>(reply));
    host.sleep(actor);
  }
  while (ran < 2 * kActors) std::this_thread::yield();
  host.close();
  EXPECT_EQ(ran, 2 * kActors);
  fiber::OneShot<bool> isDone;
  first.loop.spawn("look", [&] { isDone.set(store.dueAlarms(INT64_MAX, 10)->empty()); });
  EXPECT_TRUE(isDone.wait());
}

}  // namespace
}  // namespace skep::testing
