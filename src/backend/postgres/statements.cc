#include "skep/backend/postgres/statements.h"

#include <array>

namespace skep::backend::postgres {
namespace {

struct Definition {
  Statement statement;
  const char* name;
  const char* sql;
};

// The txid of the head of database $1, if this transaction has written it; else null, which matches
// nothing.
#define SKEP_OWN_TXID \
  "(SELECT h.txid FROM head h WHERE h.id = $1::int8 AND h.xmin = pg_current_xact_id()::xid)"

// Appended to rows `w`: those whose head this transaction has written.
#define SKEP_JOIN_OWN                                        \
  "CROSS JOIN LATERAL (SELECT FROM head h WHERE h.id = w.id" \
  " AND h.xmin = pg_current_xact_id()::xid OFFSET 0) own"

// The store's clock, Unix ms.
#define SKEP_NOW_MS "(extract(epoch FROM clock_timestamp()) * 1000)::int8"

// Whether a node's lease may be over by that clock. One that has gone back says nothing.
#define SKEP_IS_OVER "(lease_ends_ms <= " SKEP_NOW_MS " OR renewed_ms > " SKEP_NOW_MS ")"

// Whether the incarnation $7 of a node, if it is one, has not ended.
#define SKEP_CLAIMANT_LIVES \
  "($7::int8 = 0 OR EXISTS (SELECT FROM node c WHERE c.incarnation = $7::int8 AND c.state <= 1))"

constexpr std::array<Definition, kStatementCount> kDefinitions = {{
    // What the rest of the transaction may take. 1: milliseconds.
    {Statement::AllowLong, "skep_allow_long",
     "SELECT 1::int8 FROM set_config('statement_timeout', $1::int8::text, true)"},

    // A batch of commits and nothing else. 2: ids, 3: records, 4: kCommitNumbers for each, one
    // after the other
    // (arrays of their own cost the server more than all else here). Returns null when every commit
    // was
    // accepted, else the ids of those that were: the others are refused.
    {Statement::Commit, "skep_commit", R"sql(
WITH applied AS (
  UPDATE head h SET
    txid = ($4::int8[])[w.i * 7 - 4],
    page_count = ($4::int8[])[w.i * 7 - 3],
    digest = ($4::int8[])[w.i * 7 - 2],
    commit_id = ($4::int8[])[w.i * 7 - 1],
    log_bytes = h.log_bytes + octet_length(w.record)
  FROM (SELECT * FROM unnest($2::int8[], $3::bytea[]) WITH ORDINALITY AS w(id, record, i)
        LIMIT $1::int8) w
  WHERE h.id = w.id AND h.epoch = ($4::int8[])[w.i * 7 - 6]
    AND h.txid = ($4::int8[])[w.i * 7 - 5] AND h.staging_txid = 0
  RETURNING w.id, h.txid, ($4::int8[])[w.i * 7] AS time_ms, w.record
), logged AS (
  INSERT INTO log (id, txid, time_ms, record) SELECT id, txid, time_ms, record FROM applied
)
SELECT CASE WHEN (SELECT count(*) FROM applied) < $1::int8
            THEN ARRAY(SELECT id FROM applied) END)sql"},

    // Any batch: checks epoch, txid and staging, moves the heads on and appends to the log. Returns
    // as Commit.
    {Statement::Write, "skep_write", R"sql(
WITH applied AS (
  UPDATE head h SET
    txid = coalesce(w.txid, h.txid),
    page_count = coalesce(w.page_count, h.page_count),
    digest = coalesce(w.digest, h.digest),
    commit_id = coalesce(w.commit_id, h.commit_id),
    log_bytes = h.log_bytes + coalesce(octet_length(w.record), 0),
    log_start = greatest(h.log_start, w.log_start),
    staging_txid = coalesce(w.staging_after, h.staging_txid),
    sweep_txid = coalesce(w.sweep_after, h.sweep_txid),
    alarm_ms = CASE WHEN w.flags & 1 = 1 THEN w.alarm_ms ELSE h.alarm_ms END,
    owner = CASE WHEN w.flags & 8 = 8 THEN 0 ELSE h.owner END
  FROM (SELECT * FROM unnest(
          $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
          $9::int8[], $10::bytea[], $11::int8[], $12::int8[], $13::int8[], $14::int8[],
          $15::int8[], $16::int8[], $17::int4[]) AS w(
          id, epoch, expected_txid, txid, page_count, digest, commit_id,
          time_ms, record, log_start, log_start_min, staged, staging_after,
          sweep_after, alarm_ms, flags)
        LIMIT $1::int8) w
  WHERE h.id = w.id AND h.epoch = w.epoch AND h.txid = w.expected_txid
    AND (h.staging_txid = 0 AND coalesce(w.flags & 2, 0) = 0
         OR h.staging_txid = w.staged OR w.flags & 4 = 4)
    AND h.log_start >= coalesce(w.log_start_min, 0)
  RETURNING w.id, w.txid, w.time_ms, w.record
), logged AS (
  INSERT INTO log (id, txid, time_ms, record)
  SELECT id, txid, time_ms, record FROM applied WHERE record IS NOT NULL
)
SELECT CASE WHEN (SELECT count(*) FROM applied) < $1::int8
            THEN ARRAY(SELECT id FROM applied) END)sql"},

    // Deletes the expired records of a database and counts the bytes of those that the head still
    // needs.
    {Statement::Trim, "skep_trim", R"sql(
WITH expired AS (
  DELETE FROM log WHERE id = $1::int8 AND txid <= $2::int8
    AND )sql" SKEP_OWN_TXID R"sql( IS NOT NULL
)
UPDATE head h SET
  expired_txid = greatest(h.expired_txid, (
    SELECT max(l.txid) FROM log l WHERE l.id = $1::int8 AND l.txid <= $2::int8)),
  log_bytes = (
    SELECT coalesce(sum(octet_length(l.record)), 0)::int8
    FROM log l WHERE l.id = $1::int8 AND l.txid > h.log_start)
WHERE h.id = $1::int8 AND h.xmin = pg_current_xact_id()::xid)sql"},

    {Statement::RemoveSuperseded, "skep_remove_superseded", R"sql(
DELETE FROM chunk WHERE id = $1::int8 AND chunk = ANY ($2::int8[]) AND txid < $3::int8
  AND )sql" SKEP_OWN_TXID R"sql( IS NOT NULL)sql"},

    {Statement::DropChunks, "skep_drop_chunks", R"sql(
DELETE FROM chunk WHERE id = $1::int8 AND chunk >= $2::int8
  AND txid <= )sql" SKEP_OWN_TXID},

    // Deletes at most $2 staged versions; nothing is staged any more when that was all.
    {Statement::DiscardStaging, "skep_discard_staging", R"sql(
WITH discarded AS (
  DELETE FROM chunk WHERE id = $1::int8 AND ctid = ANY (ARRAY(
    SELECT ctid FROM chunk WHERE id = $1::int8
      AND txid > )sql" SKEP_OWN_TXID R"sql( LIMIT $2::int8))
  RETURNING 1
)
UPDATE head h SET staging_txid = 0
WHERE h.id = $1::int8 AND h.xmin = pg_current_xact_id()::xid
  AND (SELECT count(*) FROM discarded) < $2::int8)sql"},

    {Statement::PutChunks, "skep_put_chunks", R"sql(
INSERT INTO chunk (id, chunk, txid, bytes)
SELECT w.id, w.chunk, w.txid, w.bytes
FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::bytea[]) AS w(id, chunk, txid, bytes)
)sql" SKEP_JOIN_OWN R"sql(
ON CONFLICT (id, chunk, txid) DO UPDATE SET bytes = excluded.bytes)sql"},

    // Two statements: first all of these databases lose their place in the index, then some get a
    // new one.
    {Statement::ClearAlarms, "skep_clear_alarms", R"sql(
DELETE FROM alarm WHERE id = ANY (ARRAY(
  SELECT w.id FROM unnest($1::int8[]) AS w(id) )sql" SKEP_JOIN_OWN R"sql()))sql"},

    {Statement::SetAlarms, "skep_set_alarms", R"sql(
INSERT INTO alarm (id, alarm_ms)
SELECT w.id, w.alarm_ms FROM unnest($1::int8[], $2::int8[]) AS w(id, alarm_ms)
)sql" SKEP_JOIN_OWN},

    {Statement::SetProperties, "skep_set_properties", R"sql(
UPDATE database SET retention_ms = $2::int8, metadata = $3::bytea, hot_chunks = $4::int8[]
WHERE id = $1::int8 AND )sql" SKEP_OWN_TXID R"sql( IS NOT NULL)sql"},

    // Finds or creates a database and claims it. 1: name, 2: Create, 3: Claim, 4: retakeEpoch, 5:
    // now, 6: retakeId, 7: owner.
    // Returns the id that was found, the one that was created, the one that was claimed, and 1 if the
    // claiming node lives. The ids all null although creation was asked for: another session creates
    // the same name just now, try again.
    // An owner has ended when its node's row says so, or when it is among those whose rows were
    // forgotten. That a row is not there says nothing: this snapshot may be older than the node.
    {Statement::Claim, "skep_claim", R"sql(
WITH found AS (
  SELECT id FROM database WHERE name = $1::bytea
), made AS (
  INSERT INTO database (name, created_ms)
  SELECT $1::bytea, $5::int8 WHERE $2::int8 <> 0 AND NOT EXISTS (SELECT FROM found)
    AND )sql" SKEP_CLAIMANT_LIVES R"sql(
  ON CONFLICT (name) DO NOTHING
  RETURNING id
), made_head AS (
  INSERT INTO head (id, epoch, owner)
  SELECT id, CASE WHEN $3::int8 = 0 THEN 0 ELSE 1 END, CASE WHEN $3::int8 = 0 THEN 0 ELSE $7::int8 END
  FROM made
  RETURNING id
), claimed AS (
  UPDATE head h SET epoch = h.epoch + 1,
    owner = CASE WHEN $3::int8 = 1 THEN $7::int8 ELSE h.owner END
  WHERE h.id = (SELECT id FROM found) AND $2::int8 <> 2
    AND ($3::int8 = 2 AND h.epoch = $4::int8 AND h.id = $6::int8
         OR $3::int8 = 1 AND )sql" SKEP_CLAIMANT_LIVES R"sql(
            AND (h.owner = 0 OR h.owner = $7::int8
                 OR h.owner < (SELECT gone_before FROM membership WHERE only_row)
                 OR EXISTS (SELECT FROM node n WHERE n.incarnation = h.owner AND n.state >= 2)))
  RETURNING h.id
)
SELECT (SELECT id FROM found), (SELECT id FROM made_head), (SELECT id FROM claimed),
       CASE WHEN )sql" SKEP_CLAIMANT_LIVES R"sql( THEN 1::int8 ELSE 0::int8 END)sql"},

    // Removes the rows that make a database findable and writable; the bulk is `doomed`. The head
    // goes
    // first: every write locks that one first. 1: name, 2 and 3: the id and the epoch that it must
    // have, or null. Returns the id that was removed, and the one that was there.
    {Statement::Destroy, "skep_destroy", R"sql(
WITH gone AS (
  DELETE FROM head WHERE id = (SELECT id FROM database WHERE name = $1::bytea)
    AND ($2::int8 IS NULL OR id = $2::int8 AND epoch = $3::int8) RETURNING id
), nameless AS (
  DELETE FROM database WHERE id = (SELECT id FROM gone)
), silent AS (
  DELETE FROM alarm WHERE id = (SELECT id FROM gone)
), condemned AS (
  INSERT INTO doomed (id) SELECT id FROM gone RETURNING id
)
SELECT (SELECT id FROM condemned), (SELECT id FROM database WHERE name = $1::bytea))sql"},

    // 1: after which id, 2: how many.
    {Statement::ListDoomed, "skep_list_doomed",
     "SELECT id FROM doomed WHERE id > $1::int8 ORDER BY id LIMIT $2::int8"},

    // Deletes some rows of a doomed database: at most $2 chunks and $3 records. Returns how many it
    // deleted.
    {Statement::RemoveDoomedRows, "skep_remove_doomed_rows", R"sql(
WITH chunks AS (
  DELETE FROM chunk WHERE id = $1::int8
    AND ctid = ANY (ARRAY(SELECT ctid FROM chunk WHERE id = $1::int8 LIMIT $2::int8))
  RETURNING 1
), records AS (
  DELETE FROM log WHERE id = $1::int8
    AND ctid = ANY (ARRAY(SELECT ctid FROM log WHERE id = $1::int8 LIMIT $3::int8))
  RETURNING 1
)
SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM records))sql"},

