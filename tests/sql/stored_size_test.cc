// A database's bytes in the store stay bounded by what its live pages take when they are compressed,
// however often they are overwritten.

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "skep/sql/transfer.h"
#include "skep/store/chunk.h"
#include "skep/testing/watched_world.h"

namespace skep::sql {
namespace {

using skep::testing::WatchedWorld;

/// The bytes of the database's pages as chunks: what a store without any past holds.
std::size_t compressedBytes(vfs::Environment& environment, const std::string& name) {
  Bytes file;
  EXPECT_OK(exportDatabase(environment, name, [&](ByteView bytes) -> Status {
    file.insert(file.end(), bytes.begin(), bytes.end());
    return {};
  }));
  constexpr std::size_t kChunkBytes = store::kPagesPerChunk * store::kPageBytes;
  std::size_t total = 0;
  for (std::size_t start = 0; start < file.size(); start += kChunkBytes) {
    std::array<const std::byte*, store::kPagesPerChunk> pages{};
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const std::size_t page = start + i * store::kPageBytes;
      pages[i] = page < file.size() ? file.data() + page : nullptr;
    }
    total += store::encodeChunk({}, {}, {}, pages).size();
  }
  return total;
}

struct Workload {
  const char* name;
  std::string fill;
  std::string overwrite;  // ?1: a random number
};

class StoredSizeTest : public ::testing::TestWithParam<Workload> {};

TEST_P(StoredSizeTest, stays_below_three_times_the_compressed_pages) {
  WatchedWorld world;
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run(GetParam().fill));
    ASSERT_OK(db->waitDurable());
    std::mt19937_64 random(7);
    for (int round = 1; round <= 10; ++round) {
      for (int i = 0; i < 1000; ++i) {
        ASSERT_OK(
            db->execute(GetParam().overwrite, {Value(static_cast<std::int64_t>(random() >> 2))}));
        ASSERT_OK(db->waitDurable());
      }
      const auto stored = world.store().info("a");
      ASSERT_OK(stored);
      const std::size_t live = compressedBytes(world.environment(), "a");
      EXPECT_LE(stored->storedBytes, 3 * live) << "after " << round << ",000 commits";
    }
    ASSERT_OK(db->close());
  });
}

const std::string kRows =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) ";

INSTANTIATE_TEST_SUITE_P(
    Workloads, StoredSizeTest,
    ::testing::Values(
        Workload{"counter_in_a_large_table",
                 "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, text TEXT);" + kRows +
                     "INSERT INTO t SELECT i, 0, 'a text that is always the same' FROM n",
                 "UPDATE t SET n = ?1 WHERE id = 1"},
        Workload{"numbers_and_their_index",
                 "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER); CREATE INDEX tn ON t(n);" +
                     kRows + "INSERT INTO t SELECT i, i FROM n",
                 "UPDATE t SET n = ?1 WHERE id = ?1 % 5000 + 1"},
        Workload{"few_rows",
                 "CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, text TEXT);"
                 "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)"
                 "INSERT INTO t SELECT i, 0, 'some text of row ' || i FROM n",
                 "UPDATE t SET n = ?1 WHERE id = ?1 % 20 + 1"},
        Workload{"noise",
                 "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB);" + kRows +
                     "INSERT INTO t SELECT i, randomblob(200) FROM n",
                 "UPDATE t SET v = randomblob(200) WHERE id = ?1 % 5000 + 1"},
        Workload{"rows_that_come_and_go",
                 "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);" + kRows +
                     "INSERT INTO t SELECT i, hex(randomblob(100)) FROM n",
                 "REPLACE INTO t VALUES (?1 % 5000 + 1, hex(randomblob(?1 % 200)))"}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace skep::sql
