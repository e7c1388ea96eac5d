// A process that writes, to one database or to many at once, is killed, many times, on one store: what
// it acknowledged is there, and every database is whole.

#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <random>
#include <sstream>

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

/// Where the killed processes write: it outlives them all.
struct KillStore {
  std::string url;
  std::shared_ptr<void> holder;  // shared: what it is depends on the store
};

struct KillBackend {
  std::string name;
  std::function<KillStore()> make;
  std::size_t databases = 1;  // that one process writes to at once
  int rounds = 50;
  int acknowledgementsMax = 60;  // of one round, over all databases
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

  /// Runs a writer and kills it after so many acknowledgements. Notes the highest entry of each
  /// database that it acknowledged.
  void runAndKill(int acknowledgements) {
    ChildProcess writer({SKEP_WRITER_PROCESS, store_.url, std::to_string(GetParam().databases)});
    const std::string first = writer.readLine().value_or("nothing");
    EXPECT_EQ(first, "ready");
    if (first != "ready") return;
    bool killed = false;
    for (int read = 0;; ++read) {
      if (read == acknowledgements) {
        writer.kill();
        killed = true;
      }
      // What it had said before it died counts, too.
      const std::optional<std::string> line = writer.readLine();
      if (!line) break;
      std::size_t index = 0;
      std::int64_t entry = 0;
      std::istringstream(*line) >> index >> entry;
      EXPECT_GT(entry, 0) << *line;
      if (index >= acknowledged_.size()) continue;
      acknowledged_[index] = std::max(acknowledged_[index], entry);
    }
    EXPECT_TRUE(killed) << "the writer ended by itself";
    writer.wait();
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

  void expectWhole() {
    SystemClock clock;
    Result<server::StoreUrl> url = server::parseStoreUrl(store_.url);
    ASSERT_OK(url);
    auto store = server::openStore(*url, clock);
    ASSERT_OK(store);
    World world(**store, ledgerSizes(), kLedgerCacheBytes);
    world.run([&] {
      for (std::size_t i = 0; i < acknowledged_.size(); ++i) expectWhole(world, i);
    });
  }

  void expectWhole(World& world, std::size_t index) {
    SCOPED_TRACE(ledgerName(index));
    auto database = world.open(ledgerName(index));
    ASSERT_NE(database, nullptr);
    EXPECT_GE(countEntries(*database), acknowledged_[index]);
    ASSERT_OK(database->close());
    Result<sql::CheckReport> checked = sql::checkDatabase(world.environment(), ledgerName(index));
    ASSERT_OK(checked);
    for (const sql::Finding& finding : checked->findings) ADD_FAILURE() << finding.message;
  }

  KillStore store_ = GetParam().make();
  std::vector<std::int64_t> acknowledged_ = std::vector<std::int64_t>(GetParam().databases);
};

TEST_P(KilledWriter, loses_nothing_that_it_acknowledged) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  const auto most = static_cast<std::uint64_t>(GetParam().acknowledgementsMax);
  for (int round = 0; round < GetParam().rounds && !HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    runAndKill(static_cast<int>(random() % most));
    expectWhole();
  }
  for (const std::int64_t entry : acknowledged_) EXPECT_GT(entry, 0);
}

INSTANTIATE_TEST_SUITE_P(Store, KilledWriter,
                         ::testing::Values(KillBackend{"embedded", embeddedStore},
                                           KillBackend{"postgres", postgresStore},
                                           KillBackend{"embedded_many", embeddedStore, 20, 5, 600},
                                           KillBackend{"postgres_many", postgresStore, 20, 5, 600}),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace skep::testing