    {Statement::ForgetDoomed, "skep_forget_doomed", R"sql(
DELETE FROM doomed d WHERE d.id = $1::int8
  AND NOT EXISTS (SELECT FROM chunk c WHERE c.id = $1::int8)
  AND NOT EXISTS (SELECT FROM log l WHERE l.id = $1::int8))sql"},

    // A new node. Its incarnation is the list's new version: the lock on that row makes incarnations
    // visible in their order. 1: name, 2: address, 3: zone, 4: version, 5: types, 6: protocol_min,
    // 7: protocol, 8: lease, 9: nonce. Returns the new incarnation; what has the name already
    // (incarnation, state, address), with the same nonce or not. All null: another session joins under that
    // name just now, try again.
    {Statement::JoinNode, "skep_join_node", R"sql(
WITH taken AS (
  SELECT incarnation, state, address, nonce FROM node WHERE name = $1::bytea AND state <= 1
), bumped AS (
  UPDATE membership SET version = version + 1
  WHERE only_row AND NOT EXISTS (SELECT FROM taken) RETURNING version
), made AS (
  INSERT INTO node (incarnation, name, address, zone, version, types, protocol_min, protocol, nonce,
                    changed, renewed_ms, lease_ends_ms, joined_ms)
  SELECT b.version, $1::bytea, $2::bytea, $3::bytea, $4::bytea, $5::bytea, $6::int8, $7::int8,
         $9::int8, b.version, )sql" SKEP_NOW_MS R"sql(, )sql" SKEP_NOW_MS R"sql( + $8::int8,
         )sql" SKEP_NOW_MS R"sql(
  FROM bumped b
  ON CONFLICT (name) WHERE state <= 1 DO NOTHING
  RETURNING incarnation
)
SELECT (SELECT incarnation FROM made), (SELECT incarnation FROM taken), (SELECT state FROM taken),
       (SELECT address FROM taken), (SELECT count(*) FROM taken WHERE nonce = $9::int8))sql"},

