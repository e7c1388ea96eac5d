// Transactions, savepoints, turns, what is undone with them, durability, alarms, and broken
// databases.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "skep/testing/watched_world.h"
#include "skep/vfs/paged_file.h"

namespace skep::sql {
namespace {

using skep::testing::scalar;
using skep::testing::WatchedWorld;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TransactionTest : public ::testing::Test {
 protected:
  void run(const std::function<void(Database&)>& body, DatabaseOptions options = {}) {
    world_.run([&] {
      auto db = world_.open("a", std::move(options));
      ASSERT_OK(db->run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v)"));
      ASSERT_OK(db->waitDurable());
      body(*db);
      if (db->brokenBy() == nullptr)
        ASSERT_OK(db->close());
      else
        (void)db->close();
    });
  }
  /// What a new owner finds.
  std::string reopened(const std::string& sql) {
    std::string found;
    world_.run([&] {
      auto db = world_.open("a");
      found = scalar(*db, sql);
      ASSERT_OK(db->close());
    });
    return found;
  }
  std::vector<store::DueAlarm> due() {
    auto found = world_.store().dueAlarms(INT64_MAX, 10);
    EXPECT_TRUE(found.ok());
    return *found;
  }

  WatchedWorld world_;
};

constexpr const char* kValues =
    "SELECT ifnull(group_concat(v), '') FROM (SELECT v FROM t ORDER BY id)";

/// An error that makes SQLite roll back the whole transaction, not only the statement.
constexpr const char* kRollsBack = "INSERT OR ROLLBACK INTO t VALUES (1, 'double')";

// --- Explicit transactions ---

TEST_F(TransactionTest, commit_gives_the_txid_with_the_work_and_0_without_any) {
  run([](Database& db) {
    ASSERT_OK(db.begin());
    EXPECT_TRUE(db.inTransaction());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1); INSERT INTO t(v) VALUES (2)"));
    auto txid = db.commit();
    ASSERT_OK(txid);
    EXPECT_EQ(*txid, db.committedTxid());
    EXPECT_EQ(*txid, 2u);
    EXPECT_FALSE(db.inTransaction());
    ASSERT_OK(db.begin());
    ASSERT_OK(db.execute("SELECT * FROM t"));
    auto nothing = db.commit();
    ASSERT_OK(nothing);
    EXPECT_EQ(*nothing, 0u);
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("UPDATE t SET v = v"));  // writes, but changes nothing
    ASSERT_OK(db.commit());
    EXPECT_EQ(db.committedTxid(), 2u);
  });
}

