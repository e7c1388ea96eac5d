#include "skep/sql/error.h"

#include <sqlite3.h>

namespace skep::sql {

Error sqliteError(sqlite3* connection, int code, int offsetBase) {
  Error error{ErrorCode::Sql, sqlite3_errmsg(connection), code};
  const int offset = sqlite3_error_offset(connection);
  if (offset >= 0) error.sqlOffset = offset + offsetBase;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      error.code = ErrorCode::Corrupt;
      break;
    case SQLITE_READONLY:
      error.code = ErrorCode::ReadOnly;
      break;
    case SQLITE_FULL:
      error.code = ErrorCode::QuotaExceeded;
      break;
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
      error.code = ErrorCode::LimitExceeded;
      break;
    case SQLITE_INTERRUPT:
      error.code = ErrorCode::Aborted;
      break;
    case SQLITE_MISUSE:
      error.code = ErrorCode::Internal;
      break;
    default:
      break;
  }
  return error;
}

}  // namespace skep::sql
