// Databases whose PostgreSQL server fails them, through the whole stack: SQL, VFS, pipeline, store,
// connection. What was acknowledged is there, nothing is there twice, and what does not recover by
// itself is a clear error.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "skep/backend/postgres/postgres_store.h"
#include "skep/base/log.h"
#include "skep/fiber/fiber.h"
#include "skep/sql/check.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/testing/postgres_server/socket_proxy.h"
#include "skep/testing/world.h"
#include "skep/vfs/paged_file.h"

namespace skep::testing {
namespace {

namespace fs = std::filesystem;
using backend::PostgresOptions;
using backend::PostgresStore;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr const char* kName = "acme";
constexpr std::size_t kBlobBytes = 100'000;

class FailingServer : public ::testing::Test {
 protected:
  FailingServer() { setLogLevel(LogLevel::Off); }

  std::unique_ptr<PostgresStore> openStore(PostgresOptions options) {
    auto opened = PostgresStore::open(std::move(options), clock_);
    EXPECT_OK(opened);
    return opened ? std::move(opened).value() : nullptr;
  }
  std::unique_ptr<PostgresStore> openStore() { return openStore({.url = server_.url()}); }

  /// Runs `body` with a database of one table, as a process of its own would.
  void withDatabase(store::PageStore& store, const std::function<void(sql::Database&)>& body) {
    vfs::PagedFileOptions patient;
    patient.commitRetry = std::chrono::minutes(2);
    World world(store, patient);
    world.run([&] {
      const auto database = world.open(kName);
      ASSERT_NE(database, nullptr);
      ASSERT_OK(database->run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v BLOB)"));
      ASSERT_OK(database->waitDurable());
      body(*database);
      if (database->brokenBy() == nullptr) ASSERT_OK(database->close());
    });
  }

  /// Through a new store: the rows 1 … count, once each, and nothing wrong with them.
  void expectRows(std::int64_t count) {
    const auto store = openStore();
    World world(*store);
    world.run([&] {
      const auto database = world.open(kName);
      ASSERT_NE(database, nullptr);
      EXPECT_EQ(scalar(*database, "SELECT count(*) FROM t"), std::to_string(count));
      EXPECT_EQ(scalar(*database, "SELECT max(id) FROM t"), std::to_string(count));
      ASSERT_OK(database->close());
      Result<sql::CheckReport> checked = sql::checkDatabase(world.environment(), kName);
      ASSERT_OK(checked);
      for (const sql::Finding& finding : checked->findings) ADD_FAILURE() << finding.message;
    });
  }

  static Status insert(sql::Database& database) {
    return database.run("INSERT INTO t(v) VALUES (randomblob(20))");
  }
  static Status insertLarge(sql::Database& database) {
    return database.run("INSERT INTO t(v) VALUES (randomblob(" + std::to_string(kBlobBytes) + "))");
  }

  /// From now on a transaction that commits waits, at its very commit, until letCommit().
  void holdCommits() {
    server_.query(
        "CREATE TABLE gate ();"
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "WHILE NOT EXISTS (SELECT FROM public.gate) LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN "
        "NULL; END $$;"
        "DO $$ BEGIN FOR i IN 0..7 LOOP EXECUTE format('CREATE CONSTRAINT TRIGGER hold AFTER "
        "INSERT ON skep.log_%s "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()', i); END LOOP; END "
        "$$");
  }
  void letCommit() { server_.query("INSERT INTO gate DEFAULT VALUES"); }
  void awaitHeldCommit() {
    while (server_.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") ==
           "0") {
      fiber::sleepFor(milliseconds(1));
    }
  }

  /// Writes to these files find no space on the device from now on. The server is down.
  static void makeFull(const std::vector<fs::path>& files) {
    for (const fs::path& file : files) {
      if (fs::exists(file)) fs::rename(file, file.string() + ".kept");
      fs::create_symlink("/dev/full", file);
    }
  }
  static void makeRoom(const std::vector<fs::path>& files) {
    for (const fs::path& file : files) {
      fs::remove(file);
      if (fs::exists(file.string() + ".kept")) fs::rename(file.string() + ".kept", file);
    }
  }

