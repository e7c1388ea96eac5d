// Conformance: the same random operations on the store under test and on a MemoryStore, the model.
// After each step the answers are the same; now and then, and at the end, so is everything that is
// stored.

#include <algorithm>
#include <map>
#include <random>

#include "skep/backend/memory/memory_store.h"
#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::ChunkNumber;
using store::Claim;
using store::Create;
using store::DatabaseId;
using store::DatabaseWrite;
using store::Head;
using store::StoredChunk;
using store::Txid;

// Plays both stores. The model's ids and the real ones differ; ids_ translates.
class ModelPlay {
 public:
  ModelPlay(store::PageStore& real, Clock& clock, std::uint64_t seed)
      : real_(real), model_(clock), random_(seed) {}

  void step() {
    switch (below(24)) {
      case 0:
      case 1:
        return open();
      case 2:
        return below(4) == 0 ? destroy() : info();
      case 3:
        return list();
      case 4:
      case 5:
        return read();
      case 6:
        return readLog();
      case 7:
        return versionAt();
      case 8:
        return dueAlarms();
      default:
        return write();
    }
  }

  void expectSame() { EXPECT_EQ(describeStore(real_), describeStore(model_)); }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool rarely() { return below(30) == 0; }
  std::string name() {
    static const char* const kNames[] = {"a", "a/1", "a/10", "b", "\xc3\xa9"};
    return kNames[below(std::size(kNames))];
  }

