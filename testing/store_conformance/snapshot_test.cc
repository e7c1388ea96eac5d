// Conformance: snapshots, which show the store as it was when they were taken.

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::DatabaseWrite;
using store::PageStore;

std::unique_ptr<PageStore> snapshotOf(PageStore& store) {
  Result<std::unique_ptr<PageStore>> taken = store.snapshot();
  EXPECT_EQ(codeOf(taken), "ok");
  return taken ? std::move(taken).value() : nullptr;
}

TEST_P(StoreConformance, a_snapshot_shows_everything_as_it_was) {
  Owner owner = own("acme");
  for (int i = 0; i < 4; ++i) ASSERT_EQ(codeOf(owner.commit("r" + std::to_string(i))), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 2, "old"), chunkAt(1, 3, "other")})), "ok");
  DatabaseWrite alarm = owner.nothing();
  alarm.alarmChanged = true;
  alarm.alarmMs = 1000;
  alarm.properties = store::Properties{.retentionMs = 5, .metadata = "then", .hotChunks = {}};
  ASSERT_EQ(codeOf(owner.apply(alarm)), "ok");
  const std::string before = describeStore(store());
  const store::Head headBefore = owner.head();

  const std::unique_ptr<PageStore> snapshot = snapshotOf(store());
  ASSERT_NE(snapshot, nullptr);
  EXPECT_EQ(describeStore(*snapshot), before);

  DatabaseWrite change = owner.committing("later");
  change.chunks = {chunkAt(0, 5, "new")};
  change.superseded = {{0, 5}, {1, 5}};
  change.trimLogThrough = 5;
  change.expireThrough = 4;
  change.alarmChanged = true;
  change.alarmMs = std::nullopt;
  change.properties = store::Properties{};
  ASSERT_EQ(codeOf(owner.apply(change)), "ok");
  own("born later");
  EXPECT_NE(describeStore(store()), before);

  EXPECT_EQ(describeStore(*snapshot), before);
  EXPECT_EQ(describe(*snapshot->readHead(owner.id())), describe(headBefore));
  EXPECT_EQ(describe(*snapshot->readLog(owner.id(), 0, 1000)), "1=r0 2=r1 3=r2 4=r3");
  const auto read =
      snapshot->readChunks({.id = owner.id(), .atTxid = 4, .chunks = {0, 1}, .logAfter = 0});
  ASSERT_EQ(codeOf(read), "ok");
  EXPECT_EQ(describe(read->chunks), "0@2=old 1@3=other");
  EXPECT_EQ(read->log.size(), 4u);
  EXPECT_EQ(codeOf(snapshot->info("born later")), "not_found");
  EXPECT_EQ(snapshot->dueAlarms(5000, 10)->size(), 1u);
}

TEST_P(StoreConformance, a_snapshot_keeps_a_database_that_is_destroyed_and_made_again) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("first")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "first")})), "ok");
  const std::unique_ptr<PageStore> snapshot = snapshotOf(store());
  ASSERT_EQ(codeOf(store().destroy("acme")), "ok");
  Owner next = own("acme");
  ASSERT_EQ(codeOf(next.commit("second")), "ok");
  const auto opened = snapshot->open({.name = "acme"});
  ASSERT_EQ(codeOf(opened), "ok");
  EXPECT_EQ(opened->id, owner.id());
  EXPECT_EQ(describe(opened->log), "1=first");
  EXPECT_EQ(describe(opened->chunks), "0@1=first");
}

TEST_P(StoreConformance, a_snapshot_can_not_be_written_to) {
  Owner owner = own("acme");
  const std::unique_ptr<PageStore> snapshot = snapshotOf(store());
  const DatabaseWrite write = owner.committing("x");
  EXPECT_EQ(codeOf(snapshot->write({&write, 1}).front()), "read_only");
  EXPECT_EQ(codeOf(snapshot->destroy("acme")), "read_only");
  EXPECT_EQ(codeOf(snapshot->open({.name = "new", .create = store::Create::IfMissing})),
            "read_only");
  EXPECT_EQ(codeOf(snapshot->open({.name = "acme", .claim = store::Claim::Take})), "read_only");
  EXPECT_EQ(codeOf(snapshot->snapshot()), "unsupported");
  EXPECT_EQ(codeOf(owner.commit("the owner goes on")), "ok");
}

TEST_P(StoreConformance, several_snapshots_each_show_their_own_moment) {
  Owner owner = own("acme");
  std::vector<std::unique_ptr<PageStore>> snapshots;
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(codeOf(owner.commit("x")), "ok");
    snapshots.push_back(snapshotOf(store()));
  }
  snapshots.erase(snapshots.begin());
  ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  EXPECT_EQ(snapshots[0]->readHead(owner.id())->txid, 2u);
  EXPECT_EQ(snapshots[1]->readHead(owner.id())->txid, 3u);
  EXPECT_EQ(store().readHead(owner.id())->txid, 4u);
}

}  // namespace
}  // namespace skep::testing