  SystemClock clock_;
  PostgresServer server_;
};

// ---- Connections and servers that go in the middle of a commit

TEST_F(FailingServer, a_connection_cut_in_the_middle_of_a_commit_is_resolved_by_commit_id) {
  SocketProxy proxy(server_.socketPath());
  const auto store =
      openStore({.url = "postgresql://postgres@/postgres?host=" + proxy.directory().string(),
                 .writeConnections = 1,
                 .readConnections = 1});
  std::int64_t rows = 0;
  std::uint64_t cuts = 0;
  // The store looks for doomed databases when it starts, over its one connection for reads: before this.
  EXPECT_EQ(store->info(kName).error().code, ErrorCode::NotFound);
  withDatabase(*store, [&](sql::Database& database) {
    for (const auto direction :
         {SocketProxy::Direction::ToServer, SocketProxy::Direction::ToClient}) {
      for (const std::size_t bytes : {0, 1, 5, 20, 40, 80, 120, 200}) {
        proxy.cutAfter(direction, bytes);
        ASSERT_OK(insert(database));
        ASSERT_OK(database.waitDurable());
        ++rows;
        if (proxy.disarm()) ++cuts;
      }
    }
    EXPECT_GE(cuts, 10u);
    EXPECT_EQ(database.file().counters().outcomesResolved, cuts);
    EXPECT_EQ(scalar(database, "SELECT count(*) FROM t"), std::to_string(rows));
  });
  expectRows(rows);
}

class RestartedServer : public FailingServer,
                        public ::testing::WithParamInterface<PostgresServer::Stop> {};

TEST_P(RestartedServer, in_the_middle_of_a_commit_loses_and_doubles_nothing) {
  const auto store = openStore();
  withDatabase(*store, [&](sql::Database& database) {
    holdCommits();
    ASSERT_OK(insert(database));
    awaitHeldCommit();
    server_.stop(GetParam());
    ASSERT_OK(insert(database));  // SQL goes on meanwhile
    server_.start();
    letCommit();
    ASSERT_OK(insert(database));
    ASSERT_OK(database.waitDurable());
  });
  expectRows(3);
}

std::string nameOfStop(const ::testing::TestParamInfo<PostgresServer::Stop>& how) {
  switch (how.param) {
    case PostgresServer::Stop::Fast:
      return "fast";
    case PostgresServer::Stop::Immediate:
      return "immediate";
    case PostgresServer::Stop::Kill:
      return "kill";
  }
  return {};
}

INSTANTIATE_TEST_SUITE_P(How, RestartedServer,
                         ::testing::Values(PostgresServer::Stop::Fast,
                                           PostgresServer::Stop::Immediate,
                                           PostgresServer::Stop::Kill),
                         nameOfStop);

TEST_F(FailingServer, that_is_slow_holds_up_durability_and_nothing_else) {
  const auto store = openStore();
  withDatabase(*store, [&](sql::Database& database) {
    holdCommits();
    for (int i = 0; i < 50; ++i) ASSERT_OK(insert(database));
    awaitHeldCommit();
    EXPECT_EQ(scalar(database, "SELECT count(*) FROM t"), "50");
    EXPECT_LT(database.file().durableTxid(), database.file().committedTxid());
    letCommit();
    ASSERT_OK(database.waitDurable());
  });
  expectRows(50);
}

// The server has the commit and runs it when it wakes, on a connection that was given up long
// before.
TEST_F(FailingServer, that_runs_a_commit_long_after_it_was_given_up_does_not_run_it_twice) {
  const auto store =
      openStore({.url = server_.url(), .connectTimeoutMs = 60'000, .requestTimeoutMs = 300});
  withDatabase(*store, [&](sql::Database& database) {
    for (int round = 0; round < 3; ++round) {
      const std::uint64_t lost = store->counters().connectionsLost;
      server_.pause();
      ASSERT_OK(insert(database));
      while (store->counters().connectionsLost == lost) fiber::sleepFor(milliseconds(1));
      ASSERT_OK(insert(database));
      server_.resume();
      ASSERT_OK(database.waitDurable());
    }
    EXPECT_GT(database.file().counters().outcomesResolved, 0u);
  });
  expectRows(6);
}

// ---- Disks that are full

TEST_F(FailingServer, whose_disk_is_full_says_so_and_what_did_not_fit_is_not_there) {
  auto store = openStore();
  withDatabase(*store, [&](sql::Database& database) {
    ASSERT_OK(insert(database));
    ASSERT_OK(database.waitDurable());
  });
  // Where large records go. Small ones still find room.
  std::vector<fs::path> files;
  for (int i = 0; i < 8; ++i) {
    files.push_back(
        server_.dataDirectory() /
        server_.query(
            "SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'skep.log_" +
            std::to_string(i) + "'::regclass"));
  }
  server_.stop(PostgresServer::Stop::Fast);
  makeFull(files);
  server_.start();
  withDatabase(*store, [&](sql::Database& database) {
    ASSERT_OK(insertLarge(database));
    EXPECT_FALSE(database.waitDurable().ok());
    ASSERT_NE(database.brokenBy(), nullptr);
    EXPECT_THAT(database.brokenBy()->message, HasSubstr("No space left on device"));
  });
  expectRows(1);
  server_.stop(PostgresServer::Stop::Fast);
  makeRoom(files);
  server_.start();
  withDatabase(*store, [&](sql::Database& database) {
    ASSERT_OK(insertLarge(database));
    ASSERT_OK(database.waitDurable());
  });
  expectRows(2);
}

// Without room for its write-ahead log the server falls, and stays down until there is some.
TEST_F(FailingServer, that_falls_for_want_of_disk_loses_nothing_and_goes_on_when_there_is_room) {
  const auto store = openStore();
  std::int64_t rows = 0;
  withDatabase(*store, [&](sql::Database& database) {
    ASSERT_OK(insert(database));
    ASSERT_OK(database.waitDurable());
    ++rows;
    std::vector<fs::path> segments;
    const std::string position = server_.query("SELECT pg_current_wal_insert_lsn()");
    for (int i = 1; i <= 40; ++i) {
      segments.push_back(
          server_.dataDirectory() / "pg_wal" /
          server_.query("SELECT pg_walfile_name('" + position + "'::pg_lsn + " + std::to_string(i) +
                        "::numeric * pg_size_bytes(current_setting('wal_segment_size')))"));
    }
    makeFull(segments);
    const std::uint64_t lost = store->counters().connectionsLost;
    for (int i = 0; store->counters().connectionsLost == lost; ++i) {
      ASSERT_LT(i, 1000) << "it never needs another segment";
      ASSERT_OK(insertLarge(database));
      ++rows;
      fiber::sleepFor(milliseconds(5));
    }
    server_.stop(PostgresServer::Stop::Immediate);  // if it is not down by itself
    makeRoom(segments);
    server_.start();
    ASSERT_OK(database.waitDurable());
  });
  expectRows(rows);
}

// ---- Servers that refuse

TEST_F(FailingServer, that_turns_read_only_refuses_commits_and_is_still_read) {
  const auto store = openStore();
  withDatabase(*store, [&](sql::Database& database) {
    ASSERT_OK(insert(database));
    ASSERT_OK(database.waitDurable());
    server_.query("ALTER SYSTEM SET default_transaction_read_only = on");
    server_.stop(PostgresServer::Stop::Fast);
    server_.start();
    ASSERT_OK(insert(database));
    EXPECT_FALSE(database.waitDurable().ok());
    ASSERT_NE(database.brokenBy(), nullptr);
    EXPECT_THAT(database.brokenBy()->message, HasSubstr("read-only"));
  });
  World world(*store);
  world.run([&] {
    auto writer = sql::Database::open(world.environment(), {.name = kName});
    ASSERT_FALSE(writer.ok());
    EXPECT_EQ(writer.error().code, ErrorCode::ReadOnly);
    const auto reader = world.open(kName, {.mode = sql::DatabaseOptions::Mode::ReadOnly});
    ASSERT_NE(reader, nullptr);
    EXPECT_EQ(scalar(*reader, "SELECT count(*) FROM t"), "1");
    ASSERT_OK(reader->close());
  });
  server_.stop(PostgresServer::Stop::Fast);
  fs::remove(server_.dataDirectory() / "postgresql.auto.conf");  // where ALTER SYSTEM wrote it
  server_.start();
  expectRows(1);
}

}  // namespace
}  // namespace skep::testing
