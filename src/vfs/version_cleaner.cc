#include "skep/vfs/version_cleaner.h"

#include <utility>

#include "skep/base/log.h"

namespace skep::vfs {
namespace {

constexpr std::size_t kSweepBatch = 1000;
// Old versions are looked for this often in the time that they are kept: so much longer they stay.
constexpr std::int64_t kExpiriesPerRetention = 8;

}  // namespace

Status VersionCleaner::start() {
  if (file_.head.stagingTxid != 0) SKEP_CHECK_OK(discardStaging());
  sweepsAll_ = file_.head.sweepTxid != 0;
  return {};
}

Status VersionCleaner::clean() {
  if (file_.discardDue) SKEP_CHECK_OK(discardStaging());
  if (file_.head.sweepTxid != 0) SKEP_CHECK_OK(sweep());
  return {};
}

/// Removes the staged versions of a transaction that never committed.
Status VersionCleaner::discardStaging() {
  while (true) {
    store::DatabaseWrite write = store_.newWrite();
    write.discardStaging = true;
    SKEP_CHECK_OK(store_.submitUntilCertain(write));
    SKEP_TRY(store::Head now,
             store_.readPatiently([&] { return file_.environment.store.readHead(file_.id); }));
    if (now.epoch != file_.head.epoch)
      return Error{ErrorCode::Fenced, "another owner has taken the database"};
    file_.head.stagingTxid = now.stagingTxid;
    if (now.stagingTxid == 0) break;
  }
  file_.discardDue = false;
  ++file_.removals;
  return {};
}

/// Removes the versions that a flip, or the end of history, made superfluous.
Status VersionCleaner::sweep() {
  if (file_.properties.retentionMs == 0) {
    SKEP_CHECK_OK(sweepsAll_ ? sweepAll() : sweepFlip());
  }
  flipped_.clear();
  sweepsAll_ = false;
  store::DatabaseWrite write = store_.newWrite();
  write.sweepDone = true;
  SKEP_CHECK_OK(store_.submitUntilCertain(write));
  file_.head.sweepTxid = 0;
  return {};
}

/// What this owner's own flip superseded.
Status VersionCleaner::sweepFlip() {
  while (!flipped_.empty()) {
    store::DatabaseWrite write = store_.newWrite();
    for (std::size_t i = 0; i < kSweepBatch && !flipped_.empty(); ++i) {
      write.superseded.push_back({.chunk = flipped_.back(), .txid = file_.head.sweepTxid});
      flipped_.pop_back();
    }
    SKEP_CHECK_OK(store_.submitUntilCertain(write));
  }
  return {};
}

/// What only a look at the store can tell: after a crash, or when history was turned off.
Status VersionCleaner::sweepAll() {
  HistorySweep sweep(file_.environment.store, file_.id, Horizon::at(file_.head));
  while (true) {
    SKEP_TRY(std::optional<HistorySweep::Removal> removal,
             store_.readPatiently([&] { return sweep.next(); }));
    if (!removal) return {};
    SKEP_CHECK_OK(remove(std::move(*removal)));
  }
}

Status VersionCleaner::remove(HistorySweep::Removal removal) {
  store::DatabaseWrite write = store_.newWrite();
  write.superseded = std::move(removal.superseded);
  write.expireThrough = removal.expireThrough;
  return store_.submitUntilCertain(write);
}

Status VersionCleaner::expireSome() {
  Result<std::optional<HistorySweep::Removal>> removal = nextExpired();
  if (removal && *removal) return remove(std::move(**removal));
  if (!removal) {
    logWarn("vfs", "old versions are kept for now",
            {{"database", file_.options.name}, {"error", removal.error().message}});
  }
  expiry_.reset();
  isExpiryDue_ = false;
  return {};
}

Result<std::optional<HistorySweep::Removal>> VersionCleaner::nextExpired() {
  if (expiry_ == nullptr) {
    Clock& clock = file_.environment.loop.clock();
    const std::int64_t retentionMs = file_.properties.retentionMs;
    nextExpiry_ =
        clock.monotonic() + std::chrono::milliseconds(retentionMs / kExpiriesPerRetention);
    SKEP_TRY(std::optional<Horizon> horizon, Horizon::at(file_.environment.store, file_.id,
                                                         file_.head, clock.wallMs() - retentionMs));
    if (!horizon) return std::optional<HistorySweep::Removal>();
    expiry_ = std::make_unique<HistorySweep>(file_.environment.store, file_.id, *horizon);
  }
  return expiry_->next();
}

void VersionCleaner::noteFlip(std::vector<store::ChunkNumber> chunks) {
  flipped_ = std::move(chunks);
  file_.head.sweepTxid = file_.head.txid;
  ++file_.removals;
}

void VersionCleaner::noteNewVersions() {
  if (file_.properties.retentionMs == 0) return;
  isExpiryDue_ |= file_.environment.loop.clock().monotonic() >= nextExpiry_;
}

void VersionCleaner::noteRetention(std::int64_t beforeMs) {
  if (file_.properties.retentionMs == beforeMs) return;
  expiry_.reset();  // its horizon is another now
  isExpiryDue_ = false;
  nextExpiry_ = {};
  if (file_.properties.retentionMs != 0) return;
  file_.head.sweepTxid = file_.head.txid;
  sweepsAll_ = true;
}

}  // namespace skep::vfs
