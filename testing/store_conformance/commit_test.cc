// Conformance: commits, the checks of epoch and txid, batches, all or nothing.

#include <limits>

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::CommitHead;
using store::DatabaseWrite;
using store::Head;

TEST_P(StoreConformance, a_commit_moves_the_head_and_appends_its_record) {
  Owner owner = own("acme");
  DatabaseWrite write = owner.nothing();
  write.commit = CommitHead{.txid = 1, .pageCount = 2, .digest = 3, .commitId = 4, .timeMs = 5};
  write.record = bytesOf("first");
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");

  const auto opened = look("acme");
  EXPECT_EQ(
      opened.head,
      (Head{.epoch = 1, .txid = 1, .pageCount = 2, .digest = 3, .commitId = 4, .logBytes = 5}));
  EXPECT_EQ(describe(opened.log), "1=first");
  EXPECT_EQ(store().info("acme")->head, opened.head);
}

TEST_P(StoreConformance, one_record_may_cover_several_txids) {
  Owner owner = own("acme");
  DatabaseWrite write = owner.committing("one to five");
  write.commit->txid = 5;
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  ASSERT_EQ(codeOf(owner.commit("six")), "ok");
  EXPECT_EQ(describe(look("acme").log), "5=one to five 6=six");
  EXPECT_EQ(look("acme").head.logBytes, 14u);
}

TEST_P(StoreConformance, head_fields_keep_their_whole_range) {
  Owner owner = own("acme");
  DatabaseWrite write = owner.committing("x");
  write.commit = CommitHead{.txid = (1ull << 62) + 3,
                            .pageCount = std::numeric_limits<std::uint32_t>::max(),
                            .digest = std::numeric_limits<std::uint64_t>::max(),
                            .commitId = 0x8000'0000'0000'0001,
                            .timeMs = std::numeric_limits<std::int64_t>::max()};
  write.alarmChanged = true;
  write.alarmMs = -7;
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  const Head head = look("acme").head;
  EXPECT_EQ(head.txid, write.commit->txid);
  EXPECT_EQ(head.pageCount, write.commit->pageCount);
  EXPECT_EQ(head.digest, write.commit->digest);
  EXPECT_EQ(head.commitId, write.commit->commitId);
  EXPECT_EQ(head.alarmMs, -7);
  EXPECT_EQ(codeOf(owner.commit("next")), "ok");
}

TEST_P(StoreConformance, records_are_any_bytes_of_any_size) {
  Owner owner = own("acme");
  const Bytes records[] = {Bytes(1), noise(300, 1), noise(70'000, 2), noise(2 << 20, 3),
                           Bytes(5000)};
  for (const Bytes& record : records) {
    DatabaseWrite write = owner.committing("");
    write.record = record;
    ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  }
  const auto opened = look("acme");
  ASSERT_EQ(opened.log.size(), std::size(records));
  for (std::size_t i = 0; i < std::size(records); ++i)
    EXPECT_TRUE(opened.log[i].bytes == records[i]) << i;
}

TEST_P(StoreConformance, a_write_under_another_epoch_is_fenced_and_changes_nothing) {
  Owner first = own("acme");
  ASSERT_EQ(codeOf(first.commit("one")), "ok");
  Owner second = own("acme");
  const std::string before = describeStore(store());

  EXPECT_EQ(codeOf(first.commit("late")), "fenced");
  EXPECT_EQ(codeOf(first.fold({chunkAt(0, 1, "late")})), "fenced");
  EXPECT_EQ(codeOf(first.apply(first.nothing())), "fenced");
  DatabaseWrite future = second.committing("early");
  ++future.epoch;
  EXPECT_EQ(codeOf(second.apply(future)), "fenced");
  EXPECT_EQ(describeStore(store()), before);
  EXPECT_EQ(codeOf(second.commit("two")), "ok");
}

TEST_P(StoreConformance, a_stale_owner_is_fenced_even_when_its_txid_is_wrong_too) {
  Owner first = own("acme");
  Owner second = own("acme");
  ASSERT_EQ(codeOf(second.commit("one")), "ok");
  EXPECT_EQ(codeOf(first.commit("late")), "fenced");
}

TEST_P(StoreConformance, the_right_epoch_with_a_wrong_txid_is_refused) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  ASSERT_EQ(codeOf(owner.commit("two")), "ok");
  const std::string before = describeStore(store());
  for (const store::Txid wrong : {0u, 1u, 3u}) {
    DatabaseWrite write = owner.committing("x");
    write.expectedTxid = wrong;
    write.commit->txid = 9;
    EXPECT_EQ(codeOf(owner.apply(write)), "invalid_argument") << wrong;
  }
  EXPECT_EQ(describeStore(store()), before);
}

