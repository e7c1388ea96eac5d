// ConnectionInfo: a store's URL taken apart, and how to name the server without giving the password
// away.

#pragma once

#include <string>
#include <utility>
#include <vector>

#include "skep/base/result.h"

namespace skep::backend::postgres {

struct ConnectionInfo {
  std::vector<std::pair<std::string, std::string>> parameters;  // libpq's keywords and values
  std::string place;                                            // "db.example:5432/skep as alice"

  /// InvalidArgument for text that libpq does not understand; its message quotes nothing of the
  /// text, which may hold a password.
  static Result<ConnectionInfo> parse(const std::string& url);
};

}  // namespace skep::backend::postgres
