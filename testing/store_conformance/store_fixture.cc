#include "skep/testing/store_conformance/store_fixture.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>

namespace skep::testing {

using store::Claim;
using store::Create;
using store::DatabaseWrite;

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreConformance);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreReopenConformance);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MembershipConformance);

store::NodeFacts MembershipConformance::facts(const std::string& name) {
  return {.name = name,
          .address = name + ".example:6421",
          .zone = "eu-1",
          .version = "1.2.3",
          .protocol = 4,
          .protocolMin = 3,
          .types = {"chatRoom", "counter"}};
}

store::Incarnation MembershipConformance::join(const std::string& name, Duration lease) {
  static std::uint64_t nonces = 0;
  const auto joined = membership().join(facts(name), lease, ++nonces);
  EXPECT_EQ(codeOf(joined), "ok");
  return joined.ok() ? *joined : 0;
}

store::Renewal MembershipConformance::renew(store::Incarnation incarnation, Duration lease,
                                            std::uint64_t knownVersion) {
  auto renewal = membership().renew(
      {.incarnation = incarnation, .lease = lease, .load = 7, .knownVersion = knownVersion});
  EXPECT_EQ(codeOf(renewal), "ok");
  return renewal.ok() ? std::move(renewal).value() : store::Renewal{};
}

Owner MembershipConformance::ownAs(store::Incarnation owner, const std::string& name) {
  const auto opened = store().open(
      {.name = name, .create = Create::IfMissing, .claim = Claim::Take, .owner = owner});
  EXPECT_EQ(codeOf(opened), "ok");
  return opened.ok() ? Owner(store(), name, opened->id, opened->head)
                     : Owner(store(), name, {}, {});
}

void MembershipConformance::kill(store::Incarnation incarnation) {
  const store::Renewal last = renew(incarnation, kRunOut);
  for (const store::NodeBeat& beat : last.beats) {
    if (beat.incarnation != incarnation) continue;
    const auto ended = membership().declareDead(incarnation, beat.beat);
    ASSERT_EQ(codeOf(ended), "ok");
    EXPECT_TRUE(*ended);
  }
}

Owner::Owner(store::PageStore& store, std::string name, store::DatabaseId id,
             const store::Head& head)
    : store_(&store), name_(std::move(name)), id_(id), epoch_(head.epoch), txid_(head.txid) {}

DatabaseWrite Owner::nothing() const {
  DatabaseWrite write;
  write.id = id_;
  write.epoch = epoch_;
  write.expectedTxid = txid_;
  return write;
}

DatabaseWrite Owner::committing(std::string_view record) const {
  DatabaseWrite write = nothing();
  write.commit = store::CommitHead{.txid = txid_ + 1,
                                   .pageCount = static_cast<std::uint32_t>(txid_ + 2),
                                   .digest = 1000 + txid_,
                                   .commitId = 2000 + txid_,
                                   .timeMs = 3000 + static_cast<std::int64_t>(txid_)};
  write.record = bytesOf(record);
  return write;
}

DatabaseWrite Owner::folding(std::vector<store::StoredChunk> chunks) const {
  DatabaseWrite write = nothing();
  write.chunks = std::move(chunks);
  return write;
}

Status Owner::apply(const DatabaseWrite& write) {
  std::vector<Status> statuses = store_->write({&write, 1});
  EXPECT_EQ(statuses.size(), 1u);
  if (statuses.front().ok() && write.commit) txid_ = write.commit->txid;
  return std::move(statuses.front());
}

store::Head Owner::head() const {
  auto info = store_->info(name_);
  EXPECT_EQ(codeOf(info), "ok");
  return info->head;
}

store::OpenRequest Owner::retaking() const {
  return {.name = name_, .claim = Claim::Retake, .retakeId = id_, .retakeEpoch = epoch_};
}

StoreConformance::StoreConformance() : environment_(GetParam().make(clock_)) {}
StoreConformance::~StoreConformance() = default;

Owner StoreConformance::own(const std::string& name) {
  auto opened = store().open({.name = name, .create = Create::IfMissing, .claim = Claim::Take});
  EXPECT_EQ(codeOf(opened), "ok") << name;
  return {store(), name, opened->id, opened->head};
}

store::OpenedDatabase StoreConformance::look(const std::string& name, std::uint32_t firstChunks) {
  auto opened = store().open({.name = name, .firstChunks = firstChunks});
  EXPECT_EQ(codeOf(opened), "ok") << name;
  return std::move(opened).value();
}

store::ChunkRead StoreConformance::read(const store::ChunkReadRequest& request) {
  auto found = store().readChunks(request);
  EXPECT_EQ(codeOf(found), "ok");
  return std::move(found).value();
}

std::vector<store::ChunkVersion> StoreConformance::versions(store::DatabaseId id) {
  auto found =
      store().listChunkVersions(id, std::nullopt, std::numeric_limits<std::int32_t>::max());
  EXPECT_EQ(codeOf(found), "ok");
  return std::move(found).value();
}

Bytes bytesOf(std::string_view text) {
  return toBytes(asBytes(text));
}