    // After JoinNode, in its transaction, which nobody joins beside: what ended more than $1 ms ago, below
    // all that live, is forgotten.
    {Statement::ForgetNodes, "skep_forget_nodes", R"sql(
WITH oldest AS (
  SELECT min(incarnation) AS alive FROM node WHERE incarnation > 0 AND state <= 1
), raised AS (
  UPDATE membership SET gone_before = greatest(gone_before, (SELECT alive FROM oldest))
  WHERE only_row AND EXISTS (SELECT FROM oldest WHERE alive IS NOT NULL)
)
DELETE FROM node WHERE incarnation > 0 AND incarnation < (SELECT alive FROM oldest)
  AND ended_ms < )sql" SKEP_NOW_MS R"sql( - $1::int8)sql"},

    // 1: incarnation, 2: lease, 3: load, 4: the version that the node knows. One row for each node that
    // is alive or has changed since, and the node itself. Facts only of those that changed.
    {Statement::RenewNode, "skep_renew_node", R"sql(
WITH renewed AS (
  UPDATE node SET beat = beat + 1, load = $3::int8, renewed_ms = )sql" SKEP_NOW_MS R"sql(,
    lease_ends_ms = )sql" SKEP_NOW_MS R"sql( + $2::int8
  WHERE incarnation = $1::int8 AND state <= 1
  RETURNING incarnation, beat, load, lease_ends_ms
)
SELECT n.incarnation, n.state, n.joined_ms, n.protocol_min, n.protocol,
       coalesce(r.beat, n.beat), coalesce(r.load, n.load),
       coalesce(r.lease_ends_ms, n.lease_ends_ms) - )sql" SKEP_NOW_MS R"sql(,
       m.version, CASE WHEN n.changed > $4::int8 THEN 1::int8 END,
       CASE WHEN r.incarnation IS NOT NULL THEN 1::int8 END,
       CASE WHEN n.changed > $4::int8 THEN n.name END,
       CASE WHEN n.changed > $4::int8 THEN n.address END,
       CASE WHEN n.changed > $4::int8 THEN n.zone END,
       CASE WHEN n.changed > $4::int8 THEN n.version END,
       CASE WHEN n.changed > $4::int8 THEN n.types END
FROM membership m
JOIN node n ON n.incarnation > 0
LEFT JOIN renewed r ON r.incarnation = n.incarnation
WHERE m.only_row AND (n.state <= 1 OR n.changed > $4::int8 OR n.incarnation = $1::int8)
ORDER BY n.incarnation)sql"},

