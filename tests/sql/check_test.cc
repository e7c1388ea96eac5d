// checkDatabase() finds every kind of damage, and nothing in a database that is well.

#include "skep/sql/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "skep/store/chunk.h"
#include "skep/store/record.h"
#include "skep/testing/watched_world.h"
#include "skep/vfs/paged_file.h"

namespace skep::sql {
namespace {

using skep::testing::scalar;
using skep::testing::WatchedWorld;
using ::testing::HasSubstr;

/// A world with a database "a" of some 60 pages: chunks, and a log of five records on top.
class CheckTest : public ::testing::Test {
 protected:
  CheckTest() {
    world_.run([&] {
      vfs::PagedFileOptions fold;
      fold.logBytesMin = fold.logBytesMax = 0;
      vfs::Environment folding{world_.loop(), world_.store(), world_.environment().pipeline,
                               world_.cache(), fold};
      DatabaseOptions options;
      options.name = "a";
      auto db = Database::open(folding, options);
      ASSERT_OK(db);
      ASSERT_OK(
          (*db)->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE INDEX tv ON t(v);"
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) "
                     "INSERT INTO t(v) SELECT randomblob(3000) FROM n"));
      ASSERT_OK((*db)->close());
      addCommits();
    });
  }
  /// Five commits, each a record of its own.
  void addCommits() {
    auto db = world_.open("a");
    for (int i = 0; i < 5; ++i) {
      ASSERT_OK(db->execute("INSERT INTO t(v) VALUES (?)", {Value(i)}));
      ASSERT_OK(db->waitDurable());
    }
    ASSERT_OK(db->close());
  }
  CheckReport check() {
    CheckReport report;
    world_.run([&] {
      auto checked = checkDatabase(world_.environment(), "a");
      ASSERT_OK(checked);
      report = *checked;
    });
    return report;
  }
  void expectFinding(Finding::Kind kind, const std::string& message) {
    const CheckReport report = check();
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.findings[0].kind, kind) << report.findings[0].message;
    EXPECT_THAT(report.findings[0].message, HasSubstr(message));
    // And who opens the database hears of it, or reads only what is right.
  }
  /// From now on every reader is given `change`d records.
  void tamperLog(std::function<void(std::vector<store::StoredRecord>&)> change) {
    world_.watch().afterOpen = [change](store::OpenedDatabase& opened) { change(opened.log); };
  }
  /// The same for chunks, whether they come with the open or by themselves.
  void tamperChunks(std::function<void(std::vector<store::StoredChunk>&)> change) {
    world_.watch().afterOpen = [change](store::OpenedDatabase& opened) { change(opened.chunks); };
    world_.watch().afterRead = [change](const store::ChunkReadRequest&, store::ChunkRead& read) {
      change(read.chunks);
    };
  }

  WatchedWorld world_;
};

TEST_F(CheckTest, a_sound_database_has_no_findings_and_is_counted) {
  const CheckReport report = check();
  EXPECT_TRUE(report.ok()) << report.findings[0].message;
  EXPECT_EQ(report.name, "a");
  EXPECT_EQ(report.records, 5u);
  EXPECT_GT(report.chunkVersions, 3u);
  EXPECT_EQ(report.pages, report.head.pageCount);
  world_.run([&] {
    EXPECT_EQ(checkDatabase(world_.environment(), "nobody").error().code, ErrorCode::NotFound);
  });
}

TEST_F(CheckTest, an_empty_and_a_small_database_are_sound) {
  world_.run([&] {
    auto empty = world_.open("empty");
    ASSERT_OK(empty->close());
    EXPECT_TRUE(checkDatabase(world_.environment(), "empty")->ok());
    auto small = world_.open("small");
    ASSERT_OK(small->run("CREATE TABLE t(x)"));
    ASSERT_OK(small->waitDurable());
    EXPECT_TRUE(checkDatabase(world_.environment(), "small")->ok());
    ASSERT_OK(small->close());
  });
}

