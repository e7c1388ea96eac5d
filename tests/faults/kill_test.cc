// A process that writes is killed, many times, on one store: what it acknowledged is there, and the
// database is whole.

#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <random>

#include "ledger.h"
#include "skep/base/log.h"
#include "skep/server/store_url.h"
#include "skep/sql/check.h"
#include "skep/testing/child_process/child_process.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/testing/temp_directory.h"
#include "skep/testing/world.h"

namespace skep::testing {
namespace {

constexpr int kRounds = 50;

/// Where the killed processes write: it outlives them all.
struct KillStore {
  std::string url;
  std::shared_ptr<void> holder;  // shared: what it is depends on the store
};

struct KillBackend {
  std::string name;
  std::function<KillStore()> make;
};

std::ostream& operator<<(std::ostream& out, const KillBackend& backend) {
  return out << backend.name;
}

KillStore embeddedStore() {
  auto directory = std::make_shared<TempDirectory>();
  return {.url = "embedded:" + directory->path(), .holder = directory};
}

KillStore postgresStore() {
  auto server = std::make_shared<PostgresServer>();
  return {.url = server->url(), .holder = server};
}

class KilledWriter : public ::testing::TestWithParam<KillBackend> {
 protected:
  KilledWriter() { setLogLevel(LogLevel::Off); }

  /// Runs a writer and kills it after so many acknowledgements. The highest entry that it
  /// acknowledged.
  std::int64_t runAndKill(int acknowledgements) {
    std::int64_t acknowledged = 0;
    ChildProcess writer({SKEP_WRITER_PROCESS, store_.url});
    const std::string first = writer.readLine().value_or("nothing");
    EXPECT_EQ(first, "ready");
    if (first != "ready") return 0;
    bool killed = false;
    for (int read = 0;; ++read) {
      if (read == acknowledgements) {
        writer.kill();
        killed = true;
      }
      // What it had said before it died counts, too.
      const std::optional<std::string> line = writer.readLine();
      if (!line) break;
      const std::int64_t entry = std::strtoll(line->c_str(), nullptr, 10);
      EXPECT_GT(entry, 0) << *line;
      acknowledged = std::max(acknowledged, entry);
    }
    EXPECT_TRUE(killed) << "the writer ended by itself";
    writer.wait();
    return acknowledged;
  }

  /// How many entries there are: all of them, in order, with their content.
  std::int64_t countEntries(sql::Database& database) {
    Result<sql::Rows> rows = database.execute("SELECT id, content FROM entry ORDER BY id");
    EXPECT_OK(rows);
    std::int64_t count = 0;
    if (!rows) return count;
    for (const auto& row : rows->rows) {
      ++count;
      EXPECT_EQ(row[0].integer(), count);
      EXPECT_EQ(row[1].text(), ledgerContent(count)) << count;
      if (HasFailure()) break;
    }
    return count;
  }

  void expectWhole(std::int64_t acknowledged) {
    SystemClock clock;
    Result<server::StoreUrl> url = server::parseStoreUrl(store_.url);
    ASSERT_OK(url);
    auto store = server::openStore(*url, clock);
    ASSERT_OK(store);
    World world(**store, ledgerSizes(), kLedgerCacheBytes);
    world.run([&] {
      auto database = world.open(kLedgerName);
      ASSERT_NE(database, nullptr);
      EXPECT_GE(countEntries(*database), acknowledged);
      ASSERT_OK(database->close());
      Result<sql::CheckReport> checked = sql::checkDatabase(world.environment(), kLedgerName);
      ASSERT_OK(checked);
      for (const sql::Finding& finding : checked->findings) ADD_FAILURE() << finding.message;
    });
  }

  KillStore store_ = GetParam().make();
};

TEST_P(KilledWriter, loses_nothing_that_it_acknowledged) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  std::int64_t acknowledged = 0;
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    acknowledged = std::max(acknowledged, runAndKill(static_cast<int>(random() % 60)));
    expectWhole(acknowledged);
  }
  EXPECT_GT(acknowledged, kRounds);
}

INSTANTIATE_TEST_SUITE_P(Store, KilledWriter,
                         ::testing::Values(KillBackend{"embedded", embeddedStore},
                                           KillBackend{"postgres", postgresStore}),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace skep::testing
