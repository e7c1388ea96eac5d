#include "skep/store/commit_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "skep/fiber/loop.h"
#include "skep/testing/scripted_store/scripted_store.h"

namespace skep::store {
namespace {

using skep::testing::ScriptedStore;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

/// One call of the store that waits until the test answers it.
struct Call {
  std::vector<std::string> writes;  // "database.txid"
  std::vector<Status> outcomes;
  fiber::Waker answer;
};

/// A pipeline on a simulated loop, and a store whose calls wait for the test. A write is named by
/// its database and its txid.
class CommitPipelineTest : public ::testing::Test {
 protected:
  CommitPipelineTest() {
    store.onWrite = [this](ScriptedStore::Writes writes) {
      Call call;
      for (const DatabaseWrite& write : writes) {
        call.writes.push_back(nameOf(write.id.value, write.commit->txid));
      }
      call.outcomes.resize(writes.size());
      fiber::suspend([&](fiber::Waker waker) {
        call.answer = waker;
        calls.push_back(&call);
      });
      return std::move(call.outcomes);
    };
  }
  ~CommitPipelineTest() override {
    close();
    EXPECT_THAT(calls, IsEmpty());
  }

  static std::string nameOf(std::uint64_t database, Txid txid) {
    return std::to_string(database) + "." + std::to_string(txid);
  }
  void start(CommitPipelineOptions options = {}) { pipeline.emplace(loop, store, options); }

  /// Submits from a fiber of its own; its outcome goes to `log`.
  void submit(std::uint64_t database, Txid txid, std::size_t recordBytes = 10) {
    loop.spawn("writer", [=, this] {
      DatabaseWrite write{.id = {database}, .epoch = 1, .expectedTxid = txid - 1};
      write.commit = CommitHead{.txid = txid};
      write.record.resize(recordBytes);
      const Status outcome = pipeline->submit(std::move(write));
      const std::string name = nameOf(database, txid);
      log.push_back(outcome ? name : name + " " + std::string(errorCodeName(outcome.error().code)));
    });
  }
  void settle() { loop.runUntilIdle(); }

  /// Answers the oldest call: all succeed, except those named in `failures`.
  void answer(const std::map<std::string, ErrorCode>& failures = {}) {
    ASSERT_THAT(calls, Not(IsEmpty()));
    Call& call = *calls.front();
    calls.pop_front();
    for (std::size_t i = 0; i < call.writes.size(); ++i) {
      const auto failure = failures.find(call.writes[i]);
      if (failure != failures.end()) call.outcomes[i] = Error{failure->second, "scripted"};
    }
    call.answer.wake();
    settle();
  }
  void close() {
    bool closed = false;
    loop.spawn("closer", [&] {
      pipeline->close();
      closed = true;
    });
    settle();
    while (!calls.empty()) answer();
    EXPECT_TRUE(closed);
  }

  ManualClock clock;
  fiber::Loop loop{clock};
  ScriptedStore store;
  std::deque<Call*> calls;  // that wait for their answers, oldest first
  std::optional<CommitPipeline> pipeline;
  std::vector<std::string> log;
};

TEST_F(CommitPipelineTest, a_lone_write_goes_at_once) {
  start();
  submit(1, 1);
  settle();
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.1"));
  EXPECT_THAT(log, IsEmpty());
  answer();
  EXPECT_THAT(log, ElementsAre("1.1"));
}

TEST_F(CommitPipelineTest, what_is_submitted_together_goes_together) {
  start();
  for (int database = 1; database <= 5; ++database) submit(database, 1);
  settle();
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.1", "2.1", "3.1", "4.1", "5.1"));
  answer();
  EXPECT_THAT(log, ElementsAre("1.1", "2.1", "3.1", "4.1", "5.1"));
}

TEST_F(CommitPipelineTest, writes_gather_while_as_many_batches_as_allowed_are_in_flight) {
  start({.batchesInFlightMax = 2});
  for (int database = 1; database <= 6; ++database) {
    submit(database, 1);
    settle();
  }
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.1"));
  EXPECT_THAT(calls[1]->writes, ElementsAre("2.1"));
  EXPECT_EQ(pipeline->stats().batchesInFlight, 2U);
  EXPECT_EQ(pipeline->stats().writesQueued, 4U);
  answer();
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_THAT(calls[1]->writes, ElementsAre("3.1", "4.1", "5.1", "6.1"));
}

TEST_F(CommitPipelineTest, writes_of_one_database_go_one_after_the_other) {
  start({.batchesInFlightMax = 3});
  for (Txid txid = 1; txid <= 3; ++txid) submit(1, txid);
  submit(2, 1);
  settle();
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.1", "2.1"));
  submit(2, 2);
  submit(3, 1);
  settle();
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_THAT(calls[1]->writes, ElementsAre("3.1"));
  answer();
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_THAT(calls[1]->writes, ElementsAre("1.2", "2.2"));
  answer();
  answer();
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.3"));
  answer();
  EXPECT_THAT(log, ElementsAre("1.1", "2.1", "3.1", "1.2", "2.2", "1.3"));
}

TEST_F(CommitPipelineTest, a_batch_has_at_most_its_number_of_writes) {
  start({.batchesInFlightMax = 2, .batchWritesMax = 2});
  for (int database = 1; database <= 5; ++database) submit(database, 1);
  settle();
  ASSERT_THAT(calls, SizeIs(2));
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.1", "2.1"));
  EXPECT_THAT(calls[1]->writes, ElementsAre("3.1", "4.1"));
  answer();
  answer();
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_THAT(calls[0]->writes, ElementsAre("5.1"));
}

TEST_F(CommitPipelineTest, a_batch_keeps_to_its_bytes_and_a_larger_write_goes_alone) {
  start({.batchesInFlightMax = 1, .batchBytesMax = 1000});
  submit(1, 1, 300);
  submit(2, 1, 300);
  submit(3, 1, 300);
  submit(4, 1, 5000);
  submit(5, 1, 1);
  settle();
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.1", "2.1"));
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("3.1"));
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("4.1"));
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("5.1"));
}