TEST_F(TransactionTest, calls_out_of_order_are_refused_and_change_nothing) {
  run([](Database& db) {
    EXPECT_EQ(db.commit().error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(db.rollback().error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(db.commitTurn().error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(db.rollbackTurn().error().code, ErrorCode::InvalidArgument);
    ASSERT_OK(db.begin());
    EXPECT_EQ(db.begin().error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(db.beginTurn().error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(db.commitTurn().error().code, ErrorCode::InvalidArgument);
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('in')"));
    ASSERT_OK(db.commit());
    ASSERT_OK(db.run("BEGIN"));
    EXPECT_EQ(db.begin().error().code, ErrorCode::Sql);
    EXPECT_EQ(db.beginTurn().error().code, ErrorCode::InvalidArgument);
    ASSERT_OK(db.run("ROLLBACK"));
    EXPECT_EQ(scalar(db, kValues), "in");
  });
}

TEST_F(TransactionTest, a_failed_statement_undoes_itself_and_the_transaction_goes_on) {
  run([](Database& db) {
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t VALUES (1, 'one')"));
    EXPECT_FALSE(db.run("INSERT INTO t VALUES (2, 'two'), (1, 'double')").ok());
    ASSERT_OK(db.run("INSERT INTO t VALUES (3, 'three')"));
    ASSERT_OK(db.commit());
    EXPECT_EQ(scalar(db, kValues), "one,three");
  });
}

TEST_F(TransactionTest, after_sqlite_rolled_back_by_itself_everything_is_refused_until_rollback) {
  run([](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t VALUES (1, 'kept')"));
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'gone')"));
    EXPECT_EQ(db.run(kRollsBack).error().sqliteCode, SQLITE_CONSTRAINT_PRIMARYKEY);
    for (const char* sql : {"INSERT INTO t VALUES (3, 'half')", "SELECT 1"}) {
      Status refused = db.run(sql);
      ASSERT_FALSE(refused.ok()) << sql;
      EXPECT_EQ(refused.error().code, ErrorCode::Aborted);
    }
    EXPECT_EQ(db.savepoint([] { return Status{}; }).error().code, ErrorCode::Aborted);
    ASSERT_OK(db.rollback());
    EXPECT_EQ(scalar(db, kValues), "kept");
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'gone too')"));
    EXPECT_FALSE(db.run(kRollsBack).ok());
    EXPECT_EQ(db.commit().error().code, ErrorCode::Aborted);  // ends the transaction, too
    EXPECT_EQ(scalar(db, kValues), "kept");
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'works')"));
    EXPECT_EQ(scalar(db, kValues), "kept,works");
  });
}

TEST_F(TransactionTest, a_commit_that_a_constraint_refuses_leaves_nothing_and_no_open_transaction) {
  run([](Database& db) {
    ASSERT_OK(db.run("CREATE TABLE child(p REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)"));
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO child VALUES (99)"));
    auto refused = db.commit();
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().sqliteCode, SQLITE_CONSTRAINT_FOREIGNKEY);
    EXPECT_FALSE(db.inTransaction());
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM child"), "0");

    Status savepoint = db.savepoint([&] { return db.run("INSERT INTO child VALUES (99)"); });
    ASSERT_FALSE(savepoint.ok());
    EXPECT_EQ(savepoint.error().sqliteCode, SQLITE_CONSTRAINT_FOREIGNKEY);
    EXPECT_FALSE(db.inTransaction());
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM child"), "0");

    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("INSERT INTO child VALUES (99)"));
    EXPECT_EQ(db.commitTurn().error().sqliteCode, SQLITE_CONSTRAINT_FOREIGNKEY);
    EXPECT_FALSE(db.inTransaction());
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM child"), "0");
  });
}

// --- Savepoints ---

TEST_F(TransactionTest, savepoints_nest_and_each_undoes_only_its_own_work) {
  run([](Database& db) {
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('a')"));
    Status outer = db.savepoint([&]() -> Status {
      SKEP_CHECK_OK(db.run("INSERT INTO t(v) VALUES ('b')"));
      Status inner = db.savepoint([&]() -> Status {
        SKEP_CHECK_OK(db.run("INSERT INTO t(v) VALUES ('c')"));
        return Error{ErrorCode::InvalidArgument, "changed my mind"};
      });
      EXPECT_EQ(inner.error().message, "changed my mind");
      return db.savepoint([&] { return db.run("INSERT INTO t(v) VALUES ('d')"); });
    });
    ASSERT_OK(outer);
    EXPECT_EQ(scalar(db, kValues), "a,b,d");
    ASSERT_OK(db.commit());
    EXPECT_EQ(scalar(db, kValues), "a,b,d");
    EXPECT_EQ(db.committedTxid(), 2u);
  });
}

TEST_F(TransactionTest, a_savepoint_alone_is_a_transaction_of_its_own) {
  run([](Database& db) {
    ASSERT_OK(db.savepoint(
        [&] { return db.run("INSERT INTO t(v) VALUES ('a'); INSERT INTO t(v) VALUES ('b')"); }));
    EXPECT_EQ(db.committedTxid(), 2u);
    Status failed = db.savepoint([&]() -> Status {
      SKEP_CHECK_OK(db.run("INSERT INTO t(v) VALUES ('c')"));
      return db.run("INSERT INTO t VALUES (1, 'double')");
    });
    EXPECT_EQ(failed.error().sqliteCode, SQLITE_CONSTRAINT_PRIMARYKEY);
    EXPECT_EQ(db.committedTxid(), 2u);
    EXPECT_FALSE(db.inTransaction());
    EXPECT_EQ(scalar(db, kValues), "a,b");
  });
}

