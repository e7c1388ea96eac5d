// Conformance: many threads at once. Whatever the interleaving: one owner an epoch, no commit lost
// or doubled, and every reader sees one moment.

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::Claim;
using store::Create;
using store::DatabaseWrite;
using store::Epoch;
using store::Txid;

constexpr int kThreads = 6;

// Runs `body(thread number)` on each of the threads and waits for them.
template <class Body>
void onThreads(int count, Body body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

// What some thread was told: this record was committed at this txid under this epoch.
struct Acknowledged {
  Epoch epoch = 0;
  std::string record;
};

class History {
 public:
  void add(Txid txid, Acknowledged commit) {
    std::lock_guard lock(mutex_);
    EXPECT_TRUE(commits_.emplace(txid, commit).second)
        << "txid " << txid << " was acknowledged twice";
  }

  // The log holds exactly what was acknowledged, and epochs only grow along it.
  void expectInLog(store::PageStore& store, store::DatabaseId id) {
    const auto log = store.readLog(id, 0, 1 << 30);
    ASSERT_EQ(codeOf(log), "ok");
    Epoch lastEpoch = 0;
    std::map<Txid, std::string> stored;
    for (const auto& record : *log) stored[record.txid] = asText(record.bytes);
    for (const auto& [txid, commit] : commits_) {
      EXPECT_EQ(stored[txid], commit.record) << "acknowledged at txid " << txid;
      EXPECT_GE(commit.epoch, lastEpoch) << "a stale owner committed txid " << txid;
      lastEpoch = commit.epoch;
    }
    EXPECT_EQ(stored.size(), commits_.size()) << "commits that nobody was told of";
  }

  std::size_t size() const { return commits_.size(); }

 private:
  std::mutex mutex_;
  std::map<Txid, Acknowledged> commits_;
};

TEST_P(StoreConformance, threads_that_claim_at_once_get_an_epoch_each) {
  own("acme");
  constexpr int kClaims = 40;
  std::mutex mutex;
  std::set<Epoch> epochs;
  onThreads(kThreads, [&](int) {
    for (int i = 0; i < kClaims; ++i) {
      const auto opened = store().open({.name = "acme", .claim = Claim::Take});
      ASSERT_EQ(codeOf(opened), "ok");
      std::lock_guard lock(mutex);
      EXPECT_TRUE(epochs.insert(opened->head.epoch).second)
          << "two owners of epoch " << opened->head.epoch;
    }
  });
  EXPECT_EQ(epochs.size(), static_cast<std::size_t>(kThreads * kClaims));
  EXPECT_EQ(*epochs.rbegin(), 1u + kThreads * kClaims);
}

TEST_P(StoreConformance, threads_that_create_at_once_get_the_same_database) {
  for (int round = 0; round < 15; ++round) {
    const std::string name = "db" + std::to_string(round);
    std::atomic<int> created = 0;
    std::atomic<int> unique = 0;
    std::mutex mutex;
    std::set<store::DatabaseId> ids;
    onThreads(kThreads, [&](int thread) {
      const auto opened =
          store().open({.name = name, .create = Create::IfMissing, .claim = Claim::Take});
      ASSERT_EQ(codeOf(opened), "ok");
      created += opened->created ? 1 : 0;
      const auto fresh = store().open({.name = name + "/new", .create = Create::MustBeNew});
      ASSERT_TRUE(fresh.ok() || codeOf(fresh) == "already_exists")
          << codeOf(fresh) << " in " << thread;
      unique += fresh.ok() ? 1 : 0;
      std::lock_guard lock(mutex);
      ids.insert(opened->id);
    });
    EXPECT_EQ(created, 1);
    EXPECT_EQ(unique, 1);
    EXPECT_EQ(ids.size(), 1u);
    EXPECT_EQ(look(name).head.epoch, static_cast<Epoch>(kThreads));
  }
}

TEST_P(StoreConformance, owners_that_take_over_from_each_other_lose_and_double_nothing) {
  const std::uint64_t seed =
      testSeed("owners_that_take_over_from_each_other_lose_and_double_nothing");
  const Owner first = own("acme");
  History history;
  onThreads(kThreads, [&](int thread) {
    std::mt19937_64 random(seed + static_cast<std::uint64_t>(thread));
    for (int claim = 0; claim < 12; ++claim) {
      const auto opened = store().open({.name = "acme", .claim = Claim::Take});
      ASSERT_EQ(codeOf(opened), "ok");
      Owner owner(store(), "acme", opened->id, opened->head);
      for (std::uint64_t left = random() % 8; left > 0; --left) {
        const std::string record =
            std::to_string(owner.epoch()) + "/" + std::to_string(owner.txid() + 1);
        const Status outcome = owner.commit(record);
        if (!outcome.ok()) {
          ASSERT_EQ(codeOf(outcome), "fenced");
          break;
        }
        history.add(owner.txid(), {owner.epoch(), record});
      }
    }
  });
  history.expectInLog(store(), first.id());
  EXPECT_EQ(first.head().txid, history.size());
}

TEST_P(StoreConformance, of_commits_that_race_for_one_txid_one_wins) {
  constexpr int kDatabases = 8;
  std::vector<Owner> owners;
  for (int i = 0; i < kDatabases; ++i) owners.push_back(own("db" + std::to_string(i)));
  std::vector<History> histories(kDatabases);
  const std::uint64_t seed = testSeed("of_commits_that_race_for_one_txid_one_wins");
  onThreads(kThreads, [&](int thread) {
    std::mt19937_64 random(seed + static_cast<std::uint64_t>(thread));
    for (int round = 0; round < 40; ++round) {
      // A batch of some of the databases in any order: batches of several threads overlap.
      std::vector<std::size_t> order(kDatabases);
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::shuffle(order.begin(), order.end(), random);
      order.resize(1 + random() % kDatabases);
      std::vector<DatabaseWrite> batch;
      for (const std::size_t i : order) {
        Owner owner = owners[i];
        owner.setTxid(owner.head().txid);
        batch.push_back(owner.committing(std::to_string(thread) + "/" + std::to_string(round)));
      }
      const std::vector<Status> statuses = store().write(batch);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        ASSERT_TRUE(statuses[i].ok() || codeOf(statuses[i]) == "invalid_argument")
            << codeOf(statuses[i]);
        if (!statuses[i].ok()) continue;
        histories[order[i]].add(batch[i].commit->txid, {1, std::string(asText(batch[i].record))});
      }
    }
  });
  for (std::size_t i = 0; i < owners.size(); ++i) {
    histories[i].expectInLog(store(), owners[i].id());
    EXPECT_EQ(owners[i].head().txid, histories[i].size());
    EXPECT_GT(histories[i].size(), 0u);
  }
}

