// One fixed story of a database, in which the first, the second, the third … call to the store
// fails, in every way that there is; then the same for SQLite's memory. After each, the database is
// what plain SQLite says, or was before.

#include <gtest/gtest.h>

#include "run_stores.h"
#include "skep/base/log.h"

namespace skep::testing {
namespace {

using Kind = Operation::Kind;

class Script {
 public:
  Script& sql(std::string text, std::vector<sql::Value> parameters = {}) {
    Operation& operation = add(Kind::Statement);
    operation.sql = std::move(text);
    operation.parameters = std::move(parameters);
    return *this;
  }
  Script& then(Kind kind) {
    add(kind);
    return *this;
  }
  Script& alarm(std::int64_t ms) {
    add(Kind::SetAlarm).alarmMs = ms;
    return *this;
  }
  Script& pause() {
    add(Kind::Pause).number = 20'001;  // long enough for what is under way to end
    return *this;
  }
  std::vector<Operation> take() { return std::move(operations_); }

 private:
  Operation& add(Kind kind) {
    operations_.emplace_back().kind = kind;
    return operations_.back();
  }
  std::vector<Operation> operations_;
};

sql::Value blobOf(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

/// Create, fill, fold, a staged transaction, an alarm, a rollback of a staged one, cold reads,
/// VACUUM, truncation and growth, close and open, destroy and begin anew.
std::vector<Operation> story() {
  Script script;
  script.sql("PRAGMA auto_vacuum = 2")
      .sql("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v BLOB, w TEXT)")
      .sql("CREATE INDEX IF NOT EXISTS t_w ON t(w)")
      .then(Kind::WaitDurable);
  for (std::uint64_t i = 0; i < 6; ++i) {
    script.sql("INSERT INTO t(v, w) VALUES (?, ?)", {blobOf(1500, i), "row " + std::to_string(i)});
    script.then(i % 2 == 0 ? Kind::WaitDurable : Kind::WaitBeside);
  }
  script.then(Kind::Begin);
  for (std::uint64_t i = 0; i < 5; ++i)
    script.sql("INSERT INTO t(v, w) VALUES (?, 'staged')", {blobOf(20'000, 100 + i)});
  script.alarm(5000)
      .then(Kind::Commit)
      .sql("UPDATE t SET w = 'after the flip' WHERE id = 1")
      .alarm(7000)
      .pause();
  script.then(Kind::ReleaseMemory).then(Kind::CompareContent);
  script.then(Kind::Begin);
  for (std::uint64_t i = 0; i < 4; ++i)
    script.sql("INSERT INTO t(v, w) VALUES (?, 'never')", {blobOf(20'000, 200 + i)});
  script.then(Kind::Rollback)
      .sql("INSERT INTO t(v, w) VALUES ('x', 'after the rollback')")
      .then(Kind::SetProperties);
  script.then(Kind::ReleaseMemory).then(Kind::CompareContent);
  script.sql("DELETE FROM t WHERE w = 'staged' AND id % 2 = 0")
      .sql("PRAGMA incremental_vacuum(20)")
      .then(Kind::WaitDurable);
  script.sql("INSERT INTO t(v, w) VALUES (?, 'grown again')", {blobOf(30'000, 300)}).pause();
  script.sql("VACUUM").then(Kind::ReleaseMemory).then(Kind::CompareContent).then(Kind::WaitDurable);
  script.then(Kind::CloseAndOpen)
      .then(Kind::CompareContent)
      .sql("DELETE FROM t WHERE id > 2")
      .then(Kind::WaitDurable);
  script.then(Kind::DestroyAndOpen)
      .sql("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v BLOB, w TEXT)")
      .sql("INSERT INTO t(v, w) VALUES (?, 'a new life')", {blobOf(3000, 400)})
      .alarm(9000)
      .then(Kind::CloseAndOpen);
  return script.take();
}

ScriptOptions tellStory() {
  ScriptOptions options;
  options.script = story();
  options.makeStore = makeInMemory;
  options.sizes.logBytesMin = 4096;
  options.sizes.transactionBytesMax = 12 * 4096;
  options.sizes.undurableBytesMax = 16 * 4096;
  options.sizes.dirtyPagesMax = 10;
  options.sizes.readAheadChunksMax = 2;
  options.cacheBytes = 40 * 4200;
  return options;
}

class EveryCall : public ::testing::TestWithParam<FaultAction> {};

TEST_P(EveryCall, may_fail_and_nothing_is_lost) {
  setLogLevel(LogLevel::Off);
  constexpr std::uint32_t kCallsMax = 1000;
  ScriptOptions options = tellStory();
  for (const std::uint32_t repeat : {1u, 3u}) {
    for (std::uint32_t nth = 1;; ++nth) {
      ASSERT_LT(nth, kCallsMax) << "the story never passes";
      options.fault = {.action = GetParam(), .kind = std::nullopt, .nth = nth, .repeat = repeat};
      const ScriptReport report = runScriptThroughFault(options);
      ASSERT_EQ(report.failure, "") << "fault " << options.fault.describe();
      if (report.fired) continue;
      EXPECT_GT(nth, 3u) << "too little happens";
      break;
    }
  }
}

std::vector<FaultAction> allActions() {
  std::vector<FaultAction> actions;
  for (std::size_t i = 0; i < kFaultActions; ++i) actions.push_back(static_cast<FaultAction>(i));
  return actions;
}

INSTANTIATE_TEST_SUITE_P(Fault, EveryCall, ::testing::ValuesIn(allActions()),
                         [](const auto& parameter) {
                           return std::string(faultActionName(parameter.param));
                         });

TEST(EveryAllocation, may_fail_and_nothing_is_lost) {
  setLogLevel(LogLevel::Off);
  constexpr std::size_t kStepBytes = 384;
  constexpr std::size_t kEnoughBytes = 4 << 20;
  ScriptOptions options = tellStory();
  options.fault = {.action = FaultAction::Before, .kind = std::nullopt, .nth = ~0u};
  options.expectsErrors = true;
  int unopened = 0;
  int failedLater = 0;
  int untouched = 0;
  for (std::size_t limit = 1000; limit < 400'000; limit += kStepBytes) {
    options.limits.memoryBytesMax = limit;
    const ScriptReport report = runScriptThroughFault(options);
    ASSERT_EQ(report.failure, "") << "with a memory limit of " << limit << " bytes";
    if (report.opened == 0) {
      ++unopened;
    } else if (report.laterErrors > 0) {
      ++failedLater;
    } else {
      ++untouched;
    }
  }
  // Every stage is met, many times over: the open fails, it succeeds and a later step fails, all of
  // it succeeds.
  EXPECT_GT(unopened, 20);
  EXPECT_GT(failedLater, 50);
  EXPECT_GT(untouched, 50);
  options.limits.memoryBytesMax = kEnoughBytes;
  options.expectsErrors = false;
  EXPECT_EQ(runScriptThroughFault(options).failure, "")
      << "the story needs more than " << kEnoughBytes;
}

}  // namespace
}  // namespace skep::testing
