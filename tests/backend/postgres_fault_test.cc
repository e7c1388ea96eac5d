// PostgresStore when the server, the connection or the disk fails: nothing that was acknowledged is
// lost, nothing is applied twice, and no call hangs.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "skep/backend/postgres/postgres_store.h"
#include "skep/base/log.h"
#include "skep/testing/postgres_server/postgres_server.h"
#include "skep/testing/postgres_server/socket_proxy.h"

namespace skep::testing {
namespace {

using backend::PostgresOptions;
using backend::PostgresStore;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using store::Claim;
using store::Create;
using store::DatabaseWrite;
using store::OpenedDatabase;
using store::Txid;
using ::testing::HasSubstr;

std::string codeOf(const Status& status) {
  return status.ok() ? "ok" : std::string(errorCodeName(status.error().code));
}
template <class T>
std::string codeOf(const Result<T>& result) {
  return result.ok() ? "ok" : std::string(errorCodeName(result.error().code));
}

bool isCode(const Status& status, ErrorCode code) {
  return !status.ok() && status.error().code == code;
}

constexpr std::chrono::seconds kPatience(60);  // with what comes back by itself

/// An owner of one database that commits and keeps the books: what was acknowledged must be in the
/// log in the end, once, and nothing else.
class Bookkeeper {
 public:
  Bookkeeper(PostgresStore& store, std::string name) : store_(store), name_(std::move(name)) {
    take(Create::IfMissing);
  }

  /// Commits once. Returns what the store said, after having found out what is true.
  Status commit() {
    Status status = tryCommit();
    settle(status);
    return status;
  }

  /// The first half of commit(): only asks.
  Status tryCommit() {
    DatabaseWrite write;
    write.id = id_;
    write.epoch = epoch_;
    write.expectedTxid = txid_;
    write.commit =
        store::CommitHead{.txid = txid_ + 1, .pageCount = 1, .commitId = ++lastCommitId_};
    write.record = toBytes(asBytes("commit " + std::to_string(lastCommitId_)));
    return std::move(store_.write({&write, 1}).front());
  }

  /// The other half: what became of the commit, given what the store said.
  void settle(const Status& status) {
    if (status.ok()) {
      book(lastCommitId_);
    } else if (isCode(status, ErrorCode::UnknownOutcome)) {
      ++unknown;
      resolve();
    } else {
      ++refused;
      const Txid before = txid_;
      take(Create::Never);
      EXPECT_EQ(txid_, before) << "applied although the store said: " << status.error().message;
    }
  }

  /// Commits until the store accepts it again.
  void commitAtLast() {
    const auto deadline = steady_clock::now() + kPatience;
    for (;;) {
      const Status status = commit();
      if (status.ok()) return;
      ASSERT_LT(steady_clock::now(), deadline) << status.error().toString();
      std::this_thread::sleep_for(milliseconds(5));
    }
  }

  /// What is stored against what was booked.
  void audit() {
    const auto deadline = steady_clock::now() + kPatience;
    auto log = store_.readLog(id_, 0, std::size_t{1} << 30);
    while (!log.ok() && log.error().code == ErrorCode::Unavailable &&
           steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(5));
      log = store_.readLog(id_, 0, std::size_t{1} << 30);
    }
    ASSERT_TRUE(log.ok()) << log.error().toString();
    std::vector<std::string> stored;
    for (const store::StoredRecord& record : *log) stored.emplace_back(asText(record.bytes));
    std::vector<std::string> booked;
    for (const std::uint64_t id : booked_) booked.push_back("commit " + std::to_string(id));
    EXPECT_EQ(stored, booked);
  }

  std::size_t bookedCount() const { return booked_.size(); }
  int unknown = 0;
  int refused = 0;

 private:
  void book(std::uint64_t commitId) {
    booked_.push_back(commitId);
    ++txid_;
  }

