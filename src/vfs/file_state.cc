#include "skep/vfs/file_state.h"

#include "skep/base/log.h"

namespace skep::vfs {

FileState::FileState(Environment& theEnvironment, OpenFile theOptions)
    : environment(theEnvironment),
      options(std::move(theOptions)),
      log(store::DatabaseId{}),
      table(environment.cache.shard(environment.loop)) {}

void FileState::breakWith(Error error) {
  if (broken) return;
  const ErrorCode code = error.code == ErrorCode::Fenced ? ErrorCode::Fenced : ErrorCode::Broken;
  std::string message = described() + " must be opened again: " + error.message;
  logWarn(
      "vfs", "database broken",
      {{"database", options.name}, {"code", errorCodeName(error.code)}, {"error", error.message}});
  broken = Error{code, std::move(message)};
  progress.notifyAll();
}

Error FileState::named(Error error, PageNumber page) const {
  if (error.code != ErrorCode::Corrupt && error.code != ErrorCode::VersionMismatch) return error;
  std::string where = described() + ": ";
  if (page != 0) where += "page " + std::to_string(page) + ": ";
  error.message = where + error.message;
  return error;
}

void FileState::logTrimmedThrough(store::Txid txid) {
  if (txid <= head.logStart) return;
  head.logStart = txid;
  log.trimThrough(txid);
  if (log.isResident()) head.logBytes = log.bytes();
}

}  // namespace skep::vfs
