// From SQLite's result codes to Errors.

#pragma once

#include "skep/base/error.h"

struct sqlite3;

namespace skep::sql {

/// The error that `connection` reports for `code`, with its extended code and the offset in the SQL
/// text. `offsetBase` is added to the offset: where the statement starts in its script.
Error sqliteError(sqlite3* connection, int code, int offsetBase = 0);

}  // namespace skep::sql