    // 1: incarnation, 2: beat. Returns how many have ended by this: none or one. Locks the list's version
    // first, as everything does that changes the list.
    {Statement::DeclareDead, "skep_declare_dead", R"sql(
WITH suspect AS (
  SELECT FROM node WHERE incarnation = $1::int8 AND state <= 1 AND beat = $2::int8
    AND )sql" SKEP_IS_OVER R"sql(
), bumped AS (
  UPDATE membership SET version = version + 1
  WHERE only_row AND EXISTS (SELECT FROM suspect) RETURNING version
), ended AS (
  UPDATE node n SET state = 3, changed = b.version, ended_ms = )sql" SKEP_NOW_MS R"sql(
  FROM bumped b
  WHERE n.incarnation = $1::int8 AND n.state <= 1 AND n.beat = $2::int8
    AND )sql" SKEP_IS_OVER R"sql(
  RETURNING n.incarnation
)
SELECT count(*) FROM ended)sql"},

    // 1: incarnation, 2: the state, Draining or Left. Returns the state before; null: no such node.
    {Statement::AdvanceNode, "skep_advance_node", R"sql(
WITH found AS (
  SELECT state FROM node WHERE incarnation = $1::int8
), bumped AS (
  UPDATE membership SET version = version + 1
  WHERE only_row AND EXISTS (SELECT FROM found WHERE state <= 1 AND state < $2::int8)
  RETURNING version
), advanced AS (
  UPDATE node n SET state = $2::int8, changed = b.version,
    ended_ms = CASE WHEN $2::int8 >= 2 THEN )sql" SKEP_NOW_MS R"sql( END
  FROM bumped b
  WHERE n.incarnation = $1::int8 AND n.state <= 1 AND n.state < $2::int8
  RETURNING n.incarnation
)
SELECT (SELECT state FROM found), (SELECT count(*) FROM advanced))sql"},

