// The store's tables: their definition, their version, and how they come into being.
//
// docs/formats/postgres.md describes tables and columns. All SQL here is for the simple query
// protocol (several statements in one text), as a connection runs it before it serves.

#pragma once

#include <string>
#include <string_view>

namespace skep::backend::postgres {

/// Changes whenever a table does. A build works with exactly this version.
inline constexpr int kSchemaVersion = 2;

/// The schema's name as an SQL identifier.
std::string quotedIdentifier(std::string_view name);

/// One row, one column: 't' when the tables exist, else 'f'.
std::string existsQuery(std::string_view schema);

/// Whether installScript() can make tables of this version, as versionQuery() told it, into ours.
bool canUpgrade(std::string_view version);

/// One row, one column: the version of the tables that exist.
std::string versionQuery(std::string_view schema);

/// Creates schema and tables, or brings those of an older version up to this one, unless another
/// process has done so. Safe to run by several at once.
std::string installScript(std::string_view schema);

/// Settings of a session that serves a store in that schema.
std::string sessionScript(std::string_view schema, long statementTimeoutMs);

/// Begins the one transaction of a session that reads a snapshot; it shows this moment.
std::string snapshotScript();

}  // namespace skep::backend::postgres
