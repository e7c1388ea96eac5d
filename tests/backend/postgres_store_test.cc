// PostgresStore beyond what every store does: connecting, the schema, round trips, size.

#include "skep/backend/postgres/postgres_store.h"

#include <atomic>
#include <thread>

#include "skep/testing/postgres_server/postgres_server.h"

namespace skep::testing {
namespace {

using backend::PostgresOptions;
using backend::PostgresStore;
using store::Claim;
using store::Create;
using store::DatabaseWrite;
using store::OpenedDatabase;
using store::StoredChunk;
using store::Txid;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

PostgresServer& sharedServer() {
  static PostgresServer instance;
  return instance;
}

std::string freshSchema() {
  static std::atomic<int> count = 0;
  return "test_" + std::to_string(++count);
}

class PostgresStoreTest : public ::testing::Test {
 protected:
  using Opened = Result<std::unique_ptr<PostgresStore>>;

  Opened tryOpen(PostgresOptions options) {
    return PostgresStore::open(std::move(options), clock_);
  }

  std::unique_ptr<PostgresStore> mustOpen(PostgresOptions options) {
    Opened opened = tryOpen(std::move(options));
    SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
    return std::move(opened).value();
  }

  /// A store in a new schema of the shared server.
  std::unique_ptr<PostgresStore> freshStore() {
    schema_ = freshSchema();
    return mustOpen(options());
  }
  PostgresOptions options() const { return {.url = sharedServer().url(), .schema = schema_}; }

  /// Runs SQL in the schema of freshStore().
  std::string query(const std::string& sql) {
    return sharedServer().query("SET search_path TO " + schema_ + "; " + sql);
  }