TEST_F(CheckTest, finds_any_flipped_bit_of_a_record) {
  const std::size_t size = [&] {
    std::size_t bytes = 0;
    tamperLog([&](auto& log) { bytes = log[2].bytes.size(); });
    (void)check();
    return bytes;
  }();
  ASSERT_GT(size, 40u);
  for (std::size_t i = 0; i < size; i += 7) {
    tamperLog([i](auto& log) { log[2].bytes[i] ^= std::byte{1}; });
    const CheckReport report = check();
    ASSERT_FALSE(report.ok()) << "byte " << i;
    EXPECT_EQ(report.findings[0].kind, Finding::Kind::Record) << "byte " << i;
  }
}

TEST_F(CheckTest, finds_a_flipped_bit_of_a_chunk) {
  for (store::ChunkNumber chunk : {0u, 3u}) {
    tamperChunks([chunk](auto& chunks) {
      for (store::StoredChunk& each : chunks) {
        if (each.chunk == chunk) each.bytes[each.bytes.size() / 2] ^= std::byte{4};
      }
    });
    expectFinding(Finding::Kind::Chunk, "chunk " + std::to_string(chunk));
  }
}

TEST_F(CheckTest, finds_a_lost_record_wherever_it_was) {
  for (std::size_t lost : {0u, 2u, 4u}) {
    tamperLog([lost](auto& log) { log.erase(log.begin() + static_cast<std::ptrdiff_t>(lost)); });
    expectFinding(Finding::Kind::Record, "");
  }
  tamperLog([](auto& log) { log.clear(); });
  expectFinding(Finding::Kind::Record, "lost");
}

TEST_F(CheckTest, finds_a_record_of_a_stale_owner) {
  // The newest record anew, as an owner of an earlier epoch would have written it: sound in itself.
  tamperLog([](auto& log) {
    Result<store::DecodedRecord> decoded = store::decodeRecord(store::DatabaseId{1}, log[4].bytes);
    ASSERT_OK(decoded);
    store::RecordHeader header = decoded->header;
    --header.epoch;
    log[4].bytes = store::encodeRecord(store::DatabaseId{1}, header, decoded->changes);
  });
  expectFinding(Finding::Kind::Record, "does not follow");
  // One that went on from the same version, but was not what the head took.
  tamperLog([](auto& log) {
    Result<store::DecodedRecord> decoded = store::decodeRecord(store::DatabaseId{1}, log[4].bytes);
    ASSERT_OK(decoded);
    store::RecordHeader header = decoded->header;
    ++header.commitId;
    log[4].bytes = store::encodeRecord(store::DatabaseId{1}, header, decoded->changes);
  });
  expectFinding(Finding::Kind::Record, "not the one that the head names");
  // One of a later epoch than the head knows.
  tamperLog([](auto& log) {
    Result<store::DecodedRecord> decoded = store::decodeRecord(store::DatabaseId{1}, log[4].bytes);
    ASSERT_OK(decoded);
    store::RecordHeader header = decoded->header;
    header.epoch += 100;
    log[4].bytes = store::encodeRecord(store::DatabaseId{1}, header, decoded->changes);
  });
  expectFinding(Finding::Kind::Record, "epoch");
}

TEST_F(CheckTest, finds_a_record_and_a_chunk_of_another_database) {
  world_.run([&] {
    auto other = world_.open("other");
    ASSERT_OK(other->run("CREATE TABLE t(x)"));
    ASSERT_OK(other->close());
  });
  Bytes foreign;
  world_.run([&] { foreign = world_.memoryStore().open({.name = "other"})->log.at(0).bytes; });
  tamperLog([&](auto& log) { log[1].bytes = foreign; });
  expectFinding(Finding::Kind::Record, "");
  tamperChunks([](auto& chunks) {
    for (store::StoredChunk& each : chunks) {
      std::array<const std::byte*, store::kPagesPerChunk> none{};
      if (each.chunk == 1)
        each.bytes = store::encodeChunk(store::DatabaseId{77}, 1, each.txid, none);
    }
  });
  expectFinding(Finding::Kind::Chunk, "chunk 1");
}