TEST_P(StoreConformance, a_retake_waits_for_the_write_that_is_under_way) {
  const std::uint64_t seed = testSeed("a_retake_waits_for_the_write_that_is_under_way");
  std::mt19937_64 random(seed);
  Owner owner = own("acme");
  for (int round = 0; round < 60; ++round) {
    std::atomic<Txid> acknowledged = owner.txid();
    std::atomic<bool> started = false;
    std::thread writer([&, writing = owner]() mutable {
      for (int i = 0; i < 50; ++i) {
        started = true;
        const Status outcome = writing.commit("x");
        if (!outcome.ok()) {
          ASSERT_EQ(codeOf(outcome), "fenced");
          break;
        }
        acknowledged = writing.txid();
      }
    });
    while (!started) std::this_thread::yield();
    for (std::uint64_t spins = random() % 2000; spins > 0; --spins)
      std::atomic_thread_fence(std::memory_order_seq_cst);
    const auto again = store().open(owner.retaking());
    writer.join();
    ASSERT_EQ(codeOf(again), "ok");
    // What the retake saw is final: nothing under the old epoch was acknowledged past it or came
    // after it.
    ASSERT_EQ(again->head.txid, acknowledged.load()) << "round " << round;
    ASSERT_EQ(look("acme").head.txid, again->head.txid);
    owner = Owner(store(), "acme", again->id, again->head);
    DatabaseWrite trim = owner.nothing();
    trim.trimLogThrough = trim.expireThrough = owner.txid();
    ASSERT_EQ(codeOf(owner.apply(trim)), "ok");
  }
}

// The database is a number: its value is the head's txid. A fold writes it as chunks 0 and 1, both
// with the txid that they are as of; a reader can check that what it was given fits together.
void expectConsistent(const store::OpenedDatabase& opened) {
  Txid at = opened.head.logStart;
  for (const store::StoredRecord& record : opened.log) {
    ASSERT_EQ(record.txid, at + 1) << describe(opened.head);
    ASSERT_EQ(asText(record.bytes), std::to_string(record.txid));
    at = record.txid;
  }
  ASSERT_EQ(at, opened.head.txid) << "a record that the head needs is missing";
  if (opened.head.logStart == 0) return;
  ASSERT_EQ(opened.chunks.size(), 2u) << describe(opened.head);
  for (const store::StoredChunk& chunk : opened.chunks) {
    ASSERT_EQ(asText(chunk.bytes), std::to_string(chunk.txid));
    ASSERT_LE(chunk.txid, opened.head.txid);
    ASSERT_GE(chunk.txid, opened.head.logStart);
  }
}

