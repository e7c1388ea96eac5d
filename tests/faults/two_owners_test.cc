// Two processes that both believe that they own one database, on each backend: each takes it over
// again and again and writes until it is fenced. Whoever lost its epoch commits nothing more and
// learns it; what either was told is durable is there, and the database is whole.

#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <random>
#include <set>
#include <thread>

#include "run_stores.h"
#include "skep/backend/postgres/postgres_store.h"
#include "skep/base/log.h"
#include "skep/sql/check.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/testing/world.h"
#include "skep/vfs/paged_file.h"

namespace skep::testing {
namespace {

constexpr const char* kName = "contested";
constexpr int kTakeovers = 40;  // by each of the two

/// What two processes share, and how each of them reaches it.
class SharedStore {
 public:
  virtual ~SharedStore() = default;
  /// The store as the process with this number has it.
  virtual store::PageStore& of(int process) = 0;
};

/// One store object: the two are as far apart as its threads.
template <class Run>
class InOneProcess final : public SharedStore {
 public:
  store::PageStore& of(int) override { return run_.store(); }

 private:
  SystemClock clock_;
  Run run_{clock_};
};

class OnOneServer final : public SharedStore {
 public:
  OnOneServer() {
    for (auto& store : stores_) {
      auto opened = backend::PostgresStore::open({.url = server_.url()}, clock_);
      SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
      store = std::move(opened).value();
    }
  }
  store::PageStore& of(int process) override { return *stores_[static_cast<std::size_t>(process)]; }

 private:
  SystemClock clock_;
  PostgresServer server_;
  std::array<std::unique_ptr<backend::PostgresStore>, 2> stores_;
};

struct Backend {
  std::string name;
  std::function<std::unique_ptr<SharedStore>()> make;
};
std::ostream& operator<<(std::ostream& out, const Backend& backend) {
  return out << backend.name;
}

/// Small sizes: folds, staged transactions and cold reads all happen.
vfs::PagedFileOptions smallSizes() {
  vfs::PagedFileOptions sizes;
  sizes.logBytesMin = 8 * 1024;
  sizes.transactionBytesMax = 12 * 4096;
  sizes.dirtyPagesMax = 10;
  return sizes;
}

/// One of the two.
class Contender {
 public:
  Contender(store::PageStore& store, int number, std::uint64_t seed)
      : store_(store), number_(number), random_(seed) {}

  void run() {
    World world(store_, smallSizes(), 64 * 4200);
    world.run([&] {
      for (int i = 0; i < kTakeovers; ++i) takeOver(world);
    });
  }

  std::set<std::int64_t> attempted;
  std::set<std::int64_t> durable;  // was told so
  int fenced = 0;

 private:
  void takeOver(World& world) {
    auto opened = sql::Database::open(world.environment(), {.name = kName});
    if (!opened) return learn(opened.error());
    sql::Database& database = **opened;
    const int turns = static_cast<int>(random_() % 20);
    for (int turn = 0; turn < turns; ++turn) {
      Status done = write(database);
      if (done) done = database.waitDurable();
      if (!done) {
        learn(database.brokenBy() != nullptr ? *database.brokenBy() : done.error());
        break;
      }
      durable.insert(pending_.begin(), pending_.end());
    }
    if (database.brokenBy() != nullptr) return;
    Status closed = database.close();
    if (!closed) learn(closed.error());
  }

  /// A few rows in one transaction; sometimes so many that they are staged.
  Status write(sql::Database& database) {
    pending_.clear();
    if (random_() % 8 == 0) database.releaseMemory();
    SKEP_CHECK_OK(database.run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v BLOB)"));
    SKEP_CHECK_OK(database.begin());
    const int rows = random_() % 10 == 0 ? 60 : 1 + static_cast<int>(random_() % 3);
    for (int i = 0; i < rows; ++i) {
      const std::int64_t id = ++last_ * 2 + number_;
      attempted.insert(id);
      pending_.push_back(id);
      SKEP_CHECK_OK(
          database.execute("INSERT INTO t VALUES (?, randomblob(1500))", {sql::Value(id)}));
    }
    SKEP_TRY([[maybe_unused]] const store::Txid txid, database.commit());
    return {};
  }

  /// Losing the database is the one thing that may go wrong.
  void learn(const Error& error) {
    EXPECT_EQ(error.code, ErrorCode::Fenced) << error.toString();
    ++fenced;
  }

  store::PageStore& store_;
  int number_;
  std::mt19937_64 random_;
  std::int64_t last_ = 0;
  std::vector<std::int64_t> pending_;
};

class TwoOwners : public ::testing::TestWithParam<Backend> {};

TEST_P(TwoOwners, fence_each_other_and_lose_nothing_that_either_was_told) {
  setLogLevel(LogLevel::Off);
  const std::uint64_t seed = numberFrom("SKEP_SEED").value_or(std::random_device{}());
  std::cout << "seed " << seed << "\n";
  const auto shared = GetParam().make();
  std::array<Contender, 2> contenders = {Contender(shared->of(0), 0, seed),
                                         Contender(shared->of(1), 1, seed + 1)};
  {
    std::thread other([&] { contenders[1].run(); });
    contenders[0].run();
    other.join();
  }
  EXPECT_GT(contenders[0].fenced + contenders[1].fenced, 0);

  World world(shared->of(0), smallSizes());
  world.run([&] {
    const auto database = world.open(kName);
    ASSERT_NE(database, nullptr);
    Result<sql::Rows> rows = database->execute("SELECT id FROM t");
    ASSERT_OK(rows);
    std::set<std::int64_t> stored;
    for (const auto& row : rows->rows) stored.insert(row[0].integer());
    for (const Contender& contender : contenders) {
      for (const std::int64_t id : contender.durable)
        EXPECT_TRUE(stored.contains(id)) << "lost: " << id;
    }
    for (const std::int64_t id : stored) {
      EXPECT_TRUE(contenders[static_cast<std::size_t>(id % 2)].attempted.contains(id))
          << "nobody wrote " << id;
    }
    ASSERT_OK(database->close());
    Result<sql::CheckReport> checked = sql::checkDatabase(world.environment(), kName);
    ASSERT_OK(checked);
    for (const sql::Finding& finding : checked->findings) ADD_FAILURE() << finding.message;
  });
}

template <class Shared>
std::unique_ptr<SharedStore> makeShared() {
  return std::make_unique<Shared>();
}

INSTANTIATE_TEST_SUITE_P(Store, TwoOwners,
                         ::testing::Values(Backend{"memory", makeShared<InOneProcess<InMemory>>},
                                           Backend{"embedded", makeShared<InOneProcess<Embedded>>},
                                           Backend{"postgres", makeShared<OnOneServer>}),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace skep::testing
