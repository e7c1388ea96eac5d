// The power goes out while threads commit, fold, create, destroy and compact: what was acknowledged is
// there, and the store opens, whatever the disk made of the rest. Also when the process had died
// before without a power failure, and left what it wrote unsynced to the next one.
//
//   SKEP_SEED=n replays a run, as far as threads run alike; SKEP_SEEDS=n runs n seeds

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <thread>

#include "power_loss_disk.h"
#include "skep/backend/embedded/embedded_store.h"
#include "skep/base/log.h"
#include "skep/testing/store_conformance/store_fixture.h"
#include "skep/testing/temp_directory.h"

namespace skep::testing {
namespace {

using backend::EmbeddedStore;
using store::Claim;
using store::Create;
using store::Txid;

constexpr std::size_t kThreads = 4;
constexpr std::size_t kLives = 6;
// Few: RocksDB takes a second off after each background work that has failed.
constexpr std::uint64_t kSeeds = 5;
constexpr store::ChunkNumber kChunks = 4;
constexpr std::size_t kEverything = std::size_t{1} << 40;

/// What is known of one database. A name is used once: a database that was destroyed is no other's.
struct Known {
  std::string name;
  bool isOpen = false;
  store::DatabaseId id;
  store::Epoch epoch = 0;
  Txid acknowledged = 0;
  Txid attempted = 0;
  Txid folded = 0;  // acknowledged: all chunks have a version at or after it
  enum class Gone : std::uint8_t { No, Perhaps, Yes } gone = Gone::No;
};

Bytes contentOf(const Known& known, const std::string& what, Txid txid) {
  const std::string text = known.name + " " + what + " " + std::to_string(txid);
  Bytes bytes = noise(200 + std::hash<std::string>()(text) % 6000, std::hash<std::string>()(text));
  return bytes;
}
Bytes recordOf(const Known& known, Txid txid) {
  return contentOf(known, "record", txid);
}
Bytes chunkOf(const Known& known, store::ChunkNumber chunk, Txid txid) {
  return contentOf(known, "chunk " + std::to_string(chunk), txid);
}

class PowerLossRun {
 public:
  explicit PowerLossRun(std::uint64_t seed) : random_(seed), disk_(random_()) {}

  void run() {
    for (std::size_t life = 0; life < kLives && !::testing::Test::HasFailure(); ++life) {
      SCOPED_TRACE("life " + std::to_string(life));
      disk_.cutPowerAfter(1 + random_() % (random_() % 4 == 0 ? 60 : 2500));
      if (auto store = open()) {
        work(*store);
      } else {
        EXPECT_TRUE(disk_.isOff()) << "an open fails on a sound disk: " << openError_;
      }
      // The next process finds what the page cache still has, or what the disk has kept.
      random_() % 3 == 0 ? disk_.revive() : disk_.restore();
      verify();
    }
  }
  const PowerLossDisk& disk() const { return disk_; }

 private:
  std::unique_ptr<EmbeddedStore> open() {
    auto opened = EmbeddedStore::open({.directory = directory_ / "store",
                                       .memtableBytes = 600 << 10,
                                       .walBytesMax = 400 << 10,
                                       .env = disk_.env()},
                                      clock_);
    if (opened) return std::move(opened).value();
    openError_ = opened.error().toString();
    return nullptr;
  }

