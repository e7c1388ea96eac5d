// What went wrong at the server, as Skep's errors: from SQLSTATE codes (PostgreSQL's manual,
// appendix A).

#pragma once

#include <libpq-fe.h>

#include <string>
#include <string_view>

#include "skep/base/error.h"

namespace skep::backend::postgres {

/// The five characters of an error's SQLSTATE, or "" when the server did not say one.
std::string_view sqlStateOf(const PGresult* result);

/// Of a statement that the server refused. `place` names server and database for the message.
Error statementError(const PGresult* result, std::string_view place);

/// Of a connection that could not be made. It must have been started with PQERRORS_VERBOSE: libpq
/// offers the SQLSTATE of such an error only within its message.
Error connectError(const PGconn* connection, std::string_view place);

/// Of a connection that broke while it served.
Error lostConnectionError(const PGconn* connection, std::string_view place);

/// Whether the same transaction may succeed when it is run again at once: it collided with another.
bool isCollision(std::string_view sqlState);

/// Whether no later try can succeed before somebody changes the configuration of client or server.
bool isPermanent(ErrorCode code);

}  // namespace skep::backend::postgres