TEST_P(StoreConformance, nobody_writes_without_a_claim) {
  const auto opened = store().open({.name = "acme", .create = store::Create::IfMissing});
  Owner nobody(store(), "acme", opened->id, opened->head);
  EXPECT_EQ(codeOf(nobody.commit("one")), "invalid_argument");
  EXPECT_EQ(look("acme").head, Head{});
}

TEST_P(StoreConformance, a_write_to_an_unknown_database_is_not_found) {
  Owner owner = own("acme");
  DatabaseWrite write = owner.committing("x");
  write.id.value += 1'000'000;
  EXPECT_EQ(codeOf(owner.apply(write)), "not_found");
}

TEST_P(StoreConformance, malformed_commits_are_refused_and_change_nothing) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  const std::string before = describeStore(store());

  DatabaseWrite emptyRecord = owner.committing("");
  DatabaseWrite backwards = owner.committing("x");
  backwards.commit->txid = 1;
  DatabaseWrite recordAlone = owner.nothing();
  recordAlone.record = bytesOf("x");
  DatabaseWrite flipAlone = owner.nothing();
  flipAlone.flip = true;
  for (const DatabaseWrite& write : {emptyRecord, backwards, recordAlone, flipAlone}) {
    EXPECT_EQ(codeOf(owner.apply(write)), "invalid_argument");
  }
  EXPECT_EQ(describeStore(store()), before);
}

TEST_P(StoreConformance, a_refused_write_leaves_no_part_of_itself) {
  Owner first = own("acme");
  ASSERT_EQ(codeOf(first.commit("one")), "ok");
  ASSERT_EQ(codeOf(first.fold({chunkAt(0, 1, "zero"), chunkAt(1, 1, "one")})), "ok");
  own("acme");
  const std::string before = describeStore(store());

  DatabaseWrite everything = first.committing("two");
  everything.chunks = {chunkAt(0, 2, "new"), chunkAt(7, 3, "staged")};
  everything.superseded = {{0, 1}};
  everything.dropChunksFrom = 1;
  everything.trimLogThrough = 1;
  everything.expireThrough = 1;
  everything.alarmChanged = true;
  everything.alarmMs = 12;
  everything.properties = store::Properties{.metadata = "x"};
  EXPECT_EQ(codeOf(first.apply(everything)), "fenced");
  EXPECT_EQ(describeStore(store()), before);
}

