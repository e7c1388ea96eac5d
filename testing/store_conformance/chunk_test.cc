// Conformance: chunk versions, folds, staging and the flip, sweeping.

#include "skep/testing/store_conformance/store_fixture.h"

namespace skep::testing {
namespace {

using store::ChunkNumber;
using store::DatabaseWrite;
using store::StoredChunk;
using store::Txid;

TEST_P(StoreConformance, a_read_finds_the_newest_version_at_or_below_its_txid) {
  Owner owner = own("acme");
  for (int i = 0; i < 6; ++i) ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 2, "a2"), chunkAt(0, 4, "a4"), chunkAt(0, 5, "a5"),
                               chunkAt(1, 3, "b3"), chunkAt(3, 6, "d6")})),
            "ok");
  const auto at = [&](Txid txid) {
    return describe(read({.id = owner.id(), .atTxid = txid, .chunks = {0, 1, 2, 3}}).chunks);
  };
  EXPECT_EQ(at(1), "");
  EXPECT_EQ(at(2), "0@2=a2");
  EXPECT_EQ(at(3), "0@2=a2 1@3=b3");
  EXPECT_EQ(at(4), "0@4=a4 1@3=b3");
  EXPECT_EQ(at(5), "0@5=a5 1@3=b3");
  EXPECT_EQ(at(6), "0@5=a5 1@3=b3 3@6=d6");
  EXPECT_EQ(at(1000), "0@5=a5 1@3=b3 3@6=d6");
}

TEST_P(StoreConformance, an_owner_that_lost_its_database_can_no_longer_read_as_its_owner) {
  Owner first = own("acme");
  ASSERT_EQ(codeOf(first.commit("x")), "ok");
  const store::ChunkReadRequest asFirst{
      .id = first.id(), .atTxid = 1, .chunks = {0}, .epoch = first.epoch(), .logAfter = 0};
  EXPECT_EQ(codeOf(store().readChunks(asFirst)), "ok");
  Owner second = own("acme");
  EXPECT_EQ(codeOf(store().readChunks(asFirst)), "fenced");
  store::ChunkReadRequest asSecond = asFirst;
  asSecond.epoch = second.epoch();
  EXPECT_EQ(codeOf(store().readChunks(asSecond)), "ok");
  store::ChunkReadRequest asNobody = asFirst;
  asNobody.epoch = 0;
  EXPECT_EQ(codeOf(store().readChunks(asNobody)), "ok");
}

TEST_P(StoreConformance, a_read_returns_only_the_chunks_that_it_asks_for) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  std::vector<StoredChunk> chunks;
  for (ChunkNumber chunk = 0; chunk < 50; ++chunk)
    chunks.push_back(chunkAt(chunk, 1, std::to_string(chunk)));
  ASSERT_EQ(codeOf(owner.fold(chunks)), "ok");
  EXPECT_EQ(describe(read({.id = owner.id(), .atTxid = 1, .chunks = {3, 17, 49, 50, 1000}}).chunks),
            "3@1=3 17@1=17 49@1=49");
  EXPECT_TRUE(read({.id = owner.id(), .atTxid = 1, .chunks = {}}).chunks.empty());
}

TEST_P(StoreConformance, chunks_of_one_database_are_not_seen_by_another) {
  Owner a = own("a");
  Owner b = own("b");
  Owner c = own("c");
  for (Owner* owner : {&a, &b, &c}) ASSERT_EQ(codeOf(owner->commit(owner->name())), "ok");
  ASSERT_EQ(codeOf(a.fold({chunkAt(0, 1, "of a"), chunkAt(9, 1, "of a")})), "ok");
  ASSERT_EQ(codeOf(c.fold({chunkAt(0, 1, "of c")})), "ok");
  EXPECT_TRUE(read({.id = b.id(), .atTxid = 1, .chunks = {0, 9}}).chunks.empty());
  EXPECT_TRUE(versions(b.id()).empty());
  EXPECT_EQ(describe(*store().readLog(b.id(), 0, 1000)), "1=b");
  EXPECT_EQ(describe(look("b").log), "1=b");
  EXPECT_TRUE(look("b").chunks.empty());
}

TEST_P(StoreConformance, chunks_are_any_bytes_up_to_their_limit) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  const Bytes largest = noise(store::kChunkBytesMax, 7);
  constexpr ChunkNumber kLastChunk = (1u << 28) - 1;
  ASSERT_EQ(
      codeOf(owner.fold({{0, 1, largest}, {1, 1, Bytes(1)}, {kLastChunk, 1, bytesOf("last")}})),
      "ok");
  const auto found = read({.id = owner.id(), .atTxid = 1, .chunks = {0, 1, kLastChunk}}).chunks;
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].bytes == largest);
  EXPECT_TRUE(found[1].bytes == Bytes(1));
  EXPECT_EQ(asText(found[2].bytes), "last");
  EXPECT_EQ(codeOf(owner.fold({{2, 1, noise(store::kChunkBytesMax + 1, 8)}})), "invalid_argument");
}