  // A claim that waits for the write under way tells what became of it.
  void resolve() {
    const Txid before = txid_;
    const auto opened = store_.open(
        {.name = name_, .claim = Claim::Retake, .retakeId = id_, .retakeEpoch = epoch_});
    if (opened.ok()) {
      adopt(*opened);
    } else {
      // The answer to the claim got lost as well, or there is no server: whatever the epoch is now,
      // take it.
      take(Create::Never);
    }
    const bool applied = txid_ == before + 1 && commitId_ == lastCommitId_;
    EXPECT_TRUE(applied || txid_ == before) << "txid " << txid_ << " after " << before;
    if (applied) booked_.push_back(lastCommitId_);
  }

  void take(Create create) {
    const auto deadline = steady_clock::now() + kPatience;
    for (;;) {
      const auto opened = store_.open({.name = name_, .create = create, .claim = Claim::Take});
      if (opened.ok()) return adopt(*opened);
      ASSERT_LT(steady_clock::now(), deadline) << opened.error().message;
      std::this_thread::sleep_for(milliseconds(10));
    }
  }

  void adopt(const OpenedDatabase& opened) {
    id_ = opened.id;
    epoch_ = opened.head.epoch;
    txid_ = opened.head.txid;
    commitId_ = opened.head.commitId;
  }

  PostgresStore& store_;
  std::string name_;
  store::DatabaseId id_;
  store::Epoch epoch_ = 0;
  Txid txid_ = 0;
  std::uint64_t commitId_ = 0;
  std::uint64_t lastCommitId_ = 0;
  std::vector<std::uint64_t> booked_;
};

class PostgresFaults : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { setLogLevel(LogLevel::Error); }

