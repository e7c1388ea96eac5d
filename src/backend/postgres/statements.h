// The prepared statements of a connection: every SQL text that touches databases' data is here.
//
// Rules that all of them follow:
// - Parameters and results are binary. Columns are int8, bytea or int8[] only (pg_binary.h).
// - The tables are unqualified: the connection's search_path is the store's schema.
// - Every table is reached by probing an index, however small or unknown to the planner it is when
//   a session makes its plan, since the plan is kept when the table grows (postgres_plan_test
//   looks). So a database's rows are named by parameters or by a LATERAL subquery with OFFSET 0,
//   not by joins, which the planner may turn around. The one join that must be is that of a batch
//   with the heads that it updates: its LIMIT makes the planner expect one row, and the ballast in
//   `head` (schema.cc) keeps that table from looking tiny.
// - A batch comes as arrays, sorted by database id: heads are locked in that order, so that batches
//   never deadlock.
// - A write starts with Commit or Write, which check and lock their databases' heads. What follows
//   in the same transaction touches only databases whose head this very transaction has written
//   (xmin).

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace skep::backend::postgres {

enum class Statement : std::uint8_t {
  // Writes, in the order in which a transaction runs them.
  AllowLong,
  Commit,
  Write,
  Trim,
  RemoveSuperseded,
  DropChunks,
  DiscardStaging,
  PutChunks,
  ClearAlarms,
  SetAlarms,
  SetProperties,
  // Ownership and removal.
  Claim,
  Destroy,
  ListDoomed,
  RemoveDoomedRows,
  ForgetDoomed,
  // Nodes.
  JoinNode,
  ForgetNodes,
  RenewNode,
  DeclareDead,
  AdvanceNode,
  ListNodes,
  // Reads.
  Load,
  ReadChunks,
  ReadHeads,
  ReadHead,
  Info,
  List,
  ReadLog,
  ListChunkVersions,
  VersionAt,
  DueAlarms,
};
inline constexpr std::size_t kStatementCount = static_cast<std::size_t>(Statement::DueAlarms) + 1;

// Numbers that Commit takes of each database, in this order: epoch, expected txid, txid, page
// count, digest, commit id, time.
inline constexpr std::size_t kCommitNumbers = 7;

// Bits of Write's `flags`.
inline constexpr std::uint32_t kSetsAlarm = 1;
inline constexpr std::uint32_t kNeedsStaged = 2;  // nothing staged is not good enough
inline constexpr std::uint32_t kAnyStaging =
    4;  // whatever is staged is none of this write's business
inline constexpr std::uint32_t kReleases = 8;  // there is no owner any more

// Values of the first column of Load and ReadChunks: what a row is.
inline constexpr std::int64_t kHeadRow = 0;
inline constexpr std::int64_t kRecordRow = 1;
inline constexpr std::int64_t kChunkRow = 2;

/// The statement's name on a connection.
const char* statementName(Statement statement);

/// "PREPARE …; PREPARE …;" for all of them.
const std::string& prepareScript();

}  // namespace skep::backend::postgres
