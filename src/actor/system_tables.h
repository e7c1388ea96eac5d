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

/// Whether an actor's creation has been committed as a whole, or only turns of it.
enum class Making : std::uint8_t { Ended, UnderWay };

/// Makes the tables that every actor has where they are missing, and finds out about the others. UnderWay: a
/// creation that has not ended has left them. VersionMismatch when a newer Skep has written them.
Result<Making> prepareSystemTables(sql::Database& database, LazyTables& tables);
/// Notes how far the actor's creation is: UnderWay with its first turns when it has several, Ended with its last.
Status noteMaking(sql::Database& database, Making making);

/// Applies the migrations that the database has not seen, in order. MigrationFailed, with the
/// version, SQLite's code and the offset in the migration's text as metadata; also when the database
/// has seen migrations that the type does not have any more. The caller then rolls back.
std::optional<call::Failure> migrate(sql::Database& database, std::span<const Migration> migrations,
                                     std::int64_t nowMs);

/// The actor's saved state, one encoded value (CBOR); nullopt when there is none.
Result<std::optional<Bytes>> loadState(sql::Database& database);
Status saveState(sql::Database& database, ByteView state);

}  // namespace skep::actor
