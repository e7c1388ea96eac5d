// LogTail: the commit records that a reader needs on top of the chunks, in memory.
//
// A page's content at the newest txid is its newest chunk version plus the changes of every later
// record. The tail holds those records (txid > logStart), decodes each when it is first needed, and
// can be dropped when a database goes idle: it is then read again along with the next chunk.
// Belongs to one PagedFile.

#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "skep/store/page_store.h"
#include "skep/store/record.h"

namespace skep::vfs {

class LogTail {
 public:
  explicit LogTail(store::DatabaseId id) : id_(id) {}

  /// Adds a record after the newest one; a record that is already there is ignored. Works after
  /// drop(), too.
  void append(store::StoredRecord record);
  /// Forgets the records with txid ≤ `txid`.
  void trimThrough(store::Txid txid);
  /// Frees the memory: isResident() is false until reload() gets the records from the store again.
  void drop();
  /// Puts the records back that drop() freed, in front of those that were appended since.
  void reload(std::vector<store::StoredRecord> records);
  bool isResident() const { return resident_; }

  std::size_t bytes() const { return bytes_; }
  store::Txid newestTxid() const { return records_.empty() ? 0 : records_.back().txid; }

  /// Decodes what is not decoded yet. Corrupt when a record fails its checks or does not follow the
  /// one before.
  Status decodeAll();
  /// The same for the whole tail against the head: continuous from logStart to head.txid, ending in
  /// its digest, no record of a later epoch. Also what `skep check` relies on.
  Status verify(const store::Head& head);

  /// Whether the tail has everything from after `after` up to `through` (and perhaps more). Corrupt
  /// otherwise. decodeAll() came before.
  Status checkSpan(store::Txid after, store::Txid through) const;
  /// Of the newest flip in the tail, 0 without one. decodeAll() came before.
  store::Txid newestFlip() const;

  /// Calls `visit(txid, change)` for each change of `page` with txid > after, oldest first.
  /// decodeAll() came before.
  template <class Visit>
  Status forEachChange(store::PageNumber page, store::Txid after, Visit visit) const {
    for (const Entry& entry : records_) {
      if (entry.txid <= after) continue;
      const store::PageChange* change = find(*entry.decoded, page);
      if (change != nullptr) SKEP_CHECK_OK(visit(entry.txid, *change));
    }
    return {};
  }
  /// Calls `visit(txid, page)` for every change in the tail. decodeAll() came before.
  template <class Visit>
  void forEachPage(Visit visit) const {
    for (const Entry& entry : records_) {
      for (const store::PageChange& change : entry.decoded->changes) visit(entry.txid, change.page);
    }
  }

 private:
  struct Entry {
    store::Txid txid = 0;
    Bytes bytes;
    std::unique_ptr<store::DecodedRecord>
        decoded;  // its views point into `bytes`: entries do not move in a deque
  };
  static const store::PageChange* find(const store::DecodedRecord& record, store::PageNumber page);

  store::DatabaseId id_;
  std::deque<Entry> records_;
  std::size_t bytes_ = 0;
  bool resident_ = true;
};

}  // namespace skep::vfs
