// How errors are shown to a person at a terminal.

#pragma once

#include <string>
#include <string_view>

#include "skep/base/error.h"
#include "skep/server/statement_splitter.h"

namespace skep::server {

/// "error: not_found: no database is named 'x'", with a newline.
std::string errorText(const Error& error);

/// The error of one statement, with the line it stands in and a caret under the token, when SQLite
/// named one:
///
///   error: seed.sql:3: sql: no such column: nam
///     SELECT nam FROM user
///            ^
///
/// `source` names the script; empty: no place is told.
std::string sqlErrorText(const Error& error, const SqlPiece& statement, std::string_view source);

}  // namespace skep::server
