#include "skep/actor/system_tables.h"

#include <string>
#include <utility>

namespace skep::actor {
namespace {

constexpr std::int64_t kTablesVersion = 1;
constexpr std::int64_t kUnderWay = 0;  // in place of the version

constexpr std::string_view kTables = R"sql(
CREATE TABLE IF NOT EXISTS _skep_version(id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS _skep_migration(version INTEGER PRIMARY KEY, applied_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS _skep_state(id INTEGER PRIMARY KEY CHECK (id = 1), state BLOB NOT NULL);
)sql";

Result<std::int64_t> integerOf(sql::Database& database, std::string_view query) {
  SKEP_TRY(const sql::Rows rows, database.execute(query));
  if (rows.rows.empty() || rows.rows[0][0].type() != sql::ValueType::Integer) {
    return std::int64_t{0};
  }
  return rows.rows[0][0].integer();
}

call::Failure migrationFailure(std::int64_t version, const Error& error) {
  return {call::FailureCode::MigrationFailed,
          "migration " + std::to_string(version) + ": " + error.message,
          "{\"version\":" + std::to_string(version) +
              ",\"sqliteCode\":" + std::to_string(error.sqliteCode) +
              ",\"sqlOffset\":" + std::to_string(error.sqlOffset) + "}"};
}

}  // namespace

Result<Making> prepareSystemTables(sql::Database& database, LazyTables& tables) {
  SKEP_TRY(const sql::Rows found, database.execute("SELECT name FROM sqlite_schema WHERE type = "
                                                   "'table' AND name GLOB '_skep_*'"));
  if (!found.rows.empty()) {
    for (const auto& row : found.rows) tables.note(row[0].text());
    SKEP_TRY(const std::int64_t version, integerOf(database, "SELECT version FROM _skep_version"));
    if (version == kTablesVersion) return Making::Ended;
    if (version == kUnderWay) return Making::UnderWay;
    return Error{ErrorCode::VersionMismatch,
                 "database '" + database.name() + "' has actor tables of version " +
                     std::to_string(version) + "; this version of Skep knows version " +
                     std::to_string(kTablesVersion)};
  }
  SKEP_CHECK_OK(database.asSystem([&]() -> Status {
    SKEP_CHECK_OK(database.run(kTables));
    SKEP_CHECK_OK(database.execute("INSERT INTO _skep_version VALUES (1, ?)", {kTablesVersion}));
    return {};
  }));
  return Making::Ended;
}

Status noteMaking(sql::Database& database, Making making) {
  const std::int64_t version = making == Making::Ended ? kTablesVersion : kUnderWay;
  return database.asSystem([&]() -> Status {
    SKEP_CHECK_OK(database.execute("UPDATE _skep_version SET version = ?", {version}));
    return {};
  });
}

std::optional<call::Failure> migrate(sql::Database& database, std::span<const Migration> migrations,
                                     std::int64_t nowMs) {
  Result<std::int64_t> applied = integerOf(database, "SELECT max(version) FROM _skep_migration");
  if (!applied) return call::failureOf(applied.error(), database.name());
  const std::int64_t newest = migrations.empty() ? 0 : migrations.back().version;
  if (*applied > newest) {
    return call::Failure(call::FailureCode::MigrationFailed,
                         "the database has seen migration " + std::to_string(*applied) +
                             "; the newest of this actor type is " + std::to_string(newest));
  }
  for (const Migration& migration : migrations) {
    if (migration.version <= *applied) continue;
    Status done = database.run(migration.sql);
    if (!done) return migrationFailure(migration.version, done.error());
    done = database.asSystem([&]() -> Status {
      SKEP_CHECK_OK(database.execute("INSERT INTO _skep_migration VALUES (?, ?)",
                                     {migration.version, nowMs}));
      return {};
    });
    if (!done) return migrationFailure(migration.version, done.error());
  }
  return std::nullopt;
}

Result<std::optional<Bytes>> loadState(sql::Database& database) {
  SKEP_TRY(const sql::Rows rows, database.execute("SELECT state FROM _skep_state"));
  if (rows.rows.empty()) return std::optional<Bytes>();
  return std::optional<Bytes>(rows.rows[0][0].blob());
}

Status saveState(sql::Database& database, ByteView state) {
  return database.asSystem([&]() -> Status {
    SKEP_CHECK_OK(
        database.execute("INSERT INTO _skep_state VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET "
                         "state = excluded.state",
                         {sql::Value(toBytes(state))}));
    return {};
  });
}

}  // namespace skep::actor