// The store holds the same while an owner is at work on a large transaction: no reason to fail.
TEST_F(CheckTest, tells_of_a_staging_that_may_be_torn_and_checks_the_rest) {
  world_.run([&] {
    auto opened = world_.store().open({.name = "a", .claim = store::Claim::Take});
    ASSERT_OK(opened);
    std::array<const std::byte*, store::kPagesPerChunk> none{};
    store::DatabaseWrite write{
        .id = opened->id, .epoch = opened->head.epoch, .expectedTxid = opened->head.txid};
    const store::Txid txid = opened->head.txid + 1;
    for (store::ChunkNumber chunk : {9u, 10u}) {
      write.chunks.push_back({.chunk = chunk,
                              .txid = txid,
                              .bytes = store::encodeChunk(opened->id, chunk, txid, none)});
    }
    ASSERT_OK(world_.store().write({&write, 1}).front());
  });
  const CheckReport report = check();
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.pages, report.head.pageCount);
  ASSERT_EQ(report.findings.size(), 1u) << "once, however many chunks";
  EXPECT_EQ(report.findings[0].kind, Finding::Kind::Staging);
  EXPECT_THAT(report.findings[0].message, HasSubstr("chunk 9"));
  EXPECT_THAT(report.findings[0].message, HasSubstr("an owner is at work"));
  world_.run([&] {  // the next owner removes it
    auto db = world_.open("a");
    ASSERT_OK(db->close());
  });
  EXPECT_TRUE(check().findings.empty());
}

TEST_F(CheckTest, finds_a_chunk_above_the_head_that_nobody_stages) {
  bool listed = false;
  world_.watch().afterList = [&](auto& versions) {
    if (!std::exchange(listed, true))
      versions.push_back({.chunk = 500, .txid = 1'000'000, .bytes = 10});
  };
  expectFinding(Finding::Kind::Chunk, "which the head does not know of");
}

TEST_F(CheckTest, finds_a_version_that_is_listed_and_not_there) {
  bool listed = false;
  world_.watch().afterList = [&](auto& versions) {
    if (!std::exchange(listed, true)) versions.push_back({.chunk = 1, .txid = 1, .bytes = 10});
  };
  expectFinding(Finding::Kind::Chunk, "can't be read");
}

/// A world whose database "a" keeps its history: folded after every commit, five of them.
class CheckHistoryTest : public ::testing::Test {
 protected:
  static vfs::PagedFileOptions alwaysFold() {
    vfs::PagedFileOptions folding;
    folding.logBytesMin = folding.logBytesMax = 0;
    return folding;
  }
  CheckHistoryTest() : world_(alwaysFold()) {
    world_.run([&] {
      auto db = world_.open("a");
      db->file().setProperties({.retentionMs = 1'000'000});
      ASSERT_OK(db->run("CREATE TABLE t(v)"));
      ASSERT_OK(db->waitDurable());
      for (int i = 0; i < 5; ++i) {
        ASSERT_OK(db->run("INSERT INTO t VALUES (randomblob(9000))"));
        ASSERT_OK(db->run("INSERT INTO t VALUES (randomblob(9000))"));
        ASSERT_OK(db->waitDurable());  // one record for both
      }
      ASSERT_OK(db->close());
      const auto opened = world_.store().open({.name = "a"});
      ASSERT_OK(opened);
      id_ = opened->id;
      head_ = opened->head;
      ASSERT_GT(head_.logStart, 6u) << "the head needs none of the older records";
    });
    const CheckReport sound = check();
    EXPECT_TRUE(sound.ok()) << sound.findings[0].message;
    kept_ = sound.records;
    EXPECT_GE(kept_, 6u);
  }
  CheckReport check() {
    CheckReport report;
    world_.run([&] {
      auto checked = checkDatabase(world_.environment(), "a");
      ASSERT_OK(checked);
      report = *checked;
    });
    return report;
  }
  /// From now on every reader is given `change`d records, wherever they come from.
  void tamper(std::function<void(std::vector<store::StoredRecord>&)> change) {
    world_.watch().afterOpen = [change](store::OpenedDatabase& opened) { change(opened.log); };
    world_.watch().afterReadLog = change;
  }
  void expectFinding(Finding::Kind kind, const std::string& message) {
    const CheckReport report = check();
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.findings[0].kind, kind) << report.findings[0].message;
    EXPECT_THAT(report.findings[0].message, HasSubstr(message));
  }
  /// The txids that the records end at.
  std::vector<store::Txid> recordTxids() {
    std::vector<store::Txid> txids;
    world_.run([&] {
      const auto records = world_.memoryStore().readLog(id_, 0, 1 << 30);
      ASSERT_OK(records);
      for (const store::StoredRecord& record : *records) txids.push_back(record.txid);
    });
    return txids;
  }

  WatchedWorld world_;
  store::DatabaseId id_;
  store::Head head_;
  std::uint64_t kept_ = 0;
};

