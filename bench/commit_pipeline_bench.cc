// What the commit pipeline itself costs a write: the store answers at once.

#include <benchmark/benchmark.h>

#include <memory>
#include <thread>
#include <vector>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/store/commit_pipeline.h"
#include "skep/testing/scripted_store/scripted_store.h"

namespace skep::store {
namespace {

using skep::testing::ScriptedStore;

void commitInALoop(CommitPipeline& pipeline, std::uint64_t database, std::int64_t writes) {
  for (std::int64_t i = 0; i < writes; ++i) {
    DatabaseWrite write{.id = {database}, .epoch = 1};
    write.commit = CommitHead{.txid = static_cast<Txid>(i + 1)};
    write.record.resize(300);
    benchmark::DoNotOptimize(pipeline.submit(std::move(write)));
  }
}

void commitOnFibers(fiber::Loop& loop, CommitPipeline& pipeline, std::int64_t fibers,
                    std::int64_t writesOfEach) {
  fiber::Gate gate;
  for (std::int64_t f = 0; f < fibers; ++f) {
    loop.spawn("writer", [&, f, holder = std::make_shared<fiber::GateHolder>(gate)] {
      commitInALoop(pipeline, static_cast<std::uint64_t>(f), writesOfEach);
    });
  }
  gate.close();
}

constexpr std::int64_t kWritesOfEach = 100;

void setCounters(benchmark::State& state, const CommitPipelineStats& stats) {
  state.SetItemsProcessed(static_cast<std::int64_t>(stats.writes));
  state.counters["writes_per_batch"] =
      static_cast<double>(stats.writes) / static_cast<double>(stats.batches);
}

/// Writers and pipeline on one loop. Time is that of one write; its record of 300 bytes is
/// allocated in it.
void sameLoop(benchmark::State& state) {
  SystemClock clock;
  ScriptedStore store;
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    CommitPipeline pipeline(loop, store);
    while (state.KeepRunningBatch(state.range(0) * kWritesOfEach)) {
      commitOnFibers(loop, pipeline, state.range(0), kWritesOfEach);
    }
    pipeline.close();
    setCounters(state, pipeline.stats());
  });
}
BENCHMARK(sameLoop)->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

/// Writers on a loop of their own; CPU time is that of both threads together.
void otherLoop(benchmark::State& state) {
  SystemClock clock;
  ScriptedStore store;
  fiber::Loop storeLoop(clock);
  std::thread storeThread([&] { storeLoop.run(); });
  CommitPipeline pipeline(storeLoop, store);
  fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
    while (state.KeepRunningBatch(state.range(0) * kWritesOfEach)) {
      commitOnFibers(loop, pipeline, state.range(0), kWritesOfEach);
    }
  });
  pipeline.close();
  storeLoop.stop();
  storeThread.join();
  setCounters(state, pipeline.stats());
}
BENCHMARK(otherLoop)->Arg(1)->Arg(100)->Arg(1000)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace skep::store

BENCHMARK_MAIN();