TEST_P(StoreConformance, putting_a_version_again_replaces_it) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "torn")})), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "whole again")})), "ok");
  EXPECT_EQ(describe(look("acme").chunks), "0@1=whole again");
  EXPECT_EQ(describe(versions(owner.id())), "0@1:11");
}

TEST_P(StoreConformance, superseding_removes_the_older_versions_of_that_chunk_alone) {
  Owner owner = own("acme");
  for (int i = 0; i < 5; ++i) ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "a"), chunkAt(1, 1, "b"), chunkAt(1, 2, "bb"),
                               chunkAt(1, 4, "bbbb"), chunkAt(2, 1, "c")})),
            "ok");
  DatabaseWrite write = owner.folding({chunkAt(1, 5, "bbbbb")});
  write.superseded = {{1, 4}};
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  EXPECT_EQ(describe(versions(owner.id())), "0@1:1 1@4:4 1@5:5 2@1:1");
  write = owner.nothing();
  write.superseded = {{1, 5}, {2, 1}, {7, 3}};
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  EXPECT_EQ(describe(versions(owner.id())), "0@1:1 1@5:5 2@1:1");
}

TEST_P(StoreConformance, what_is_above_the_head_cannot_be_superseded_by) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "a")})), "ok");
  DatabaseWrite write = owner.nothing();
  write.superseded = {{0, 2}};
  EXPECT_EQ(codeOf(owner.apply(write)), "invalid_argument");
  EXPECT_EQ(describe(versions(owner.id())), "0@1:1");
}

TEST_P(StoreConformance, dropping_chunks_removes_every_visible_version_from_a_number_on) {
  Owner owner = own("acme");
  for (int i = 0; i < 3; ++i) ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(1, 1, "a"), chunkAt(2, 1, "b"), chunkAt(2, 3, "b"),
                               chunkAt(300, 2, "c")})),
            "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(2, 4, "staged"), chunkAt(5, 4, "staged")})), "ok");
  DatabaseWrite write = owner.nothing();
  write.dropChunksFrom = 2;
  ASSERT_EQ(codeOf(owner.apply(write)), "ok");
  EXPECT_EQ(describe(versions(owner.id())), "1@1:1 2@4:6 5@4:6") << "staged versions stay";
  EXPECT_EQ(describe(look("acme", 400).chunks), "1@1=a");
}

TEST_P(StoreConformance, a_fold_may_be_split_over_several_writes) {
  Owner owner = own("acme");
  for (const char* record : {"one", "two", "three"}) ASSERT_EQ(codeOf(owner.commit(record)), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 3, "zero at 3")})), "ok");
  EXPECT_EQ(describe(look("acme").log), "1=one 2=two 3=three");
  ASSERT_EQ(codeOf(owner.commit("four")), "ok");
  DatabaseWrite rest = owner.folding({chunkAt(1, 3, "one at 3")});
  rest.trimLogThrough = 3;
  rest.expireThrough = 3;
  ASSERT_EQ(codeOf(owner.apply(rest)), "ok");
  EXPECT_EQ(describe(look("acme").chunks), "0@3=zero at 3 1@3=one at 3");
  EXPECT_EQ(describe(look("acme").log), "4=four");
  EXPECT_EQ(owner.head().stagingTxid, 0u);
}

TEST_P(StoreConformance, chunk_versions_are_listed_in_pages) {
  Owner owner = own("acme");
  for (int i = 0; i < 4; ++i) ASSERT_EQ(codeOf(owner.commit("x")), "ok");
  std::vector<StoredChunk> chunks;
  for (ChunkNumber chunk : {9, 0, 4, 1}) {
    for (Txid txid : {3, 1, 5}) chunks.push_back({chunk, txid, Bytes(10 * chunk + txid)});
  }
  ASSERT_EQ(codeOf(owner.fold(chunks)), "ok");
  const std::string all =
      "0@1:1 0@3:3 0@5:5 1@1:11 1@3:13 1@5:15 4@1:41 4@3:43 4@5:45 9@1:91 9@3:93 9@5:95";
  EXPECT_EQ(describe(versions(owner.id())), all);
  for (const std::size_t limit : {1, 2, 5, 12, 100}) {
    std::vector<store::ChunkVersion> seen;
    while (true) {
      const auto after = seen.empty() ? std::nullopt : std::optional(seen.back());
      const auto page = store().listChunkVersions(owner.id(), after, limit);
      ASSERT_EQ(codeOf(page), "ok");
      ASSERT_LE(page->size(), limit);
      if (page->empty()) break;
      seen.insert(seen.end(), page->begin(), page->end());
    }
    EXPECT_EQ(describe(seen), all) << limit;
  }
}