TEST_P(StoreConformance, readers_see_one_moment_while_the_owner_commits_and_folds) {
  Owner owner = own("acme");
  std::atomic<bool> done = false;
  std::atomic<int> reads = 0;
  std::thread writer([&] {
    for (int i = 0; (i < 250 || reads < 200) && !HasFailure(); ++i) {
      ASSERT_EQ(codeOf(owner.commit(std::to_string(owner.txid() + 1))), "ok");
      if (i % 7 != 0) continue;
      // The fold in two writes; only the second trims.
      const Txid at = owner.txid();
      const std::string text = std::to_string(at);
      DatabaseWrite half = owner.folding({chunkAt(0, at, text)});
      half.superseded = {{0, at}};
      ASSERT_EQ(codeOf(owner.apply(half)), "ok");
      DatabaseWrite rest = owner.folding({chunkAt(1, at, text)});
      rest.superseded = {{1, at}};
      rest.trimLogThrough = rest.expireThrough = at;
      ASSERT_EQ(codeOf(owner.apply(rest)), "ok");
    }
    done = true;
  });
  onThreads(3, [&](int) {
    while (!done) {
      const auto opened = store().open({.name = "acme"});
      ASSERT_EQ(codeOf(opened), "ok");
      expectConsistent(*opened);
      ++reads;
      const auto read = store().readChunks({.id = opened->id,
                                            .atTxid = opened->head.txid,
                                            .chunks = {0, 1},
                                            .logAfter = opened->head.logStart});
      if (codeOf(read) == "snapshot_gone") continue;
      ASSERT_EQ(codeOf(read), "ok");
      Txid next = opened->head.logStart;
      for (const store::StoredRecord& record : read->log) ASSERT_EQ(record.txid, ++next);
      ASSERT_EQ(next, opened->head.txid);
    }
  });
  writer.join();
  EXPECT_GT(reads, 0);
}

TEST_P(StoreConformance, a_claim_and_a_removal_by_the_earlier_owner_never_both_succeed) {
  for (int round = 0; round < 30; ++round) {
    const Owner first = own("acme");
    const store::Ownership mine{.id = first.id(), .epoch = first.epoch()};
    std::string claimed;
    std::string removed;
    onThreads(2, [&](int thread) {
      if (thread == 0) {
        claimed = codeOf(store().open({.name = "acme", .claim = Claim::Take}));
      } else {
        removed = codeOf(store().destroy("acme", mine));
      }
    });
    EXPECT_TRUE(
        (claimed == "ok" && removed == "fenced" && codeOf(store().info("acme")) == "ok") ||
        (claimed == "not_found" && removed == "ok" && codeOf(store().info("acme")) == "not_found"))
        << claimed << " " << removed;
    if (removed != "ok") {
      ASSERT_EQ(codeOf(store().destroy("acme")), "ok");
    }
  }
}

TEST_P(StoreConformance, databases_that_are_destroyed_while_they_are_used_vanish_whole) {
  const std::uint64_t seed =
      testSeed("databases_that_are_destroyed_while_they_are_used_vanish_whole");
  std::mutex mutex;
  std::set<store::DatabaseId> ids;
  onThreads(kThreads, [&](int thread) {
    std::mt19937_64 random(seed + static_cast<std::uint64_t>(thread));
    for (int round = 0; round < 30; ++round) {
      const std::string name = "db" + std::to_string(random() % 3);
      if (random() % 3 == 0) {
        const Status gone = store().destroy(name);
        ASSERT_TRUE(gone.ok() || codeOf(gone) == "not_found") << codeOf(gone);
        continue;
      }
      const auto opened =
          store().open({.name = name, .create = Create::IfMissing, .claim = Claim::Take});
      ASSERT_EQ(codeOf(opened), "ok");
      if (opened->created) {
        std::lock_guard lock(mutex);
        ASSERT_TRUE(ids.insert(opened->id).second) << "an id was used again";
        ASSERT_TRUE(opened->log.empty() && opened->chunks.empty());
        ASSERT_EQ(opened->head.txid, 0u);
      }
      Owner owner(store(), name, opened->id, opened->head);
      for (int i = 0; i < 4; ++i) {
        DatabaseWrite write = owner.committing("x");
        write.chunks = {chunkAt(0, owner.txid() + 1, "c")};
        write.alarmChanged = true;
        write.alarmMs = 1;
        const Status outcome = owner.apply(write);
        if (outcome.ok()) continue;
        ASSERT_TRUE(codeOf(outcome) == "fenced" || codeOf(outcome) == "not_found")
            << codeOf(outcome);
        break;
      }
    }
  });
  // Nothing of the destroyed ones is left in the index of alarms.
  std::set<std::string> names;
  const auto page = store().list("", "", 10);
  for (const auto& database : page->databases) names.insert(database.name);
  const auto due = store().dueAlarms(10, 100);
  for (const auto& alarm : *due) EXPECT_TRUE(names.contains(alarm.name));
}

}  // namespace
}  // namespace skep::testing
