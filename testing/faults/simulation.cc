#include "skep/testing/faults/simulation.h"

#include <unistd.h>
#include <csignal>
#include <cstring>

#include "skep/base/check.h"

namespace skep::testing {
namespace {

// A check that fails in the code under test aborts the process: say which run it was.
char runningNow[512];

extern "C" void nameRun(int) {
  if (write(STDERR_FILENO, runningNow, std::strlen(runningNow)) < 0) return;
}

}  // namespace

Simulation::Simulation(std::string what) : what_(std::move(what)), loop_(clock_) {
  std::snprintf(runningNow, sizeof runningNow, "aborted while running: %s\n", what_.c_str());
  std::signal(SIGABRT, nameRun);
}

void Simulation::run(const std::function<void()>& body) {
  bool done = false;
  loop_.spawn("simulation", [&] {
    body();
    done = true;
  });
  while (true) {
    loop_.runUntilIdle();
    if (done) return;
    if (const std::size_t inside = network_.callsInside(); inside != 0) {
      // A store with threads of its own: its answers come in real time.
      loop_.runUntil([&] { return network_.callsInside() < inside; });
      continue;
    }
    const std::optional<Duration> next = loop_.untilNextTimer();
    SKEP_CHECK(next.has_value(), "stuck: every fiber waits for another (%s)", what_.c_str());
    clock_.advance(*next);
  }
}

void Joiner::spawn(std::function<void()> body) {
  ++running_;
  loop_.spawn("joined", [this, body = std::move(body)] {
    body();
    --running_;
    ended_.notifyAll();
  });
}

void Joiner::join() {
  fiber::waitUntil(ended_, [this] { return running_ == 0; });
}

Process::Process(Simulation& simulation, store::PageStore& store, FaultPlan plan,
                 std::uint64_t seed, vfs::PagedFileOptions options, std::size_t cacheBytes)
    : store_(store, simulation.network(), std::move(plan), seed),
      pipeline_(simulation.loop(), store_),
      cache_(cacheBytes),
      environment_{simulation.loop(), store_, pipeline_, cache_, options} {}

Process::~Process() = default;

}  // namespace skep::testing
