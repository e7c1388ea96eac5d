#include "skep/vfs/log_tail.h"

#include <algorithm>
#include <utility>

namespace skep::vfs {

void LogTail::append(store::StoredRecord record) {
  if (record.txid <= newestTxid()) return;
  bytes_ += record.bytes.size();
  records_.push_back({.txid = record.txid, .bytes = std::move(record.bytes), .decoded = nullptr});
}

void LogTail::trimThrough(store::Txid txid) {
  while (!records_.empty() && records_.front().txid <= txid) {
    bytes_ -= records_.front().bytes.size();
    records_.pop_front();
  }
}

void LogTail::drop() {
  records_.clear();
  records_.shrink_to_fit();
  bytes_ = 0;
  resident_ = false;
}

void LogTail::reload(std::vector<store::StoredRecord> records) {
  std::deque<Entry> newer = std::exchange(records_, {});
  bytes_ = 0;
  for (store::StoredRecord& record : records) append(std::move(record));
  for (Entry& entry : newer) append({.txid = entry.txid, .bytes = std::move(entry.bytes)});
  resident_ = true;
}

Status LogTail::decodeAll() {
  const Entry* before = nullptr;
  for (Entry& entry : records_) {
    if (!entry.decoded) {
      Result<store::DecodedRecord> decoded = store::decodeRecord(id_, entry.bytes);
      if (!decoded) {
        // Damaged bytes can't say which record they were.
        Error damage = std::move(decoded).error();
        damage.message = "txid " + std::to_string(entry.txid) + ": " + damage.message;
        return damage;
      }
      entry.decoded = std::make_unique<store::DecodedRecord>(std::move(*decoded));
      const store::RecordHeader& header = entry.decoded->header;
      const bool keyed = header.lastTxid == entry.txid && header.firstTxid <= header.lastTxid;
      const bool follows =
          before == nullptr || store::followsRecord(before->decoded->header, header);
      if (!keyed || !follows) {
        return Error{ErrorCode::Corrupt,
                     "database " + std::to_string(id_.value) + ": the record of txid " +
                         std::to_string(entry.txid) +
                         " does not follow the one before it (a record is lost or foreign)"};
      }
    }
    before = &entry;
  }
  return {};
}

Status LogTail::checkSpan(store::Txid after, store::Txid through) const {
  if (after == through) return {};
  store::Txid lost = 0;
  if (records_.empty() || records_.front().decoded->header.firstTxid > after + 1) {
    lost = after + 1;
  } else if (newestTxid() < through) {
    lost = newestTxid() + 1;
  }
  if (lost == 0) return {};
  return Error{ErrorCode::Corrupt, "database " + std::to_string(id_.value) +
                                       ": the record of txid " + std::to_string(lost) + " is lost"};
}

store::Txid LogTail::newestFlip() const {
  for (auto entry = records_.rbegin(); entry != records_.rend(); ++entry) {
    if (entry->decoded->header.flip) return entry->txid;
  }
  return 0;
}

Status LogTail::verify(const store::Head& head) {
  SKEP_CHECK_OK(decodeAll());
  SKEP_CHECK_OK(checkSpan(head.logStart, head.txid));
  if (records_.empty()) return {};
  const std::string database = "database " + std::to_string(id_.value) + ": ";
  const store::RecordHeader& last = records_.back().decoded->header;
  if (last.lastTxid != head.txid || last.digestAfter != head.digest ||
      last.pageCount != head.pageCount || last.commitId != head.commitId) {
    return Error{ErrorCode::Corrupt, database + "the newest record (txid " +
                                         std::to_string(last.lastTxid) +
                                         ") is not the one that the head names (txid " +
                                         std::to_string(head.txid) + ")"};
  }
  if (last.epoch > head.epoch) {
    return Error{ErrorCode::Corrupt, database + "the record of txid " +
                                         std::to_string(last.lastTxid) +
                                         " was written under a later epoch than the head's"};
  }
  return {};
}

const store::PageChange* LogTail::find(const store::DecodedRecord& record, store::PageNumber page) {
  auto change =
      std::lower_bound(record.changes.begin(), record.changes.end(), page,
                       [](const store::PageChange& c, store::PageNumber p) { return c.page < p; });
  return change != record.changes.end() && change->page == page ? &*change : nullptr;
}

}  // namespace skep::vfs
