// How often the store is asked: opening, scanning, and the chunks that a database wants soon after
// it wakes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "skep/testing/watched_world.h"
#include "skep/vfs/paged_file.h"

namespace skep::vfs {
namespace {

using skep::testing::scalar;
using skep::testing::WatchedWorld;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Makes "a" with t(id, v) of `rows` rows, each of which fills a page; closed, and folded into
/// chunks or left in the log.
void make(WatchedWorld& world, int rows, int pagesPerRow = 1) {
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"));
    ASSERT_OK(db->run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                      std::to_string(rows) + ") INSERT INTO t(v) SELECT randomblob(" +
                      std::to_string(3900 + (pagesPerRow - 1) * 4092) + ") FROM n"));
    ASSERT_OK(db->close());
  });
  world.watch().resetCalls();
}

PagedFileOptions folded() {
  PagedFileOptions options;
  options.logBytesMin = options.logBytesMax = 0;
  return options;
}

class OpenTest : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(RoundTrips, OpenTest, ::testing::Values(false, true),
                         [](const auto& each) { return each.param ? "chunks" : "log"; });

TEST_P(OpenTest, of_a_100_kb_database_and_its_first_query_are_one_round_trip) {
  WatchedWorld world(GetParam() ? folded() : PagedFileOptions{});
  make(world, 24);
  world.run([&] {
    auto db = world.open("a");
    EXPECT_GE(db->file().pageCount(), 25u);
    EXPECT_EQ(scalar(*db, "SELECT sum(length(v)) FROM t"), "93600");
    EXPECT_EQ(world.watch().calls().opens, 1u);
    EXPECT_EQ(world.watch().calls().all(), 1u);
    ASSERT_OK(db->run("UPDATE t SET v = zeroblob(3900)"));  // nor does a commit ask for anything
    ASSERT_OK(db->waitDurable());
    EXPECT_EQ(world.watch().calls().reads, 0u);
    ASSERT_OK(db->close());
  });
}

TEST(RoundTrips, a_reader_of_a_100_kb_database_needs_one_too) {
  WatchedWorld world(folded());
  make(world, 24);
  world.run([&] {
    sql::DatabaseOptions options;
    options.mode = sql::DatabaseOptions::Mode::ReadOnly;
    auto db = world.open("a", options);
    EXPECT_EQ(scalar(*db, "SELECT sum(length(v)) FROM t"), "93600");
    ASSERT_OK(db->close());
    EXPECT_EQ(world.watch().calls().all(), 1u);
  });
}