TEST_F(TransactionTest, a_savepoint_whose_transaction_was_lost_reports_what_happened_first) {
  run([](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t VALUES (1, 'kept')"));
    ASSERT_OK(db.begin());
    Status failed = db.savepoint([&] { return db.run(kRollsBack); });
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().sqliteCode, SQLITE_CONSTRAINT_PRIMARYKEY);
    EXPECT_EQ(db.commit().error().code, ErrorCode::Aborted);
    // A body that overlooks it learns so itself.
    ASSERT_OK(db.begin());
    Status overlooked = db.savepoint([&] {
      EXPECT_FALSE(db.run(kRollsBack).ok());
      return Status{};
    });
    EXPECT_EQ(overlooked.error().code, ErrorCode::Aborted);
    ASSERT_OK(db.rollback());
    Status alone = db.savepoint([&] {
      EXPECT_FALSE(db.run(kRollsBack).ok());
      return Status{};
    });
    EXPECT_EQ(alone.error().code, ErrorCode::Aborted);
    EXPECT_EQ(scalar(db, kValues), "kept");
  });
}

// --- Turns ---

TEST_F(TransactionTest, a_turn_that_only_reads_opens_no_transaction) {
  run([](Database& db) {
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.execute("SELECT * FROM t"));
    EXPECT_FALSE(db.inTransaction());
    auto txid = db.commitTurn();
    ASSERT_OK(txid);
    EXPECT_EQ(*txid, 0u);
  });
}

TEST_F(TransactionTest, a_turn_refuses_transaction_statements_and_keeps_its_writes) {
  run([](Database& db) {
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('a')"));
    for (const char* sql : {"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END", "ROLLBACK",
                            "/* x */ commit transaction", "; COMMIT"}) {
      Status refused = db.run(sql);
      ASSERT_FALSE(refused.ok()) << sql;
      EXPECT_EQ(refused.error().sqliteCode & 0xff, SQLITE_AUTH) << sql;
      EXPECT_THAT(refused.error().message, HasSubstr("the turn is the transaction")) << sql;
      EXPECT_TRUE(db.inTransaction()) << sql;
    }
    ASSERT_OK(db.run("SAVEPOINT s; INSERT INTO t(v) VALUES ('b'); ROLLBACK TO s; RELEASE s"));
    ASSERT_OK(db.run("SAVEPOINT s; INSERT INTO t(v) VALUES ('c'); RELEASE s"));
    auto txid = db.commitTurn();
    ASSERT_OK(txid);
    EXPECT_EQ(*txid, 2u);
    EXPECT_EQ(scalar(db, kValues), "a,c");
  });
}

// SQLite calls it a read, and its ANALYZE would commit by itself.
TEST_F(TransactionTest, what_a_pragma_writes_belongs_to_the_turn) {
  run([](Database& db) {
    ASSERT_OK(db.run("CREATE INDEX tv ON t(v); INSERT INTO t(v) VALUES (1), (2), (3)"));
    const std::string hasStatistics =
        "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'";
    for (const char* sql :
         {"PRAGMA optimize(0x10002)", "/* x */ pragma main . \"Optimize\" (0x10002)",
          "PRAGMA /* ( = */ [main] /* = */ . [optimize] = 0x10002", "PRAGMA 'optimize'(0x10002)"}) {
      ASSERT_OK(db.beginTurn());
      ASSERT_OK(db.run(sql));
      EXPECT_TRUE(db.inTransaction()) << sql;
      EXPECT_EQ(scalar(db, hasStatistics), "1") << sql;
      ASSERT_OK(db.rollbackTurn());
      EXPECT_EQ(scalar(db, hasStatistics), "0") << sql;
    }
    auto optimize = db.prepare("PRAGMA optimize(0x10002)");
    ASSERT_OK(optimize);
    EXPECT_FALSE(optimize->isReadOnly());
    auto other = db.prepare("PRAGMA table_info(optimize)");
    ASSERT_OK(other);
    EXPECT_TRUE(other->isReadOnly());
    ASSERT_OK(db.beginTurn());
    Status refused = db.run("SELECT * FROM pragma_optimize(0x10002)");
    ASSERT_FALSE(refused.ok());
    ASSERT_OK(db.rollbackTurn());
    EXPECT_EQ(scalar(db, hasStatistics), "0");
  });
}