// It would hold up the commits that share its store transaction.
TEST_F(CommitPipelineTest, a_write_that_removes_much_goes_alone) {
  DatabaseWrite fold;
  fold.superseded.resize(64);
  EXPECT_LT(fold.sizeBytes(), CommitPipelineOptions{}.batchBytesMax / 8) << "a usual one does not";
  DatabaseWrite truncation;
  truncation.dropChunksFrom = 1;
  truncation.dropsAbout = 16'000;  // of 1 GiB
  EXPECT_GT(truncation.sizeBytes(), CommitPipelineOptions{}.batchBytesMax);
  DatabaseWrite discard;
  discard.discardStaging = true;
  EXPECT_GT(discard.sizeBytes(), CommitPipelineOptions{}.batchBytesMax / 2);
}

TEST_F(CommitPipelineTest, without_batching_each_write_is_a_transaction_of_its_own) {
  start({.batchesInFlightMax = 1, .batchWritesMax = 1});
  for (int database = 1; database <= 3; ++database) submit(database, 1);
  settle();
  for (int database = 1; database <= 3; ++database) {
    ASSERT_THAT(calls, SizeIs(1));
    EXPECT_THAT(calls[0]->writes, ElementsAre(nameOf(database, 1)));
    answer();
  }
}

TEST_F(CommitPipelineTest, the_failure_of_one_write_leaves_the_others_of_its_batch_alone) {
  start();
  for (int database = 1; database <= 4; ++database) submit(database, 1);
  settle();
  answer({{"2.1", ErrorCode::Fenced}, {"3.1", ErrorCode::UnknownOutcome}});
  EXPECT_THAT(log, ElementsAre("1.1", "2.1 fenced", "3.1 unknown_outcome", "4.1"));
  EXPECT_EQ(pipeline->stats().writesFailed, 2U);
}

TEST_F(CommitPipelineTest, a_failure_aborts_what_is_queued_behind_it_in_the_same_database) {
  start();
  for (Txid txid = 1; txid <= 4; ++txid) submit(1, txid);
  submit(2, 1);
  submit(2, 2);
  settle();
  answer();
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.2", "2.2"));
  log.clear();
  answer({{"1.2", ErrorCode::Unavailable}});
  EXPECT_THAT(log, ElementsAre("1.2 unavailable", "1.3 aborted", "1.4 aborted", "2.2"));
  EXPECT_THAT(calls, IsEmpty());
  EXPECT_EQ(pipeline->stats().writesAborted, 2U);
  EXPECT_EQ(pipeline->stats().writesQueued, 0U);
}

TEST_F(CommitPipelineTest, a_database_goes_on_after_its_failure_was_reported) {
  start();
  submit(1, 1);
  settle();
  answer({{"1.1", ErrorCode::Unavailable}});
  submit(1, 1);
  settle();
  ASSERT_THAT(calls, SizeIs(1));
  answer();
  EXPECT_THAT(log, ElementsAre("1.1 unavailable", "1.1"));
}

TEST_F(CommitPipelineTest, a_write_submitted_before_the_failure_is_reported_is_aborted_too) {
  start();
  submit(1, 1);
  settle();
  Call& call = *calls.front();
  calls.pop_front();
  call.outcomes[0] = Error{ErrorCode::Fenced, "scripted"};
  call.answer.wake();
  // Sees that the store has reported, at a time when the writer's submit() has not returned yet.
  loop.spawn("racer", [&] {
    while (pipeline->stats().writesFailed == 0) fiber::yield();
    EXPECT_THAT(log, IsEmpty());
    DatabaseWrite write{.id = {1}, .epoch = 1, .expectedTxid = 1};
    write.commit = CommitHead{.txid = 2};
    const Status outcome = pipeline->submit(std::move(write));
    log.push_back(outcome ? "1.2" : "1.2 " + std::string(errorCodeName(outcome.error().code)));
  });
  settle();
  EXPECT_THAT(log, ::testing::UnorderedElementsAre("1.1 fenced", "1.2 aborted"));
}

