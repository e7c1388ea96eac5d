// Conformance: trimming and expiring the log, reading it, versions by time.

#include <limits>

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::DatabaseWrite;
using store::Txid;

constexpr std::size_t kAll = 1 << 30;

// Five commits whose records are 1, 22, 333, 4444 and 55555.
class StoreLogSteps {
 public:
  explicit StoreLogSteps(Owner of) : owner(std::move(of)) {
    for (const char* record : {"1", "22", "333", "4444", "55555"}) {
      EXPECT_EQ(codeOf(owner.commit(record)), "ok");
    }
  }
  Status trim(Txid through, Txid expire) {
    DatabaseWrite write = owner.nothing();
    write.trimLogThrough = through;
    write.expireThrough = expire;
    return owner.apply(write);
  }
  Owner owner;
};

TEST_P(StoreConformance, trimming_moves_the_log_start_and_keeps_the_records_addressable) {
  StoreLogSteps steps(own("acme"));
  EXPECT_EQ(steps.owner.head().logBytes, 15u);
  ASSERT_EQ(codeOf(steps.trim(3, 0)), "ok");
  EXPECT_EQ(steps.owner.head().logStart, 3u);
  EXPECT_EQ(steps.owner.head().logBytes, 9u);
  EXPECT_EQ(describe(look("acme").log), "4=4444 5=55555");
  EXPECT_EQ(describe(*store().readLog(steps.owner.id(), 0, kAll)), "1=1 2=22 3=333 4=4444 5=55555");
}

TEST_P(StoreConformance, trimming_everything_leaves_an_empty_log) {
  StoreLogSteps steps(own("acme"));
  ASSERT_EQ(codeOf(steps.trim(5, 5)), "ok");
  EXPECT_EQ(steps.owner.head().logStart, 5u);
  EXPECT_EQ(steps.owner.head().logBytes, 0u);
  EXPECT_EQ(steps.owner.head().txid, 5u);
  EXPECT_TRUE(look("acme").log.empty());
  EXPECT_TRUE(store().readLog(steps.owner.id(), 0, kAll)->empty());
  ASSERT_EQ(codeOf(steps.owner.commit("six")), "ok");
  EXPECT_EQ(steps.owner.head().logBytes, 3u);
  EXPECT_EQ(describe(look("acme").log), "6=six");
}

TEST_P(StoreConformance, trimming_step_by_step_counts_the_bytes_right) {
  StoreLogSteps steps(own("acme"));
  for (const auto& [through, bytes] : {std::pair<Txid, std::uint64_t>{1, 14}, {2, 12}, {4, 5}}) {
    ASSERT_EQ(codeOf(steps.trim(through, through)), "ok");
    EXPECT_EQ(steps.owner.head().logBytes, bytes);
  }
  ASSERT_EQ(codeOf(steps.owner.commit("666666")), "ok");
  EXPECT_EQ(steps.owner.head().logBytes, 11u);
}

TEST_P(StoreConformance, a_trim_inside_a_record_that_covers_several_txids_keeps_it) {
  Owner owner = own("acme");
  DatabaseWrite write = owner.committing("one to four");
  write.commit->txid = 4;
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  DatabaseWrite trim = owner.nothing();
  trim.trimLogThrough = 2;
  trim.expireThrough = 2;
  ASSERT_EQ(codeOf(owner.apply(trim)), "ok");
  EXPECT_EQ(owner.head().logStart, 2u);
  EXPECT_EQ(owner.head().logBytes, 11u);
  EXPECT_EQ(describe(look("acme").log), "4=one to four");
  const auto read =
      store().readChunks({.id = owner.id(), .atTxid = 4, .chunks = {}, .logAfter = 0});
  ASSERT_EQ(codeOf(read), "ok") << "nothing was deleted";
  EXPECT_EQ(describe(read->log), "4=one to four");
}

TEST_P(StoreConformance, the_log_start_never_goes_back) {
  StoreLogSteps steps(own("acme"));
  ASSERT_EQ(codeOf(steps.trim(3, 0)), "ok");
  ASSERT_EQ(codeOf(steps.trim(1, 0)), "ok");
  EXPECT_EQ(steps.owner.head().logStart, 3u);
  EXPECT_EQ(steps.owner.head().logBytes, 9u);
}