  SystemClock clock_;
  std::string schema_;
};

OpenedDatabase own(PostgresStore& store, const std::string& name) {
  auto opened = store.open({.name = name, .create = Create::IfMissing, .claim = Claim::Take});
  SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
  return std::move(opened).value();
}

DatabaseWrite writeTo(const OpenedDatabase& database, Txid txid) {
  DatabaseWrite write;
  write.id = database.id;
  write.epoch = database.head.epoch;
  write.expectedTxid = txid;
  return write;
}

DatabaseWrite commitTo(const OpenedDatabase& database, Txid txid) {
  DatabaseWrite write = writeTo(database, txid - 1);
  write.commit = store::CommitHead{.txid = txid, .pageCount = 1, .digest = 7, .commitId = txid};
  write.record = toBytes(asBytes("record " + std::to_string(txid)));
  return write;
}

Status apply(PostgresStore& store, const DatabaseWrite& write) {
  return std::move(store.write({&write, 1}).front());
}

std::string codeOf(const Status& status) {
  return status.ok() ? "ok" : std::string(errorCodeName(status.error().code));
}
template <class T>
std::string codeOf(const Result<T>& result) {
  return result.ok() ? "ok" : std::string(errorCodeName(result.error().code));
}

// ---- Connecting

TEST_F(PostgresStoreTest, a_url_that_is_none_is_refused_without_being_quoted) {
  const Opened opened = tryOpen({.url = "postgresql://u:s%ZZecret@[h/db"});
  ASSERT_EQ(codeOf(opened), "invalid_argument");
  EXPECT_THAT(opened.error().message, Not(HasSubstr("ecret")));
}

TEST_F(PostgresStoreTest, an_unescaped_at_in_the_password_is_refused_without_being_quoted) {
  const Opened opened = tryOpen({.url = "postgresql://u:pass@secret@127.0.0.1/db"});
  ASSERT_EQ(codeOf(opened), "invalid_argument");
  EXPECT_THAT(opened.error().message, Not(HasSubstr("secret")));
}

TEST_F(PostgresStoreTest, a_wrong_password_is_access_denied_and_never_shown) {
  PostgresServer server({.password = "right horse"});
  const Opened opened = tryOpen({.url = server.urlAs("postgres", "wrong-stable")});
  ASSERT_EQ(codeOf(opened), "access_denied");
  EXPECT_THAT(opened.error().message, HasSubstr("password authentication failed"));
  EXPECT_THAT(opened.error().message, Not(HasSubstr("wrong-stable")));
  EXPECT_EQ(codeOf(tryOpen({.url = server.urlAs("postgres", "right%20horse")})), "ok");
}

TEST_F(PostgresStoreTest, a_database_that_does_not_exist_is_named) {
  const Opened opened = tryOpen({.url = sharedServer().urlAs("postgres", "", "nowhere")});
  ASSERT_EQ(codeOf(opened), "not_found");
  EXPECT_THAT(opened.error().message, HasSubstr("nowhere"));
}

TEST_F(PostgresStoreTest, a_user_who_may_not_create_the_schema_is_told_so) {
  sharedServer().query("CREATE ROLE visitor LOGIN");
  const Opened opened =
      tryOpen({.url = sharedServer().urlAs("visitor", ""), .schema = freshSchema()});
  ASSERT_EQ(codeOf(opened), "access_denied");
  EXPECT_THAT(opened.error().message, HasSubstr("permission denied"));
}

TEST_F(PostgresStoreTest, an_absent_server_is_unavailable) {
  const Opened opened = tryOpen({.url = "postgresql://postgres@/postgres?host=/nonexistent"});
  ASSERT_EQ(codeOf(opened), "unavailable");
  EXPECT_THAT(opened.error().message, HasSubstr("/nonexistent"));
}

TEST_F(PostgresStoreTest, a_server_that_accepts_and_stays_silent_is_unavailable_in_bounded_time) {
  PostgresServer server;
  server.pause();
  const Opened opened = tryOpen({.url = server.url(), .connectTimeoutMs = 100});
  EXPECT_EQ(codeOf(opened), "unavailable");
  server.resume();
  EXPECT_EQ(codeOf(tryOpen({.url = server.url()})), "ok");
}

TEST_F(PostgresStoreTest, a_server_reached_over_tcp_works) {
  PostgresServer server({.listen = Listen::UnixSocketAndTcp});
  const auto store = mustOpen({.url = server.tcpUrl()});
  EXPECT_EQ(own(*store, "acme").head.epoch, 1u);
}

TEST_F(PostgresStoreTest, a_store_works_with_the_connections_that_it_gets) {
  PostgresServer server(
      {.settings = {"max_connections=5", "superuser_reserved_connections=0", "max_wal_senders=0"}});
  const auto store = mustOpen({.url = server.url(), .writeConnections = 2, .readConnections = 9});
  const OpenedDatabase acme = own(*store, "acme");
  EXPECT_EQ(codeOf(apply(*store, commitTo(acme, 1))), "ok");
}

// ---- The schema

TEST_F(PostgresStoreTest, another_version_of_the_schema_is_refused_by_naming_both) {
  freshStore().reset();
  for (const char* version : {"0", "99"}) {
    query("UPDATE skep_meta SET version = " + std::string(version));
    const Opened opened = tryOpen(options());
    ASSERT_EQ(codeOf(opened), "version_mismatch");
    EXPECT_THAT(opened.error().message, HasSubstr("version " + std::string(version)));
    EXPECT_THAT(opened.error().message, HasSubstr("works with version 2"));
  }
}

TEST_F(PostgresStoreTest, tables_of_version_1_are_brought_up_and_keep_what_is_in_them) {
  auto store = freshStore();
  const OpenedDatabase before = own(*store, "acme");
  store.reset();
  query(
      "ALTER TABLE head DROP COLUMN owner; DROP VIEW nodes; DROP TABLE node, membership;"
      "UPDATE skep_meta SET version = 1");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { EXPECT_TRUE(tryOpen(options()).ok()); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(query("SELECT version FROM skep_meta"), "2");
  store = mustOpen(options());
  const OpenedDatabase after = own(*store, "acme");
  EXPECT_EQ(after.id, before.id);
  EXPECT_EQ(after.head.epoch, before.head.epoch + 1);
  EXPECT_EQ(after.owner, 0u);
  EXPECT_EQ(codeOf(store->membership()->join({.name = "node-1", .address = "a:1"}, 1h, 1)), "ok");
}

TEST_F(PostgresStoreTest, what_a_node_owned_is_free_also_when_the_node_was_forgotten) {
  auto store = freshStore();
  store::Membership& nodes = *store->membership();
  const auto join = [&](const std::string& name) {
    static std::uint64_t nonces = 0;
    const auto joined = nodes.join({.name = name, .address = "a:1"}, 1h, ++nonces);
    SKEP_CHECK(joined.ok(), "%s", joined.error().message.c_str());
    return *joined;
  };
  const auto claim = [&](store::Incarnation owner) {
    return codeOf(store->open(
        {.name = "acme", .create = Create::IfMissing, .claim = Claim::Take, .owner = owner}));
  };
  const store::Incarnation old = join("old");
  ASSERT_EQ(claim(old), "ok");
  const store::Incarnation middle = join("middle");
  EXPECT_EQ(claim(middle), "owned_elsewhere");
  ASSERT_EQ(codeOf(nodes.advance(old, store::NodeState::Left)), "ok");
  query("UPDATE node SET ended_ms = 0 WHERE state > 1");
  join("young");
  EXPECT_EQ(query("SELECT count(*) FROM node"), "2") << "who ended long ago is forgotten";
  EXPECT_EQ(claim(middle), "ok");
  // One that joined later than the oldest that lives is kept: its number alone does not say that it has ended.
  const store::Incarnation late = join("late");
  ASSERT_EQ(codeOf(nodes.advance(late, store::NodeState::Left)), "ok");
  query("UPDATE node SET ended_ms = 0 WHERE state > 1");
  join("youngest");
  EXPECT_EQ(query("SELECT count(*) FROM node WHERE state > 1"), "1");
}

TEST_F(PostgresStoreTest, a_renewal_is_one_statement_and_updates_its_row_in_place) {
  auto store = freshStore();
  store::Membership& nodes = *store->membership();
  const auto joined = nodes.join({.name = "node-1", .address = "a:1"}, 1h, 1);
  ASSERT_EQ(codeOf(joined), "ok");
  const std::uint64_t before = store->counters().roundTrips;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(codeOf(nodes.renew({.incarnation = *joined, .lease = 1h})), "ok");
  }
  EXPECT_EQ(store->counters().roundTrips - before, 20u);
  store.reset();
  query("SELECT pg_stat_force_next_flush()");
  EXPECT_EQ(query("SELECT n_tup_upd - n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'node'"
                  " AND schemaname = current_schema()"),
            "0");
}

TEST_F(PostgresStoreTest, stores_that_start_at_once_make_one_schema) {
  schema_ = freshSchema();
  // Here, not in a starter: the server ends with the thread that started it.
  const PostgresOptions shared = options();
  std::vector<std::thread> starters;
  std::atomic<int> started = 0;
  for (int i = 0; i < 4; ++i) {
    starters.emplace_back([&, i] {
      const auto store = mustOpen(shared);
      own(*store, "database " + std::to_string(i));
      ++started;
    });
  }
  for (std::thread& starter : starters) starter.join();
  EXPECT_EQ(started, 4);
  EXPECT_EQ(query("SELECT count(*) FROM skep_meta"), "1");
  EXPECT_EQ(query("SELECT count(*) FROM database"), "4");
}

TEST_F(PostgresStoreTest, any_schema_name_will_do) {
  const auto store =
      mustOpen({.url = sharedServer().url(), .schema = "it's a \"schema\"; DROP TABLE x"});
  EXPECT_EQ(own(*store, "acme").head.epoch, 1u);
}

TEST_F(PostgresStoreTest, stores_in_different_schemas_do_not_see_each_other) {
  const auto one = freshStore();
  const auto two = freshStore();
  own(*one, "acme");
  EXPECT_EQ(codeOf(two->info("acme")), "not_found");
}

TEST_F(PostgresStoreTest, two_stores_on_one_schema_fence_each_other) {
  const auto one = freshStore();
  const auto two = mustOpen(options());
  const OpenedDatabase first = own(*one, "acme");
  ASSERT_EQ(codeOf(apply(*one, commitTo(first, 1))), "ok");
  const OpenedDatabase second = own(*two, "acme");
  EXPECT_EQ(second.head.txid, 1u);
  EXPECT_EQ(codeOf(apply(*one, commitTo(first, 2))), "fenced");
  EXPECT_EQ(codeOf(apply(*two, commitTo(second, 2))), "ok");
}

TEST_F(PostgresStoreTest, people_find_their_databases_in_a_view) {
  const auto store = freshStore();
  own(*store, "tenant/ümit");
  EXPECT_EQ(query("SELECT name, epoch FROM databases"), "tenant/ümit|1");
}

// ---- Round trips and plans

TEST_F(PostgresStoreTest, an_open_and_a_batch_are_one_round_trip_each) {
  const auto store = freshStore();
  std::vector<OpenedDatabase> databases;
  for (int i = 0; i < 50; ++i) databases.push_back(own(*store, "database " + std::to_string(i)));
  // The store looks for doomed databases when it starts, as soon as there is a connection for reads: before
  // this.
  EXPECT_EQ(codeOf(store->readHead(databases[0].id)), "ok");
  const std::uint64_t before = store->counters().roundTrips;

  std::vector<DatabaseWrite> batch;
  for (const OpenedDatabase& database : databases) {
    batch.push_back(commitTo(database, 1));
    batch.back().chunks.push_back({.chunk = 0, .txid = 1, .bytes = Bytes(100)});
    batch.back().alarmChanged = true;
    batch.back().alarmMs = 5;
    batch.back().properties = store::Properties{.retentionMs = 1, .hotChunks = {3}};
  }
  for (const Status& status : store->write(batch)) EXPECT_EQ(codeOf(status), "ok");
  EXPECT_EQ(store->counters().roundTrips, before + 1);

  const OpenedDatabase again = own(*store, "database 7");
  EXPECT_EQ(store->counters().roundTrips, before + 2);
  EXPECT_EQ(again.log.size(), 1u);
  EXPECT_EQ(again.chunks.size(), 1u);
  EXPECT_EQ(again.head.alarmMs, 5);
  EXPECT_EQ(again.properties.hotChunks, std::vector<store::ChunkNumber>{3});
}

TEST_F(PostgresStoreTest, damaged_rows_of_one_database_leave_the_others_of_its_batch_alone) {
  const auto store = freshStore();
  const OpenedDatabase first = own(*store, "first");
  const OpenedDatabase damaged = own(*store, "damaged");
  const OpenedDatabase last = own(*store, "last");
  query("CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = " +
        std::to_string(damaged.id.value) +
        " THEN RAISE EXCEPTION 'as when a page is torn' USING ERRCODE = 'XX001'; END IF; "
        "RETURN NEW; END $$; "
        "CREATE TRIGGER damage BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION damage()");
  const std::vector<DatabaseWrite> batch = {commitTo(first, 1), commitTo(damaged, 1),
                                            commitTo(last, 1)};
  const std::vector<Status> statuses = store->write(batch);
  EXPECT_EQ(codeOf(statuses[0]), "ok");
  EXPECT_EQ(statuses[1].error().code, ErrorCode::Corrupt);
  EXPECT_EQ(codeOf(statuses[2]), "ok");
  EXPECT_EQ(own(*store, "first").head.txid, 1u);
  EXPECT_EQ(own(*store, "damaged").head.txid, 0u);
}

TEST_F(PostgresStoreTest, commits_update_their_heads_in_place) {
  const auto store = freshStore();
  const OpenedDatabase acme = own(*store, "acme");
  for (Txid txid = 1; txid <= 50; ++txid)
    ASSERT_EQ(codeOf(apply(*store, commitTo(acme, txid))), "ok");
  // Closing the sessions makes their statistics known.
  const_cast<std::unique_ptr<PostgresStore>&>(store).reset();
  const std::string counts =
      "SELECT n_tup_upd >= 50, n_tup_hot_upd >= n_tup_upd - 1 FROM pg_stat_user_tables "
      "WHERE schemaname = '" +
      schema_ + "' AND relname = 'head'";
  while (query(counts).starts_with("f")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(query(counts), "t|t");
}

// ---- Size

Bytes noise(std::size_t size, unsigned seed) {
  Bytes bytes(size);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>((seed = seed * 1103515245 + 12345) >> 16);
  return bytes;
}

TEST_F(PostgresStoreTest, a_huge_commit_is_staged_flipped_and_dropped) {
  const auto store = freshStore();
  const OpenedDatabase acme = own(*store, "acme");
  constexpr store::ChunkNumber kChunks = 400;  // 24 MB: several statements of one transaction
  DatabaseWrite staging = writeTo(acme, 0);
  for (store::ChunkNumber chunk = 0; chunk < kChunks; ++chunk) {
    staging.chunks.push_back({.chunk = chunk, .txid = 1, .bytes = noise(60'000, chunk)});
  }
  ASSERT_EQ(codeOf(apply(*store, staging)), "ok");
  DatabaseWrite flip = commitTo(acme, 1);
  flip.flip = true;
  ASSERT_EQ(codeOf(apply(*store, flip)), "ok");

  const auto read = store->readChunks({.id = acme.id, .atTxid = 1, .chunks = {0, 199, 399, 400}});
  ASSERT_EQ(codeOf(read), "ok");
  ASSERT_EQ(read->chunks.size(), 3u);
  for (const StoredChunk& chunk : read->chunks) EXPECT_EQ(chunk.bytes, noise(60'000, chunk.chunk));

  DatabaseWrite drop = writeTo(acme, 1);
  drop.dropChunksFrom = 1;
  ASSERT_EQ(codeOf(apply(*store, drop)), "ok");
  const auto versions = store->listChunkVersions(acme.id, std::nullopt, 1000);
  ASSERT_EQ(codeOf(versions), "ok");
  EXPECT_EQ(versions->size(), 1u);
}

TEST_F(PostgresStoreTest, a_record_of_many_megabytes_is_stored) {
  const auto store = freshStore();
  const OpenedDatabase acme = own(*store, "acme");
  DatabaseWrite write = commitTo(acme, 1);
  write.record = noise(20 << 20, 1);
  ASSERT_EQ(codeOf(apply(*store, write)), "ok");
  const OpenedDatabase again = own(*store, "acme");
  ASSERT_EQ(again.log.size(), 1u);
  EXPECT_EQ(again.log.front().bytes, write.record);
}

TEST_F(PostgresStoreTest, rows_that_a_crash_left_of_a_destroyed_database_go_with_the_next_open) {
  auto store = freshStore();
  const OpenedDatabase acme = own(*store, "acme");
  for (Txid txid = 1; txid <= 20; ++txid)
    ASSERT_EQ(codeOf(apply(*store, commitTo(acme, txid))), "ok");
  DatabaseWrite fold = writeTo(acme, 20);
  for (store::ChunkNumber chunk = 0; chunk < 500; ++chunk) {
    fold.chunks.push_back({.chunk = chunk, .txid = 20, .bytes = Bytes(10)});
  }
  ASSERT_EQ(codeOf(apply(*store, fold)), "ok");
  store.reset();
  // What the first transaction of destroy() does, and then the crash.
  query(
      "INSERT INTO doomed SELECT id FROM database; DELETE FROM head WHERE id > 0; DELETE FROM "
      "database");
  store = mustOpen(options());
  const auto rows = [&] {
    return query(
        "SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM chunk) + "
        "(SELECT count(*) FROM doomed)");
  };
  while (rows() != "0") std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

TEST_F(PostgresStoreTest, destroy_leaves_no_row_behind) {
  const auto store = freshStore();
  const OpenedDatabase acme = own(*store, "acme");
  DatabaseWrite write = commitTo(acme, 1);
  for (store::ChunkNumber chunk = 0; chunk < 500; ++chunk) {
    write.chunks.push_back({.chunk = chunk, .txid = 1, .bytes = noise(3000, chunk)});
  }
  write.alarmChanged = true;
  write.alarmMs = 1;
  ASSERT_EQ(codeOf(apply(*store, write)), "ok");
  ASSERT_EQ(codeOf(store->destroy("acme")), "ok");
  for (const char* table : {"database", "head", "log", "chunk", "alarm", "doomed"}) {
    EXPECT_EQ(query("SELECT count(*) FROM " + std::string(table) + " WHERE id > 0"), "0") << table;
  }
}

}  // namespace
}  // namespace skep::testing
