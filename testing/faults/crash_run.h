// One run of random SQL through crashes, faults and competing owners, checked against the oracle.
// All of it follows from the seed.
//
// A run is a sequence of lives. In each, a process opens one or two databases on the same store,
// works on them, meets the faults of its plan, may be challenged by a second process, and ends by
// closing or by dying. What the next life finds must be a version that the life before may have
// left. The run ends with a clean process that compares the content and verifies the database down
// to the last byte (sql/check.h).
//
//   RunReport report = runThroughFaults({.seed = 7, .makeStore = …});
//   EXPECT_EQ(report.failure, "");

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "skep/base/clock.h"
#include "skep/sql/limits.h"
#include "skep/testing/faults/faulty_store.h"
#include "skep/testing/faults/sql_workload.h"
#include "skep/vfs/paged_file_options.h"

namespace skep::testing {

/// The store beneath a run. reopen() comes between lives, while nobody uses it.
class RunStore {
 public:
  virtual ~RunStore() = default;
  virtual store::PageStore& store() = 0;
  virtual void reopen() {}
};

struct RunOptions {
  std::uint64_t seed = 1;
  std::function<std::unique_ptr<RunStore>(Clock&)> makeStore;
  std::optional<FaultPoint> firstFault;  // fires in the first life, before any other
  std::ostream* trace = nullptr;         // gets every operation
};

struct RunReport {
  std::string failure;  // empty: all is well
  std::string plan;     // of the faults, life by life
  FaultCounts fired{};
};

RunReport runThroughFaults(const RunOptions& options);

/// A fixed sequence of operations, meeting one fault: what is left of it after a crash is done by
/// the next process.
struct ScriptOptions {
  std::vector<Operation> script;
  FaultShot fault;
  sql::Limits limits;
  bool expectsErrors = false;  // the limits are tight
  vfs::PagedFileOptions sizes;
  std::size_t cacheBytes = 64 << 20;
  std::function<std::unique_ptr<RunStore>(Clock&)> makeStore;
  std::ostream* trace = nullptr;
};

struct ScriptReport {
  std::string failure;  // empty: all is well
  bool fired = false;   // the fault
  // Of the lives before the last look:
  std::uint64_t opened = 0;       // opens that succeeded
  std::uint64_t laterErrors = 0;  // errors of what was done with an open database
};

ScriptReport runScriptThroughFault(const ScriptOptions& options);

}  // namespace skep::testing
