// What errno says of a local file that is exported to or imported from.

#pragma once

#include <string>

#include "skep/base/error.h"

namespace skep::sql {

/// "what 'path': why", of the errno of the call that has just failed. NotFound, AlreadyExists,
/// StoreFull (of the file's disk), InvalidArgument.
Error fileError(const std::string& what, const std::string& path);

}  // namespace skep::sql
