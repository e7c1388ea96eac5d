// The pipeline under many threads and under random failures, against a store that checks the order
// itself.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "skep/fiber/loop.h"
#include "skep/fiber/sync.h"
#include "skep/store/commit_pipeline.h"
#include "skep/testing/scripted_store/scripted_store.h"

namespace skep::store {
namespace {

using skep::testing::ScriptedStore;

std::uint64_t seedOfThisRun() {
  const char* given = std::getenv("SKEP_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

DatabaseWrite makeWrite(std::uint64_t database, Txid txid, std::size_t recordBytes = 50) {
  DatabaseWrite write{.id = {database}, .epoch = 1, .expectedTxid = txid - 1};
  write.commit = CommitHead{.txid = txid};
  write.record.resize(recordBytes);
  return write;
}

/// Applies writes to heads as a real store would, and notes whether two of one database were ever
/// at work at once.
class CheckingStore {
 public:
  explicit CheckingStore(ScriptedStore& store, std::uint64_t seed, unsigned failOneIn)
      : random_(seed), failOneIn_(failOneIn) {
    store.onWrite = [this](ScriptedStore::Writes writes) { return write(writes); };
  }

  Txid headOf(std::uint64_t database) { return heads_[database]; }
  std::size_t overlaps() const { return overlaps_; }
  std::size_t refusals() const { return refusals_; }

 private:
  std::vector<Status> write(ScriptedStore::Writes writes) {
    for (const DatabaseWrite& write : writes)
      overlaps_ += busy_.insert(write.id.value).second ? 0 : 1;
    for (auto waits = random_() % 4; waits > 0; --waits) fiber::yield();
    std::vector<Status> outcomes(writes.size());
    for (std::size_t i = 0; i < writes.size(); ++i) {
      const DatabaseWrite& write = writes[i];
      busy_.erase(write.id.value);
      Txid& head = heads_[write.id.value];
      if (head != write.expectedTxid) {
        ++refusals_;
        outcomes[i] = Error{ErrorCode::InvalidArgument, "wrong txid"};
      } else if (failOneIn_ != 0 && random_() % failOneIn_ == 0) {
        outcomes[i] = Error{ErrorCode::Unavailable, "scripted"};
      } else {
        head = write.commit->txid;
      }
    }
    return outcomes;
  }

  // Only pump fibers of one loop come here.
  std::mt19937_64 random_;
  const unsigned failOneIn_;
  std::map<std::uint64_t, Txid> heads_;
  std::set<std::uint64_t> busy_;
  std::size_t overlaps_ = 0;
  std::size_t refusals_ = 0;
};

TEST(CommitPipelineStress, random_writers_see_their_writes_applied_in_order_or_not_at_all) {
  const std::uint64_t seed = seedOfThisRun();
  SCOPED_TRACE("SKEP_TEST_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 30; ++round) {
    ManualClock clock;
    fiber::Loop loop(clock);
    ScriptedStore store;
    CheckingStore checking(store, random(), 20);
    CommitPipeline pipeline(loop, store,
                            {.batchesInFlightMax = 1 + random() % 4,
                             .batchWritesMax = 1 + random() % 20,
                             .batchBytesMax = 200 + random() % 5000,
                             .queueWritesMax = 1 + random() % 30,
                             .queueBytesMax = 200 + random() % 5000});
    const int databases = 1 + static_cast<int>(random() % 10);
    // Each database has a chain of writes that are submitted without waiting for each other; after
    // a failure the owner waits for the whole chain and continues from what was applied.
    for (int d = 1; d <= databases; ++d) {
      loop.spawn("owner", [&, d, own = std::mt19937_64(random())]() mutable {
        Txid durable = 0;
        while (durable < 100) {
          const auto chain = 1 + own() % 8;
          std::vector<int> outcomes(chain, 0);
          fiber::Gate gate;
          for (std::size_t i = 0; i < chain; ++i) {
            loop.spawn("writer", [&, i, txid = durable + 1 + i, bytes = own() % 400,
                                  holder = std::make_shared<fiber::GateHolder>(gate)] {
              const Status outcome =
                  pipeline.submit(makeWrite(static_cast<std::uint64_t>(d), txid, bytes));
              outcomes[i] = outcome ? 1 : outcome.error().code == ErrorCode::Aborted ? 2 : 3;
            });
            if (own() % 3 == 0) fiber::yield();
          }
          gate.close();
          std::size_t applied = 0;
          while (applied < chain && outcomes[applied] == 1) ++applied;
          durable += applied;
          ASSERT_EQ(checking.headOf(static_cast<std::uint64_t>(d)), durable);
          if (applied == chain) continue;
          ASSERT_EQ(outcomes[applied], 3);
        }
      });
    }
    loop.runUntilIdle();
    ASSERT_EQ(loop.fiberCount(), 0U);
    ASSERT_EQ(checking.overlaps(), 0U);
    const CommitPipelineStats stats = pipeline.stats();
    EXPECT_EQ(stats.writesQueued + stats.writesBlocked + stats.writesInFlight + stats.bytesQueued,
              0U);
  }
}

TEST(CommitPipelineStress, many_threads_commit_through_one_pipeline) {
  SystemClock clock;
  fiber::Loop storeLoop(clock);
  std::thread storeThread([&] { storeLoop.run(); });
  ScriptedStore store;
  CheckingStore checking(store, 1, 0);
  CommitPipeline pipeline(storeLoop, store, {.batchWritesMax = 16, .queueWritesMax = 20});

  constexpr int kLoops = 3;
  constexpr int kFibers = 20;
  constexpr int kPlainThreads = 3;
  constexpr Txid kWrites = 50;
  std::atomic<int> failures = 0;
  const auto commitAll = [&](std::uint64_t database) {
    for (Txid txid = 1; txid <= kWrites; ++txid) {
      if (!pipeline.submit(makeWrite(database, txid))) ++failures;
    }
  };
  std::vector<std::thread> threads;
  for (int l = 0; l < kLoops; ++l) {
    threads.emplace_back([&, l] {
      fiber::runOnFreshLoop(clock, [&](fiber::Loop& loop) {
        fiber::Gate gate;
        for (int f = 0; f < kFibers; ++f) {
          loop.spawn("owner", [&, l, f, holder = std::make_shared<fiber::GateHolder>(gate)] {
            commitAll(static_cast<std::uint64_t>(l * kFibers + f));
          });
        }
        gate.close();
      });
    });
  }
  for (int t = 0; t < kPlainThreads; ++t) {
    threads.emplace_back([&, t] { commitAll(static_cast<std::uint64_t>(1000 + t)); });
  }
  for (std::thread& thread : threads) thread.join();
  pipeline.close();
  storeLoop.stop();
  storeThread.join();

  EXPECT_EQ(failures, 0);
  EXPECT_EQ(checking.overlaps(), 0U);
  EXPECT_EQ(checking.refusals(), 0U);
  const CommitPipelineStats stats = pipeline.stats();
  EXPECT_EQ(stats.writes, (kLoops * kFibers + kPlainThreads) * kWrites);
  EXPECT_LE(stats.batches, stats.writes);
  for (int d = 0; d < kLoops * kFibers; ++d)
    EXPECT_EQ(checking.headOf(static_cast<std::uint64_t>(d)), kWrites);
}

TEST(CommitPipelineStress, threads_that_close_and_submit_at_once_leave_nothing_behind) {
  SystemClock clock;
  fiber::Loop storeLoop(clock);
  std::thread storeThread([&] { storeLoop.run(); });
  for (int round = 0; round < 50; ++round) {
    ScriptedStore store;
    auto pipeline = std::make_unique<CommitPipeline>(storeLoop, store);
    std::atomic<int> started = 0;
    std::vector<std::thread> writers;
    for (std::uint64_t t = 0; t < 3; ++t) {
      writers.emplace_back([&, t] {
        ++started;
        for (Txid txid = 1;; ++txid) {
          const Status outcome = pipeline->submit(makeWrite(t, txid));
          if (outcome) continue;
          EXPECT_EQ(outcome.error().code, ErrorCode::Aborted);
          return;
        }
      });
    }
    while (started < 3) std::this_thread::yield();
    pipeline->close();
    for (std::thread& writer : writers) writer.join();
    pipeline.reset();
  }
  storeLoop.stop();
  storeThread.join();
}

}  // namespace
}  // namespace skep::store
