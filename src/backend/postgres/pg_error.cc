#include "skep/backend/postgres/pg_error.h"

#include <algorithm>
#include <array>

namespace skep::backend::postgres {
namespace {

struct Mapping {
  std::string_view sqlState;  // or its first characters
  ErrorCode code;
};

// The first match counts.
constexpr std::array kMappings = {
    Mapping{"28", ErrorCode::AccessDenied},     // invalid_authorization_specification, password
    Mapping{"42501", ErrorCode::AccessDenied},  // insufficient_privilege
    Mapping{"3D000", ErrorCode::NotFound},      // invalid_catalog_name: no such database
    Mapping{"25P02", ErrorCode::SnapshotGone},  // in_failed_sql_transaction: only a snapshot's
    Mapping{"25P03", ErrorCode::SnapshotGone},  // idle_in_transaction_session_timeout
    Mapping{"25006", ErrorCode::ReadOnly},      // read_only_sql_transaction
    Mapping{"53100", ErrorCode::StoreFull},     // disk_full
    Mapping{"53300", ErrorCode::Overloaded},    // too_many_connections
    Mapping{"53", ErrorCode::Unavailable},      // insufficient_resources
    Mapping{"57", ErrorCode::Unavailable},  // operator_intervention: shutdown, timeouts, start-up
    Mapping{"55", ErrorCode::Unavailable},  // object_not_in_prerequisite_state: locks
    Mapping{"40", ErrorCode::Unavailable},  // transaction_rollback
    Mapping{"08", ErrorCode::Unavailable},  // connection_exception
    Mapping{"58", ErrorCode::Unavailable},  // system_error
    Mapping{"XX001", ErrorCode::Corrupt},   // data_corrupted
    Mapping{"XX002", ErrorCode::Corrupt},   // index_corrupted
    Mapping{"42P01", ErrorCode::VersionMismatch},  // undefined_table
    Mapping{"42703", ErrorCode::VersionMismatch},  // undefined_column
    Mapping{"3F000", ErrorCode::VersionMismatch},  // invalid_schema_name
};

ErrorCode codeOf(std::string_view sqlState) {
  for (const Mapping& mapping : kMappings) {
    if (sqlState.starts_with(mapping.sqlState)) return mapping.code;
  }
  return ErrorCode::Internal;
}

std::string firstLineOf(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

bool isSqlState(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

// The last code in "… failed: FATAL:  28P01: password authentication failed …". (The word before it
// is in the server's language.)
std::string_view findSqlState(std::string_view message) {
  constexpr std::size_t kSqlStateBytes = 5;
  std::size_t at = message.rfind(": ");
  while (at != std::string_view::npos && at > kSqlStateBytes) {
    const std::string_view candidate = message.substr(at - kSqlStateBytes, kSqlStateBytes);
    if (message[at - kSqlStateBytes - 1] == ' ' && isSqlState(candidate)) return candidate;
    at = message.rfind(": ", at - 1);
  }
  return {};
}

}  // namespace

std::string_view sqlStateOf(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string_view() : std::string_view(state);
}

Error statementError(const PGresult* result, std::string_view place) {
  const std::string_view state = sqlStateOf(result);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  std::string message = "PostgreSQL at " + std::string(place) + ": ";
  message += primary != nullptr ? primary : firstLineOf(PQresultErrorMessage(result));
  if (!state.empty()) message += " (SQLSTATE " + std::string(state) + ")";
  return Error{state.empty() ? ErrorCode::Unavailable : codeOf(state), std::move(message)};
}

Error connectError(const PGconn* connection, std::string_view place) {
  const std::string_view message = PQerrorMessage(connection);
  const std::string_view state = findSqlState(message);
  const ErrorCode code = state.empty() ? ErrorCode::Unavailable : codeOf(state);
  return Error{
      code, "cannot connect to PostgreSQL at " + std::string(place) + ": " + firstLineOf(message)};
}

Error lostConnectionError(const PGconn* connection, std::string_view place) {
  return Error{ErrorCode::Unavailable, "lost the connection to PostgreSQL at " +
                                           std::string(place) + ": " +
                                           firstLineOf(PQerrorMessage(connection))};
}

bool isCollision(std::string_view sqlState) {
  return sqlState == "40001" || sqlState == "40P01";
}

bool isPermanent(ErrorCode code) {
  switch (code) {
    case ErrorCode::AccessDenied:
    case ErrorCode::NotFound:
    case ErrorCode::VersionMismatch:
    case ErrorCode::InvalidArgument:
    case ErrorCode::Unsupported:
    case ErrorCode::SnapshotGone:
      return true;
    default:
      return false;
  }
}

}  // namespace skep::backend::postgres