TEST_F(CommitPipelineTest, a_full_queue_holds_up_submitters_first_come_first_served) {
  start({.batchesInFlightMax = 1, .batchWritesMax = 2, .queueWritesMax = 3});
  submit(100, 1);
  settle();
  for (int database = 1; database <= 8; ++database) submit(database, 1);
  settle();
  EXPECT_EQ(pipeline->stats().writesQueued, 3U);
  EXPECT_EQ(pipeline->stats().writesBlocked, 5U);
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.1", "2.1"));
  EXPECT_EQ(pipeline->stats().writesQueued, 3U);
  EXPECT_EQ(pipeline->stats().writesBlocked, 3U);
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("3.1", "4.1"));
  submit(9, 1);
  settle();
  answer();
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("7.1", "8.1"));
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("9.1"));
  EXPECT_EQ(pipeline->stats().writesBlocked, 0U);
}

TEST_F(CommitPipelineTest, the_queue_is_bounded_in_bytes_and_a_larger_write_enters_an_empty_one) {
  start({.batchesInFlightMax = 1, .batchWritesMax = 1, .queueBytesMax = 1000});
  submit(100, 1);
  settle();
  submit(1, 1, 600);
  submit(2, 1, 5000);
  submit(3, 1, 10);
  settle();
  // Number 3 would have room, but it came after number 2.
  EXPECT_EQ(pipeline->stats().writesQueued, 1U);
  EXPECT_EQ(pipeline->stats().writesBlocked, 2U);
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("1.1"));
  EXPECT_EQ(pipeline->stats().writesBlocked, 1U);
  EXPECT_GT(pipeline->stats().bytesQueued, 5000U);
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("2.1"));
  answer();
  EXPECT_THAT(calls[0]->writes, ElementsAre("3.1"));
}

TEST_F(CommitPipelineTest, a_failure_aborts_blocked_submitters_too_and_their_room_is_used) {
  start({.batchesInFlightMax = 1, .queueWritesMax = 2});
  submit(1, 1);
  settle();
  for (Txid txid = 2; txid <= 5; ++txid) submit(1, txid);
  submit(2, 1);
  settle();
  EXPECT_EQ(pipeline->stats().writesQueued, 2U);
  EXPECT_EQ(pipeline->stats().writesBlocked, 3U);
  answer({{"1.1", ErrorCode::Fenced}});
  EXPECT_THAT(
      log, ElementsAre("1.1 fenced", "1.2 aborted", "1.3 aborted", "1.4 aborted", "1.5 aborted"));
  ASSERT_THAT(calls, SizeIs(1));
  EXPECT_THAT(calls[0]->writes, ElementsAre("2.1"));
  EXPECT_EQ(pipeline->stats().writesBlocked, 0U);
}

TEST_F(CommitPipelineTest, close_waits_for_what_was_submitted_and_refuses_the_rest) {
  start({.batchesInFlightMax = 1});
  submit(1, 1);
  submit(1, 2);
  settle();
  for (int i = 0; i < 2; ++i) {
    loop.spawn("closer", [&] {
      pipeline->close();
      log.emplace_back("closed");
    });
  }
  settle();
  submit(2, 1);
  settle();
  EXPECT_THAT(log, ElementsAre("2.1 aborted"));
  answer();
  EXPECT_THAT(log, ElementsAre("2.1 aborted", "1.1"));
  answer();
  EXPECT_THAT(log, ElementsAre("2.1 aborted", "1.1", "1.2", "closed", "closed"));
}

TEST_F(CommitPipelineTest, close_waits_until_a_failure_is_reported) {
  start();
  submit(1, 1);
  submit(1, 2);
  settle();
  loop.spawn("closer", [&] {
    pipeline->close();
    log.emplace_back("closed");
    pipeline.reset();
  });
  settle();
  answer({{"1.1", ErrorCode::Fenced}});
  EXPECT_THAT(log, ElementsAre("1.1 fenced", "1.2 aborted", "closed"));
  start();
}

TEST_F(CommitPipelineTest, counts_what_it_does) {
  start();
  submit(1, 1, 100);
  submit(2, 1, 100);
  settle();
  EXPECT_EQ(pipeline->stats().writesInFlight, 2U);
  clock.advance(10ms);
  answer();
  const CommitPipelineStats stats = pipeline->stats();
  EXPECT_EQ(stats.batches, 1U);
  EXPECT_EQ(stats.writes, 2U);
  EXPECT_EQ(stats.writesFailed, 0U);
  EXPECT_GE(stats.bytes, 200U);
  EXPECT_EQ(stats.latencySum, Duration(20ms));
  EXPECT_EQ(stats.batchesInFlight, 0U);
  EXPECT_EQ(stats.writesInFlight, 0U);
}

TEST_F(CommitPipelineTest, an_idle_pipeline_has_no_fibers) {
  start();
  submit(1, 1);
  settle();
  answer();
  EXPECT_EQ(loop.fiberCount(), 0U);
}

using CommitPipelineDeathTest = CommitPipelineTest;

TEST_F(CommitPipelineDeathTest, destroying_a_working_pipeline_aborts) {
  start();
  EXPECT_DEATH(
      {
        submit(1, 1);
        settle();
        pipeline.reset();
      },
      "close\\(\\) it first");
}

}  // namespace
}  // namespace skep::store
