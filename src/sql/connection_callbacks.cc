// What SQLite calls while it runs a statement (the progress handler, the authorizer, the rollback
// hook), and what its errors mean.

#include <sqlite3.h>

#include <utility>

#include "skep/sql/authorizer.h"
#include "skep/sql/connection.h"
#include "skep/sql/error.h"
#include "skep/vfs/sqlite_vfs.h"
#include "skep/vfs/temporary_file.h"

namespace skep::sql {
namespace {

// A statement that runs for longer than this lets the loop's other fibers run.
constexpr Duration kSlice = std::chrono::milliseconds(2);

std::string_view viewOf(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

}  // namespace

Error Connection::explain(int code, int offsetBase) {
  Error error = sqliteError(handle_, code, offsetBase);
  std::optional<Error> fileError = file_->takeLastError();
  const int primary = code & 0xff;
  if (primary == SQLITE_AUTH && !refusal_.empty()) {
    error.message = std::exchange(refusal_, {});
  } else if ((primary == SQLITE_INTERRUPT || primary == SQLITE_AUTH) && stopReason_) {
    error.code = stopReason_->code;
    error.message = stopReason_->message;
  } else if (fileError &&
             (primary == SQLITE_IOERR || primary == SQLITE_FULL || primary == SQLITE_CORRUPT ||
              primary == SQLITE_NOMEM || primary == SQLITE_CANTOPEN)) {
    error.code = fileError->code;
    error.message = fileError->message;
  } else if (primary == SQLITE_FULL && account_.diskWasFull) {
    Error full = vfs::temporaryFilesFull();
    error.code = full.code;
    error.message = std::move(full.message);
  } else if (primary == SQLITE_FULL) {
    error.message = "database '" + options_.name +
                    "', or its temporary tables, would grow past the "
                    "quota of " +
                    std::to_string(options_.limits.databaseBytesMax) + " bytes";
  } else if (primary == SQLITE_NOMEM) {
    error.message = account_.limitReached ? memoryLimitReached().message : "out of memory";
  }
  account_.limitReached = false;
  account_.diskWasFull = false;
  return error;
}

Error Connection::memoryLimitReached() const {
  return {
      ErrorCode::LimitExceeded,
      "the database's memory limit of " + std::to_string(account_.bytesMax) + " bytes is reached",
      SQLITE_NOMEM};
}

Error Connection::resultTooLarge() const {
  return {ErrorCode::LimitExceeded, "the result is larger than " +
                                        std::to_string(options_.limits.resultBytesMax) +
                                        " bytes: ask for fewer rows, or read row by row"};
}

void Connection::start(StatementRun& run) {
  run.steps = 0;
  run.timed = false;
  run.keptBytes = 0;
  run.isResultFull = false;
  stopReason_.reset();
  interrupted_ = false;
}

/// SQLite's callbacks end here: nothing is thrown through it. What can be thrown is bad_alloc, and
/// the message is short enough to need no memory.
template <class Body>
int Connection::wall(void* self, int refused, Body body) {
  auto& connection = *static_cast<Connection*>(self);
  try {
    return body(connection);
  } catch (...) {
    connection.stopReason_ = Error{ErrorCode::LimitExceeded, "out of memory"};
    return refused;
  }
}

int Connection::progress(void* self) {
  return wall(self, 1, [](Connection& connection) { return connection.lookUp(); });
}

int Connection::lookUp() {
  if (run_ == nullptr) return 0;  // a statement of our own
  StatementRun& run = *run_;
  const Limits& limits = options_.limits;
  run.steps += kProgressSteps;
  const auto stop = [this](ErrorCode code, std::string message) {
    stopReason_ = Error{code, std::move(message)};
    return 1;
  };
  if (run.isResultFull) return stop(ErrorCode::LimitExceeded, resultTooLarge().message);
  if (interrupted_) return stop(ErrorCode::Aborted, "interrupted");
  if (limits.stepsMax != 0 && run.steps > limits.stepsMax) {
    return stop(ErrorCode::LimitExceeded,
                "the statement took more than " + std::to_string(limits.stepsMax) + " steps");
  }
  const MonotonicTime now = environment_.loop.clock().monotonic();
  if (!std::exchange(run.timed, true)) run.start = now;
  if (!std::exchange(sliceTimed_, true)) sliceStart_ = now;
  if (limits.timeMsMax != 0 && now - run.start > std::chrono::milliseconds(limits.timeMsMax)) {
    return stop(ErrorCode::TimedOut,
                "the statement took more than " + std::to_string(limits.timeMsMax) + " ms");
  }
  if (now - sliceStart_ > kSlice) {
    vfs::SuspendGuard guard;
    fiber::yield();
    sliceStart_ = environment_.loop.clock().monotonic();
    if (options_.keepRunning && !options_.keepRunning())
      return stop(ErrorCode::Aborted, "given up");
  }
  return 0;
}

void Connection::rolledBack(void* self) {
  static_cast<Connection*>(self)->rolledBack_ = true;
}

int Connection::authorize(void* self, int action, const char* first, const char* second,
                          const char* database, const char* trigger) {
  return wall(self, SQLITE_DENY, [&](Connection& connection) {
    if (viewOf(database) == "temp") connection.hasTemporary_ = true;
    return connection.allow(action, viewOf(first), viewOf(second), viewOf(trigger));
  });
}

int Connection::allow(int action, std::string_view first, std::string_view second,
                      std::string_view trigger) {
  if (internal_) return SQLITE_OK;
  if (action == SQLITE_ALTER_TABLE) altersTable_ = true;
  const AuthorizerContext context{.isSystem = isSystem(),
                                  .inTurn = transaction_ == Transaction::Turn,
                                  .inVacuum = inVacuum_,
                                  .isNested = isStepping_,
                                  .trigger = trigger};
  std::string reason = refusal(context, action, first, second);
  if (reason.empty()) return SQLITE_OK;
  refusal_ = std::move(reason);
  return SQLITE_DENY;
}

}  // namespace skep::sql