TEST_P(StoreConformance, staged_versions_are_invisible_until_the_flip) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "old")})), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 2, "new zero")})), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(1, 2, "new one")})), "ok");

  EXPECT_EQ(owner.head().stagingTxid, 2u);
  EXPECT_EQ(owner.head().txid, 1u);
  EXPECT_EQ(describe(look("acme").chunks), "0@1=old");
  EXPECT_EQ(describe(read({.id = owner.id(), .atTxid = 1, .chunks = {0, 1}}).chunks), "0@1=old");
  EXPECT_EQ(describe(read({.id = owner.id(), .atTxid = 2, .chunks = {0, 1}}).chunks),
            "0@2=new zero 1@2=new one")
      << "their owner finds them at their own txid";

  DatabaseWrite flip = owner.committing("flip");
  flip.flip = true;
  ASSERT_EQ(codeOf(owner.apply(flip)), "ok");
  const auto opened = look("acme");
  EXPECT_EQ(opened.head.txid, 2u);
  EXPECT_EQ(opened.head.stagingTxid, 0u);
  EXPECT_EQ(opened.head.sweepTxid, 2u);
  EXPECT_EQ(describe(opened.chunks), "0@2=new zero 1@2=new one");
  EXPECT_EQ(describe(read({.id = owner.id(), .atTxid = 1, .chunks = {0, 1}}).chunks), "0@1=old");
  EXPECT_EQ(describe(opened.log), "1=one 2=flip");
}

TEST_P(StoreConformance, a_plain_commit_is_refused_while_chunks_are_staged) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "staged")})), "ok");
  const std::string before = describeStore(store());
  EXPECT_EQ(codeOf(owner.commit("one")), "invalid_argument");
  EXPECT_EQ(describeStore(store()), before);
}

TEST_P(StoreConformance, folds_and_properties_go_on_while_chunks_are_staged) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 5, "staged")})), "ok");
  DatabaseWrite fold = owner.folding({chunkAt(0, 1, "folded")});
  fold.trimLogThrough = 1;
  fold.expireThrough = 1;
  fold.properties = store::Properties{.metadata = "m"};
  ASSERT_EQ(codeOf(owner.apply(fold)), "ok");
  EXPECT_EQ(owner.head().stagingTxid, 5u);
  EXPECT_EQ(describe(look("acme").chunks), "0@1=folded");
}

TEST_P(StoreConformance, only_one_txid_is_staged_at_a_time) {
  Owner owner = own("acme");
  EXPECT_EQ(codeOf(owner.fold({chunkAt(0, 3, "a"), chunkAt(1, 4, "b")})), "invalid_argument");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 3, "a")})), "ok");
  EXPECT_EQ(codeOf(owner.fold({chunkAt(1, 4, "b")})), "invalid_argument");
  EXPECT_EQ(codeOf(owner.fold({chunkAt(1, 2, "b")})), "invalid_argument");
  EXPECT_EQ(describe(versions(owner.id())), "0@3:1");
}

TEST_P(StoreConformance, a_flip_needs_something_staged_at_its_txid) {
  Owner owner = own("acme");
  DatabaseWrite flip = owner.committing("flip");
  flip.flip = true;
  EXPECT_EQ(codeOf(owner.apply(flip)), "invalid_argument") << "nothing is staged";
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 3, "staged")})), "ok");
  EXPECT_EQ(codeOf(owner.apply(flip)), "invalid_argument") << "staged at 3, flipped to 1";
  flip.commit->txid = 3;
  EXPECT_EQ(codeOf(owner.apply(flip)), "ok");
}

TEST_P(StoreConformance, the_last_chunks_may_be_staged_by_the_flip_itself) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "zero")})), "ok");
  DatabaseWrite flip = owner.committing("flip");
  flip.flip = true;
  flip.chunks = {chunkAt(1, 1, "one")};
  ASSERT_EQ(codeOf(owner.apply(flip)), "ok");
  EXPECT_EQ(describe(look("acme").chunks), "0@1=zero 1@1=one");
  EXPECT_EQ(owner.head().stagingTxid, 0u);
  EXPECT_EQ(owner.head().sweepTxid, 1u);
}