    {Statement::ListNodes, "skep_list_nodes", R"sql(
SELECT n.incarnation, n.state, n.joined_ms, n.protocol_min, n.protocol, n.beat, n.load,
       n.lease_ends_ms - )sql" SKEP_NOW_MS R"sql(, 0::int8, 1::int8, NULL::int8,
       n.name, n.address, n.zone, n.version, n.types
FROM node n WHERE n.incarnation > 0 ORDER BY n.incarnation)sql"},

    // Everything that an open returns, from one snapshot. 1: name, 2: how many first chunks.
    {Statement::Load, "skep_load", R"sql(
WITH d AS MATERIALIZED (
  SELECT d.id, d.retention_ms, d.metadata, d.hot_chunks, h.epoch, h.txid, h.page_count, h.digest,
         h.commit_id, h.log_start, h.log_bytes, h.alarm_ms, h.staging_txid, h.sweep_txid, h.owner
  FROM database d CROSS JOIN LATERAL (SELECT * FROM head WHERE id = d.id OFFSET 0) h
  WHERE d.name = $1::bytea
)
SELECT 0::int8, d.id, d.alarm_ms, d.metadata,
       ARRAY[d.epoch, d.txid, d.page_count, d.digest, d.commit_id, d.log_start, d.log_bytes,
             d.staging_txid, d.sweep_txid, d.retention_ms, d.owner] || d.hot_chunks
FROM d
UNION ALL
SELECT 1::int8, NULL, l.txid, l.record, NULL FROM d CROSS JOIN LATERAL (
  SELECT l.txid, l.record FROM log l
  WHERE l.id = d.id AND l.txid > d.log_start ORDER BY l.txid OFFSET 0) l
UNION ALL
SELECT 2::int8, c.chunk, c.txid, c.bytes, NULL
FROM d
CROSS JOIN LATERAL (
  SELECT generate_series(0, $2::int8 - 1) AS chunk UNION SELECT unnest(d.hot_chunks)
  ORDER BY chunk) n
CROSS JOIN LATERAL (
  SELECT c.chunk, c.txid, c.bytes FROM chunk c
  WHERE c.id = d.id AND c.chunk = n.chunk AND c.txid <= d.txid ORDER BY c.txid DESC LIMIT 1) c)sql"},