  // A database that exists in the model, with its head, or one that does not.
  struct Target {
    DatabaseId model;
    DatabaseId real;
    Head head;
  };
  Target target() {
    const auto info = model_.info(name());
    if (!info.ok()) return {{999'999}, {999'999'999}, {}};
    return {info->id, ids_.at(info->id), info->head};
  }

  Txid txidNear(const Head& head) { return below(head.txid + 3); }
  ChunkNumber chunk() { return static_cast<ChunkNumber>(below(12)); }

  void open() {
    const std::string which = name();
    store::OpenRequest request{.name = which};
    request.create = static_cast<Create>(below(3));
    request.claim = static_cast<Claim>(below(3));
    request.firstChunks = static_cast<std::uint32_t>(below(6));
    const auto before = model_.info(which);
    if (before.ok()) {
      request.retakeEpoch = before->head.epoch + (rarely() ? 1 : 0);
      const auto elsewhere = model_.info(name());
      request.retakeId = rarely() && elsewhere.ok() ? elsewhere->id : before->id;
    }
    const auto expected = model_.open(request);
    if (before.ok()) request.retakeId = ids_.at(request.retakeId);
    const auto got = real_.open(request);
    ASSERT_EQ(codeOf(got), codeOf(expected));
    if (!expected.ok()) return;
    ids_[expected->id] = got->id;
    EXPECT_EQ(got->created, expected->created);
    EXPECT_EQ(describe(got->head), describe(expected->head));
    EXPECT_EQ(got->properties, expected->properties);
    EXPECT_EQ(describe(got->log), describe(expected->log));
    EXPECT_EQ(describe(got->chunks), describe(expected->chunks));
  }

  void destroy() {
    const std::string which = name();
    EXPECT_EQ(codeOf(real_.destroy(which)), codeOf(model_.destroy(which)));
  }

  void info() {
    const std::string which = name();
    EXPECT_EQ(describeDatabase(real_, which), describeDatabase(model_, which));
  }

  void list() {
    const std::string prefix = below(2) == 0 ? "" : name();
    const std::string after = below(2) == 0 ? "" : name();
    const std::size_t limit = 1 + below(6);
    const auto expected = model_.list(prefix, after, limit);
    const auto got = real_.list(prefix, after, limit);
    ASSERT_EQ(codeOf(got), codeOf(expected));
    ASSERT_EQ(got->databases.size(), expected->databases.size());
    for (std::size_t i = 0; i < got->databases.size(); ++i) {
      EXPECT_EQ(got->databases[i].name, expected->databases[i].name);
      EXPECT_EQ(got->databases[i].head, expected->databases[i].head);
    }
  }

  void read() {
    const Target which = target();
    store::ChunkReadRequest request{
        .id = which.model, .atTxid = txidNear(which.head), .chunks = {}};
    for (ChunkNumber number = 0; number < 14; ++number) {
      if (below(3) == 0) request.chunks.push_back(number);
    }
    if (below(2) == 0) request.logAfter = txidNear(which.head);
    const auto expected = model_.readChunks(request);
    request.id = which.real;
    const auto got = real_.readChunks(request);
    ASSERT_EQ(codeOf(got), codeOf(expected));
    if (!expected.ok()) return;
    EXPECT_EQ(describe(got->chunks), describe(expected->chunks));
    EXPECT_EQ(describe(got->log), describe(expected->log));
  }

  void readLog() {
    const Target which = target();
    const Txid after = txidNear(which.head);
    const std::size_t bytesMax = below(2) == 0 ? 1 : 1 << 30;
    const auto expected = model_.readLog(which.model, after, bytesMax);
    const auto got = real_.readLog(which.real, after, bytesMax);
    ASSERT_EQ(codeOf(got), codeOf(expected));
    if (!expected.ok()) return;
    EXPECT_EQ(describe(*got), describe(*expected));
  }

  void versionAt() {
    const Target which = target();
    const auto timeMs = static_cast<std::int64_t>(below(static_cast<std::uint64_t>(timeMs_) + 20));
    const auto expected = model_.versionAt(which.model, timeMs);
    const auto got = real_.versionAt(which.real, timeMs);
    ASSERT_EQ(codeOf(got), codeOf(expected));
    if (!expected.ok()) return;
    EXPECT_EQ(got->txid, expected->txid);
    EXPECT_EQ(got->timeMs, expected->timeMs);
  }

  void dueAlarms() {
    const auto nowMs = static_cast<std::int64_t>(below(1000));
    const auto expected = model_.dueAlarms(nowMs, 100);
    const auto got = real_.dueAlarms(nowMs, 100);
    ASSERT_EQ(codeOf(got), codeOf(expected));
    ASSERT_EQ(got->size(), expected->size());
    for (std::size_t i = 0; i < got->size(); ++i)
      EXPECT_EQ((*got)[i].alarmMs, (*expected)[i].alarmMs);
  }

  Bytes contents() {
    const std::size_t size = 1 + (rarely() ? below(20'000) : below(30));
    if (below(2) == 0) return noise(size, random_());
    return Bytes(size, static_cast<std::byte>('a' + below(26)));
  }

  void addCommit(const Head& head, DatabaseWrite& write) {
    write.commit = store::CommitHead{.txid = head.txid + 1 + below(3),
                                     .pageCount = static_cast<std::uint32_t>(random_()),
                                     .digest = random_(),
                                     .commitId = random_(),
                                     .timeMs = timeMs_ += static_cast<std::int64_t>(below(5)) - 1};
    if (head.stagingTxid != 0 && !rarely()) {
      write.flip = true;
      write.commit->txid = head.stagingTxid;
    }
    write.flip ^= rarely();
    if (!rarely()) write.record = contents();
  }

  void addChunks(const Head& head, Txid headTxid, DatabaseWrite& write) {
    const bool staging = below(4) == 0;
    Txid stagingTxid = headTxid + 1 + below(3);
    if (head.stagingTxid > headTxid && !rarely()) stagingTxid = head.stagingTxid;
    for (std::uint64_t left = 1 + below(6); left > 0; --left) {
      const Txid txid = staging && below(3) != 0 ? stagingTxid : 1 + below(headTxid + 1);
      const StoredChunk put{chunk(), txid, contents()};
      const bool twice =
          std::any_of(write.chunks.begin(), write.chunks.end(), [&](const StoredChunk& other) {
            return other.chunk == put.chunk && other.txid == put.txid;
          });
      if (!twice) write.chunks.push_back(put);
    }
  }

  void addRemovals(Txid headTxid, DatabaseWrite& write) {
    if (below(2) == 0) write.trimLogThrough = below(headTxid + 1) + (rarely() ? 1 : 0);
    if (below(2) == 0) write.expireThrough = below(write.trimLogThrough + 1) + (rarely() ? 5 : 0);
    for (std::uint64_t left = below(3); left > 0; --left) {
      write.superseded.push_back({chunk(), below(headTxid + 1) + (rarely() ? 1 : 0)});
    }
    if (below(8) == 0) {
      write.dropChunksFrom = chunk();
      std::erase_if(write.chunks,
                    [&](const StoredChunk& put) { return put.chunk >= *write.dropChunksFrom; });
    }
  }

  DatabaseWrite randomWrite(const Head& head) {
    DatabaseWrite write;
    write.epoch = head.epoch;
    write.expectedTxid = head.txid;
    if (rarely()) --write.epoch;
    if (rarely()) ++write.expectedTxid;
    if (below(3) != 0) addCommit(head, write);
    const Txid headTxid = write.commit ? write.commit->txid : head.txid;
    if (below(3) == 0) addChunks(head, headTxid, write);
    if (below(3) == 0) addRemovals(headTxid, write);
    if (below(6) == 0) {
      write.alarmChanged = true;
      if (below(3) != 0) write.alarmMs = static_cast<std::int64_t>(below(1000));
    }
    if (below(10) == 0) {
      write.properties = store::Properties{.retentionMs = static_cast<std::int64_t>(below(3)),
                                           .metadata = std::string(below(20), 'm'),
                                           .hotChunks = {chunk(), chunk()}};
    }
    if (below(10) == 0) write.sweepDone = true;
    if (below(20) == 0) write.sweepDue = true;
    if (head.stagingTxid != 0 ? below(8) == 0 : rarely()) write.discardStaging = true;
    return write;
  }

  void write() {
    std::vector<DatabaseWrite> modelBatch;
    std::vector<DatabaseWrite> realBatch;
    for (std::uint64_t left = 1 + below(4); left > 0; --left) {
      const Target which = target();
      const bool twice =
          std::any_of(modelBatch.begin(), modelBatch.end(),
                      [&](const DatabaseWrite& other) { return other.id == which.model; });
      if (twice) continue;
      modelBatch.push_back(randomWrite(which.head));
      modelBatch.back().id = which.model;
      realBatch.push_back(modelBatch.back());
      realBatch.back().id = which.real;
    }
    const std::vector<Status> expected = model_.write(modelBatch);
    const std::vector<Status> got = real_.write(realBatch);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(codeOf(got[i]), codeOf(expected[i]))
          << (expected[i].ok() ? got[i].error().message : expected[i].error().message);
      if (got[i].ok() && realBatch[i].discardStaging) finishDiscard(realBatch[i]);
    }
  }

  // A store may discard in parts; the model does it at once.
  void finishDiscard(const DatabaseWrite& write) {
    DatabaseWrite again;
    again.id = write.id;
    again.epoch = write.epoch;
    again.expectedTxid = write.expectedTxid;
    again.discardStaging = true;
    ASSERT_EQ(codeOf(real_.write({&again, 1}).front()), "ok");
  }

  store::PageStore& real_;
  backend::MemoryStore model_;
  std::mt19937_64 random_;
  std::map<DatabaseId, DatabaseId> ids_;
  std::int64_t timeMs_ = 1;
};

TEST_P(StoreConformance, random_operations_give_what_the_model_gives) {
  const std::uint64_t seed = testSeed("random_operations_give_what_the_model_gives");
  SCOPED_TRACE("SKEP_SEED=" + std::to_string(seed));
  ModelPlay play(store(), clock_, seed);
  for (int step = 0; step < 3000; ++step) {
    play.step();
    if (step % 250 == 0) play.expectSame();
    if (HasFailure()) FAIL() << "at step " << step;
  }
  play.expectSame();
}

TEST_P(StoreReopenConformance, random_operations_survive_reopening) {
  const std::uint64_t seed = testSeed("random_operations_survive_reopening");
  SCOPED_TRACE("SKEP_SEED=" + std::to_string(seed));
  std::string before;
  {
    ModelPlay play(store(), clock_, seed);
    for (int step = 0; step < 600 && !HasFailure(); ++step) play.step();
    play.expectSame();
    before = describeStore(store());
  }
  reopenStore();
  EXPECT_EQ(describeStore(store()), before);
}

}  // namespace
}  // namespace skep::testing
