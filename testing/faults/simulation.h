// Simulation: processes that share a store, a network and a clock, on one thread and in virtual
// time.
//
// A Process is what the program wires for a database (pipeline, page cache, environment) above a
// FaultyStore of its own. Several can live at once: they are owners that compete for the same
// databases. Nothing waits in real time: when all fibers sleep, the clock jumps to the next timer.
// A stuck simulation aborts, naming what was being run.
//
//   Simulation simulation(store, "seed 7");
//   simulation.run([&] {
//     Process process(simulation, {}, options, cacheBytes, seed);
//     auto db = sql::Database::open(process.environment(), {.name = "a"});
//     …
//     process.close();
//   });

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "skep/base/clock.h"
#include "skep/fiber/loop.h"
#include "skep/store/commit_pipeline.h"
#include "skep/testing/faults/faulty_store.h"
#include "skep/vfs/environment.h"

namespace skep::testing {

class Simulation {
 public:
  /// `what` names the run, should it have to be aborted.
  explicit Simulation(std::string what);

  /// Runs `body` as a fiber until it returns.
  void run(const std::function<void()>& body);

  ManualClock& clock() { return clock_; }
  fiber::Loop& loop() { return loop_; }
  Network& network() { return network_; }

 private:
  std::string what_;
  ManualClock clock_;
  fiber::Loop loop_;
  Network network_;
};

/// Waits for a number of fibers. One loop.
class Joiner {
 public:
  explicit Joiner(fiber::Loop& loop) : loop_(loop) {}
  void spawn(std::function<void()> body);
  void join();  // suspends
  std::size_t running() const { return running_; }

 private:
  fiber::Loop& loop_;
  std::size_t running_ = 0;
  fiber::Event ended_;
};

class Process {
 public:
  Process(Simulation& simulation, store::PageStore& store, FaultPlan plan, std::uint64_t seed,
          vfs::PagedFileOptions options, std::size_t cacheBytes);
  /// Every database is closed, and close() was called.
  ~Process();

  void close() { pipeline_.close(); }  // suspends
  vfs::Environment& environment() { return environment_; }
  FaultyStore& store() { return store_; }

 private:
  FaultyStore store_;
  store::CommitPipeline pipeline_;
  vfs::PageCache cache_;
  vfs::Environment environment_;
};

}  // namespace skep::testing