// Each pragma that is available, with a value and without: none of them writes past the turn.
TEST_F(TransactionTest, no_pragma_commits_within_a_turn) {
  run([](Database& db) {
    ASSERT_OK(db.run("CREATE INDEX tv ON t(v); INSERT INTO t(v) VALUES (1), (2), (3)"));
    const auto pragmas = db.execute("SELECT name FROM pragma_pragma_list");
    ASSERT_OK(pragmas);
    ASSERT_GT(pragmas->rows.size(), 50u);
    for (const auto& row : pragmas->rows) {
      const std::string name = row[0].text();
      for (const std::string& sql :
           {"PRAGMA " + name, "PRAGMA " + name + " = 1", "SELECT * FROM pragma_" + name}) {
        const store::Txid before = db.committedTxid();
        ASSERT_OK(db.beginTurn());
        (void)db.run(sql);  // many are refused, or want another argument
        ASSERT_OK(db.rollbackTurn());
        EXPECT_EQ(db.committedTxid(), before) << sql;
      }
    }
  });
}

// The authorizer is asked only when a statement is compiled.
TEST_F(TransactionTest, a_turn_also_refuses_transaction_statements_that_were_compiled_before_it) {
  run([](Database& db) {
    for (int i = 0; i < 2; ++i) {  // into the cache
      ASSERT_OK(db.execute("BEGIN"));
      ASSERT_OK(db.execute("COMMIT"));
      ASSERT_OK(db.execute("BEGIN"));
      ASSERT_OK(db.execute("ROLLBACK"));
    }
    auto end = db.prepare(" -- a comment\n END");
    ASSERT_OK(end);
    ASSERT_OK(db.beginTurn());
    EXPECT_FALSE(db.execute("BEGIN").ok());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('a')"));
    for (const char* sql : {"BEGIN", "COMMIT", "ROLLBACK"}) {
      auto refused = db.execute(sql);
      ASSERT_FALSE(refused.ok()) << sql;
      EXPECT_THAT(refused.error().message, HasSubstr("the turn is the transaction")) << sql;
    }
    EXPECT_FALSE(end->step().ok());
    EXPECT_TRUE(db.inTransaction());
    ASSERT_OK(db.rollbackTurn());
    EXPECT_EQ(scalar(db, kValues), "");
    ASSERT_OK(db.execute("BEGIN"));
    EXPECT_OK(end->step());
  });
}

TEST_F(TransactionTest, a_savepoint_opens_the_turns_transaction) {
  run([](Database& db) {
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("SAVEPOINT s; INSERT INTO t(v) VALUES ('a'); RELEASE s"));
    EXPECT_TRUE(db.inTransaction());
    ASSERT_OK(db.savepoint([&] { return db.run("INSERT INTO t(v) VALUES ('b')"); }));
    EXPECT_EQ(db.committedTxid(), 1u);
    ASSERT_OK(db.rollbackTurn());
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.savepoint([&] { return db.run("INSERT INTO t(v) VALUES ('c')"); }));
    EXPECT_TRUE(db.inTransaction());
    ASSERT_OK(db.commitTurn());
    EXPECT_EQ(scalar(db, kValues), "c");
    EXPECT_EQ(db.committedTxid(), 2u);
  });
}

