// RecordChain: the commit records that a store keeps of a database, seen oldest first, and whether
// each of them links to the one before.
//
// A record links when it begins where the one before ended: at its txid, with its digest, and under
// no earlier epoch. So nothing is missing between two versions that are kept, and none of them was
// written by an owner that had lost the database.
//
//   RecordChain chain;
//   for (const RecordHeader& header : headers)
//     if (auto broken = chain.take(header)) report(*broken);
//   chain.hasVersion(txid);   // whether a chunk version can be of that txid

#pragma once

#include <optional>
#include <string>
#include <vector>

#include "skep/store/record.h"

namespace skep::sql {

class RecordChain {
 public:
  /// The next record. Says what is wrong with its link to the one before, if anything.
  std::optional<std::string> take(const store::RecordHeader& header);
  /// A record that can't be read: what follows it has no link to check.
  void takeUnreadable(store::Txid txid);

  store::Txid newestTxid() const { return ends_.empty() ? 0 : ends_.back(); }
  /// Whether a commit ended at `txid`, as far as the records tell: they know nothing of what was
  /// before the oldest of them. Only for a txid at or below newestTxid().
  bool hasVersion(store::Txid txid) const;

 private:
  std::vector<store::Txid> ends_;  // of each record, ascending: 8 bytes each
  store::Txid start_ = 0;          // the version that the oldest record goes on from
  std::optional<store::RecordHeader> before_;
};

}  // namespace skep::sql
