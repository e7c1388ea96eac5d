// What fibers cost: starting one, giving the thread away, being woken by a neighbour and by another
// thread.

#include <benchmark/benchmark.h>

#include <thread>

#include "skep/fiber/channel.h"
#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/fiber/timer.h"

namespace skep::fiber {
namespace {

/// Runs the benchmark's loop inside a fiber.
void runFiber(benchmark::State& state, const std::function<void(Loop&)>& body) {
  SystemClock clock;
  runOnFreshLoop(clock, body);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

void spawnAndFinish(benchmark::State& state) {
  runFiber(state, [&](Loop& loop) {
    for (auto _ : state) {
      loop.spawn("short", [] {});
      yield();
    }
  });
}
BENCHMARK(spawnAndFinish);

void yieldAlone(benchmark::State& state) {
  runFiber(state, [&](Loop&) {
    for (auto _ : state) yield();
  });
}
BENCHMARK(yieldAlone);

void yieldAmong(benchmark::State& state) {
  runFiber(state, [&](Loop& loop) {
    bool done = false;
    Gate gate;
    for (std::int64_t i = 1; i < state.range(0); ++i) {
      loop.spawn("peer", [&, holder = std::make_shared<GateHolder>(gate)] {
        while (!done) yield();
      });
    }
    // One iteration is one turn of every fiber; the time reported is that of one switch.
    while (state.KeepRunningBatch(state.range(0))) yield();
    done = true;
    gate.close();
  });
}
BENCHMARK(yieldAmong)->Arg(10)->Arg(100)->Arg(1000);

void suspendAndResume(benchmark::State& state) {
  runFiber(state, [&](Loop&) {
    for (auto _ : state) suspend([](Waker waker) { waker.wake(); });
  });
}
BENCHMARK(suspendAndResume);

void eventPingPong(benchmark::State& state) {
  runFiber(state, [&](Loop& loop) {
    Event ping;
    Event pong;
    Gate gate;
    bool done = false;
    loop.spawn("pong", [&, holder = std::make_shared<GateHolder>(gate)] {
      while (!done) {
        ping.wait();
        pong.notifyOne();
      }
    });
    yield();
    for (auto _ : state) {
      ping.notifyOne();
      pong.wait();
    }
    done = true;
    ping.notifyOne();
    gate.close();
  });
}
BENCHMARK(eventPingPong);

void channelItem(benchmark::State& state) {
  runFiber(state, [&](Loop& loop) {
    Channel<int> channel(64);
    Gate gate;
    loop.spawn("consumer", [&, holder = std::make_shared<GateHolder>(gate)] {
      while (channel.receive()) {
      }
    });
    for (auto _ : state) channel.send(1);
    channel.close();
    gate.close();
  });
}
BENCHMARK(channelItem);

void timerArmAndCancel(benchmark::State& state) {
  runFiber(state, [&](Loop& loop) {
    Timer timer(loop);
    for (auto _ : state) {
      timer.callAfter(std::chrono::seconds(1), [] {});
      timer.cancel();
    }
  });
}
BENCHMARK(timerArmAndCancel);

void crossThreadRoundTrip(benchmark::State& state) {
  SystemClock clock;
  Loop other(clock);
  std::thread thread([&] { other.run(); });
  runFiber(state, [&](Loop&) {
    for (auto _ : state) {
      suspend([&](Waker waker) { other.post([waker]() mutable { waker.wake(); }); });
    }
  });
  other.stop();
  thread.join();
}
BENCHMARK(crossThreadRoundTrip)->UseRealTime();

/// Many fibers call over to the other thread at once: wakes share one notification.
void crossThreadRoundTripOfMany(benchmark::State& state) {
  SystemClock clock;
  Loop other(clock);
  std::thread thread([&] { other.run(); });
  runFiber(state, [&](Loop& loop) {
    const std::int64_t fibers = state.range(0);
    while (state.KeepRunningBatch(fibers)) {
      Gate gate;
      for (std::int64_t i = 0; i < fibers; ++i) {
        loop.spawn("caller", [&, holder = std::make_shared<GateHolder>(gate)] {
          suspend([&](Waker waker) { other.post([waker]() mutable { waker.wake(); }); });
        });
      }
      gate.close();
    }
  });
  other.stop();
  thread.join();
}
BENCHMARK(crossThreadRoundTripOfMany)->Arg(100)->UseRealTime();

}  // namespace
}  // namespace skep::fiber

BENCHMARK_MAIN();
