// Failure: what a caller of an actor gets instead of a reply: {group, code, message, metadata}.
//
// Groups: `actor` (the actor or the way to it), `request` (what the caller sent), `user` (what the
// actor's own code decided to tell), `internal` (masked: the log has more under the reference). A
// code exists only if a caller can act on it; all of Skep's own stand in failure_codes.def.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "skep/base/error.h"

namespace skep::call {

enum class FailureCode : std::uint8_t {
#define SKEP_FAILURE(name, group, code, httpStatus, retry) name,
#include "skep/call/failure_codes.def"
#undef SKEP_FAILURE
};

struct Failure {
  std::string group;
  std::string code;
  std::string message;
  std::string metadata;  // a JSON value, or empty
  int httpStatus = 400;
  bool isRetryable = false;  // the same call can succeed later, and has certainly not happened

  Failure() = default;
  Failure(FailureCode code, std::string message, std::string metadata = {});
  /// One that the actor's own code threw: group `user`.
  static Failure user(std::string code, std::string message, std::string metadata = {});

  /// One of the codes above by its names, as it came over a wire; others are taken for the code's own.
  static Failure named(const std::string& group, const std::string& code, std::string message,
                       std::string metadata = {});

  bool is(FailureCode code) const;
  /// "actor.not_found: …"
  std::string toString() const;
};

/// How an error of the database or the store looks to a caller. Errors that are nobody's business
/// come out as `internal` with the given reference; the caller logs them under it.
Failure failureOf(const Error& error, std::string_view reference);

}  // namespace skep::call
