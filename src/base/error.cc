#include "skep/base/error.h"

#include "skep/base/check.h"

namespace skep {

std::string_view errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument:
      return "invalid_argument";
    case ErrorCode::NotFound:
      return "not_found";
    case ErrorCode::AlreadyExists:
      return "already_exists";
    case ErrorCode::OwnedElsewhere:
      return "owned_elsewhere";
    case ErrorCode::Fenced:
      return "fenced";
    case ErrorCode::UnknownOutcome:
      return "unknown_outcome";
    case ErrorCode::Corrupt:
      return "corrupt";
    case ErrorCode::Unavailable:
      return "unavailable";
    case ErrorCode::Overloaded:
      return "overloaded";
    case ErrorCode::QuotaExceeded:
      return "quota_exceeded";
    case ErrorCode::StoreFull:
      return "store_full";
    case ErrorCode::ReadOnly:
      return "read_only";
    case ErrorCode::Locked:
      return "locked";
    case ErrorCode::VersionMismatch:
      return "version_mismatch";
    case ErrorCode::AccessDenied:
      return "access_denied";
    case ErrorCode::SnapshotGone:
      return "snapshot_gone";
    case ErrorCode::Aborted:
      return "aborted";
    case ErrorCode::TimedOut:
      return "timed_out";
    case ErrorCode::LimitExceeded:
      return "limit_exceeded";
    case ErrorCode::Sql:
      return "sql";
    case ErrorCode::Broken:
      return "broken";
    case ErrorCode::Unsupported:
      return "unsupported";
    case ErrorCode::Internal:
      return "internal";
  }
  SKEP_UNREACHABLE();
}

std::string Error::toString() const {
  std::string text(errorCodeName(code));
  text += ": ";
  text += message;
  return text;
}

}  // namespace skep
