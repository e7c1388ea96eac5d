// The command on a PostgreSQL store: a private server, several processes at once.

#include <csignal>

#include "command_test.h"
#include "skep/testing/postgres_server/postgres_server.h"

namespace skep::cli {
namespace {

class PostgresCommands : public CommandTest {
 protected:
  std::vector<std::string> onServer(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--store", server_.url()});
    return arguments;
  }
  std::vector<std::string> program(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = onServer(arguments);
    all.insert(all.begin(), skepBinary());
    return all;
  }

  testing::PostgresServer server_;
};

TEST_F(PostgresCommands, all_of_them_work_there_too) {
  ok(onServer({"sql", "tenant/acme", "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'x')"}));
  EXPECT_EQ(ok(onServer({"sql", "tenant/acme", "SELECT * FROM t", "--mode", "list"})), "1|x\n");
  EXPECT_EQ(ok(onServer({"ls", "tenant/"})), "tenant/acme\n");
  EXPECT_THAT(ok(onServer({"info", "tenant/acme"})), HasSubstr("│ tenant/acme\n"));
  ok(onServer({"export", "tenant/acme", "out.sqlite"}));
  ok(onServer({"import", "out.sqlite", "tenant/copy"}));
  EXPECT_THAT(ok(onServer({"check", "--all", "--mode", "list"})),
              MatchesRegex("tenant/acme\\|ok\\|.*\ntenant/copy\\|ok\\|.*\n"));
  ok(onServer({"rm", "tenant/acme", "tenant/copy", "--yes"}));
  EXPECT_EQ(ok(onServer({"ls"})), "");
  EXPECT_FALSE(std::filesystem::exists(path("data")));
}

TEST_F(PostgresCommands, an_owner_that_lost_the_database_is_told_and_changes_nothing) {
  ok(onServer({"sql", "db", "CREATE TABLE t(a)"}));
  Process first(program({"sql", "db", "--mode", "list"}), folder_.path());
  first.write("INSERT INTO t VALUES ('first') RETURNING 'written';\n");
  ASSERT_TRUE(first.waitForOutput("written\n"));
  ok(onServer({"sql", "db", "INSERT INTO t VALUES ('second')"}));
  const Outcome outcome =
      first.finish("INSERT INTO t VALUES ('lost') RETURNING 'not to be seen';\n");
  EXPECT_EQ(outcome.exitCode, 1);
  EXPECT_THAT(outcome.errors, HasSubstr("fenced: "));
  EXPECT_THAT(outcome.out, Not(HasSubstr("not to be seen")));
  EXPECT_EQ(ok(onServer({"sql", "db", "SELECT a FROM t", "--mode", "list"})), "first\nsecond\n");
}

TEST_F(PostgresCommands, a_reader_does_not_disturb_the_owner) {
  Process owner(program({"sql", "db", "--mode", "list"}), folder_.path());
  owner.write("CREATE TABLE t(a); INSERT INTO t VALUES (1) RETURNING 'written';\n");
  ASSERT_TRUE(owner.waitForOutput("written\n"));
  EXPECT_EQ(ok(onServer({"sql", "db", "SELECT a FROM t", "--mode", "list", "--read-only"})), "1\n");
  ok(onServer({"export", "db", "out.sqlite"}));
  EXPECT_THAT(ok(onServer({"check", "db", "--mode", "list"})), StartsWith("db|ok|"));
  EXPECT_EQ(owner.finish("INSERT INTO t VALUES (2);").exitCode, 0);
  EXPECT_EQ(ok(onServer({"sql", "db", "SELECT sum(a) FROM t", "--mode", "list"})), "3\n");
}

TEST_F(PostgresCommands, what_was_shown_survives_kill_9) {
  ok(onServer({"sql", "db", "CREATE TABLE t(a)"}));
  for (int round = 1; round <= 3; ++round) {
    Process process(program({"sql", "db", "--mode", "list"}), folder_.path());
    process.write("INSERT INTO t VALUES (1) RETURNING 'written';\n");
    ASSERT_TRUE(process.waitForOutput("written\n"));
    process.signal(SIGKILL);
    EXPECT_EQ(process.finish().exitCode, 128 + SIGKILL);
    EXPECT_EQ(ok(onServer({"sql", "db", "SELECT count(*) FROM t", "--mode", "list"})),
              std::to_string(round) + "\n");
  }
}

TEST_F(PostgresCommands, check_finds_what_was_damaged_behind_its_back) {
  // Too many rows for the log alone: there are chunks too.
  const std::string fill =
      "CREATE TABLE t(a, b); WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE "
      "k < 3000) "
      "INSERT INTO t SELECT k, hex(randomblob(100)) FROM n;";
  const auto databaseId = [this](const std::string& name) {
    return server_.query("SELECT id FROM skep.databases WHERE name = '" + name + "'");
  };
  const auto check = [this](const std::string& name) {
    const Outcome outcome =
        Process(program({"check", name, "--mode", "list"}), folder_.path()).finish();
    EXPECT_EQ(outcome.exitCode, 1) << outcome.out;
    return outcome.out;
  };
  for (const char* name : {"chunk", "record", "lost", "torn", "whole"}) {
    ok(onServer({"sql", name, fill}));
    ok(onServer({"sql", name, "INSERT INTO t VALUES (-1, 'a'); SELECT 1"}));
    ok(onServer({"sql", name, "INSERT INTO t VALUES (-2, 'b'); SELECT 1"}));
  }
  ASSERT_NE(server_.query("SELECT count(*) FROM skep.chunk WHERE id = " + databaseId("chunk")),
            "0");
  server_.query(
      "UPDATE skep.chunk SET bytes = set_bit(bytes, 4000, 1 - get_bit(bytes, 4000)) WHERE chunk = "
      "3 AND id = " +
      databaseId("chunk"));
  server_.query(
      "UPDATE skep.log SET record = set_bit(record, 300, 1 - get_bit(record, 300)) WHERE id = " +
      databaseId("record"));
  server_.query(
      "DELETE FROM skep.log l WHERE txid = (SELECT max(txid) FROM skep.log WHERE id = l.id) AND id "
      "= " +
      databaseId("lost"));
  server_.query(
      "INSERT INTO skep.chunk SELECT id, chunk, txid + 1000, bytes FROM skep.chunk WHERE chunk = 3 "
      "AND id = " +
      databaseId("torn"));
  EXPECT_THAT(check("chunk"), HasSubstr("chunk|chunk|"));
  EXPECT_THAT(check("record"), HasSubstr("record|"));
  EXPECT_THAT(check("lost"), HasSubstr("lost|"));
  EXPECT_THAT(check("torn"), HasSubstr("torn|"));
  EXPECT_THAT(ok(onServer({"check", "whole", "--mode", "list"})), StartsWith("whole|ok|"));
  const Outcome all =
      Process(program({"check", "--all", "--quiet", "--mode", "list"}), folder_.path()).finish();
  EXPECT_EQ(all.exitCode, 1);
  EXPECT_THAT(all.out, Not(HasSubstr("whole|")));
  // A damaged page is an error, not an empty answer.
  EXPECT_THAT(fails(1, onServer({"sql", "chunk", "SELECT sum(length(b)) FROM t", "--read-only"})),
              HasSubstr("corrupt"));
}

TEST_F(PostgresCommands, a_server_that_is_away_is_an_error) {
  ok(onServer({"sql", "db", "CREATE TABLE t(a)"}));
  server_.stop(testing::PostgresServer::Stop::Fast);
  EXPECT_THAT(fails(1, onServer({"ls"})), StartsWith("error: unavailable: "));
  server_.start();
  EXPECT_EQ(ok(onServer({"ls"})), "db\n");
}

TEST_F(PostgresCommands, a_store_of_another_version_of_skep_is_an_error_that_names_both) {
  ok(onServer({"sql", "db", "CREATE TABLE t(a)"}));
  server_.query("UPDATE skep.skep_meta SET version = version + 1");
  EXPECT_THAT(fails(1, onServer({"ls"})),
              AllOf(StartsWith("error: version_mismatch: "), HasSubstr("has version 3"),
                    HasSubstr("works with version 2")));
  server_.query("UPDATE skep.skep_meta SET version = version - 1");
  EXPECT_EQ(ok(onServer({"ls"})), "db\n");
}

TEST_F(PostgresCommands, a_server_that_refuses_writes_is_an_error_and_is_read_all_the_same) {
  ok(onServer({"sql", "db", "CREATE TABLE t(a); INSERT INTO t VALUES (7)"}));
  server_.query("ALTER ROLE postgres SET default_transaction_read_only = on");
  EXPECT_THAT(fails(1, onServer({"sql", "db", "INSERT INTO t VALUES (8)"})),
              StartsWith("error: read_only: "));
  EXPECT_EQ(ok(onServer({"sql", "db", "SELECT a FROM t", "--mode", "list", "--read-only"})), "7\n");
}

TEST_F(PostgresCommands, a_wrong_password_is_an_error_that_repeats_no_secret) {
  testing::PostgresServer guarded({.password = "right"});
  const std::string url = guarded.urlAs("postgres", "s3cret");
  const std::string message = fails(1, {"ls", "--store", url});
  EXPECT_THAT(message, StartsWith("error: access_denied: "));
  EXPECT_THAT(message, Not(HasSubstr("s3cret")));
}

}  // namespace
}  // namespace skep::cli
