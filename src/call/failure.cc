#include "skep/call/failure.h"

#include <iterator>
#include <utility>

namespace skep::call {
namespace {

struct CodeText {
  const char* group;
  const char* code;
  int httpStatus;
  bool isRetryable;
};

constexpr CodeText kCodes[] = {
#define SKEP_FAILURE(name, group, code, httpStatus, retry) {group, code, httpStatus, retry},
#include "skep/call/failure_codes.def"
#undef SKEP_FAILURE
};

const CodeText& textOf(FailureCode code) {
  return kCodes[static_cast<std::size_t>(code)];
}

std::string sqlMetadata(const Error& error) {
  return "{\"sqliteCode\":" + std::to_string(error.sqliteCode) +
         ",\"sqlOffset\":" + std::to_string(error.sqlOffset) + "}";
}

}  // namespace

Failure::Failure(FailureCode failureCode, std::string text, std::string data)
    : group(textOf(failureCode).group),
      code(textOf(failureCode).code),
      message(std::move(text)),
      metadata(std::move(data)),
      httpStatus(textOf(failureCode).httpStatus),
      isRetryable(textOf(failureCode).isRetryable) {}

Failure Failure::user(std::string code, std::string message, std::string metadata) {
  Failure failure;
  failure.group = "user";
  failure.code = std::move(code);
  failure.message = std::move(message);
  failure.metadata = std::move(metadata);
  return failure;
}

Failure Failure::named(const std::string& group, const std::string& code, std::string message,
                       std::string metadata) {
  for (std::size_t i = 0; i < std::size(kCodes); ++i) {
    if (group == kCodes[i].group && code == kCodes[i].code) {
      return {static_cast<FailureCode>(i), std::move(message), std::move(metadata)};
    }
  }
  return user(code, std::move(message), std::move(metadata));
}

bool Failure::is(FailureCode failureCode) const {
  return group == textOf(failureCode).group && code == textOf(failureCode).code;
}

std::string Failure::toString() const {
  return group + "." + code + ": " + message;
}

Failure failureOf(const Error& error, std::string_view reference) {
  switch (error.code) {
    case ErrorCode::Unavailable:
    case ErrorCode::Overloaded:
      return {FailureCode::ActorUnavailable, "the store does not answer now; try again"};
    case ErrorCode::OwnedElsewhere:
      return {FailureCode::ActorElsewhere, "the actor is on another node; try again",
              std::to_string(error.owner)};
    case ErrorCode::Fenced:
    case ErrorCode::Broken:
    case ErrorCode::UnknownOutcome:
      return {FailureCode::ActorBroken,
              "the actor lost its database before the outcome was known; it starts anew with the "
              "next call"};
    case ErrorCode::Aborted:
      return {FailureCode::ActorStopped, error.message};
    case ErrorCode::QuotaExceeded:
    case ErrorCode::StoreFull:
      return {FailureCode::QuotaExceeded, error.message};
    case ErrorCode::LimitExceeded:
      return {FailureCode::LimitExceeded, error.message};
    case ErrorCode::TimedOut:
      return {FailureCode::ActionTimedOut, error.message};
    case ErrorCode::Sql:
      return {FailureCode::SqlFailed, error.message, sqlMetadata(error)};
    default:
      return {FailureCode::Internal,
              "an internal error; the server's log has more under " + std::string(reference)};
  }
}

}  // namespace skep::call