TEST_F(TransactionTest, a_turn_that_sqlite_rolled_back_applies_nothing_of_itself) {
  run([](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t VALUES (1, 'kept')"));
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'before')"));
    EXPECT_FALSE(db.run(kRollsBack).ok());
    EXPECT_EQ(db.run("INSERT INTO t VALUES (3, 'after')").error().code, ErrorCode::Aborted);
    EXPECT_EQ(db.execute("SELECT 1").error().code, ErrorCode::Aborted);
    EXPECT_EQ(db.setAlarm(5).error().code, ErrorCode::Aborted);
    EXPECT_EQ(db.commitTurn().error().code, ErrorCode::Aborted);
    EXPECT_EQ(scalar(db, kValues), "kept");
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'before')"));
    EXPECT_FALSE(db.run(kRollsBack).ok());
    ASSERT_OK(db.rollbackTurn());
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'next')"));
    ASSERT_OK(db.commitTurn());
    EXPECT_EQ(scalar(db, kValues), "kept,next");
  });
}

TEST_F(TransactionTest, a_first_write_that_fails_leaves_the_turn_usable) {
  run([](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t VALUES (1, 'kept')"));
    ASSERT_OK(db.beginTurn());
    EXPECT_EQ(db.run("INSERT INTO t VALUES (1, 'double')").error().sqliteCode,
              SQLITE_CONSTRAINT_PRIMARYKEY);
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'fine')"));
    ASSERT_OK(db.commitTurn());
    EXPECT_EQ(scalar(db, kValues), "kept,fine");
  });
}

TEST_F(TransactionTest, closing_in_the_middle_of_a_turn_or_transaction_rolls_it_back) {
  for (bool turn : {false, true}) {
    run([&](Database& db) {
      ASSERT_OK(turn ? db.beginTurn() : db.begin());
      ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('gone')"));
    });
    EXPECT_EQ(reopened(kValues), "");
  }
}

// --- onRollback ---

TEST_F(TransactionTest, undo_callbacks_run_newest_first_and_are_forgotten_at_commit) {
  run([](Database& db) {
    std::vector<int> undone;
    auto note = [&](int i) { return [&undone, i] { undone.push_back(i); }; };
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    db.onRollback(note(1));
    db.onRollback(note(2));
    ASSERT_OK(db.execute("SELECT 1"));
    db.onRollback(note(3));
    ASSERT_OK(db.rollback());
    EXPECT_THAT(undone, ElementsAre(3, 2, 1));
    undone.clear();
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    db.onRollback(note(4));
    ASSERT_OK(db.commit());
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    ASSERT_OK(db.rollback());
    EXPECT_THAT(undone, IsEmpty());
  });
}

TEST_F(TransactionTest,
       undo_callbacks_run_when_sqlite_rolls_back_by_itself_when_the_commit_fails_and_at_close) {
  int undone = 0;
  run([&](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t VALUES (1, 'kept')"));
    ASSERT_OK(db.run("CREATE TABLE child(p REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)"));
    ASSERT_OK(db.begin());
    db.onRollback([&] { ++undone; });
    EXPECT_FALSE(db.run(kRollsBack).ok());
    EXPECT_EQ(undone, 1);
    ASSERT_OK(db.rollback());
    EXPECT_EQ(undone, 1);
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO child VALUES (99)"));
    db.onRollback([&] { ++undone; });
    EXPECT_FALSE(db.commit().ok());
    EXPECT_EQ(undone, 2);
    ASSERT_OK(db.begin());
    db.onRollback([&] { ++undone; });
    ASSERT_OK(db.run("INSERT INTO t VALUES (2, 'in between')"));
  });
  EXPECT_EQ(undone, 3);
  EXPECT_EQ(reopened(kValues), "kept");
}

TEST_F(TransactionTest, undo_callbacks_of_a_savepoint_run_with_it_alone) {
  run([](Database& db) {
    std::vector<int> undone;
    auto note = [&](int i) { return [&undone, i] { undone.push_back(i); }; };
    ASSERT_OK(db.begin());
    db.onRollback(note(1));
    EXPECT_FALSE(db.savepoint([&]() -> Status {
                     db.onRollback(note(2));
                     db.onRollback(note(3));
                     return Error{ErrorCode::InvalidArgument, "no"};
                   }).ok());
    EXPECT_THAT(undone, ElementsAre(3, 2));
    ASSERT_OK(db.savepoint([&] {
      db.onRollback(note(4));
      return Status{};
    }));
    ASSERT_OK(db.rollback());
    EXPECT_THAT(undone, ElementsAre(3, 2, 4, 1));
    undone.clear();
    EXPECT_FALSE(db.savepoint([&]() -> Status {  // a transaction of its own
                     db.onRollback(note(5));
                     return Error{ErrorCode::InvalidArgument, "no"};
                   })
                     .ok());
    EXPECT_THAT(undone, ElementsAre(5));
  });
}