TEST_P(StoreConformance, a_trim_past_the_head_is_refused) {
  StoreLogSteps steps(own("acme"));
  const std::string before = describeStore(store());
  EXPECT_EQ(codeOf(steps.trim(6, 0)), "invalid_argument");
  EXPECT_EQ(describeStore(store()), before);
}

TEST_P(StoreConformance, expiry_deletes_records_that_were_trimmed) {
  StoreLogSteps steps(own("acme"));
  ASSERT_EQ(codeOf(steps.trim(4, 2)), "ok");
  EXPECT_EQ(describe(*store().readLog(steps.owner.id(), 0, kAll)), "3=333 4=4444 5=55555");
  EXPECT_EQ(describe(look("acme").log), "5=55555");
  ASSERT_EQ(codeOf(steps.trim(0, 4)), "ok");
  EXPECT_EQ(describe(*store().readLog(steps.owner.id(), 0, kAll)), "5=55555");
}

TEST_P(StoreConformance, records_that_the_head_needs_do_not_expire) {
  StoreLogSteps steps(own("acme"));
  ASSERT_EQ(codeOf(steps.trim(2, 0)), "ok");
  const std::string before = describeStore(store());
  EXPECT_EQ(codeOf(steps.trim(0, 3)), "invalid_argument");
  EXPECT_EQ(codeOf(steps.trim(3, 4)), "invalid_argument");
  EXPECT_EQ(describeStore(store()), before);
}

TEST_P(StoreConformance, a_commit_may_trim_and_expire_its_own_record) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  DatabaseWrite write = owner.committing("two");
  write.chunks = {chunkAt(0, 2, "folded at once")};
  write.trimLogThrough = 2;
  write.expireThrough = 2;
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  EXPECT_EQ(owner.head().logBytes, 0u);
  EXPECT_EQ(owner.head().logStart, 2u);
  EXPECT_TRUE(store().readLog(owner.id(), 0, kAll)->empty());
  EXPECT_EQ(describe(look("acme").chunks), "0@2=folded at once");
  const auto gone =
      store().readChunks({.id = owner.id(), .atTxid = 2, .chunks = {0}, .logAfter = 1});
  EXPECT_EQ(codeOf(gone), "snapshot_gone");
}

TEST_P(StoreConformance, read_log_gives_what_comes_after_a_txid) {
  StoreLogSteps steps(own("acme"));
  EXPECT_EQ(describe(*store().readLog(steps.owner.id(), 3, kAll)), "4=4444 5=55555");
  EXPECT_EQ(describe(*store().readLog(steps.owner.id(), 5, kAll)), "");
  EXPECT_EQ(describe(*store().readLog(steps.owner.id(), 99, kAll)), "");
}

TEST_P(StoreConformance, read_log_stops_at_its_bound_and_always_moves_on) {
  StoreLogSteps steps(own("acme"));
  for (const std::size_t bytesMax : {0, 1, 3, 6, 10, 14, 15}) {
    std::string all;
    Txid after = 0;
    while (true) {
      const auto part = store().readLog(steps.owner.id(), after, bytesMax);
      ASSERT_EQ(codeOf(part), "ok");
      if (part->empty()) break;
      std::size_t bytes = 0;
      for (const auto& record : *part) bytes += record.bytes.size();
      EXPECT_LE(bytes - part->back().bytes.size(), bytesMax)
          << "more than one record past the bound";
      all += (all.empty() ? "" : " ") + describe(*part);
      after = part->back().txid;
    }
    EXPECT_EQ(all, "1=1 2=22 3=333 4=4444 5=55555") << bytesMax;
  }
  EXPECT_EQ(store().readLog(steps.owner.id(), 0, 0)->size(), 1u);
  EXPECT_EQ(store().readLog(steps.owner.id(), 0, kAll)->size(), 5u);
}

TEST_P(StoreConformance, read_chunks_returns_the_records_of_a_range) {
  StoreLogSteps steps(own("acme"));
  const auto log = [&](Txid after, Txid through) {
    return describe(
        read({.id = steps.owner.id(), .atTxid = through, .chunks = {}, .logAfter = after}).log);
  };
  EXPECT_EQ(log(0, 5), "1=1 2=22 3=333 4=4444 5=55555");
  EXPECT_EQ(log(2, 4), "3=333 4=4444");
  EXPECT_EQ(log(4, 4), "");
  EXPECT_EQ(log(0, 99), "1=1 2=22 3=333 4=4444 5=55555");
  EXPECT_TRUE(read({.id = steps.owner.id(), .atTxid = 5, .chunks = {}}).log.empty())
      << "no log was asked for";
}

