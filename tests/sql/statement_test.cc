// Statements: compiling, binding, reading, the cache, scripts, and what errors say.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cmath>

#include "skep/sql/statement_cache.h"
#include "skep/testing/world.h"

namespace skep::sql {
namespace {

using skep::testing::scalar;
using skep::testing::World;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A world with an open database "a" that has the table t(id INTEGER PRIMARY KEY, v).
class StatementTest : public ::testing::Test {
 protected:
  void run(const std::function<void(Database&)>& body, DatabaseOptions options = {}) {
    world_.run([&] {
      auto db = world_.open("a", std::move(options));
      ASSERT_OK(db->run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v)"));
      body(*db);
      ASSERT_OK(db->close());
    });
  }
  World world_;
};

TEST_F(StatementTest, binds_and_reads_every_type) {
  run([](Database& db) {
    auto insert = db.prepare("INSERT INTO t(v) VALUES (?)");
    ASSERT_OK(insert);
    const std::vector<Value> values{nullptr,
                                    0,
                                    -1,
                                    INT64_MIN,
                                    INT64_MAX,
                                    0.0,
                                    -0.5,
                                    1e300,
                                    "",
                                    "text",
                                    std::string("a\0b", 3),
                                    "\xF0\x9F\x90\x9D",
                                    Bytes{},
                                    Bytes{std::byte{0}, std::byte{255}},
                                    Bytes(100'000, std::byte{7})};
    for (const Value& value : values) {
      ASSERT_OK(insert->bind(1, value));
      auto row = insert->step();
      ASSERT_OK(row);
      EXPECT_FALSE(*row);
    }
    auto select = db.prepare("SELECT v, typeof(v) AS kind FROM t ORDER BY id");
    ASSERT_OK(select);
    for (const Value& value : values) {
      auto row = select->step();
      ASSERT_OK(row);
      ASSERT_TRUE(*row);
      EXPECT_EQ(select->value(0), value);
      EXPECT_EQ(select->type(0), value.type());
      EXPECT_EQ(select->text(1),
                value.type() == ValueType::Real ? "real" : valueTypeName(value.type()));
    }
    auto end = select->step();
    ASSERT_OK(end);
    EXPECT_FALSE(*end);
  });
}

TEST_F(StatementTest, nan_becomes_null_as_sqlite_has_no_nan) {
  run([](Database& db) {
    auto rows = db.execute("SELECT ?, ?", {Value(std::nan("")), Value(INFINITY)});
    ASSERT_OK(rows);
    EXPECT_TRUE(rows->rows[0][0].isNull());
    EXPECT_EQ(rows->rows[0][1], Value(INFINITY));
  });
}

TEST_F(StatementTest, reading_a_column_as_another_type_converts_as_sqlite_does) {
  run([](Database& db) {
    auto select = db.prepare("SELECT '42abc', 3.9, NULL, x'3132', 7");
    ASSERT_OK(select);
    ASSERT_OK(select->step());
    EXPECT_EQ(select->integer(0), 42);
    EXPECT_EQ(select->real(0), 42.0);
    EXPECT_EQ(select->integer(1), 3);
    EXPECT_EQ(select->integer(2), 0);
    EXPECT_EQ(select->text(2), "");
    EXPECT_TRUE(select->blob(2).empty());
    EXPECT_EQ(select->integer(3), 12);
    EXPECT_EQ(select->text(4), "7");
    EXPECT_EQ(select->type(99),
              ValueType::Null);  // SQLite answers null for columns that there are not
  });
}

TEST_F(StatementTest, parameters_that_there_are_not_are_errors) {
  run([](Database& db) {
    auto statement = db.prepare("SELECT ?1, ?2");
    ASSERT_OK(statement);
    EXPECT_EQ(statement->parameterCount(), 2);
    for (int index : {-1, 0, 3, 1'000'000}) {
      Status refused = statement->bind(index, Value(1));
      ASSERT_FALSE(refused.ok()) << index;
      EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
    }
    EXPECT_EQ(statement->bind(":nobody", Value(1)).error().code, ErrorCode::InvalidArgument);
    EXPECT_THAT(statement->bind(":nobody", Value(1)).error().message, HasSubstr("':nobody'"));
    const std::vector<Value> one{Value(1)};
    const std::vector<Value> three{Value(1), Value(2), Value(3)};
    EXPECT_EQ(statement->bindAll(one).error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(statement->bindAll(three).error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(db.execute("SELECT ?", {}).error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(db.execute("SELECT 1", {Value(1)}).error().code, ErrorCode::InvalidArgument);
  });
}

TEST_F(StatementTest, parameters_are_bound_by_name_with_any_prefix) {
  run([](Database& db) {
    auto statement = db.prepare("SELECT :a, @b, $c, ?9, :a");
    ASSERT_OK(statement);
    EXPECT_EQ(statement->parameterCount(), 9);
    EXPECT_EQ(statement->parameterName(1), ":a");
    EXPECT_EQ(statement->parameterName(2), "@b");
    EXPECT_EQ(statement->parameterName(3), "$c");
    EXPECT_EQ(statement->parameterName(9), "?9");
    EXPECT_EQ(statement->parameterName(5), "");
    ASSERT_OK(statement->bind(":a", Value(1)));
    ASSERT_OK(statement->bind("@b", Value(2)));
    ASSERT_OK(statement->bind("$c", Value("three")));
    ASSERT_OK(statement->bind("?9", Value(4.5)));
    EXPECT_FALSE(statement->bind("a", Value(1)).ok());
    ASSERT_OK(statement->step());
    EXPECT_EQ(statement->integer(0), 1);
    EXPECT_EQ(statement->integer(1), 2);
    EXPECT_EQ(statement->text(2), "three");
    EXPECT_EQ(statement->real(3), 4.5);
    EXPECT_EQ(statement->integer(4), 1);
  });
}

TEST_F(StatementTest, bindings_stay_over_a_reset_until_they_are_cleared) {
  run([](Database& db) {
    auto statement = db.prepare("SELECT ?");
    ASSERT_OK(statement);
    ASSERT_OK(statement->bind(1, Value("kept")));
    for (int i = 0; i < 2; ++i) {
      ASSERT_OK(statement->step());
      EXPECT_EQ(statement->text(0), "kept");
      statement->reset();
    }
    statement->clearBindings();
    ASSERT_OK(statement->step());
    EXPECT_EQ(statement->type(0), ValueType::Null);
  });
}

TEST_F(StatementTest, binding_while_rows_are_read_is_refused_and_harms_nothing) {
  run([](Database& db) {
    auto statement = db.prepare("SELECT ?1 UNION ALL SELECT 2");
    ASSERT_OK(statement);
    ASSERT_OK(statement->bind(1, Value(1)));
    ASSERT_OK(statement->step());
    EXPECT_FALSE(statement->bind(1, Value(3)).ok());
    auto second = statement->step();
    ASSERT_OK(second);
    EXPECT_TRUE(*second);
    EXPECT_EQ(statement->integer(0), 2);
  });
}

TEST_F(StatementTest, columns_have_names_and_declared_types) {
  run([](Database& db) {
    auto statement = db.prepare("SELECT id, v AS content, id + 1 FROM t");
    ASSERT_OK(statement);
    EXPECT_EQ(statement->columnCount(), 3);
    EXPECT_EQ(statement->columnName(0), "id");
    EXPECT_EQ(statement->columnName(1), "content");
    EXPECT_EQ(statement->columnDeclaredType(0), "INTEGER");
    EXPECT_EQ(statement->columnDeclaredType(1), "");
    EXPECT_EQ(statement->columnDeclaredType(2), "");
    EXPECT_EQ(statement->columnName(7), "");
    EXPECT_TRUE(statement->isReadOnly());
    EXPECT_EQ(statement->explainMode(), 0);
    EXPECT_EQ(db.prepare("EXPLAIN SELECT 1")->explainMode(), 1);
    EXPECT_EQ(db.prepare("EXPLAIN QUERY PLAN SELECT 1")->explainMode(), 2);
    EXPECT_FALSE(db.prepare("DELETE FROM t")->isReadOnly());
  });
}

TEST_F(StatementTest, a_finished_or_failed_statement_starts_over_at_the_next_step) {
  run([](Database& db) {
    auto statement = db.prepare("INSERT INTO t VALUES (1, 2) RETURNING id");
    ASSERT_OK(statement);
    auto first = statement->step();
    ASSERT_OK(first);
    EXPECT_TRUE(*first);
    ASSERT_OK(statement->step());
    Result<bool> again = statement->step();
    ASSERT_FALSE(again.ok());
    EXPECT_EQ(again.error().sqliteCode, SQLITE_CONSTRAINT_PRIMARYKEY);
    ASSERT_OK(db.run("DELETE FROM t"));
    ASSERT_OK(statement->step());
  });
}

TEST_F(StatementTest,
       a_statement_dropped_while_it_writes_has_committed_and_is_covered_by_waitDurable) {
  run([](Database& db) {
    const store::Txid before = db.committedTxid();
    {
      auto statement = db.prepare("INSERT INTO t(v) VALUES (1), (2) RETURNING id");
      ASSERT_OK(statement);
      ASSERT_OK(statement->step());
    }
    ASSERT_OK(db.waitDurable());
    EXPECT_EQ(db.committedTxid(), before + 1);
    EXPECT_EQ(db.durableTxid(), before + 1);
  });
}

/// Inserts a row that the commit will refuse, for its deferred foreign key, and stops at the row.
Statement stepIntoRefusedCommit(Database& db) {
  EXPECT_OK(
      db.run("CREATE TABLE IF NOT EXISTS child(id INTEGER PRIMARY KEY, "
             "parent REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)"));
  auto statement = db.prepare("INSERT INTO child(parent) VALUES (999) RETURNING id");
  EXPECT_OK(statement);
  EXPECT_OK(statement->step());
  return std::move(statement).value();
}

TEST_F(StatementTest, a_commit_that_fails_in_reset_is_told_by_waitDurable) {
  run([](Database& db) {
    Statement statement = stepIntoRefusedCommit(db);
    statement.reset();
    const Status told = db.waitDurable();
    ASSERT_FALSE(told.ok());
    EXPECT_EQ(told.error().sqliteCode, SQLITE_CONSTRAINT_FOREIGNKEY);
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM child"), "0");
    EXPECT_OK(db.waitDurable());  // told once
    // An error that step() has told already is not told again.
    EXPECT_OK(db.run("INSERT INTO t VALUES (1, 1)"));
    auto failing = db.prepare("INSERT INTO t VALUES (1, 2) RETURNING id");
    ASSERT_OK(failing);
    EXPECT_FALSE(failing->step().ok());
    failing->reset();
    EXPECT_OK(db.waitDurable());
  });
}

TEST_F(StatementTest, a_commit_that_fails_in_reset_or_after_a_drop_is_told_by_close) {
  for (const bool drops : {false, true}) {
    world_.run([&] {
      auto db = world_.open(drops ? "drops" : "resets");
      ASSERT_OK(db->run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)"));
      {
        Statement statement = stepIntoRefusedCommit(*db);
        if (!drops) statement.reset();
      }
      const Status told = db->close();
      ASSERT_FALSE(told.ok()) << drops;
      EXPECT_EQ(told.error().sqliteCode, SQLITE_CONSTRAINT_FOREIGNKEY);
    });
  }
}

TEST_F(StatementTest, nothing_to_run_gives_an_empty_statement) {
  run([](Database& db) {
    for (const char* sql : {"", "  \n\t", ";", ";;", "-- only a comment", "/* only a comment */",
                            "-- a\n;/* b */ ;"}) {
      auto statement = db.prepare(sql);
      ASSERT_OK(statement);
      EXPECT_FALSE(*statement) << sql;
      auto rows = db.execute(sql);
      ASSERT_OK(rows);
      EXPECT_TRUE(rows->rows.empty());
      EXPECT_OK(db.run(sql));
    }
  });
}

TEST_F(StatementTest, execute_takes_one_statement_and_what_says_nothing_after_it) {
  run([](Database& db) {
    for (const char* sql :
         {"SELECT 1", "SELECT 1;", "SELECT 1 ; \n", "SELECT 1; -- done", "SELECT 1 -- done",
          "SELECT 1; /* done */ ; -- and done\n", ";SELECT 1"}) {
      auto rows = db.execute(sql);
      ASSERT_OK(rows);
      EXPECT_EQ(rows->rows.size(), 1u) << sql;
    }
    for (const char* sql : {"SELECT 1; SELECT 2", "SELECT 1; nonsense", "SELECT 1; /* a */ x"}) {
      auto rows = db.execute(sql);
      ASSERT_FALSE(rows.ok()) << sql;
      EXPECT_EQ(rows.error().code, ErrorCode::InvalidArgument) << sql;
      EXPECT_EQ(rows.error().sqlOffset, 9) << sql;
    }
  });
}

TEST_F(StatementTest, a_script_runs_to_its_first_error_which_says_where) {
  run([](Database& db) {
    const std::string good = "INSERT INTO t VALUES (1, 'one');\n-- a comment\nSELECT * FROM t;\n";
    const std::string script =
        good + "INSERT INTO t SELECT missing FROM t; INSERT INTO t VALUES (2, 'two')";
    Status failed = db.run(script);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ErrorCode::Sql);
    EXPECT_THAT(failed.error().message, HasSubstr("no such column: missing"));
    EXPECT_EQ(failed.error().sqlOffset, static_cast<int>(script.find("missing")));
    EXPECT_EQ(scalar(db, "SELECT group_concat(v) FROM t"), "one");
    EXPECT_EQ(db.run(good).error().sqliteCode, SQLITE_CONSTRAINT_PRIMARYKEY);
    EXPECT_EQ(db.run("SELECT 1; SELECT (").error().code, ErrorCode::Sql);
    EXPECT_EQ(db.run("SELEC 1").error().sqlOffset, 0);
    EXPECT_EQ(db.run("SELECT 1;  SELEC 1").error().sqlOffset, 11);
  });
}

TEST_F(StatementTest, errors_carry_sqlites_extended_code) {
  run([](Database& db) {
    ASSERT_OK(db.run("CREATE TABLE u(a UNIQUE, b NOT NULL, c CHECK (c > 0), d REFERENCES t(id))"));
    ASSERT_OK(db.run("INSERT INTO u VALUES (1, 1, 1, NULL)"));
    EXPECT_EQ(db.run("INSERT INTO u VALUES (1, 1, 1, NULL)").error().sqliteCode,
              SQLITE_CONSTRAINT_UNIQUE);
    EXPECT_EQ(db.run("INSERT INTO u VALUES (2, NULL, 1, NULL)").error().sqliteCode,
              SQLITE_CONSTRAINT_NOTNULL);
    EXPECT_EQ(db.run("INSERT INTO u VALUES (2, 1, 0, NULL)").error().sqliteCode,
              SQLITE_CONSTRAINT_CHECK);
    EXPECT_EQ(db.run("INSERT INTO u VALUES (2, 1, 1, 99)").error().sqliteCode,
              SQLITE_CONSTRAINT_FOREIGNKEY);
    EXPECT_EQ(db.run("INSERT INTO t VALUES ('no integer', 1)").error().sqliteCode, SQLITE_MISMATCH);
    EXPECT_EQ(db.run("SELECT * FROM nothing").error().sqliteCode, SQLITE_ERROR);
    EXPECT_EQ(db.run("INSERT INTO u VALUES (1, 1, 1, NULL)").error().code, ErrorCode::Sql);
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM u"), "1");
  });
}

TEST_F(StatementTest, a_nul_in_the_text_is_an_error_and_hides_nothing_behind_it) {
  run([](Database& db) {
    using namespace std::string_literals;
    for (const std::string& sql :
         {"SELECT 1;\0 INSERT INTO t VALUES (1, 1)"s, "\0"s, "SELECT 1\0"s, "SELECT '\0'"s}) {
      Status failed = db.run(sql);
      ASSERT_FALSE(failed.ok());
      EXPECT_EQ(failed.error().code, ErrorCode::InvalidArgument);
      EXPECT_EQ(failed.error().sqlOffset, static_cast<int>(sql.find('\0')));
      EXPECT_EQ(db.execute(sql).error().code, ErrorCode::InvalidArgument);
      EXPECT_EQ(db.prepare(sql).error().code, ErrorCode::InvalidArgument);
    }
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM t"), "0");
  });
}

TEST_F(StatementTest, names_of_any_script_and_bad_utf8_pass_through_as_bytes) {
  run([](Database& db) {
    ASSERT_OK(db.run("CREATE TABLE \"Bienenstöcke 🐝\"(\"ключ\" TEXT)"));
    ASSERT_OK(db.execute("INSERT INTO \"Bienenstöcke 🐝\" VALUES (?)", {Value("\xff\xfe")}));
    auto rows = db.execute("SELECT * FROM \"Bienenstöcke 🐝\"");
    ASSERT_OK(rows);
    EXPECT_THAT(rows->columns, ElementsAre("ключ"));
    EXPECT_EQ(rows->rows[0][0], Value("\xff\xfe"));
  });
}

TEST_F(StatementTest, prepare_gives_the_offset_of_the_next_statement) {
  run([](Database& db) {
    const std::string script = "SELECT 1; SELECT 2";
    std::size_t tail = 0;
    ASSERT_OK(db.prepare(script, &tail));
    EXPECT_EQ(tail, 9u);
    ASSERT_OK(db.prepare(script.substr(tail), &tail));
    EXPECT_EQ(tail, 9u);
  });
}

TEST_F(StatementTest, counters_follow_what_was_done) {
  run([](Database& db) {
    const Counters before = db.counters();
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1), (2), (3)"));
    EXPECT_EQ(db.changes(), 3);
    EXPECT_EQ(db.lastInsertRowid(), 3);
    ASSERT_OK(db.execute("SELECT * FROM t"));
    ASSERT_OK(db.run("UPDATE t SET v = 0 WHERE id < 3"));
    EXPECT_EQ(db.changes(), 2);
    ASSERT_OK(db.begin());
    ASSERT_OK(db.run("DELETE FROM t"));
    ASSERT_OK(db.commit());
    EXPECT_EQ(db.counters().rowsWritten - before.rowsWritten, 8u);
    EXPECT_EQ(db.counters().rowsRead - before.rowsRead, 3u);
    EXPECT_EQ(db.counters().commits - before.commits, 3u);
    EXPECT_EQ(db.counters().statements - before.statements, 4u);
  });
}

TEST_F(StatementTest, every_way_to_commit_is_counted) {
  run([](Database& db) {
    const std::uint64_t before = db.counters().commits;
    ASSERT_OK(db.savepoint([&] { return db.run("INSERT INTO t(v) VALUES (1)"); }));
    ASSERT_OK(db.run("BEGIN; INSERT INTO t(v) VALUES (1); COMMIT"));
    ASSERT_OK(db.run("SAVEPOINT s; INSERT INTO t(v) VALUES (1); RELEASE s"));
    ASSERT_OK(db.beginTurn());
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    ASSERT_OK(db.commitTurn());
    {
      auto statement = db.prepare("INSERT INTO t(v) VALUES (1) RETURNING id");
      ASSERT_OK(statement->step());
    }
    ASSERT_OK(db.waitDurable());
    EXPECT_EQ(db.counters().commits - before, 5u);
  });
}

// --- The cache ---

TEST_F(StatementTest, a_cached_statement_is_compiled_once_and_comes_back_clean) {
  run([](Database& db) {
    sqlite3_stmt* compiled = nullptr;
    for (int i = 0; i < 3; ++i) {
      auto statement = db.cached("SELECT ?1");
      ASSERT_OK(statement);
      ASSERT_OK(statement->step());
      EXPECT_EQ(statement->type(0), ValueType::Null) << "a binding of the use before";
      ASSERT_OK(statement->step());
      sqlite3_stmt* found = sqlite3_next_stmt(db.handle(), nullptr);
      if (compiled != nullptr) {
        EXPECT_EQ(found, compiled);
      }
      EXPECT_EQ(sqlite3_next_stmt(db.handle(), found), nullptr) << "there is another statement";
      compiled = found;
      ASSERT_OK(statement->bind(1, Value("mine")));
    }
  });
}

TEST_F(StatementTest, space_after_the_semicolon_does_not_defeat_the_cache) {
  run([](Database& db) {
    db.releaseMemory();
    for (int i = 0; i < 3; ++i) ASSERT_OK(db.execute("\n  SELECT 1;\n  "));
    sqlite3_stmt* found = sqlite3_next_stmt(db.handle(), nullptr);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(sqlite3_next_stmt(db.handle(), found), nullptr);
    EXPECT_EQ(sqlite3_stmt_status(found, SQLITE_STMTSTATUS_RUN, 0), 3);
  });
}

TEST_F(StatementTest, a_cached_statement_that_is_in_use_is_compiled_anew_for_the_second_user) {
  run([](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1), (2)"));
    auto outer = db.cached("SELECT id FROM t");
    ASSERT_OK(outer);
    int pairs = 0;
    while (true) {
      auto row = outer->step();
      ASSERT_OK(row);
      if (!*row) break;
      auto inner = db.cached("SELECT id FROM t");
      ASSERT_OK(inner);
      while (true) {
        auto innerRow = inner->step();
        ASSERT_OK(innerRow);
        if (!*innerRow) break;
        ++pairs;
      }
    }
    EXPECT_EQ(pairs, 4);
  });
}

TEST_F(StatementTest, the_cache_is_bounded_in_bytes) {
  DatabaseOptions options;
  options.statementCacheBytesMax = 20'000;
  run(
      [](Database& db) {
        for (int i = 0; i < 500; ++i)
          ASSERT_OK(db.execute("SELECT " + std::to_string(i) + " FROM t"));
        std::size_t bytes = 0;
        int statements = 0;
        for (sqlite3_stmt* each = sqlite3_next_stmt(db.handle(), nullptr); each != nullptr;
             each = sqlite3_next_stmt(db.handle(), each)) {
          bytes +=
              static_cast<std::size_t>(sqlite3_stmt_status(each, SQLITE_STMTSTATUS_MEMUSED, 0));
          ++statements;
        }
        EXPECT_LE(bytes, 20'000u);
        EXPECT_GE(statements, 3);
        EXPECT_LT(db.memoryBytes(), 150'000u);
      },
      options);
}

TEST_F(StatementTest, without_room_in_the_cache_statements_still_work) {
  DatabaseOptions options;
  options.statementCacheBytesMax = 0;
  run(
      [](Database& db) {
        for (int i = 0; i < 3; ++i) EXPECT_EQ(scalar(db, "SELECT 7"), "7");
        EXPECT_EQ(sqlite3_next_stmt(db.handle(), nullptr), nullptr);
      },
      options);
}

TEST_F(StatementTest, cached_statements_follow_changes_of_the_schema) {
  run([](Database& db) {
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    auto before = db.execute("SELECT * FROM t");
    ASSERT_OK(before);
    EXPECT_EQ(before->columns.size(), 2u);
    ASSERT_OK(db.run("ALTER TABLE t ADD COLUMN w DEFAULT 'new'"));
    auto after = db.execute("SELECT * FROM t");
    ASSERT_OK(after);
    EXPECT_THAT(after->columns, ElementsAre("id", "v", "w"));
    ASSERT_EQ(after->rows[0].size(), 3u);
    EXPECT_EQ(after->rows[0][2], Value("new"));
    ASSERT_OK(db.run("DROP TABLE t"));
    EXPECT_EQ(db.execute("SELECT * FROM t").error().code, ErrorCode::Sql);
  });
}

// Or a script's time would grow with the square of its length.
TEST_F(StatementTest, a_script_of_many_statements_is_not_copied_for_each_of_them) {
  constexpr std::size_t kMemory = 1 << 20;
  std::string script = "BEGIN;";
  while (script.size() < 3 * kMemory) script += "INSERT INTO t(v) VALUES (12345);";
  script += "COMMIT";
  run([&](Database& db) { ASSERT_OK(db.run(script)); },
      {.limits = {.sqlBytesMax = 4 * kMemory, .memoryBytesMax = kMemory}});
}

TEST_F(StatementTest, a_strict_table_refuses_what_is_bound_with_another_type) {
  run([](Database& db) {
    ASSERT_OK(db.run("CREATE TABLE s(i INTEGER, r REAL, t TEXT, b BLOB) STRICT"));
    const auto codeOfInsert = [&](std::vector<Value> values) {
      const auto done = db.execute("INSERT INTO s VALUES (?, ?, ?, ?)", values);
      return done ? 0 : done.error().sqliteCode;
    };
    const Value blob = Bytes{std::byte{1}};
    EXPECT_EQ(codeOfInsert({Value("no integer"), Value(1.5), Value("t"), blob}),
              SQLITE_CONSTRAINT_DATATYPE);
    EXPECT_EQ(codeOfInsert({Value(1), Value("no number"), Value("t"), blob}),
              SQLITE_CONSTRAINT_DATATYPE);
    EXPECT_EQ(codeOfInsert({Value(1), Value(1.5), blob, blob}), SQLITE_CONSTRAINT_DATATYPE);
    EXPECT_EQ(codeOfInsert({Value(1), Value(1.5), Value("t"), Value("no blob")}),
              SQLITE_CONSTRAINT_DATATYPE);
    EXPECT_EQ(codeOfInsert({Value(1.5), Value(1.5), Value("t"), blob}), SQLITE_CONSTRAINT_DATATYPE);
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM s"), "0");
    // What converts without a loss is converted, as SQLite has it.
    EXPECT_EQ(codeOfInsert({Value("12"), Value(1), Value(7), blob}), 0);
    EXPECT_EQ(scalar(db, "SELECT typeof(i) || typeof(r) || typeof(t) FROM s"), "integerrealtext");
  });
}

}  // namespace
}  // namespace skep::sql