TEST_P(StoreConformance, one_write_may_do_everything_at_once) {
  Owner owner = own("acme");
  for (const char* record : {"one", "two", "three"}) ASSERT_EQ(codeOf(owner.commit(record)), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 2, "a"), chunkAt(1, 2, "b"), chunkAt(9, 2, "c")})), "ok");

  DatabaseWrite write = owner.committing("four");
  write.chunks = {chunkAt(0, 3, "A"), chunkAt(1, 4, "B"), chunkAt(5, 5, "staged")};
  write.superseded = {{0, 3}, {1, 4}};
  write.dropChunksFrom = 6;
  write.trimLogThrough = 3;
  write.expireThrough = 2;
  write.alarmChanged = true;
  write.alarmMs = 500;
  write.properties = store::Properties{.retentionMs = 1, .metadata = "m", .hotChunks = {1}};
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");

  const auto opened = look("acme");
  EXPECT_EQ(opened.head.txid, 4u);
  EXPECT_EQ(opened.head.logStart, 3u);
  EXPECT_EQ(opened.head.logBytes, 4u);
  EXPECT_EQ(opened.head.stagingTxid, 5u);
  EXPECT_EQ(opened.head.alarmMs, 500);
  EXPECT_EQ(describe(opened.log), "4=four");
  EXPECT_EQ(describe(opened.chunks), "0@3=A 1@4=B");
  EXPECT_EQ(describe(versions(owner.id())), "0@3:1 1@4:1 5@5:6");
  EXPECT_EQ(describe(*store().readLog(owner.id(), 0, 1000)), "3=three 4=four");
  EXPECT_EQ(opened.properties, *write.properties);
}

TEST_P(StoreConformance, an_empty_batch_gives_no_statuses) {
  EXPECT_TRUE(store().write({}).empty());
}

TEST_P(StoreConformance, refused_writes_of_a_batch_leave_the_others_untouched) {
  Owner good = own("good");
  Owner stale = own("stale");
  own("stale");
  Owner confused = own("confused");
  Owner gone = own("gone");
  ASSERT_EQ(codeOf(store().destroy("gone")), "ok");
  Owner alsoGood = own("also good");

  DatabaseWrite wrongTxid = confused.committing("x");
  wrongTxid.expectedTxid = 8;
  wrongTxid.commit->txid = 9;
  const DatabaseWrite batch[] = {stale.committing("x"), good.committing("g"), wrongTxid,
                                 gone.committing("x"), alsoGood.committing("a")};
  const std::vector<Status> statuses = store().write(batch);
  ASSERT_EQ(statuses.size(), 5u);
  EXPECT_EQ(codeOf(statuses[0]), "fenced");
  EXPECT_EQ(codeOf(statuses[1]), "ok");
  EXPECT_EQ(codeOf(statuses[2]), "invalid_argument");
  EXPECT_EQ(codeOf(statuses[3]), "not_found");
  EXPECT_EQ(codeOf(statuses[4]), "ok");
  EXPECT_EQ(describe(look("good").log), "1=g");
  EXPECT_EQ(describe(look("also good").log), "1=a");
  EXPECT_EQ(look("stale").head.txid, 0u);
  EXPECT_EQ(look("confused").head.txid, 0u);
}

TEST_P(StoreConformance, a_batch_of_only_refused_writes_changes_nothing) {
  Owner stale = own("stale");
  own("stale");
  const std::string before = describeStore(store());
  const DatabaseWrite batch[] = {stale.committing("x")};
  EXPECT_EQ(codeOf(store().write(batch).front()), "fenced");
  EXPECT_EQ(describeStore(store()), before);
}

TEST_P(StoreConformance, a_batch_commits_many_databases) {
  std::vector<Owner> owners;
  for (int i = 0; i < 300; ++i) owners.push_back(own("db" + std::to_string(i)));
  for (int round = 0; round < 3; ++round) {
    std::vector<DatabaseWrite> batch;
    for (std::size_t i = owners.size(); i-- > 0;) {
      batch.push_back(owners[i].committing(owners[i].name() + " round " + std::to_string(round)));
    }
    const std::vector<Status> statuses = store().write(batch);
    ASSERT_EQ(statuses.size(), owners.size());
    for (const Status& status : statuses) ASSERT_EQ(codeOf(status), "ok");
    for (Owner& owner : owners) owner.setTxid(owner.txid() + 1);
  }
  for (const Owner& owner : owners) {
    EXPECT_EQ(owner.head().txid, 3u);
    EXPECT_EQ(asText(look(owner.name()).log.at(1).bytes), owner.name() + " round 1");
  }
}

}  // namespace
}  // namespace skep::testing