    // 1: id, 2: as of which txid, 3: chunks, 4: records after which txid, or null for none. The
    // first row holds the epoch and the newest txid whose record expired.
    {Statement::ReadChunks, "skep_read_chunks", R"sql(
SELECT 0::int8, h.epoch, h.expired_txid, NULL::bytea FROM head h WHERE h.id = $1::int8
UNION ALL
(SELECT 1::int8, NULL, l.txid, l.record FROM log l
 WHERE l.id = $1::int8 AND l.txid > $4::int8 AND l.txid <= $2::int8 ORDER BY l.txid)
UNION ALL
SELECT 2::int8, c.chunk, c.txid, c.bytes
FROM unnest($3::int8[]) AS n(chunk)
CROSS JOIN LATERAL (
  SELECT c.chunk, c.txid, c.bytes FROM chunk c
  WHERE c.id = $1::int8 AND c.chunk = n.chunk AND c.txid <= $2::int8
  ORDER BY c.txid DESC LIMIT 1) c)sql"},

    // Why writes were refused. 1: ids.
    {Statement::ReadHeads, "skep_read_heads", R"sql(
SELECT id, epoch, txid, staging_txid, log_start FROM head WHERE id = ANY ($1::int8[]))sql"},

    {Statement::ReadHead, "skep_read_head", R"sql(
SELECT alarm_ms, ARRAY[epoch, txid, page_count, digest, commit_id, log_start, log_bytes,
                       staging_txid, sweep_txid, 0, owner]
FROM head WHERE id = $1::int8)sql"},

    {Statement::Info, "skep_info", R"sql(
SELECT d.id, d.created_ms, h.alarm_ms, d.metadata,
       ARRAY[h.epoch, h.txid, h.page_count, h.digest, h.commit_id, h.log_start, h.log_bytes,
             h.staging_txid, h.sweep_txid, d.retention_ms, h.owner] || d.hot_chunks,
       d.name,
       (SELECT coalesce(sum(octet_length(record)), 0)::int8 FROM log l WHERE l.id = d.id) +
       (SELECT coalesce(sum(octet_length(bytes)), 0)::int8 FROM chunk c WHERE c.id = d.id)
FROM database d CROSS JOIN LATERAL (SELECT * FROM head WHERE id = d.id OFFSET 0) h
WHERE d.name = $1::bytea)sql"},