TEST_P(StoreConformance, sweep_due_marks_what_is_superseded_at_the_head_after_the_write) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  DatabaseWrite due = owner.nothing();
  due.sweepDue = true;
  ASSERT_EQ(codeOf(owner.apply(due)), "ok");
  EXPECT_EQ(owner.head().sweepTxid, 1u);
  due = owner.committing("two");
  due.sweepDue = true;
  ASSERT_EQ(codeOf(owner.apply(due)), "ok");
  EXPECT_EQ(owner.head().sweepTxid, 2u);
}

TEST_P(StoreConformance, sweep_done_clears_the_sweep_mark) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "zero")})), "ok");
  DatabaseWrite flip = owner.committing("flip");
  flip.flip = true;
  ASSERT_EQ(codeOf(owner.apply(flip)), "ok");
  ASSERT_EQ(codeOf(owner.commit("two")), "ok");
  EXPECT_EQ(owner.head().sweepTxid, 1u) << "commits leave it";
  DatabaseWrite done = owner.nothing();
  done.sweepDone = true;
  ASSERT_EQ(codeOf(owner.apply(done)), "ok");
  EXPECT_EQ(owner.head().sweepTxid, 0u);
}

TEST_P(StoreConformance, discarding_removes_what_was_staged_and_nothing_else) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "kept"), chunkAt(2, 1, "kept")})), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 9, "staged"), chunkAt(1, 9, "staged")})), "ok");

  own("acme");
  Owner next = own("acme");
  EXPECT_EQ(next.head().stagingTxid, 9u) << "the next owner learns of the torn staging";
  DatabaseWrite discard = next.nothing();
  discard.discardStaging = true;
  for (int i = 0; i < 100 && next.head().stagingTxid != 0; ++i) {
    ASSERT_EQ(codeOf(next.apply(discard)), "ok");
  }
  EXPECT_EQ(next.head().stagingTxid, 0u);
  EXPECT_EQ(describe(versions(next.id())), "0@1:4 2@1:4");
  EXPECT_EQ(codeOf(next.apply(discard)), "ok") << "with nothing staged it does nothing";
  EXPECT_EQ(codeOf(next.commit("two")), "ok");
}

TEST_P(StoreConformance, a_large_staging_is_discarded_by_repeating) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.commit("one")), "ok");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(7, 1, "kept")})), "ok");
  constexpr ChunkNumber kChunks = 9000;
  for (ChunkNumber first = 0; first < kChunks; first += 1000) {
    std::vector<StoredChunk> chunks;
    for (ChunkNumber chunk = first; chunk < first + 1000; ++chunk)
      chunks.push_back({chunk, 2, Bytes(100)});
    ASSERT_EQ(codeOf(owner.fold(std::move(chunks))), "ok");
  }
  DatabaseWrite discard = owner.nothing();
  discard.discardStaging = true;
  int rounds = 0;
  while (owner.head().stagingTxid != 0) {
    ASSERT_EQ(codeOf(owner.apply(discard)), "ok");
    ASSERT_LT(++rounds, 1000) << "discarding makes no progress";
  }
  EXPECT_EQ(describe(versions(owner.id())), "7@1:4");
  EXPECT_EQ(codeOf(owner.commit("two")), "ok");
}

TEST_P(StoreConformance, discarding_stands_alone) {
  Owner owner = own("acme");
  ASSERT_EQ(codeOf(owner.fold({chunkAt(0, 1, "staged")})), "ok");
  DatabaseWrite withCommit = owner.committing("x");
  withCommit.flip = true;
  withCommit.discardStaging = true;
  EXPECT_EQ(codeOf(owner.apply(withCommit)), "invalid_argument");
  DatabaseWrite withStaging = owner.folding({chunkAt(1, 1, "more")});
  withStaging.discardStaging = true;
  EXPECT_EQ(codeOf(owner.apply(withStaging)), "invalid_argument");
  EXPECT_EQ(owner.head().stagingTxid, 1u);
}

TEST_P(StoreConformance, a_stale_owner_can_neither_stage_nor_flip_nor_discard) {
  Owner stale = own("acme");
  ASSERT_EQ(codeOf(stale.fold({chunkAt(0, 1, "staged")})), "ok");
  own("acme");
  const std::string before = describeStore(store());
  EXPECT_EQ(codeOf(stale.fold({chunkAt(1, 1, "late")})), "fenced");
  DatabaseWrite flip = stale.committing("late");
  flip.flip = true;
  EXPECT_EQ(codeOf(stale.apply(flip)), "fenced");
  DatabaseWrite discard = stale.nothing();
  discard.discardStaging = true;
  EXPECT_EQ(codeOf(stale.apply(discard)), "fenced");
  EXPECT_EQ(describeStore(store()), before);
}

}  // namespace
}  // namespace skep::testing
