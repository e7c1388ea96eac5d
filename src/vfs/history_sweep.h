// HistorySweep: finds what nobody needs any more of a database's older versions, a bounded step at
// a time.
//
// A version T is read from the newest version of each chunk at or below T and the records after
// that. So for every version from the horizon on to stay readable, these have to stay: of each
// chunk, the newest version at or below the horizon and what is newer; and each record that changes
// a chunk whose version at the horizon is older than the record. A chunk that lies past the end at
// the horizon needs neither: what comes back later comes back whole. The horizon's own record stays
// too, since it says how many pages there are, and when.
//
// Everything is derived from what is stored, so nothing is lost with a crash: the next sweep starts
// over. Removing a part of what a sweep finds is safe at any point. It looks only at what is at or
// below the horizon, which later commits and folds do not change.
//
//   HistorySweep sweep(store, id, horizon);
//   while (true) {
//     SKEP_TRY(auto removal, sweep.next());
//     if (!removal) break;
//     remove(*removal);   // under the owner's epoch
//   }
//
// Belongs to one owner. next() suspends.

#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "skep/store/page_store.h"

namespace skep::vfs {

/// The oldest version that has to stay readable.
struct Horizon {
  enum class Keeps : std::uint8_t { History, HeadOnly };

  store::Txid txid = 0;
  std::uint32_t pageCount = 0;  // at `txid`
  store::Txid recordsEnd = 0;   // records up to here may go, if no chunk needs them
  store::Txid headTxid = 0;
  Keeps keeps = Keeps::History;

  /// For a database without history: nothing but the head stays.
  static Horizon at(const store::Head& head) {
    return {.txid = head.txid,
            .pageCount = head.pageCount,
            .recordsEnd = head.logStart,
            .headTxid = head.txid,
            .keeps = Keeps::HeadOnly};
  }
  /// For one whose versions since `timeMs` stay. nullopt when all that is kept is newer. Suspends.
  static Result<std::optional<Horizon>> at(store::PageStore& store, store::DatabaseId id,
                                           const store::Head& head, std::int64_t timeMs);
};

class HistorySweep {
 public:
  HistorySweep(store::PageStore& store, store::DatabaseId id, Horizon horizon)
      : store_(store), id_(id), horizon_(horizon) {}

  /// What one write may remove: as in DatabaseWrite.
  struct Removal {
    std::vector<store::SupersededChunk> superseded;
    store::Txid expireThrough = 0;
  };
  /// The next part of what may go; nullopt at the end. Reads a bounded amount of the store. Errors
  /// are the store's, and Corrupt for a record that can't be read. Suspends.
  Result<std::optional<Removal>> next();

 private:
  struct Floor {
    store::ChunkNumber chunk = 0;
    store::Txid txid = 0;  // the version that a reader of the horizon takes
  };
  enum class Phase : std::uint8_t { Versions, Records, Done };

  Result<std::optional<Removal>> nextVersions();
  void note(const store::ChunkVersion& version, Removal& removal);
  void closeChunk(Removal& removal);
  Result<std::optional<Removal>> nextRecords();
  Result<bool> isNeeded(const store::StoredRecord& record) const;
  bool isPastEnd(store::ChunkNumber chunk) const {
    return store::firstPageOf(chunk) > horizon_.pageCount;
  }

  store::PageStore& store_;
  store::DatabaseId id_;
  Horizon horizon_;
  Phase phase_ = Phase::Versions;
  std::optional<store::ChunkVersion> listedThrough_;
  Floor open_;                 // of the chunk whose versions are being listed; txid 0: none yet
  bool openHasOlder_ = false;  // than open_
  std::vector<Floor> floors_;  // by chunk
  store::Txid recordsThrough_ = 0;
};

}  // namespace skep::vfs
