// Who may do what: tenants and the runtime, reserved names, pragmas, the schema table.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "skep/sql/sql_text.h"
#include "skep/testing/watched_world.h"

namespace skep::sql {
namespace {

using skep::testing::scalar;
using skep::testing::WatchedWorld;
using ::testing::HasSubstr;

class AuthorizerTest : public ::testing::Test {
 protected:
  /// Opens "a", in which the runtime has made _skep_kv(k, v) with one row and a tenant t(id, v).
  void run(DatabaseOptions::Trust trust, const std::function<void(Database&)>& body) {
    world_.run([&] {
      DatabaseOptions options;
      options.trust = DatabaseOptions::Trust::System;
      auto system = world_.open("a", options);
      ASSERT_OK(
          system->run("CREATE TABLE IF NOT EXISTS _skep_kv(k PRIMARY KEY, v); INSERT OR REPLACE "
                      "INTO _skep_kv VALUES ('key', 'kept')"));
      ASSERT_OK(system->run("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v)"));
      ASSERT_OK(system->close());
      options.trust = trust;
      auto db = world_.open("a", options);
      body(*db);
      ASSERT_OK(db->close());
    });
  }
  static void expectRefused(Database& db, const std::string& sql, const std::string& why) {
    Status refused = db.run(sql);
    ASSERT_FALSE(refused.ok()) << sql;
    EXPECT_EQ(refused.error().code, ErrorCode::Sql) << sql;
    EXPECT_EQ(refused.error().sqliteCode & 0xff, SQLITE_AUTH) << sql;
    EXPECT_THAT(refused.error().message, HasSubstr(why)) << sql;
  }
  WatchedWorld world_;
};

TEST_F(AuthorizerTest, a_tenant_can_read_the_runtimes_tables_but_not_write_them) {
  run(DatabaseOptions::Trust::Tenant, [](Database& db) {
    EXPECT_EQ(scalar(db, "SELECT v FROM _skep_kv"), "kept");
    for (const char* sql : {
             "INSERT INTO _skep_kv VALUES (1, 2)",
             "INSERT INTO main.\"_SKEP_KV\" VALUES (1, 2)",
             "REPLACE INTO _skep_kv VALUES ('key', 2)",
             "INSERT INTO _skep_kv VALUES ('key', 2) ON CONFLICT (k) DO UPDATE SET v = 2",
             "UPDATE _skep_kv SET v = 2",
             "DELETE FROM _skep_kv",
             "WITH x AS (SELECT 1) DELETE FROM [_skep_kv]",
             "DROP TABLE _skep_kv",
             "CREATE TABLE _skep_new(x)",
             "CREATE TABLE `_Skep_new` AS SELECT 1",
             "CREATE TEMP TABLE _skep_new(x)",
             "CREATE VIEW _skep_new AS SELECT 1",
             "CREATE TEMP VIEW _skep_new AS SELECT 1",
             "CREATE INDEX i ON _skep_kv(v)",
             "CREATE INDEX _skep_i ON t(v)",
             "CREATE TRIGGER _skep_tr AFTER INSERT ON t BEGIN SELECT 1; END",
             "CREATE TRIGGER tr AFTER INSERT ON _skep_kv BEGIN SELECT 1; END",
             "CREATE TEMP TRIGGER tr AFTER INSERT ON _skep_kv BEGIN SELECT 1; END",
             "CREATE VIRTUAL TABLE _skep_new USING fts5(x)",
             "SAVEPOINT _skep_savepoint_1",
         }) {
      expectRefused(db, sql, "reserved");
    }
    // fts5 makes its tables by SQL of its own: _skep_data and others.
    EXPECT_FALSE(db.run("CREATE VIRTUAL TABLE _skep USING fts5(x)").ok());
    for (const char* sql :
         {"ALTER TABLE t RENAME TO _skep_t", "ALTER TABLE _skep_kv RENAME TO mine",
          "ALTER TABLE t RENAME TO \"_SKEP_T\"", "ALTER TABLE _skep_kv ADD COLUMN w",
          "ALTER TABLE _skep_kv DROP COLUMN v"}) {
      expectRefused(db, sql, "reserved");
    }
    EXPECT_EQ(scalar(db, "SELECT group_concat(v) FROM _skep_kv"), "kept");
    EXPECT_EQ(
        scalar(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE '\\_skep%' ESCAPE '\\'"),
        "1");
  });
}

TEST_F(AuthorizerTest, an_alter_table_is_judged_by_its_own_text_alone) {
  run(DatabaseOptions::Trust::Tenant, [](Database& db) {
    ASSERT_OK(db.run("ALTER TABLE t ADD COLUMN w; SELECT * FROM _skep_kv"));
    ASSERT_OK(
        db.run("ALTER TABLE t RENAME COLUMN w TO u; ALTER TABLE t RENAME TO t2; ALTER TABLE t2 "
               "RENAME TO t"));
    EXPECT_EQ(scalar(db, "SELECT count(*) FROM pragma_table_info('t')"), "3");
  });
}

TEST_F(AuthorizerTest,
       triggers_and_views_of_a_tenant_have_a_tenants_rights_also_under_the_runtime) {
  run(DatabaseOptions::Trust::Tenant, [](Database& db) {
    (void)db.run(
        "CREATE TRIGGER IF NOT EXISTS tr AFTER INSERT ON t BEGIN UPDATE _skep_kv SET v = 'stolen'; "
        "END");
    EXPECT_FALSE(db.run("INSERT INTO t(v) VALUES (1)").ok());
    ASSERT_OK(db.run("CREATE VIEW v AS SELECT * FROM _skep_kv"));
    EXPECT_EQ(scalar(db, "SELECT v FROM v"), "kept");
    (void)db.run(
        "CREATE TRIGGER tv INSTEAD OF UPDATE ON v BEGIN UPDATE _skep_kv SET v = 'stolen'; END");
    EXPECT_FALSE(db.run("UPDATE v SET v = 1").ok());
  });
  run(DatabaseOptions::Trust::System, [](Database& db) {
    EXPECT_FALSE(db.run("INSERT INTO t(v) VALUES (1)").ok());
    EXPECT_EQ(scalar(db, "SELECT v FROM _skep_kv"), "kept");
    ASSERT_OK(db.run("DROP TRIGGER tr; INSERT INTO t(v) VALUES (1)"));
    ASSERT_OK(db.run(
        "CREATE TRIGGER _skep_tr AFTER INSERT ON t BEGIN UPDATE _skep_kv SET v = 'by us'; END"));
    ASSERT_OK(db.run("INSERT INTO t(v) VALUES (1)"));
    EXPECT_EQ(scalar(db, "SELECT v FROM _skep_kv"), "by us");
  });
}

TEST_F(AuthorizerTest, the_runtime_may_write_its_tables_and_is_bound_by_the_rest) {
  run(DatabaseOptions::Trust::System, [](Database& db) {
    ASSERT_OK(
        db.run("CREATE TABLE _skep_queue(x); CREATE INDEX _skep_i ON _skep_queue(x); INSERT INTO "
               "_skep_queue VALUES (1);"
               "ALTER TABLE _skep_queue RENAME TO _skep_queue2; DROP TABLE _skep_queue2"));
    expectRefused(db, "ATTACH ':memory:' AS x", "not available");
    expectRefused(db, "PRAGMA journal_mode = WAL", "can be read but not changed");
    EXPECT_FALSE(db.run("PRAGMA writable_schema = 1").ok());
  });
}

TEST_F(AuthorizerTest, vacuum_works_beside_the_runtimes_tables) {
  run(DatabaseOptions::Trust::Tenant, [](Database& db) {
    ASSERT_OK(
        db.run("INSERT INTO t(v) VALUES (randomblob(100000)); DELETE FROM t; VACUUM; VACUUM main"));
    EXPECT_EQ(scalar(db, "SELECT v FROM _skep_kv"), "kept");
    EXPECT_EQ(scalar(db, "PRAGMA integrity_check"), "ok");
  });
}

TEST_F(AuthorizerTest, the_schema_table_can_not_be_written) {
  run(DatabaseOptions::Trust::Tenant, [](Database& db) {
    for (const char* sql :
         {"UPDATE sqlite_schema SET sql = 'CREATE TABLE t(x)'", "DELETE FROM sqlite_master",
          "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x(y)')",
          "DROP TABLE sqlite_schema", "CREATE TABLE sqlite_mine(x)"}) {
      EXPECT_FALSE(db.run(sql).ok()) << sql;
    }
    // Nor the tables in which a virtual table keeps its content.
    ASSERT_OK(db.run("CREATE VIRTUAL TABLE text USING fts5(x)"));
    ASSERT_OK(db.run("INSERT INTO text VALUES ('some words')"));
    EXPECT_FALSE(db.run("UPDATE text_data SET block = x'00'").ok());
    EXPECT_FALSE(db.run("DELETE FROM text_config").ok());
    EXPECT_EQ(scalar(db, "SELECT x FROM text WHERE text MATCH 'words'"), "some words");
  });
}

TEST_F(AuthorizerTest, only_pragmas_on_the_list_are_available) {
  run(DatabaseOptions::Trust::Tenant, [](Database& db) {
    for (const char* sql :
         {"PRAGMA wal_checkpoint", "PRAGMA hard_heap_limit = 1", "PRAGMA soft_heap_limit = 1",
          "PRAGMA exclusive", "PRAGMA temp_store_directory = '/tmp'", "PRAGMA shrink_memory",
          "PRAGMA wal_autocheckpoint = 1", "PRAGMA vdbe_trace = 1", "PRAGMA fullfsync = 1",
          "PRAGMA no_such_pragma"}) {
      expectRefused(db, sql, "is not available");
    }
    ASSERT_OK(
        db.run("PRAGMA user_version = 7; PRAGMA application_id = 9; PRAGMA foreign_keys = ON; "
               "PRAGMA optimize;"
               "PRAGMA defer_foreign_keys = ON; PRAGMA quick_check; PRAGMA index_list(t); PRAGMA "
               "foreign_key_check"));
    EXPECT_EQ(scalar(db, "PRAGMA user_version"), "7");
    EXPECT_EQ(scalar(db, "SELECT name FROM pragma_table_info('t') LIMIT 1"), "id");
    EXPECT_EQ(scalar(db, "PRAGMA foreign_keys"), "1");
  });
}

TEST_F(AuthorizerTest, what_sqlite_brings_along_works) {
  run(DatabaseOptions::Trust::Tenant, [](Database& db) {
    ASSERT_OK(
        db.run("CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 2, 3)"));
    EXPECT_EQ(scalar(db, "SELECT id FROM r WHERE x0 > 1"), "1");
    EXPECT_EQ(scalar(db, "SELECT json_extract('{\"a\": [1, 2]}', '$.a[1]')"), "2");
    EXPECT_EQ(scalar(db, "SELECT cast(round(pow(2, 10)) AS INT)"), "1024");
    EXPECT_EQ(scalar(db, "SELECT count(*) > 0 FROM dbstat"), "1");
    EXPECT_FALSE(db.run("SELECT \"no string\"").ok());  // double quotes are for names
    EXPECT_FALSE(db.run("SELECT load_extension('x')").ok());
  });
}

TEST(SqlText, finds_the_first_word_behind_space_and_comments) {
  EXPECT_EQ(skipBlank(" ;\n-- a\n/* b */SELECT 1"), "SELECT 1");
  EXPECT_TRUE(isBlank(""));
  EXPECT_TRUE(isBlank("-- a"));
  EXPECT_TRUE(isBlank("/* never closed"));
  EXPECT_FALSE(isBlank("- a"));
  EXPECT_EQ(trimEnd("SELECT 1; \n"), "SELECT 1;");
  EXPECT_EQ(trimEnd(" \n"), "");
  EXPECT_TRUE(startsWithWord("/**/vacuum;", "VACUUM"));
  EXPECT_FALSE(startsWithWord("vacuums", "VACUUM"));
  for (const char* sql : {"BEGIN", "begin immediate", "COMMIT;", "end", "ROLLBACK",
                          "rollback transaction", "ROLLBACK/**/;"}) {
    EXPECT_TRUE(isTransactionStatement(sql)) << sql;
  }
  for (const char* sql : {"ROLLBACK TO s", "rollback /* x */ transaction to savepoint s",
                          "SELECT 1", "", "ENDED", "SAVEPOINT s", "RELEASE s"}) {
    EXPECT_FALSE(isTransactionStatement(sql)) << sql;
  }
}

}  // namespace
}  // namespace skep::sql