  std::unique_ptr<PostgresStore> mustOpen(PostgresOptions options) {
    auto opened = PostgresStore::open(std::move(options), clock_);
    SKEP_CHECK(opened.ok(), "%s", opened.error().message.c_str());
    return std::move(opened).value();
  }
  /// Of a store whose calls end soon when the server does not answer. Making a connection may take
  /// its time all the same, as it does on a busy machine.
  PostgresOptions impatient() const {
    return {.url = server_.url(), .connectTimeoutMs = 60'000, .requestTimeoutMs = 500};
  }

  /// A store with one connection for each kind of request, both made.
  std::unique_ptr<PostgresStore> openThrough(const SocketProxy& proxy) {
    auto store =
        mustOpen({.url = "postgresql://postgres@/postgres?host=" + proxy.directory().string(),
                  .writeConnections = 1,
                  .readConnections = 1});
    awaitBothConnections(*store);
    // A new store looks for what crashes left. That is over once the one connection for reads,
    // which answers in order, has answered whoever asked after it.
    for (int i = 0; i < 2; ++i) EXPECT_EQ(codeOf(store->info("nobody")), "not_found");
    return store;
  }
  void awaitBothConnections(PostgresStore& store) { awaitConnections(store, 2); }
  void awaitConnections(PostgresStore& store, std::uint64_t count) {
    for (;;) {
      const PostgresStore::Counters counters = store.counters();
      if (counters.connectionsMade - counters.connectionsLost == count) return;
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  /// Lets several owners commit on threads of their own while `disturb` runs, then audits them all.
  void commitDuring(PostgresStore& store, const std::function<void()>& disturb) {
    constexpr int kOwners = 6;
    std::vector<std::unique_ptr<Bookkeeper>> owners;
    for (int i = 0; i < kOwners; ++i) {
      owners.push_back(std::make_unique<Bookkeeper>(store, "database " + std::to_string(i)));
    }
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (const auto& owner : owners) {
      threads.emplace_back([&, &owner = *owner] {
        while (!stop) commits_ += owner.commit().ok() ? 1 : 0;
      });
    }
    disturb();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    for (const auto& owner : owners) {
      owner->commitAtLast();
      owner->audit();
      unknown_ += owner->unknown;
      refused_ += owner->refused;
      booked_ += owner->bookedCount();
    }
  }

  /// Waits until the owners have made so many commits more.
  void awaitCommits(std::uint64_t more) {
    const std::uint64_t target = commits_ + more;
    while (commits_ < target) std::this_thread::sleep_for(milliseconds(1));
  }

  SystemClock clock_;
  PostgresServer server_;
  std::atomic<std::uint64_t> commits_ = 0;
  int unknown_ = 0;
  int refused_ = 0;
  std::size_t booked_ = 0;
};

// ---- Connections that break

TEST_F(PostgresFaults, a_commit_cut_off_at_any_byte_is_applied_once_or_not_at_all) {
  SocketProxy proxy(server_.socketPath());
  const auto store = openThrough(proxy);
  Bookkeeper owner(*store, "acme");
  ASSERT_EQ(codeOf(owner.commit()), "ok");
  int cuts = 0;
  for (const auto direction :
       {SocketProxy::Direction::ToServer, SocketProxy::Direction::ToClient}) {
    for (std::size_t bytes = 0;; bytes += bytes < 8 ? 1 : 23) {
      awaitBothConnections(*store);
      proxy.cutAfter(direction, bytes);
      const Status status = owner.commit();
      // Past the commit's own bytes the cut would hit what comes next.
      if (!proxy.disarm() || status.ok()) break;
      EXPECT_EQ(codeOf(status), "unknown_outcome") << bytes;
      ++cuts;
    }
  }
  EXPECT_GT(cuts, 20);
  owner.audit();
}

TEST_F(PostgresFaults, a_commit_whose_answer_is_lost_is_found_applied) {
  SocketProxy proxy(server_.socketPath());
  const auto store = openThrough(proxy);
  Bookkeeper owner(*store, "acme");
  proxy.cutAfter(SocketProxy::Direction::ToClient, 0);
  EXPECT_EQ(codeOf(owner.commit()), "unknown_outcome");
  EXPECT_EQ(owner.bookedCount(), 1u);
  owner.audit();
}

TEST_F(PostgresFaults, reads_survive_a_lost_connection_unnoticed) {
  SocketProxy proxy(server_.socketPath());
  const auto store = openThrough(proxy);
  Bookkeeper owner(*store, "acme");
  ASSERT_EQ(codeOf(owner.commit()), "ok");
  for (std::size_t bytes = 0; bytes < 60; bytes += 7) {
    awaitBothConnections(*store);
    proxy.cutAfter(SocketProxy::Direction::ToClient, bytes);
    const auto info = store->info("acme");
    ASSERT_EQ(codeOf(info), "ok");
    EXPECT_EQ(info->head.txid, 1u);
    EXPECT_TRUE(proxy.disarm());
  }
  EXPECT_GT(store->counters().repeats, 0u);
}

TEST_F(PostgresFaults, a_lost_answer_to_an_exclusive_creation_is_an_unknown_outcome) {
  SocketProxy proxy(server_.socketPath());
  const auto store = openThrough(proxy);
  proxy.cutAfter(SocketProxy::Direction::ToClient, 0);
  EXPECT_EQ(codeOf(store->open({.name = "acme", .create = Create::MustBeNew})), "unknown_outcome");
  EXPECT_EQ(codeOf(store->open({.name = "acme", .create = Create::MustBeNew})), "already_exists");
}

TEST_F(PostgresFaults, sessions_terminated_during_commits_lose_and_double_nothing) {
  const auto store = mustOpen({.url = server_.url()});
  commitDuring(*store, [&] {
    for (int round = 0; round < 25; ++round) {
      awaitCommits(20);
      server_.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'skep'");
    }
  });
  EXPECT_GT(store->counters().connectionsLost, 0u);
  EXPECT_GE(booked_, 25u * 20);
}

// No time limit helps here: each of them has to come back by itself.
TEST_F(PostgresFaults, connections_lost_together_are_all_made_again) {
  constexpr std::uint64_t kConnections = 16;
  const auto store = mustOpen({.url = server_.url(),
                               .writeConnections = kConnections / 2,
                               .readConnections = kConnections / 2,
                               .connectTimeoutMs = 3'600'000});
  for (int round = 0; round < 30; ++round) {
    awaitConnections(*store, kConnections);
    server_.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'skep'");
    while (store->counters().connectionsLost < kConnections * (round + 1u)) {
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  awaitConnections(*store, kConnections);
}

// ---- Snapshots

TEST_F(PostgresFaults, a_snapshot_that_loses_its_connection_says_so_and_the_store_goes_on) {
  const auto store = mustOpen({.url = server_.url()});
  Bookkeeper owner(*store, "acme");
  auto snapshot = store->snapshot();
  ASSERT_EQ(codeOf(snapshot), "ok");
  EXPECT_EQ(codeOf((*snapshot)->info("acme")), "ok");
  server_.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(codeOf((*snapshot)->info("acme")), "snapshot_gone");
  EXPECT_EQ(codeOf(owner.commit()), "ok");
  snapshot = store->snapshot();
  ASSERT_EQ(codeOf(snapshot), "ok");
  EXPECT_EQ((*snapshot)->info("acme")->head.txid, 1u);
}

TEST_F(PostgresFaults, snapshots_give_their_connections_back) {
  const auto store = mustOpen({.url = server_.url()});
  const auto sessions = [&] {
    return server_.query("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'");
  };
  {
    std::vector<Result<std::unique_ptr<store::PageStore>>> several;
    for (int i = 0; i < 3; ++i) several.push_back(store->snapshot());
    for (const auto& each : several) EXPECT_EQ(codeOf(each), "ok");
    EXPECT_EQ(sessions(), "3");
  }
  while (sessions() != "0") std::this_thread::sleep_for(milliseconds(1));
}

// ---- Servers that go away

TEST_F(PostgresFaults, a_server_restarted_during_commits_loses_and_doubles_nothing) {
  const auto store = mustOpen({.url = server_.url()});
  commitDuring(*store, [&] {
    for (const auto how : {PostgresServer::Stop::Fast, PostgresServer::Stop::Immediate,
                           PostgresServer::Stop::Kill, PostgresServer::Stop::Immediate}) {
      awaitCommits(50);
      server_.stop(how);
      server_.start();
    }
    awaitCommits(20);
  });
  EXPECT_GT(unknown_ + refused_ + static_cast<int>(store->counters().repeats), 0);
}

TEST_F(PostgresFaults, a_server_that_is_down_is_unavailable_and_then_available_again) {
  const auto store = mustOpen(impatient());
  Bookkeeper owner(*store, "acme");
  owner.commitAtLast();
  server_.stop(PostgresServer::Stop::Fast);
  EXPECT_EQ(codeOf(store->info("acme")), "unavailable");
  EXPECT_EQ(codeOf(store->open({.name = "acme", .claim = Claim::Take})), "unavailable");
  EXPECT_EQ(codeOf(store->destroy("acme")), "unavailable");
  server_.start();
  owner.commitAtLast();
  owner.audit();
}

// That it ends is the point: nobody but the store itself can end these calls.
TEST_F(PostgresFaults, calls_to_a_frozen_server_end_and_it_is_unavailable) {
  PostgresOptions options = impatient();
  options.writeConnections = 1;
  const auto store = mustOpen(options);
  Bookkeeper owner(*store, "acme");
  owner.commitAtLast();
  server_.pause();
  DatabaseWrite write;
  write.id = store::DatabaseId{1};
  write.epoch = 1;
  write.expectedTxid = 1;
  EXPECT_EQ(codeOf(store->write({&write, 1}).front()), "unknown_outcome");
  EXPECT_EQ(codeOf(store->info("acme")), "unavailable");
  EXPECT_EQ(codeOf(store->write({&write, 1}).front()),
            "unavailable");  // there is no connection to try
  server_.resume();
  owner.commitAtLast();
  owner.audit();
}

TEST_F(PostgresFaults, a_statement_that_takes_too_long_is_given_up_by_the_server) {
  const auto store = mustOpen(impatient());
  Bookkeeper owner(*store, "acme");
  // Another session holds the head until we say so.
  server_.query("CREATE TABLE released ()");
  std::thread holder([&] {
    server_.query(
        "BEGIN; SELECT FROM skep.head FOR UPDATE;"
        "DO 'BEGIN LOOP PERFORM pg_sleep(0.01); EXIT WHEN EXISTS (SELECT FROM public.released); "
        "END LOOP; END';"
        "COMMIT");
  });
  while (server_.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") ==
         "0") {
  }
  const Status status = owner.tryCommit();
  EXPECT_EQ(codeOf(status), "unavailable");
  server_.query("INSERT INTO released DEFAULT VALUES");
  holder.join();
  owner.settle(status);
  owner.commitAtLast();
  owner.audit();
}

// ---- Servers that refuse

TEST_F(PostgresFaults, a_read_only_server_is_read_and_not_written) {
  {
    const auto store = mustOpen({.url = server_.url()});
    Bookkeeper owner(*store, "acme");
    ASSERT_EQ(codeOf(owner.commit()), "ok");
  }
  server_.query("ALTER SYSTEM SET default_transaction_read_only = on; ");
  server_.stop(PostgresServer::Stop::Fast);
  server_.start();
  const auto store = mustOpen({.url = server_.url()});
  const auto opened = store->open({.name = "acme"});
  ASSERT_EQ(codeOf(opened), "ok");
  EXPECT_EQ(opened->log.size(), 1u);
  EXPECT_EQ(codeOf(store->open({.name = "acme", .claim = Claim::Take})), "read_only");
  EXPECT_EQ(codeOf(store->open({.name = "new", .create = Create::IfMissing})), "read_only");
  EXPECT_EQ(codeOf(store->destroy("acme")), "read_only");
  DatabaseWrite write;
  write.id = opened->id;
  write.epoch = opened->head.epoch;
  write.expectedTxid = 1;
  EXPECT_EQ(codeOf(store->write({&write, 1}).front()), "read_only");
  const auto fresh = PostgresStore::open({.url = server_.url(), .schema = "other"}, clock_);
  EXPECT_EQ(codeOf(fresh), "read_only");
}

// A full disk is simulated: a trigger raises the error that PostgreSQL raises then.
TEST_F(PostgresFaults, a_full_disk_is_said_so_and_nothing_is_applied) {
  const auto store = mustOpen({.url = server_.url()});
  Bookkeeper owner(*store, "acme");
  server_.query(
      "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; "
      "END $$;"
      "CREATE TRIGGER full_disk BEFORE INSERT ON skep.log FOR EACH ROW EXECUTE FUNCTION "
      "full_disk()");
  const Status status = owner.commit();
  ASSERT_EQ(codeOf(status), "store_full");
  EXPECT_THAT(status.error().message, HasSubstr("No space left on device"));
  server_.query("DROP TRIGGER full_disk ON skep.log");
  EXPECT_EQ(codeOf(owner.commit()), "ok");
  owner.audit();
}

TEST_F(PostgresFaults, an_error_at_the_very_commit_is_no_success) {
  const auto store = mustOpen({.url = server_.url()});
  Bookkeeper owner(*store, "acme");
  server_.query(
      "CREATE FUNCTION too_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "RAISE EXCEPTION 'at the commit' USING ERRCODE = '53100'; END $$;"
      "CREATE CONSTRAINT TRIGGER too_late AFTER INSERT ON skep.log_0 "
      "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION too_late()");
  // The trigger sits on one partition: find a database that lives in it.
  int refused = 0;
  for (int i = 0; i < 40 && refused == 0; ++i) {
    Bookkeeper other(*store, "database " + std::to_string(i));
    const Status status = other.commit();
    if (isCode(status, ErrorCode::StoreFull)) {
      ++refused;
      EXPECT_EQ(other.bookedCount(), 0u);
      EXPECT_THAT(status.error().message, HasSubstr("at the commit"));
      EXPECT_TRUE(store->info("database " + std::to_string(i)).ok());
    }
    other.audit();
  }
  EXPECT_EQ(refused, 1);
}

TEST_F(PostgresFaults, collisions_with_other_transactions_are_retried) {
  const auto store = mustOpen({.url = server_.url()});
  Bookkeeper owner(*store, "acme");
  server_.query(
      "CREATE SEQUENCE collisions;"
      "CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "IF nextval('public.collisions') <= 3 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = "
      "'40P01'; "
      "END IF; RETURN NEW; END $$;"
      "CREATE TRIGGER collide BEFORE INSERT ON skep.log FOR EACH ROW EXECUTE FUNCTION collide()");
  EXPECT_EQ(codeOf(owner.commit()), "ok");
  EXPECT_EQ(store->counters().repeats, 3u);
  owner.audit();
}

TEST_F(PostgresFaults, commits_are_synchronous_whatever_the_default_is) {
  server_.query("ALTER ROLE postgres SET synchronous_commit = off");
  const auto store = mustOpen({.url = server_.url()});
  Bookkeeper owner(*store, "acme");
  server_.query(
      "CREATE TABLE seen (setting text);"
      "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;"
      "CREATE TRIGGER look BEFORE INSERT ON skep.log FOR EACH ROW EXECUTE FUNCTION look()");
  ASSERT_EQ(codeOf(owner.commit()), "ok");
  EXPECT_EQ(server_.query("SELECT setting FROM seen"), "on");
}

// ---- Clients that die

// Commits until it is killed; tells of each acknowledged txid through `pipe`.
[[noreturn]] void commitForever(const std::string& url, int pipe) {
  SystemClock clock;
  auto store = PostgresStore::open({.url = url}, clock);
  if (!store.ok()) _exit(1);
  auto opened = (*store)->open({.name = "acme", .create = Create::IfMissing, .claim = Claim::Take});
  if (!opened.ok()) _exit(2);
  for (Txid txid = opened->head.txid;; ++txid) {
    DatabaseWrite write;
    write.id = opened->id;
    write.epoch = opened->head.epoch;
    write.expectedTxid = txid;
    write.commit = store::CommitHead{.txid = txid + 1, .pageCount = 1, .commitId = txid + 1};
    write.record = toBytes(asBytes("x"));
    if (!(*store)->write({&write, 1}).front().ok()) _exit(3);
    const Txid done = txid + 1;
    if (::write(pipe, &done, sizeof done) != sizeof done) _exit(4);
  }
}

TEST_F(PostgresFaults, a_killed_process_has_lost_no_commit_that_it_told_of) {
  Txid told = 0;
  for (int round = 0; round < 5; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(pipe[0]);
      commitForever(server_.url(), pipe[1]);
    }
    close(pipe[1]);
    const Txid enough = told + 20 + static_cast<Txid>(round);
    Txid txid = 0;
    while (read(pipe[0], &txid, sizeof txid) == sizeof txid) {
      told = txid;
      if (told == enough) kill(child, SIGKILL);
    }
    close(pipe[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself: " << WEXITSTATUS(status);
  }
  const auto store = mustOpen({.url = server_.url()});
  const auto opened = store->open({.name = "acme", .claim = Claim::Take});
  ASSERT_EQ(codeOf(opened), "ok");
  EXPECT_GE(opened->head.txid, told);
  EXPECT_LE(opened->head.txid, told + 1);
  EXPECT_EQ(opened->log.size(), opened->head.txid);
}

}  // namespace
}  // namespace skep::testing
