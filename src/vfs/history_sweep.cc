#include "skep/vfs/history_sweep.h"

#include <algorithm>

#include "skep/store/record.h"

namespace skep::vfs {
namespace {

constexpr std::size_t kVersionsAtOnce = 1000;
constexpr std::size_t kRecordBytesAtOnce = 1 << 20;

}  // namespace

Result<std::optional<Horizon>> Horizon::at(store::PageStore& store, store::DatabaseId id,
                                           const store::Head& head, std::int64_t timeMs) {
  Result<store::VersionAt> version = store.versionAt(id, timeMs);
  if (!version && version.error().code == ErrorCode::NotFound) return std::optional<Horizon>();
  if (!version) return std::move(version).error();
  SKEP_TRY(std::vector<store::StoredRecord> records, store.readLog(id, version->txid - 1, 1));
  if (records.empty() || records.front().txid != version->txid) return std::optional<Horizon>();
  SKEP_TRY(const store::DecodedRecord record, store::decodeRecord(id, records.front().bytes));
  return std::optional(Horizon{.txid = version->txid,
                               .pageCount = record.header.pageCount,
                               .recordsEnd = std::min(head.logStart, version->txid - 1),
                               .headTxid = head.txid,
                               .keeps = Keeps::History});
}

Result<std::optional<HistorySweep::Removal>> HistorySweep::next() {
  while (phase_ != Phase::Done) {
    SKEP_TRY(std::optional<Removal> found,
             phase_ == Phase::Versions ? nextVersions() : nextRecords());
    if (found) return found;
  }
  return std::optional<Removal>();
}

Result<std::optional<HistorySweep::Removal>> HistorySweep::nextVersions() {
  SKEP_TRY(std::vector<store::ChunkVersion> versions,
           store_.listChunkVersions(id_, listedThrough_, kVersionsAtOnce));
  Removal removal;
  for (const store::ChunkVersion& version : versions) note(version, removal);
  if (versions.empty()) {
    closeChunk(removal);
    phase_ = Phase::Records;
  } else {
    listedThrough_ = versions.back();
  }
  if (removal.superseded.empty()) return std::optional<Removal>();
  return std::optional(std::move(removal));
}

void HistorySweep::note(const store::ChunkVersion& version, Removal& removal) {
  if (version.chunk != open_.chunk) {
    closeChunk(removal);
    open_.chunk = version.chunk;
  }
  if (version.txid > horizon_.txid) return;
  openHasOlder_ |= open_.txid != 0;
  open_.txid = version.txid;
}

void HistorySweep::closeChunk(Removal& removal) {
  const Floor floor = std::exchange(open_, Floor{});
  const bool hasOlder = std::exchange(openHasOlder_, false);
  if (floor.txid == 0) return;
  if (isPastEnd(floor.chunk)) {
    const store::Txid end = std::min(horizon_.txid + 1, horizon_.headTxid);
    removal.superseded.push_back({.chunk = floor.chunk, .txid = end});
    return;
  }
  if (hasOlder) removal.superseded.push_back({.chunk = floor.chunk, .txid = floor.txid});
  floors_.push_back(floor);
}

Result<std::optional<HistorySweep::Removal>> HistorySweep::nextRecords() {
  const store::Txid before = recordsThrough_;
  SKEP_TRY(std::vector<store::StoredRecord> records,
           store_.readLog(id_, before, kRecordBytesAtOnce));
  if (records.empty()) phase_ = Phase::Done;
  for (const store::StoredRecord& record : records) {
    bool stays = record.txid > horizon_.recordsEnd;
    if (!stays && horizon_.keeps == Horizon::Keeps::History) {
      SKEP_TRY(stays, isNeeded(record));
    }
    if (stays) {
      phase_ = Phase::Done;
      break;
    }
    recordsThrough_ = record.txid;
  }
  if (recordsThrough_ == before) return std::optional<Removal>();
  return std::optional(Removal{.superseded = {}, .expireThrough = recordsThrough_});
}

/// Whether a chunk's version at the horizon is older than the record's change of it.
Result<bool> HistorySweep::isNeeded(const store::StoredRecord& record) const {
  SKEP_TRY(const store::DecodedRecord decoded, store::decodeRecord(id_, record.bytes));
  return std::any_of(
      decoded.changes.begin(), decoded.changes.end(), [&](const store::PageChange& change) {
        const store::ChunkNumber chunk = store::chunkOf(change.page);
        if (isPastEnd(chunk)) return false;
        const auto floor = std::lower_bound(
            floors_.begin(), floors_.end(), chunk,
            [](const Floor& each, store::ChunkNumber wanted) { return each.chunk < wanted; });
        return floor == floors_.end() || floor->chunk != chunk || floor->txid < record.txid;
      });
}

}  // namespace skep::vfs
