#include "skep/sql/file_error.h"

#include <cerrno>
#include <cstring>

namespace skep::sql {

Error fileError(const std::string& what, const std::string& path) {
  const int number = errno;
  const ErrorCode code = number == ENOENT   ? ErrorCode::NotFound
                         : number == EEXIST ? ErrorCode::AlreadyExists
                         : number == ENOSPC ? ErrorCode::StoreFull
                                            : ErrorCode::InvalidArgument;
  return Error{code, what + " '" + path + "': " + std::strerror(number)};
}

}  // namespace skep::sql