TEST_F(TransactionTest, undo_callbacks_of_a_turn_count_from_its_start) {
  run([](Database& db) {
    int undone = 0;
    ASSERT_OK(db.beginTurn());
    db.onRollback([&] { ++undone; });  // before anything was written
    ASSERT_OK(db.execute("SELECT 1"));
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    ASSERT_OK(db.rollbackTurn());
    EXPECT_EQ(undone, 1);
    ASSERT_OK(db.beginTurn());
    db.onRollback([&] { ++undone; });
    ASSERT_OK(db.rollbackTurn());  // nothing was written at all
    EXPECT_EQ(undone, 2);
    ASSERT_OK(db.beginTurn());
    db.onRollback([&] { ++undone; });
    ASSERT_OK(db.commitTurn());
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    ASSERT_OK(db.rollbackTurn());
    EXPECT_EQ(undone, 2);
  });
}

// --- Durability ---

TEST_F(TransactionTest,
       several_fibers_wait_for_their_commits_and_each_returns_once_its_own_is_durable) {
  run([&](Database& db) {
    fiber::Event mayWrite;
    bool open = false;
    world_.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
      fiber::waitUntil(mayWrite, [&] { return open; });
      return {};
    };
    int waiting = 5;
    fiber::Event done;
    std::vector<store::Txid> reached;
    for (int i = 0; i < 5; ++i) {
      ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
      world_.loop().spawn("waiter", [&, txid = db.committedTxid()] {
        EXPECT_OK(db.waitDurable(txid));
        EXPECT_GE(db.durableTxid(), txid);
        reached.push_back(txid);
        --waiting;
        done.notifyAll();
      });
    }
    for (int i = 0; i < 10; ++i) fiber::yield();
    EXPECT_EQ(waiting, 5);
    EXPECT_OK(db.waitDurable(1));  // long durable
    open = true;
    mayWrite.notifyAll();
    fiber::waitUntil(done, [&] { return waiting == 0; });
    EXPECT_EQ(reached.size(), 5u);
    world_.watch().beforeWrite = nullptr;
  });
}

TEST_F(TransactionTest, a_database_is_broken_by_a_failed_commit_and_stays_so) {
  run([&](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('kept')"));
    ASSERT_OK(db.waitDurable());
    bool fails = true;
    world_.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
      return fails ? Status(Error{ErrorCode::StoreFull, "the disk is full"}) : Status{};
    };
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('lost')"));
    Status lost = db.waitDurable();
    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(lost.error().code, ErrorCode::Broken);
    EXPECT_THAT(lost.error().message, HasSubstr("the disk is full"));
    fails = false;  // too late
    const std::uint64_t writes = world_.watch().calls().writes;
    ASSERT_NE(db.brokenBy(), nullptr);
    EXPECT_EQ(db.run("SELECT 1").error().code, ErrorCode::Broken);
    EXPECT_EQ(db.run("INSERT INTO t(v) VALUES ('late')").error().code, ErrorCode::Broken);
    EXPECT_EQ(db.execute("SELECT * FROM t").error().code, ErrorCode::Broken);
    EXPECT_EQ(db.cached("SELECT v FROM t").error().code, ErrorCode::Broken);
    EXPECT_EQ(db.begin().error().code, ErrorCode::Broken);
    EXPECT_EQ(db.beginTurn().error().code, ErrorCode::Broken);
    EXPECT_EQ(db.savepoint([] { return Status{}; }).error().code, ErrorCode::Broken);
    EXPECT_EQ(db.setAlarm(1).error().code, ErrorCode::Broken);
    EXPECT_EQ(db.waitDurable().error().code, ErrorCode::Broken);
    EXPECT_EQ(db.close().error().code, ErrorCode::Broken);
    EXPECT_EQ(world_.watch().calls().writes, writes);
  });
  EXPECT_EQ(reopened(kValues), "kept");
}

