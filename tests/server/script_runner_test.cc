// ScriptRunner: what it says of statements, and that nothing it says comes before durability.

#include "skep/server/script_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "captured_output.h"
#include "skep/testing/watched_world.h"

namespace skep::server {
namespace {

using skep::testing::WatchedWorld;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

class ScriptRunnerTest : public ::testing::Test {
 protected:
  /// Runs `script` on a database with a table; its outcome.
  Status run(std::string_view script, ScriptOptions options = {.mode = OutputMode::List}) {
    Status outcome;
    world_.run([&] {
      auto db = world_.open("a");
      ASSERT_OK(db->run("CREATE TABLE IF NOT EXISTS t(a)"));
      ASSERT_OK(db->waitDurable());
      if (beforeScript) beforeScript(*db);
      ScriptRunner runner(*db, out_.sink, errors_.sink, interrupts_, world_.clock(), options);
      ScriptInput input{script};
      outcome = runner.run(input, "script");
      (void)db->close();
    });
    return outcome;
  }
  /// From now on every commit of the script finds that another owner has the database.
  void fence() {
    world_.watch().beforeWrite = [](const store::DatabaseWrite&) -> Status {
      return Error{ErrorCode::Fenced, "another owner has it"};
    };
  }
  std::size_t errorLines() {
    const std::string text = errors_.text();
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  Interrupts interrupts_;
  WatchedWorld world_;
  CapturedOutput out_;
  CapturedOutput errors_;
  std::function<void(sql::Database&)> beforeScript;
};

TEST_F(ScriptRunnerTest, shows_how_far_a_long_script_is_and_clears_that_before_it_prints) {
  int outer = -1;
  int inner = -1;
  ASSERT_EQ(::openpty(&outer, &inner, nullptr, nullptr, nullptr), 0);
  ASSERT_EQ(::fcntl(outer, F_SETFL, O_NONBLOCK), 0);
  ManualClock clock;
  Progress progress(clock, "running x.sql", inner);
  const auto shown = [&] {
    std::string all;
    char block[1024];
    for (ssize_t n = 0; (n = ::read(outer, block, sizeof block)) > 0;)
      all.append(block, static_cast<std::size_t>(n));
    return all;
  };
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(a)"));
    ScriptRunner runner(*db, out_.sink, errors_.sink, interrupts_, world_.clock(),
                        {.mode = OutputMode::List, .progress = &progress, .inputBytes = 1000});
    clock.advance(std::chrono::seconds(1));
    ScriptInput writing{std::string_view("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)")};
    ASSERT_OK(runner.run(writing, "x.sql"));
    EXPECT_THAT(shown(), HasSubstr("running x.sql"));
    EXPECT_EQ(out_.text(), "");
    clock.advance(std::chrono::seconds(1));
    progress.update(1, 2);
    ScriptInput reading{std::string_view("SELECT a FROM t")};
    ASSERT_OK(runner.run(reading, "x.sql"));
    EXPECT_THAT(shown(), ::testing::EndsWith("\r\x1b[K"));
    (void)db->close();
  });
  ::close(outer);
  ::close(inner);
}

TEST_F(ScriptRunnerTest, a_loss_is_told_beside_the_error_of_a_later_statement) {
  beforeScript = [this](sql::Database&) { fence(); };
  EXPECT_FALSE(run("INSERT INTO t VALUES (1);\nSELECT nowhere FROM t;").ok());
  EXPECT_THAT(errors_.text(), HasSubstr("no such column: nowhere"));
  EXPECT_THAT(errors_.text(), HasSubstr("error: fenced: "));
}

TEST_F(ScriptRunnerTest, a_loss_is_told_once) {
  beforeScript = [this](sql::Database&) { fence(); };
  EXPECT_FALSE(run("INSERT INTO t VALUES (1); SELECT 'never shown';").ok());
  EXPECT_THAT(errors_.text(), HasSubstr("fenced: "));
  EXPECT_EQ(errorLines(), 1u) << errors_.text();
  EXPECT_EQ(out_.text(), "");
}

TEST_F(ScriptRunnerTest, a_script_that_only_writes_ends_with_its_loss) {
  beforeScript = [this](sql::Database&) { fence(); };
  const Status ran = run("INSERT INTO t VALUES (1);");
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code, ErrorCode::Fenced);
  EXPECT_EQ(errorLines(), 1u) << errors_.text();
}

TEST_F(ScriptRunnerTest, a_time_is_told_only_of_what_is_durable) {
  beforeScript = [this](sql::Database&) {
    world_.watch().beforeWrite = [this](const store::DatabaseWrite&) -> Status {
      EXPECT_EQ(errors_.text(), "") << "told before the commit was in the store";
      return {};
    };
  };
  EXPECT_OK(run("INSERT INTO t VALUES (1);", {.timer = true}));
  EXPECT_THAT(errors_.text(), MatchesRegex("time: [0-9.]+ ms, 0 rows\n"));
  beforeScript = [this](sql::Database&) { fence(); };
  EXPECT_FALSE(run("INSERT INTO t VALUES (2);", {.timer = true}).ok());
  EXPECT_EQ(errorLines(), 2u) << errors_.text();
  EXPECT_THAT(errors_.text(), HasSubstr("fenced: "));
}

TEST_F(ScriptRunnerTest, an_interrupted_statement_is_called_done_only_when_it_is_durable) {
  beforeScript = [this](sql::Database& db) {
    fence();
    db.releaseMemory();
    // Ctrl-C while the statement waits for a page: it has too little left to do to notice.
    world_.watch().beforeRead = [](const store::ChunkReadRequest&) -> Status {
      EXPECT_EQ(::kill(::getpid(), SIGINT), 0);
      sigset_t pending;
      do {
        EXPECT_EQ(::sigpending(&pending), 0);
      } while (::sigismember(&pending, SIGINT) == 1);
      return {};
    };
  };
  EXPECT_FALSE(run("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);").ok());
  EXPECT_THAT(errors_.text(), HasSubstr("fenced: "));
  EXPECT_THAT(errors_.text(), Not(HasSubstr("was done")));
}

}  // namespace
}  // namespace skep::server