Bytes noise(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

store::StoredChunk chunkAt(store::ChunkNumber chunk, store::Txid txid, std::string_view text) {
  return {chunk, txid, bytesOf(text)};
}

std::string codeOf(const Status& status) {
  return status.ok() ? "ok" : std::string(errorCodeName(status.error().code));
}

namespace {

// Short printable contents as they are; of anything else the size and a hash.
std::string contents(const Bytes& bytes) {
  bool printable = bytes.size() <= 40;
  for (const std::byte byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    printable = printable && value >= 0x20 && value < 0x7f;
  }
  if (printable) return std::string(asText(bytes));
  return "<" + std::to_string(bytes.size()) + " bytes, hash " +
         std::to_string(std::hash<std::string_view>()(asText(bytes))) + ">";
}

template <class Items, class Print>
std::string joined(const Items& items, Print print) {
  std::string text;
  for (const auto& item : items) {
    if (!text.empty()) text += ' ';
    text += print(item);
  }
  return text;
}

}  // namespace

std::string describe(const std::vector<store::StoredChunk>& chunks) {
  return joined(chunks, [](const store::StoredChunk& c) {
    return std::to_string(c.chunk) + "@" + std::to_string(c.txid) + "=" + contents(c.bytes);
  });
}

std::string describe(const std::vector<store::StoredRecord>& records) {
  return joined(records, [](const store::StoredRecord& r) {
    return std::to_string(r.txid) + "=" + contents(r.bytes);
  });
}

std::string describe(const std::vector<store::ChunkVersion>& versions) {
  return joined(versions, [](const store::ChunkVersion& v) {
    return std::to_string(v.chunk) + "@" + std::to_string(v.txid) + ":" + std::to_string(v.bytes);
  });
}

std::string describe(const store::Head& head) {
  char text[320];
  std::snprintf(text, sizeof text,
                "epoch %" PRIu64 " txid %" PRIu64 " pages %" PRIu32 " digest %" PRIx64
                " commit %" PRIx64 " logStart %" PRIu64 " logBytes %" PRIu64
                " alarm %s staging %" PRIu64 " sweep %" PRIu64,
                head.epoch, head.txid, head.pageCount, head.digest, head.commitId, head.logStart,
                head.logBytes, head.alarmMs ? std::to_string(*head.alarmMs).c_str() : "none",
                head.stagingTxid, head.sweepTxid);
  return text;
}

std::string describeDatabase(store::PageStore& store, const std::string& name) {
  const auto info = store.info(name);
  if (!info.ok()) return name + ": " + codeOf(info) + "\n";
  const auto opened = store.open({.name = name});
  if (!opened.ok()) return name + ": open: " + codeOf(opened) + "\n";
  const auto log = store.readLog(info->id, 0, std::numeric_limits<std::int32_t>::max());
  const auto versions =
      store.listChunkVersions(info->id, std::nullopt, std::numeric_limits<std::int32_t>::max());
  if (!log.ok() || !versions.ok())
    return name + ": " + codeOf(log) + ", " + codeOf(versions) + "\n";

  std::string text = name + ": " + describe(info->head) + "\n";
  if (!(info->head == opened->head))
    text += "  OPEN SAYS OTHERWISE: " + describe(opened->head) + "\n";
  if (!(info->properties == opened->properties)) text += "  OPEN SAYS OTHER PROPERTIES\n";
  text += "  created " + std::to_string(info->createdMs) + " stored " +
          std::to_string(info->storedBytes) + " retention " +
          std::to_string(info->properties.retentionMs) + " metadata " +
          contents(bytesOf(info->properties.metadata)) + " hot";
  for (const store::ChunkNumber chunk : info->properties.hotChunks)
    text += " " + std::to_string(chunk);
  text += "\n  opened: log " + describe(opened->log) + "; chunks " + describe(opened->chunks);
  text += "\n  log: " + describe(*log) + "\n  versions: " + describe(*versions) + "\n  chunks:";
  for (const store::ChunkVersion& version : *versions) {
    const auto read =
        store.readChunks({.id = info->id, .atTxid = version.txid, .chunks = {version.chunk}});
    text += " " + (read.ok() ? describe(read->chunks) : codeOf(read));
  }
  return text + "\n";
}

std::string describeStore(store::PageStore& store) {
  std::string text;
  std::string after;
  do {
    const auto page = store.list("", after, 100);
    if (!page.ok()) return text + "list: " + codeOf(page) + "\n";
    for (const store::DatabaseInfo& database : page->databases)
      text += describeDatabase(store, database.name);
    after = page->next;
  } while (!after.empty());
  const auto due = store.dueAlarms(std::numeric_limits<std::int64_t>::max(), 1'000'000);
  if (!due.ok()) return text + "dueAlarms: " + codeOf(due) + "\n";
  for (const store::DueAlarm& alarm : *due) {
    text += "due " + std::to_string(alarm.alarmMs) + " " + alarm.name + "\n";
  }
  return text;
}

std::uint64_t testSeed(std::string_view test) {
  std::uint64_t seed = std::random_device()();
  if (const char* wanted = std::getenv("SKEP_SEED")) seed = std::strtoull(wanted, nullptr, 10);
  std::printf("%.*s: SKEP_SEED=%" PRIu64 "\n", static_cast<int>(test.size()), test.data(), seed);
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

}  // namespace skep::testing