TEST(RoundTrips, a_cold_scan_of_50_mib_reads_ahead) {
  WatchedWorld world(folded(), 256 * 1024 * 1024);
  make(world, 12'800 / 20, 20);
  world.run([&] {
    auto db = world.open("a");
    const std::uint32_t chunks = db->file().pageCount() / store::kPagesPerChunk;
    EXPECT_GE(chunks, 800u);
    EXPECT_EQ(scalar(*db, "SELECT count(v) FROM t WHERE unicode(v) >= 0 OR length(v) > 0"), "640");
    const auto& calls = world.watch().calls();
    EXPECT_LE(calls.reads, chunks / 32 + 8);
    EXPECT_GE(calls.chunksAsked, chunks - 10);
    EXPECT_LE(calls.chunksAsked, chunks + 40);  // and nothing twice
    ASSERT_OK(db->close());
  });
}

TEST(RoundTrips, a_scan_with_little_memory_reads_no_chunk_twice) {
  WatchedWorld world(folded(), 1024 * 1024);
  make(world, 2000);
  world.run([&] {
    auto db = world.open("a");
    const std::uint32_t chunks = db->file().pageCount() / store::kPagesPerChunk;
    EXPECT_EQ(scalar(*db, "SELECT sum(length(v)) FROM t"), "7800000");
    EXPECT_LE(world.watch().calls().chunksAsked, chunks + 10);
    EXPECT_LE(world.watch().calls().reads, chunks / 2);
    ASSERT_OK(db->close());
  });
}

TEST(RoundTrips, reads_here_and_there_do_not_read_ahead) {
  WatchedWorld world(folded());
  make(world, 2000);
  world.run([&] {
    auto db = world.open("a");
    for (int id : {1900, 300, 1500, 700})
      EXPECT_EQ(scalar(*db, "SELECT length(v) FROM t WHERE id = " + std::to_string(id)), "3900");
    EXPECT_LE(world.watch().calls().chunksAsked, 8u);  // of leaves, and of inner pages
    ASSERT_OK(db->close());
  });
}

// --- Hot chunks ---

std::string at(sql::Database& db, int id) {
  return scalar(db, "SELECT length(v) FROM t WHERE id = " + std::to_string(id));
}

TEST(HotChunks, are_remembered_at_close_and_come_with_the_next_open) {
  WatchedWorld world(folded());
  make(world, 2000);
  world.run([&] {
    auto first = world.open("a");
    for (int id : {500, 1000, 1500}) EXPECT_EQ(at(*first, id), "3900");
    EXPECT_GE(world.watch().calls().reads, 3u);
    EXPECT_EQ(world.watch().calls().writes, 0u);
    ASSERT_OK(first->close());
    EXPECT_EQ(world.watch().calls().writes, 1u);
    EXPECT_GE(world.store().info("a")->properties.hotChunks.size(), 3u);

    world.watch().resetCalls();
    auto second = world.open("a");
    for (int id : {500, 1000, 1500}) EXPECT_EQ(at(*second, id), "3900");
    EXPECT_EQ(world.watch().calls().all(), 1u);
    ASSERT_OK(second->close());
    EXPECT_EQ(world.watch().calls().all(), 1u);  // nothing new: nothing written
  });
}

TEST(HotChunks, ride_along_with_a_commit_when_there_is_one) {
  WatchedWorld world;
  make(world, 2000);
  world.run([&] {
    auto db = world.open("a");
    EXPECT_EQ(at(*db, 1000), "3900");
    ASSERT_OK(db->run("UPDATE t SET v = 'x' WHERE id = 1"));
    ASSERT_OK(db->close());
    EXPECT_EQ(world.watch().calls().writes, 1u);
    EXPECT_GE(world.store().info("a")->properties.hotChunks.size(), 1u);
  });
}

TEST(HotChunks, are_not_worth_a_write_of_their_own_when_there_are_few) {
  WatchedWorld world(folded());
  make(world, 200);
  world.run([&] {
    auto db = world.open("a");
    EXPECT_EQ(at(*db, 150), "3900");
    ASSERT_OK(db->close());
    EXPECT_EQ(world.watch().calls().writes, 0u);
    EXPECT_THAT(world.store().info("a")->properties.hotChunks, IsEmpty());
  });
}

TEST(HotChunks, follow_what_is_wanted_and_stay_few) {
  WatchedWorld world(folded());
  make(world, 4000);
  world.run([&] {
    for (int round = 0; round < 3; ++round) {
      auto db = world.open("a");
      for (int i = 0; i < 60; ++i) EXPECT_EQ(at(*db, (i * 67 + round * 1300) % 4000 + 1), "3900");
      ASSERT_OK(db->close());
      EXPECT_LE(world.store().info("a")->properties.hotChunks.size(), store::kHotChunksMax);
    }
    for (int round = 0; round < 2; ++round) {
      auto db = world.open("a");
      for (int id : {600, 1200, 1800, 2400}) EXPECT_EQ(at(*db, id), "3900");
      ASSERT_OK(db->close());
    }
    world.watch().resetCalls();
    auto db = world.open("a");
    for (int id : {600, 1200, 1800, 2400}) EXPECT_EQ(at(*db, id), "3900");
    EXPECT_EQ(world.watch().calls().reads, 0u);
    EXPECT_LE(db->file().properties().hotChunks.size(),
              8u);  // those of the rounds before are forgotten
    ASSERT_OK(db->close());
  });
}

TEST(HotChunks, are_neither_noted_nor_written_by_readers_and_scans) {
  WatchedWorld world(folded());
  make(world, 2000);
  world.run([&] {
    sql::DatabaseOptions options;
    options.mode = sql::DatabaseOptions::Mode::ReadOnly;
    auto reader = world.open("a", options);
    for (int id : {500, 1000, 1500}) EXPECT_EQ(at(*reader, id), "3900");
    ASSERT_OK(reader->close());
    EXPECT_EQ(world.watch().calls().writes, 0u);
    auto scanner = world.open("a");
    EXPECT_EQ(scalar(*scanner, "SELECT sum(length(v)) FROM t"), "7800000");
    ASSERT_OK(scanner->close());
    EXPECT_LE(world.store().info("a")->properties.hotChunks.size(), 3u);
  });
}

TEST(HotChunks, that_the_database_no_longer_has_do_no_harm) {
  WatchedWorld world(folded());
  make(world, 2000);
  world.run([&] {
    auto db = world.open("a");
    for (int id : {500, 1000, 1500, 1900}) EXPECT_EQ(at(*db, id), "3900");
    ASSERT_OK(db->close());
    EXPECT_GE(world.store().info("a")->properties.hotChunks.size(), 4u);
    db = world.open("a");
    ASSERT_OK(db->run("DELETE FROM t WHERE id > 10; VACUUM"));
    ASSERT_OK(db->close());
    db = world.open("a");
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "10");
    ASSERT_OK(
        db->run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
                "INSERT INTO t(v) SELECT randomblob(3900) FROM n"));
    ASSERT_OK(db->close());
    db = world.open("a");
    EXPECT_EQ(scalar(*db, "SELECT count(*) FROM t"), "1010");
    EXPECT_EQ(scalar(*db, "PRAGMA integrity_check"), "ok");
    ASSERT_OK(db->close());
  });
}