TEST_F(TransactionTest, a_turn_under_way_when_the_database_breaks_can_not_commit) {
  run([&](Database& db) {
    world_.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
      return Error{ErrorCode::StoreFull, "the disk is full"};
    };
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('lost')"));
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('also lost')"));
    auto reader = db.prepare("SELECT * FROM t");
    ASSERT_OK(reader);
    EXPECT_FALSE(db.waitDurable().ok());
    world_.watch().beforeWrite = nullptr;
    EXPECT_EQ(reader->step().error().code, ErrorCode::Broken);
    EXPECT_EQ(db.commitTurn().error().code, ErrorCode::Broken);
  });
  EXPECT_EQ(reopened(kValues), "");
}

TEST_F(TransactionTest, a_broken_database_may_be_dropped_without_close) {
  world_.run([&] {
    auto db = world_.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"));
    ASSERT_OK(db->waitDurable());
    world_.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
      return Error{ErrorCode::StoreFull, "the disk is full"};
    };
    ASSERT_OK(db->begin());
    ASSERT_OK(db->run("INSERT INTO t(v) VALUES ('lost')"));
    ASSERT_OK(db->commit());
    EXPECT_FALSE(db->waitDurable().ok());
    ASSERT_NE(db->brokenBy(), nullptr);
    db.reset();
    world_.watch().beforeWrite = nullptr;
  });
  EXPECT_EQ(reopened(kValues), "");
}

TEST_F(TransactionTest, a_database_that_is_closed_or_closing_refuses_everything) {
  run([&](Database& db) {
    fiber::Event changed;
    bool mayWrite = false;
    bool closed = false;
    world_.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
      fiber::waitUntil(changed, [&] { return mayWrite; });
      return {};
    };
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('kept')"));
    world_.loop().spawn("closer", [&] {
      EXPECT_OK(db.close());
      closed = true;
      changed.notifyAll();
    });
    fiber::yield();
    auto expectRefusals = [&] {
      EXPECT_EQ(db.run("SELECT 1").error().code, ErrorCode::Aborted);
      EXPECT_EQ(db.execute("SELECT 1").error().code, ErrorCode::Aborted);
      EXPECT_EQ(db.begin().error().code, ErrorCode::Aborted);
      EXPECT_EQ(db.beginTurn().error().code, ErrorCode::Aborted);
      EXPECT_EQ(db.setAlarm(1).error().code, ErrorCode::Aborted);
      EXPECT_EQ(db.savepoint([] { return Status{}; }).error().code, ErrorCode::Aborted);
      EXPECT_FALSE(db.inTransaction());
      db.releaseMemory();
      (void)db.lastInsertRowid();
      (void)db.changes();
    };
    EXPECT_FALSE(closed);
    expectRefusals();
    mayWrite = true;
    changed.notifyAll();
    fiber::waitUntil(changed, [&] { return closed; });
    expectRefusals();
    EXPECT_OK(db.close());
    world_.watch().beforeWrite = nullptr;
  });
  EXPECT_EQ(reopened(kValues), "kept");
}

TEST_F(TransactionTest, a_store_that_is_away_for_a_while_only_delays) {
  run([&](Database& db) {
    int refusals = 3;
    world_.watch().beforeWrite = [&](const store::DatabaseWrite&) -> Status {
      return refusals-- > 0 ? Status(Error{ErrorCode::Unavailable, "away"}) : Status{};
    };
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('a')"));
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES ('b')"));
    ASSERT_OK(db.waitDurable());
    EXPECT_EQ(db.brokenBy(), nullptr);
    world_.watch().beforeWrite = nullptr;
  });
  EXPECT_EQ(reopened(kValues), "a,b");
}

// --- Alarms ---