  /// Until the power is off.
  void work(EmbeddedStore& store) {
    std::vector<std::thread> threads;
    std::vector<std::vector<Known>> owned(kThreads);
    for (std::size_t i = 0; i < known_.size(); ++i) owned[i % kThreads].push_back(known_[i]);
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i, seed = random_()] {
        std::mt19937_64 random(seed);
        while (!disk_.isOff()) step(store, owned[i], i, random);
      });
    }
    for (std::thread& thread : threads) thread.join();
    known_.clear();
    for (std::vector<Known>& each : owned) std::ranges::move(each, std::back_inserter(known_));
  }

  void step(EmbeddedStore& store, std::vector<Known>& owned, std::size_t thread,
            std::mt19937_64& random) {
    const std::uint64_t dice = random() % 100;
    if (owned.size() < 5 || dice < 3) {
      owned.push_back({.name = std::to_string(thread) + "/" + std::to_string(names_.fetch_add(1))});
    }
    Known& known = owned[random() % owned.size()];
    if (known.gone != Known::Gone::No) return;
    if (!known.isOpen && !take(store, known)) return;
    if (dice == 99 && thread == 0) {
      (void)store.compact();
    } else if (dice >= 97) {
      destroy(store, known);
    } else if (dice >= 80) {
      fold(store, known);
    } else {
      commit(store, known, 1 + random() % 3);
    }
  }

  bool take(EmbeddedStore& store, Known& known) {
    const auto opened =
        store.open({.name = known.name, .create = Create::IfMissing, .claim = Claim::Take});
    if (!opened) return false;
    known.id = opened->id;
    known.epoch = opened->head.epoch;
    known.isOpen = true;
    return true;
  }

  store::DatabaseWrite writeTo(const Known& known) {
    return {.id = known.id, .epoch = known.epoch, .expectedTxid = known.acknowledged};
  }

  void commit(EmbeddedStore& store, Known& known, Txid count) {
    store::DatabaseWrite write = writeTo(known);
    write.commit = store::CommitHead{.txid = known.acknowledged + count, .pageCount = 16 * kChunks};
    write.record = recordOf(known, write.commit->txid);
    known.attempted = write.commit->txid;
    if (store.write({&write, 1}).front()) {
      known.acknowledged = known.attempted;
    } else {
      known.isOpen = false;  // unknown: the next life tells
    }
  }

  void fold(EmbeddedStore& store, Known& known) {
    if (known.acknowledged == 0) return;
    store::DatabaseWrite write = writeTo(known);
    const Txid txid = known.acknowledged;
    for (store::ChunkNumber chunk = 0; chunk < kChunks; ++chunk) {
      write.chunks.push_back({.chunk = chunk, .txid = txid, .bytes = chunkOf(known, chunk, txid)});
      write.superseded.push_back({.chunk = chunk, .txid = txid});
    }
    write.trimLogThrough = write.expireThrough = txid;
    if (store.write({&write, 1}).front()) {
      known.folded = txid;
    } else {
      known.isOpen = false;
    }
  }

  void destroy(EmbeddedStore& store, Known& known) {
    known.gone = Known::Gone::Perhaps;
    if (store.destroy(known.name)) known.gone = Known::Gone::Yes;
  }

  /// On a sound disk: the store opens, and everything is as acknowledged.
  void verify() {
    auto store = open();
    ASSERT_NE(store, nullptr) << openError_;
    for (Known& known : known_) {
      SCOPED_TRACE("database " + known.name);
      known.isOpen = false;
      verify(*store, known);
      if (::testing::Test::HasFailure()) return;
    }
    std::erase_if(known_, [](const Known& known) { return known.gone == Known::Gone::Yes; });
  }

  static void verify(EmbeddedStore& store, Known& known) {
    const auto opened =
        store.open({.name = known.name, .claim = Claim::None, .firstChunks = kChunks});
    if (!opened) {
      ASSERT_EQ(codeOf(opened), "not_found") << opened.error().message;
      ASSERT_TRUE(known.acknowledged == 0 || known.gone != Known::Gone::No)
          << "its txid " << known.acknowledged << " was acknowledged";
      // Lost before its first commit: it may come back under its name.
      if (known.gone != Known::Gone::No) known.gone = Known::Gone::Yes;
      known.attempted = 0;
      return;
    }
    ASSERT_NE(known.gone, Known::Gone::Yes) << "it was destroyed";
    known.gone = Known::Gone::No;
    const store::Head& head = opened->head;
    ASSERT_GE(head.txid, known.acknowledged) << "an acknowledged commit is lost";
    ASSERT_LE(head.txid, known.attempted);
    ASSERT_GE(head.logStart, known.folded) << "an acknowledged fold is lost";
    known.acknowledged = known.attempted = head.txid;
    known.folded = head.logStart;
    if (head.txid > head.logStart) {
      ASSERT_FALSE(opened->log.empty());
      EXPECT_EQ(opened->log.back().txid, head.txid);
    }
    const auto kept = store.readLog(opened->id, 0, kEverything);
    ASSERT_EQ(codeOf(kept), "ok");
    EXPECT_EQ(describe(*kept), describe(opened->log)) << "records that a fold removed are back";
    for (const store::StoredRecord& record : opened->log)
      ASSERT_EQ(record.bytes, recordOf(known, record.txid)) << record.txid;
    ASSERT_EQ(opened->chunks.size(), head.logStart == 0 ? 0 : kChunks);
    for (const store::StoredChunk& chunk : opened->chunks) {
      ASSERT_EQ(chunk.txid, head.logStart);
      ASSERT_EQ(chunk.bytes, chunkOf(known, chunk.chunk, chunk.txid));
    }
  }

  std::mt19937_64 random_;
  TempDirectory directory_;
  PowerLossDisk disk_;
  ManualClock clock_;
  std::string openError_;
  std::vector<Known> known_;
  std::atomic<std::uint64_t> names_ = 0;
};

std::optional<std::uint64_t> numberFrom(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

TEST(PowerLoss, takes_nothing_that_was_acknowledged_and_the_store_opens) {
  setLogLevel(LogLevel::Off);
  const std::uint64_t first = numberFrom("SKEP_SEED").value_or(std::random_device{}());
  const std::uint64_t count =
      numberFrom("SKEP_SEED") ? 1 : numberFrom("SKEP_SEEDS").value_or(kSeeds);
  std::uint64_t bytesLost = 0;
  std::uint64_t changesLost = 0;
  for (std::uint64_t seed = first; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("replay it with SKEP_SEED=" + std::to_string(seed));
    PowerLossRun run(seed);
    run.run();
    bytesLost += run.disk().bytesLost();
    changesLost += run.disk().changesLost();
  }
  std::cout << "seeds from " << first << ": " << bytesLost << " bytes and " << changesLost
            << " changes of directories were lost\n";
  if (count < kSeeds) return;
  EXPECT_GT(bytesLost, 0u);
  EXPECT_GT(changesLost, 0u);
}

}  // namespace
}  // namespace skep::testing