TEST(HotChunks, keep_the_other_properties_of_the_database) {
  WatchedWorld world(folded());
  make(world, 2000);
  world.run([&] {
    auto db = world.open("a");
    for (int id : {500, 1000, 1500}) EXPECT_EQ(at(*db, id), "3900");
    store::Properties properties = db->file().properties();
    properties.metadata = "mine";
    db->file().setProperties(properties);
    ASSERT_OK(db->close());
    EXPECT_EQ(world.store().info("a")->properties.metadata, "mine");
    EXPECT_GE(world.store().info("a")->properties.hotChunks.size(), 3u);
  });
}

TEST(HotChunks, undo_no_change_of_properties_that_is_on_its_way_at_close) {
  for (const bool isLost : {false, true}) {
    WatchedWorld world(folded());
    make(world, 2000);
    world.run([&] {
      auto db = world.open("a");
      for (int id : {500, 1000, 1500}) EXPECT_EQ(at(*db, id), "3900");
      // The write of the new properties stays in the store until the close has begun.
      fiber::Event arrived;
      fiber::Event goesOn;
      bool hasArrived = false;
      bool mayGoOn = false;
      world.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
        if (std::exchange(hasArrived, true)) return {};
        arrived.notifyAll();
        while (!mayGoOn) goesOn.wait();
        if (isLost) return Error{ErrorCode::UnknownOutcome, "no answer"};
        return {};
      };
      store::Properties properties = db->file().properties();
      properties.metadata = "mine";
      db->file().setProperties(properties);
      while (!hasArrived) arrived.wait();
      world.loop().spawn("store", [&] {
        mayGoOn = true;
        goesOn.notifyAll();
      });
      ASSERT_OK(db->close());
      EXPECT_EQ(world.store().info("a")->properties.metadata, "mine") << isLost;
      EXPECT_GE(world.store().info("a")->properties.hotChunks.size(), 3u);
    });
    world.watch().forgetHooks();
  }
}

}  // namespace
}  // namespace skep::vfs