TEST_F(TransactionTest, an_alarm_outside_a_transaction_is_stored_at_once) {
  run([&](Database& db) {
    ASSERT_OK(db.setAlarm(1000));
    ASSERT_OK(db.close());
    ASSERT_EQ(due().size(), 1u);
    EXPECT_EQ(due()[0].alarmMs, 1000);
    EXPECT_EQ(due()[0].name, "a");
  });
}

TEST_F(TransactionTest, an_alarm_belongs_to_its_transaction) {
  run([&](Database& db) {
    ASSERT_OK(db.begin());
    ASSERT_OK(db.setAlarm(1000));
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    EXPECT_THAT(due(), IsEmpty());
    ASSERT_OK(db.rollback());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (2)"));
    ASSERT_OK(db.waitDurable());
    EXPECT_EQ(db.head().alarmMs, std::nullopt);
    EXPECT_THAT(due(), IsEmpty());

    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (3)"));
    ASSERT_OK(db.setAlarm(2000));
    ASSERT_OK(db.commit());
    ASSERT_OK(db.waitDurable());
    EXPECT_EQ(db.head().alarmMs, 2000);
    ASSERT_EQ(due().size(), 1u);
    EXPECT_EQ(due()[0].alarmMs, 2000);

    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (4)"));
    ASSERT_OK(db.setAlarm(std::nullopt));
    ASSERT_OK(db.commit());
    ASSERT_OK(db.waitDurable());
    EXPECT_THAT(due(), IsEmpty());
  });
}

TEST_F(TransactionTest, an_alarm_belongs_to_its_turn_from_the_turns_start) {
  run([&](Database& db) {
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.setAlarm(1000));
    ASSERT_OK(db.execute("SELECT 1"));
    ASSERT_OK(db.rollbackTurn());
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.setAlarm(2000));
    ASSERT_OK(db.execute("SELECT 1"));
    for (int i = 0; i < 10; ++i) fiber::yield();
    EXPECT_THAT(due(), IsEmpty());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    EXPECT_FALSE(db.run("INSERT INTO t VALUES (1, 'double')").ok());
    ASSERT_OK(db.commitTurn());
    ASSERT_OK(db.waitDurable());
    EXPECT_EQ(db.head().alarmMs, 2000);
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.setAlarm(3000));
    auto nothing = db.commitTurn();  // no page changed
    ASSERT_OK(nothing);
    ASSERT_OK(db.close());
    ASSERT_EQ(due().size(), 1u);
    EXPECT_EQ(due()[0].alarmMs, 3000);
  });
}

TEST_F(TransactionTest, an_alarm_in_a_transaction_of_sql_is_committed_by_it) {
  run([&](Database& db) {
    ASSERT_OK(db.run("BEGIN"));
    ASSERT_OK(db.setAlarm(1000));
    ASSERT_OK(db.run("COMMIT"));
    ASSERT_OK(db.run("BEGIN; INSERT INTO t(v) VALUES (1)"));
    ASSERT_OK(db.setAlarm(2000));
    ASSERT_OK(db.run("ROLLBACK"));
    ASSERT_OK(db.close());
    ASSERT_EQ(due().size(), 1u);
    EXPECT_EQ(due()[0].alarmMs, 1000);
  });
}

TEST_F(TransactionTest, an_alarm_of_a_staged_transaction_comes_with_it) {
  vfs::PagedFileOptions options;
  options.transactionBytesMax = 16 * 4096;
  WatchedWorld world(options);
  world.run([&] {
    auto db = world.open("a");
    ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"));
    ASSERT_OK(db->begin());
    ASSERT_OK(db->setAlarm(1000));
    for (int i = 0; i < 5; ++i) ASSERT_OK(db->run("INSERT INTO t(v) VALUES (randomblob(8000000))"));
    ASSERT_OK(db->commit());
    ASSERT_OK(db->waitDurable());
    EXPECT_GT(db->file().counters().chunksStaged, 0u);
    EXPECT_EQ(db->head().alarmMs, 1000);
    ASSERT_OK(db->close());
  });
  auto found = world.store().dueAlarms(1000, 10);
  ASSERT_OK(found);
  EXPECT_EQ(found->size(), 1u);
}

}  // namespace
}  // namespace skep::sql
