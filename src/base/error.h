// Error codes and the Error value that every fallible operation of Skep returns.
//
// A code exists only if a caller can react to it. The message is for people: it names the thing
// (the database, the page, the store) and what to do. Errors are plain values: copyable, any
// thread.
//
//   return Error{ErrorCode::NotFound, "no database is named 'tenant/acme'"};

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace skep {

enum class ErrorCode : std::uint8_t {
  InvalidArgument,  // the caller's input is wrong; the same call can never succeed
  NotFound,         // no database (or version) of that name
  AlreadyExists,    // create asked for a new database and there is one
  OwnedElsewhere,   // another node owns the database: ask that one (Error::owner)
  Fenced,           // another owner has taken the database over: this one may never commit again
  UnknownOutcome,   // the write may or may not have happened: resolve it by reading the store
  Corrupt,          // stored bytes fail their checks; names database, page and txid
  Unavailable,      // the store does not answer now; a later try may succeed
  Overloaded,       // a bounded queue is full; a later try may succeed
  QuotaExceeded,    // a configured quota (database size, staging, metadata) is reached
  StoreFull,        // the store's disk is full
  ReadOnly,         // the store, or this handle, does not accept writes
  Locked,           // another process holds the embedded store's directory
  VersionMismatch,  // the store or a record was written by an incompatible version of Skep
  AccessDenied,     // the store refused the credentials
  SnapshotGone,     // the version being read was folded away; read the newer one
  Aborted,          // the operation was given up because its caller or its loop is closing
  TimedOut,         // a time limit ran out
  LimitExceeded,    // a limit on memory, steps or statement size was reached
  Sql,              // SQLite refused the statement: sqliteCode and sqlOffset say more
  Broken,           // a commit failed earlier: this handle is dead, open the database again
  Unsupported,      // valid, but not something this build or backend does
  Internal,         // a bug in Skep, caught at a wall
};

/// The code's stable name, snake_case: "not_found". The command begins its messages with it.
std::string_view errorCodeName(ErrorCode code);

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::Internal;
  std::string message;
  int sqliteCode = 0;       // SQLite's extended result code, 0 when SQLite was not involved
  int sqlOffset = -1;       // byte offset of the offending token in the SQL text, -1 when unknown
  std::uint64_t owner = 0;  // of OwnedElsewhere: the incarnation of the node that owns the database

  /// "not_found: no database is named …"
  std::string toString() const;
};

}  // namespace skep
