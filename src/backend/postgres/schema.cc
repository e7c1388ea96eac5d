#include "skep/backend/postgres/schema.h"

namespace skep::backend::postgres {
namespace {

// Each table lives in one of this many partitions, by hash of the database's id: TOAST tables and
// vacuums stay of a manageable size. Fixed with the schema's version.
constexpr int kPartitions = 8;

// The nodes that share the store (store/membership.h), and the version of their list, which numbers
// their incarnations too. Every incarnation below gone_before has ended.
constexpr std::string_view kNodeTables = R"sql(
CREATE TABLE membership (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version bigint NOT NULL DEFAULT 0,
  gone_before bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
INSERT INTO membership DEFAULT VALUES;

CREATE TABLE node (
  incarnation bigint PRIMARY KEY,
  name bytea NOT NULL,
  address bytea NOT NULL,
  zone bytea NOT NULL,
  version bytea NOT NULL,
  types bytea NOT NULL,
  protocol_min bigint NOT NULL,
  protocol bigint NOT NULL,
  nonce bigint NOT NULL,
  state bigint NOT NULL DEFAULT 0,
  changed bigint NOT NULL,
  beat bigint NOT NULL DEFAULT 0,
  load bigint NOT NULL DEFAULT 0,
  renewed_ms bigint NOT NULL,
  lease_ends_ms bigint NOT NULL,
  joined_ms bigint NOT NULL,
  ended_ms bigint
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE UNIQUE INDEX node_name ON node (name) WHERE state <= 1;

CREATE VIEW nodes AS
SELECT incarnation, convert_from(name, 'UTF8') AS name, convert_from(address, 'UTF8') AS address,
       (ARRAY['live', 'draining', 'left', 'dead'])[state + 1] AS state, load,
       to_timestamp(lease_ends_ms / 1000.0) AS lease_ends
FROM node;
)sql";

constexpr std::string_view kTables = R"sql(
CREATE TABLE skep_meta (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE SEQUENCE database_id_seq AS bigint;
CREATE TABLE database (
  id bigint PRIMARY KEY DEFAULT nextval('database_id_seq'),
  name bytea NOT NULL UNIQUE,
  created_ms bigint NOT NULL,
  retention_ms bigint NOT NULL DEFAULT 0,
  metadata bytea NOT NULL DEFAULT '',
  hot_chunks bigint[] NOT NULL DEFAULT '{}'
);
ALTER SEQUENCE database_id_seq OWNED BY database.id;

CREATE TABLE head (
  id bigint PRIMARY KEY,
  epoch bigint NOT NULL,
  txid bigint NOT NULL DEFAULT 0,
  page_count bigint NOT NULL DEFAULT 0,
  digest bigint NOT NULL DEFAULT 0,
  commit_id bigint NOT NULL DEFAULT 0,
  log_start bigint NOT NULL DEFAULT 0,
  log_bytes bigint NOT NULL DEFAULT 0,
  expired_txid bigint NOT NULL DEFAULT 0,
  staging_txid bigint NOT NULL DEFAULT 0,
  sweep_txid bigint NOT NULL DEFAULT 0,
  alarm_ms bigint,
  owner bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- Ballast: see statements.h. Nothing refers to these rows.
INSERT INTO head (id, epoch) SELECT -i, 0 FROM generate_series(1, 64) i;

CREATE TABLE log (
  id bigint NOT NULL,
  txid bigint NOT NULL,
  time_ms bigint NOT NULL,
  record bytea NOT NULL,
  PRIMARY KEY (id, txid)
) PARTITION BY HASH (id);
ALTER TABLE log ALTER COLUMN record SET STORAGE EXTERNAL;

CREATE TABLE chunk (
  id bigint NOT NULL,
  chunk bigint NOT NULL,
  txid bigint NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (id, chunk, txid)
) PARTITION BY HASH (id);
ALTER TABLE chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE alarm (id bigint PRIMARY KEY, alarm_ms bigint NOT NULL);
CREATE INDEX alarm_due ON alarm (alarm_ms, id);

CREATE TABLE doomed (id bigint PRIMARY KEY);

CREATE VIEW databases AS
SELECT convert_from(d.name, 'UTF8') AS name, d.id, to_timestamp(d.created_ms / 1000.0) AS created,
       h.epoch, h.txid, h.page_count, h.log_bytes, to_timestamp(h.alarm_ms / 1000.0) AS alarm
FROM database d JOIN head h ON h.id = d.id;
)sql";

// Deletes come as often as inserts: vacuum before a tenth of a table is dead.
std::string createPartition(const std::string& table, int partition) {
  return "CREATE TABLE " + table + "_" + std::to_string(partition) + " PARTITION OF " + table +
         " FOR VALUES WITH (MODULUS " + std::to_string(kPartitions) + ", REMAINDER " +
         std::to_string(partition) +
         ") WITH (autovacuum_vacuum_scale_factor = 0.1,"
         " toast.autovacuum_vacuum_scale_factor = 0.1);\n";
}

std::string createTables() {
  std::string script(kTables);
  script += kNodeTables;
  for (const char* table : {"log", "chunk"}) {
    for (int i = 0; i < kPartitions; ++i) script += createPartition(table, i);
  }
  return script + "INSERT INTO skep_meta (version) VALUES (" + std::to_string(kSchemaVersion) +
         ");\n";
}

// The tables of version 1 as those of version 2: heads get an owner, and nodes a table. Adding a column
// with a default rewrites nothing.
std::string upgradeFrom1() {
  return "ALTER TABLE head ADD COLUMN owner bigint NOT NULL DEFAULT 0;\n" +
         std::string(kNodeTables) + "UPDATE skep_meta SET version = 2;\n";
}

std::string quotedLiteral(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  return quoted + "'";
}

}  // namespace

std::string quotedIdentifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string existsQuery(std::string_view schema) {
  return "SELECT to_regclass(" + quotedLiteral(quotedIdentifier(schema) + ".skep_meta") +
         ") IS NOT NULL";
}

bool canUpgrade(std::string_view version) {
  return version == "1";
}

std::string versionQuery(std::string_view schema) {
  return "SELECT version FROM " + quotedIdentifier(schema) + ".skep_meta";
}

std::string installScript(std::string_view schema) {
  // One transaction that others who want the same wait for; whoever comes second finds everything
  // done.
  const std::string name = quotedIdentifier(schema);
  return "BEGIN;\n"
         "SELECT pg_advisory_xact_lock(hashtextextended(" +
         quotedLiteral("skep schema " + std::string(schema)) +
         ", 0));\n"
         "DO $skep$ BEGIN\n"
         "IF to_regclass(" +
         quotedLiteral(name + ".skep_meta") +
         ") IS NULL THEN\n"
         "IF to_regnamespace(" +
         quotedLiteral(name) + ") IS NULL THEN CREATE SCHEMA " + name +
         "; END IF;\n"
         "SET LOCAL search_path TO " +
         name + ";\n" + createTables() +
         "ELSE\n"
         "SET LOCAL search_path TO " +
         name + ";\n" + "IF (SELECT version FROM skep_meta) = 1 THEN\n" + upgradeFrom1() +
         "END IF;\nEND IF;\nEND $skep$;\n"
         "COMMIT;\n";
}

std::string sessionScript(std::string_view schema, long statementTimeoutMs) {
  return "SET search_path TO " + quotedIdentifier(schema) +
         ";\n"
         // What an owner was told is durable must be so on this server at least; a stronger setting
         // stays.
         "SELECT set_config('synchronous_commit', 'on', false)"
         " WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');\n"
         // The checks of Commit rely on seeing what other transactions committed while it waited.
         "SET default_transaction_isolation TO 'read committed';\n"
         "SET statement_timeout TO " +
         std::to_string(statementTimeoutMs) +
         ";\n"
         "SET idle_in_transaction_session_timeout TO 0;\n"
         "SET idle_session_timeout TO 0;\n"
         // The statements are made for index probes: see statements.h.
         "SET plan_cache_mode TO force_generic_plan;\n"
         "SET enable_seqscan TO off; SET enable_bitmapscan TO off;\n"
         "SET enable_hashjoin TO off; SET enable_mergejoin TO off;\n"
         "SET jit TO off;\n"
         "SET random_page_cost TO 1;\n";
}

std::string snapshotScript() {
  return "SET idle_in_transaction_session_timeout TO '10min';\n"
         "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n"
         // Its first query is what fixes the moment that it shows.
         "SELECT 1;\n";
}

}  // namespace skep::backend::postgres
