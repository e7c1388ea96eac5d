// What an actor's code throws, and what calls into Skep throw at it.

#pragma once

#include <stdexcept>
#include <string>

#include "skep/call/failure.h"

namespace skep {

/// Thrown by an actor's code to tell its caller something: it arrives as {group: "user", code, message,
/// metadata}. Every other exception is masked: the caller learns only that there was one, and where
/// the log has more.
class UserError : public std::runtime_error {
 public:
  /// `metadata`: a JSON text, or empty.
  explicit UserError(std::string code, const std::string& message, std::string metadata = {})
      : std::runtime_error(message), code_(std::move(code)), metadata_(std::move(metadata)) {}
  const std::string& code() const { return code_; }
  const std::string& metadata() const { return metadata_; }

 private:
  std::string code_;
  std::string metadata_;
};

/// Thrown by an actor's code when its caller may not do this: arrives as `request.forbidden`.
class Forbidden : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Thrown by the functions of Context: a statement that failed, another actor's failure, or that this
/// call has to end (its time ran out, the actor is on its way out). Let it pass unless you know better.
class ActorError : public std::runtime_error {
 public:
  explicit ActorError(call::Failure failure)
      : std::runtime_error(failure.toString()), failure_(std::move(failure)) {}
  const call::Failure& failure() const { return failure_; }

 private:
  call::Failure failure_;
};

}  // namespace skep
