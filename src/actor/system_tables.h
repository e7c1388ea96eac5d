// The runtime's own tables in an actor's database, all named `_skep_…`: what is created with the actor
// and the migrations that have been applied. Their layout is in docs/formats/actor-tables.md.
//
// Called on the actor's fiber inside a turn.

#pragma once

#include <cstdint>
#include <span>

#include "skep/actor/actor_type.h"
#include "skep/actor/lazy_tables.h"
#include "skep/call/failure.h"
#include "skep/sql/database.h"

namespace skep::actor {

/// Makes the tables that every actor has where they are missing, and finds out about the others.
/// VersionMismatch when a newer Skep has written them.
Status prepareSystemTables(sql::Database& database, LazyTables& tables);

/// Applies the migrations that the database has not seen, in order. MigrationFailed, with the
/// version, SQLite's code and the offset in the migration's text as metadata; also when the database
/// has seen migrations that the type does not have any more. The caller then rolls back.
std::optional<call::Failure> migrate(sql::Database& database, std::span<const Migration> migrations,
                                     std::int64_t nowMs);

/// The actor's saved state, one encoded value (CBOR); nullopt when there is none.
Result<std::optional<Bytes>> loadState(sql::Database& database);
Status saveState(sql::Database& database, ByteView state);

}  // namespace skep::actor
