// How the server runs PostgresStore's statements: by probing indexes, whatever it knows of the
// tables. A session keeps its plans, so one made while a table was empty must still be good when
// the table has grown.

#include <libpq-fe.h>

#include <sstream>

#include "skep/backend/postgres/pg_binary.h"
#include "skep/backend/postgres/schema.h"
#include "skep/backend/postgres/statements.h"
#include "skep/base/check.h"
#include "skep/testing/postgres_server/postgres_server.h"

namespace skep::testing {
namespace {

namespace postgres = backend::postgres;
using postgres::PgResult;

class PostgresPlans : public ::testing::Test {
 protected:
  PostgresPlans() : connection_(PQconnectdb(server_.url().c_str()), PQfinish) {
    run(postgres::installScript("skep"));
    run(postgres::sessionScript("skep", 10'000));
  }

  std::vector<std::vector<std::string>> run(const std::string& sql) {
    PQsetNoticeProcessor(
        connection_.get(), [](void*, const char*) {}, nullptr);
    const PgResult result(PQexec(connection_.get(), sql.c_str()));
    const ExecStatusType status = PQresultStatus(result.get());
    SKEP_CHECK(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s\n%s",
               PQerrorMessage(connection_.get()), sql.c_str());
    std::vector<std::vector<std::string>> rows(static_cast<std::size_t>(PQntuples(result.get())));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (int column = 0; column < PQnfields(result.get()); ++column) {
        rows[i].emplace_back(PQgetvalue(result.get(), static_cast<int>(i), column));
      }
    }
    return rows;
  }

  /// Rows in all tables: one chunk and one record for each of so many databases.
  void fill(int databases) {
    const std::string series = " FROM generate_series(1, " + std::to_string(databases) + ") i";
    run("INSERT INTO database (id, name, created_ms) SELECT i, i::text::bytea, 0" + series);
    run("INSERT INTO head (id, epoch) SELECT i, 1" + series);
    run("INSERT INTO log SELECT i, 1, 0, 'x'" + series);
    run("INSERT INTO chunk SELECT i, 0, 1, 'x'" + series);
    run("INSERT INTO alarm SELECT i, 0" + series);
    run("INSERT INTO doomed SELECT i" + series);
    run("DELETE FROM node");
    run("INSERT INTO node (incarnation, name, address, zone, version, types, protocol_min, "
        "protocol,"
        " nonce, changed, renewed_ms, lease_ends_ms, joined_ms)"
        " SELECT i, i::text::bytea, '', '', '', '', 1, 1, 1, i, 0, 0, 0" +
        series);
  }

  void expectProbesOnly(const std::string& when) {
    run("DEALLOCATE ALL");
    run(postgres::prepareScript());
    const auto statements =
        run("SELECT name, cardinality(parameter_types) FROM pg_prepared_statements");
    ASSERT_EQ(statements.size(), postgres::kStatementCount);
    for (const auto& statement : statements) {
      std::string arguments;
      for (int i = 0; i < std::stoi(statement[1]); ++i) arguments += i == 0 ? "NULL" : ", NULL";
      if (!arguments.empty()) arguments = "(" + arguments + ")";
      const auto plan = run("EXPLAIN (COSTS OFF) EXECUTE " + statement[0] + arguments);
      expectProbesOnly(plan, statement[0] + ", " + when);
    }
  }

 private:
  // Each scan of a table or index must come with a condition on the index (or on a row's place).
  static void expectProbesOnly(const std::vector<std::vector<std::string>>& plan,
                               const std::string& what) {
    std::string text;
    for (const auto& line : plan) text += line[0] + "\n";
    for (std::size_t i = 0; i < plan.size(); ++i) {
      const std::string& line = plan[i][0];
      EXPECT_EQ(line.find("Seq Scan"), std::string::npos) << what << "\n" << text;
      const bool scans = line.find("Index Scan") != std::string::npos ||
                         line.find("Index Only Scan") != std::string::npos ||
                         line.find("Tid Scan") != std::string::npos;
      const bool isShortList = line.find(" on doomed") != std::string::npos ||
                               line.find(" on node ") != std::string::npos ||
                               line.ends_with(" on node");
      if (!scans || isShortList) continue;  // read as such
      const bool probes =
          i + 1 < plan.size() && plan[i + 1][0].find(" Cond: ") != std::string::npos;
      EXPECT_TRUE(probes) << what << ": " << line << "\n" << text;
    }
  }

  PostgresServer server_;
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

TEST_F(PostgresPlans, every_statement_probes_indexes_on_tables_of_any_size) {
  expectProbesOnly("never analyzed and empty");
  run("ANALYZE");
  expectProbesOnly("analyzed while empty");
  fill(1);
  run("ANALYZE");
  expectProbesOnly("analyzed with one database");
  run("TRUNCATE database, log, chunk, alarm, doomed; DELETE FROM head WHERE id > 0");
  fill(20);
  run("ANALYZE");
  expectProbesOnly("analyzed with 20 databases");
  run("TRUNCATE database, log, chunk, alarm, doomed; DELETE FROM head WHERE id > 0");
  fill(20'000);
  run("ANALYZE");
  expectProbesOnly("analyzed with 20,000 databases");
}

}  // namespace
}  // namespace skep::testing
