#include "skep/sql/record_chain.h"

#include <algorithm>

namespace skep::sql {

std::optional<std::string> RecordChain::take(const store::RecordHeader& header) {
  const std::optional<store::RecordHeader> before = std::exchange(before_, header);
  if (ends_.empty()) start_ = header.firstTxid - 1;
  ends_.push_back(header.lastTxid);
  if (!before || store::followsRecord(*before, header)) return std::nullopt;
  const std::string which = "the record of txid " + std::to_string(header.lastTxid);
  if (header.firstTxid > before->lastTxid + 1) {
    return which + " does not follow the one before it: a record of txid " +
           std::to_string(before->lastTxid + 1) + " is lost";
  }
  if (header.epoch < before->epoch) {
    return which + " does not follow the one before it: it is of epoch " +
           std::to_string(header.epoch) + ", which had ended";
  }
  return which + " does not follow the one of txid " + std::to_string(before->lastTxid) +
         ": it was made for another version of the pages";
}

void RecordChain::takeUnreadable(store::Txid txid) {
  if (ends_.empty()) start_ = txid;
  ends_.push_back(txid);
  before_.reset();
}

bool RecordChain::hasVersion(store::Txid txid) const {
  return ends_.empty() || txid <= start_ || std::binary_search(ends_.begin(), ends_.end(), txid);
}

}  // namespace skep::sql