TEST_F(CheckHistoryTest, finds_a_flipped_bit_in_any_record) {
  for (const store::Txid txid : recordTxids()) {
    tamper([txid](auto& records) {
      for (store::StoredRecord& record : records) {
        if (record.txid == txid) record.bytes[record.bytes.size() / 2] ^= std::byte{1};
      }
    });
    expectFinding(Finding::Kind::Record, "");
  }
}

TEST_F(CheckHistoryTest, finds_a_lost_record_between_two_that_are_kept) {
  const std::vector<store::Txid> txids = recordTxids();
  for (std::size_t i = 1; i + 1 < txids.size(); ++i) {
    tamper([&](auto& records) {
      std::erase_if(records, [&](const auto& record) { return record.txid == txids[i]; });
    });
    expectFinding(Finding::Kind::Record, "a record of txid " + std::to_string(txids[i - 1] + 1));
  }
}

TEST_F(CheckHistoryTest, finds_a_record_that_an_earlier_owner_or_another_version_left) {
  const store::Txid txid = recordTxids()[2];
  const auto rewrite = [&](std::function<void(store::RecordHeader&)> change) {
    tamper([this, txid, change](auto& records) {
      for (store::StoredRecord& record : records) {
        if (record.txid != txid) continue;
        Result<store::DecodedRecord> decoded = store::decodeRecord(id_, record.bytes);
        ASSERT_OK(decoded);
        change(decoded->header);
        record.bytes = store::encodeRecord(id_, decoded->header, decoded->changes);
      }
    });
  };
  rewrite([](store::RecordHeader& header) { --header.epoch; });
  expectFinding(Finding::Kind::Record, "epoch");
  rewrite([](store::RecordHeader& header) { ++header.digestBefore; });
  expectFinding(Finding::Kind::Record, "another version");
}

TEST_F(CheckHistoryTest, finds_a_chunk_version_that_no_commit_made) {
  world_.run([&] {
    auto opened = world_.store().open({.name = "a", .claim = store::Claim::Take});
    ASSERT_OK(opened);
    store::DatabaseWrite write{
        .id = opened->id, .epoch = opened->head.epoch, .expectedTxid = opened->head.txid};
    const store::Txid within = head_.txid - 1;  // the first of two that one record covers
    std::array<const std::byte*, store::kPagesPerChunk> none{};
    write.chunks.push_back(
        {.chunk = 0, .txid = within, .bytes = store::encodeChunk(id_, 0, within, none)});
    ASSERT_OK(world_.store().write({&write, 1}).front());
  });
  expectFinding(Finding::Kind::Chunk, "at which no commit ended");
}

TEST_F(CheckTest, finds_a_lost_chunk) {
  for (store::ChunkNumber chunk : {0u, 2u}) {
    tamperChunks([chunk](auto& chunks) {
      std::erase_if(chunks, [chunk](const auto& each) { return each.chunk == chunk; });
    });
    world_.watch().afterList = [chunk](auto& versions) {
      std::erase_if(versions, [chunk](const auto& each) { return each.chunk == chunk; });
    };
    expectFinding(Finding::Kind::Page, "page " + std::to_string(chunk * 16 + 1));
  }
}