TEST_P(StoreConformance, a_deleted_record_that_is_asked_for_says_snapshot_gone) {
  StoreLogSteps steps(own("acme"));
  ASSERT_EQ(codeOf(steps.trim(4, 3)), "ok");
  const auto code = [&](Txid after, Txid through) {
    return codeOf(store().readChunks(
        {.id = steps.owner.id(), .atTxid = through, .chunks = {0}, .logAfter = after}));
  };
  EXPECT_EQ(code(0, 5), "snapshot_gone");
  EXPECT_EQ(code(2, 5), "snapshot_gone");
  EXPECT_EQ(code(0, 1), "snapshot_gone");
  EXPECT_EQ(code(3, 5), "ok") << "3 itself is not asked for";
  EXPECT_EQ(code(4, 5), "ok");
  EXPECT_EQ(code(2, 2), "ok") << "an empty range asks for nothing";
  EXPECT_EQ(codeOf(store().readChunks({.id = steps.owner.id(), .atTxid = 1, .chunks = {0}})), "ok")
      << "no log was asked for";
  EXPECT_EQ(describe(read({.id = steps.owner.id(), .atTxid = 4, .chunks = {}, .logAfter = 3}).log),
            "4=4444")
      << "trimmed but kept";
}

TEST_P(StoreConformance, a_version_is_found_by_its_time) {
  Owner owner = own("acme");
  for (const std::int64_t timeMs : {1000, 2000, 2000, 5000}) {
    DatabaseWrite write = owner.committing("x");
    write.commit->timeMs = timeMs;
    ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  }
  const auto at = [&](std::int64_t timeMs) {
    const auto version = store().versionAt(owner.id(), timeMs);
    if (!version.ok()) return codeOf(version);
    return std::to_string(version->txid) + " " + std::to_string(version->timeMs);
  };
  EXPECT_EQ(at(999), "not_found");
  EXPECT_EQ(at(1000), "1 1000");
  EXPECT_EQ(at(1999), "1 1000");
  EXPECT_EQ(at(2000), "3 2000");
  EXPECT_EQ(at(4999), "3 2000");
  EXPECT_EQ(at(5000), "4 5000");
  EXPECT_EQ(at(std::numeric_limits<std::int64_t>::max()), "4 5000");

  DatabaseWrite expire = owner.nothing();
  expire.trimLogThrough = 4;
  expire.expireThrough = 2;
  ASSERT_EQ(codeOf(owner.apply(expire)), "ok");
  EXPECT_EQ(at(1500), "not_found") << "its record is gone";
  EXPECT_EQ(at(2000), "3 2000");
}

TEST_P(StoreConformance, a_version_is_found_by_time_although_the_clock_went_back) {
  Owner owner = own("acme");
  for (const std::int64_t timeMs : {5000, 1000, 3000}) {
    DatabaseWrite write = owner.committing("x");
    write.commit->timeMs = timeMs;
    ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  }
  EXPECT_EQ(store().versionAt(owner.id(), 2000)->txid, 2u);
  EXPECT_EQ(store().versionAt(owner.id(), 9000)->txid, 3u);
}

TEST_P(StoreConformance, reads_of_an_unknown_database_are_not_found) {
  const Owner owner = own("acme");
  const store::DatabaseId unknown{owner.id().value + 1'000'000};
  EXPECT_EQ(codeOf(store().readLog(unknown, 0, kAll)), "not_found");
  EXPECT_EQ(codeOf(store().readChunks({.id = unknown, .atTxid = 1, .chunks = {0}})), "not_found");
  EXPECT_EQ(codeOf(store().readChunks({.id = unknown, .atTxid = 1, .chunks = {}, .logAfter = 0})),
            "not_found");
  EXPECT_EQ(codeOf(store().listChunkVersions(unknown, std::nullopt, 10)), "not_found");
  EXPECT_EQ(codeOf(store().versionAt(unknown, 10)), "not_found");
}

}  // namespace
}  // namespace skep::testing