    // 1: the first name to consider, 2: after this name, 3: before this one, 4: how many.
    {Statement::List, "skep_list", R"sql(
SELECT d.id, d.created_ms, h.alarm_ms, d.metadata,
       ARRAY[h.epoch, h.txid, h.page_count, h.digest, h.commit_id, h.log_start, h.log_bytes,
             h.staging_txid, h.sweep_txid, d.retention_ms, h.owner] || d.hot_chunks,
       d.name, 0::int8
FROM (SELECT * FROM database
      WHERE name >= $1::bytea AND name > $2::bytea AND name < $3::bytea
      ORDER BY name LIMIT $4::int8) d
CROSS JOIN LATERAL (SELECT * FROM head WHERE id = d.id OFFSET 0) h
ORDER BY d.name)sql"},

    // A database without such records is one row of nulls; no row: no such database. 2: after which
    // txid,
    // 3: until the sum of bytes passes this, 4: how many records at most.
    {Statement::ReadLog, "skep_read_log", R"sql(
SELECT l.txid, l.record FROM head h LEFT JOIN LATERAL (
  SELECT s.txid, s.record FROM (
    SELECT f.txid, f.record,
           sum(octet_length(f.record)) OVER (ORDER BY f.txid) - octet_length(f.record) AS before
    FROM (SELECT txid, record FROM log
          WHERE id = $1::int8 AND txid > $2::int8 ORDER BY txid LIMIT $4::int8) f) s
  WHERE s.before <= $3::int8) l ON true
WHERE h.id = $1::int8
ORDER BY l.txid)sql"},

    // As ReadLog: a row of nulls says that the database is there. 2 and 3: after which chunk and
    // txid.
    {Statement::ListChunkVersions, "skep_list_chunk_versions", R"sql(
SELECT c.chunk, c.txid, c.size FROM head h LEFT JOIN LATERAL (
  SELECT chunk, txid, octet_length(bytes)::int8 AS size FROM chunk
  WHERE id = $1::int8 AND (chunk, txid) > ($2::int8, $3::int8)
  ORDER BY chunk, txid LIMIT $4::int8) c ON true
WHERE h.id = $1::int8
ORDER BY c.chunk, c.txid)sql"},

    {Statement::VersionAt, "skep_version_at", R"sql(
SELECT l.txid, l.time_ms FROM head h CROSS JOIN LATERAL (
  SELECT txid, time_ms FROM log
  WHERE id = $1::int8 AND time_ms <= $2::int8 ORDER BY txid DESC LIMIT 1) l
WHERE h.id = $1::int8)sql"},

    {Statement::DueAlarms, "skep_due_alarms", R"sql(
SELECT a.id, a.alarm_ms, d.name
FROM (SELECT id, alarm_ms FROM alarm WHERE alarm_ms <= $1::int8
      ORDER BY alarm_ms, id LIMIT $2::int8) a
CROSS JOIN LATERAL (SELECT name FROM database WHERE id = a.id OFFSET 0) d
ORDER BY a.alarm_ms, a.id)sql"},
}};

constexpr bool definitionsAreInOrder() {
  for (std::size_t i = 0; i < kStatementCount; ++i) {
    if (static_cast<std::size_t>(kDefinitions[i].statement) != i) return false;
  }
  return true;
}
static_assert(definitionsAreInOrder());

}  // namespace

const char* statementName(Statement statement) {
  return kDefinitions[static_cast<std::size_t>(statement)].name;
}

const std::string& prepareScript() {
  static const std::string script = [] {
    std::string text;
    for (const Definition& definition : kDefinitions) {
      text.append("PREPARE ")
          .append(definition.name)
          .append(" AS ")
          .append(definition.sql)
          .append(";\n");
    }
    return text;
  }();
  return script;
}

}  // namespace skep::backend::postgres
