#include "skep/vfs/owned_store.h"

#include <algorithm>
#include <utility>

#include "skep/fiber/fiber.h"

namespace skep::vfs {
namespace {

constexpr Duration kRetryFirst = std::chrono::milliseconds(10);
constexpr Duration kRetryMost = std::chrono::seconds(1);
constexpr Duration kEpochPause = std::chrono::milliseconds(10);

}  // namespace

bool OwnedStore::isTransient(ErrorCode code) {
  return code == ErrorCode::Unavailable || code == ErrorCode::Overloaded ||
         code == ErrorCode::Aborted;
}

store::DatabaseWrite OwnedStore::newWrite() const {
  store::DatabaseWrite write;
  write.id = file_.id;
  write.epoch = file_.head.epoch;
  write.expectedTxid = file_.head.txid;
  return write;
}

void OwnedStore::hasAnswered() {
  unavailableSince_.reset();
  retryDelay_ = Duration{};
}

Status OwnedStore::submit(store::DatabaseWrite write) {
  Status outcome = file_.environment.pipeline.submit(std::move(write));
  if (outcome) hasAnswered();
  return outcome;
}

Status OwnedStore::submitUntilCertain(const store::DatabaseWrite& write) {
  while (true) {
    store::DatabaseWrite attempt = write;
    attempt.epoch = file_.head.epoch;
    Status outcome = submit(std::move(attempt));
    if (outcome) return {};
    const Error& error = outcome.error();
    if (error.code == ErrorCode::UnknownOutcome) {
      // A late arrival of this attempt would overwrite the next: a new epoch shuts it out.
      SKEP_CHECK_OK(retake());
      ++file_.counters.outcomesResolved;
    } else if (isTransient(error.code)) {
      SKEP_CHECK_OK(backOff(error));
    } else {
      return error;
    }
  }
}

Result<store::Head> OwnedStore::retake() {
  isRetaking_ = true;
  Result<store::Head> taken = retakeUntilKnown();
  isRetaking_ = false;
  return taken;
}

Result<store::Head> OwnedStore::retakeUntilKnown() {
  while (true) {
    Result<store::OpenedDatabase> opened =
        file_.environment.store.open({.name = file_.options.name,
                                      .create = store::Create::Never,
                                      .claim = store::Claim::Retake,
                                      .retakeId = file_.id,
                                      .retakeEpoch = file_.head.epoch,
                                      .firstChunks = 0});
    if (opened) {
      hasAnswered();
      store::Head& head = file_.head;
      head.epoch = opened->head.epoch;
      head.stagingTxid = opened->head.stagingTxid;
      head.sweepTxid = opened->head.sweepTxid;
      if (opened->head.logStart > head.logStart) {
        // A fold with an unknown outcome was applied: what it trimmed is gone.
        file_.logTrimmedThrough(opened->head.logStart);
        ++file_.removals;
      }
      return opened->head;
    }
    // Taken after all, the epoch has moved, and the next try is Fenced: that may as well have been
    // somebody else.
    const Error& error = opened.error();
    if (!isTransient(error.code) && error.code != ErrorCode::UnknownOutcome) return error;
    SKEP_CHECK_OK(backOff(error));
  }
}

Result<store::ChunkRead> OwnedStore::readChunks(store::ChunkReadRequest request) {
  while (true) {
    request.epoch = file_.head.epoch;
    Result<store::ChunkRead> read = file_.environment.store.readChunks(request);
    if (read || read.error().code != ErrorCode::Fenced) return read;
    if (file_.broken) return *file_.broken;
    if (file_.head.epoch != request.epoch) continue;
    if (isRetaking_) {
      fiber::sleepFor(kEpochPause);
      continue;
    }
    // Whoever writes, if anybody does, learns the same from the write.
    if (!file_.isWriting) file_.breakWith(read.error());
    return read;
  }
}

Status OwnedStore::backOff(const Error& reason) {
  const MonotonicTime now = file_.environment.loop.clock().monotonic();
  if (!unavailableSince_) unavailableSince_ = now;
  if (now - *unavailableSince_ > file_.environment.options.commitRetry) return reason;
  retryDelay_ = retryDelay_ == Duration{} ? kRetryFirst : std::min(retryDelay_ * 2, kRetryMost);
  fiber::sleepFor(retryDelay_);
  return {};
}

}  // namespace skep::vfs