TEST_F(CheckTest, finds_a_page_that_is_not_what_was_committed) {
  // A chunk in which one page is an older version of itself: every checksum is right, the digest is
  // not.
  tamperChunks([](auto& chunks) {
    for (store::StoredChunk& each : chunks) {
      if (each.chunk != 2) continue;
      Result<store::DecodedChunk> decoded =
          store::decodeChunk(store::DatabaseId{1}, 2, each.txid, each.bytes);
      ASSERT_OK(decoded);
      std::array<const std::byte*, store::kPagesPerChunk> pages{};
      for (std::size_t i = 0; i < store::kPagesPerChunk; ++i) {
        if (decoded->has(i)) pages[i] = decoded->page(i == 3 ? 4 : i).data();
      }
      each.bytes = store::encodeChunk(store::DatabaseId{1}, 2, each.txid, pages);
    }
  });
  expectFinding(Finding::Kind::Digest, "digest");
}

TEST_F(CheckTest, finds_what_only_sqlite_can_find) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(
        db->run("CREATE TABLE child(p REFERENCES t(id)); PRAGMA foreign_keys = OFF; INSERT INTO "
                "child VALUES (12345)"));
    ASSERT_OK(db->close());
  });
  expectFinding(Finding::Kind::Integrity, "foreign key");
}

TEST_F(CheckTest, finds_a_chunk_past_the_end) {
  world_.watch().afterList = [](auto& versions) {
    if (!versions.empty()) versions.push_back({.chunk = 500, .txid = 1, .bytes = 10});
  };
  expectFinding(Finding::Kind::Chunk, "past the end");
}

TEST_F(CheckTest, an_owner_that_goes_on_meanwhile_is_no_finding) {
  vfs::PagedFileOptions options;
  options.logBytesMin = options.logBytesMax = 0;
  options.transactionBytesMax = 20 * 4096;
  WatchedWorld world(options);
  world.run([&] {
    auto owner = world.open("a");
    ASSERT_OK(owner->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"));
    ASSERT_OK(
        owner->run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) "
                   "INSERT INTO t(v) SELECT randomblob(3000) FROM n"));
    ASSERT_OK(owner->waitDurable());
    bool changed = false;
    world.watch().afterOpen = [&](store::OpenedDatabase&) {
      if (std::exchange(changed, true))
        return;  // once: after the head was read, before the versions are
      ASSERT_OK(
          owner->run("UPDATE t SET v = randomblob(3000) WHERE id % 5 = 0; INSERT INTO t(v) VALUES "
                     "(randomblob(100000))"));
      ASSERT_OK(owner->waitDurable());
      ASSERT_OK(owner->run("DELETE FROM t WHERE id > 10; VACUUM"));
      ASSERT_OK(owner->waitDurable());
    };
    auto checked = checkDatabase(world.environment(), "a");
    ASSERT_OK(checked);
    EXPECT_TRUE(checked->ok()) << checked->findings[0].message;
    EXPECT_TRUE(changed);
    ASSERT_OK(owner->close());
    EXPECT_EQ(owner->brokenBy(), nullptr);
    EXPECT_TRUE(checkDatabase(world.environment(), "a")->ok());
  });
}

TEST_F(CheckTest, tells_how_far_it_is_and_can_be_given_up_anywhere) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(
        db->run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) "
                "INSERT INTO t(v) SELECT randomblob(3000) FROM n"));
    ASSERT_OK(db->close());
    std::uint64_t calls = 0;
    std::uint64_t last = 0;
    std::uint64_t all = 0;
    const auto count = [&](std::uint64_t done, std::uint64_t total) {
      EXPECT_LE(last, done);
      EXPECT_LE(done, total);
      last = done;
      all = total;
      ++calls;
      return true;
    };
    ASSERT_OK(checkDatabase(world_.environment(), "a", count));
    EXPECT_GT(calls, 20u);
    EXPECT_EQ(last, all / 4 * 3) << "SQLite's own check was seen, which is the last quarter";
    for (std::uint64_t quarter = 0; quarter < 4; ++quarter) {
      std::uint64_t stoppedAt = 0;
      const auto checked =
          checkDatabase(world_.environment(), "a", [&](std::uint64_t done, std::uint64_t total) {
            stoppedAt = done;
            return done < total / 4 * quarter;
          });
      ASSERT_FALSE(checked.ok()) << quarter;
      EXPECT_EQ(checked.error().code, ErrorCode::Aborted) << checked.error().message;
      EXPECT_LE(stoppedAt, all / 4 * (quarter + 1));
    }
  });
}

}  // namespace
}  // namespace skep::sql
