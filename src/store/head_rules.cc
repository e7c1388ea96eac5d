#include "skep/store/head_rules.h"

#include <string>

namespace skep::store {
namespace {

Error refused(const DatabaseWrite& write, const std::string& why) {
  return Error{ErrorCode::InvalidArgument,
               "write to database " + std::to_string(write.id.value) + " refused: " + why};
}

Status checkEpoch(DatabaseId id, Epoch now, Epoch held) {
  if (held == now) return {};
  return Error{ErrorCode::Fenced, "database " + std::to_string(id.value) +
                                      " has another owner: its epoch is " + std::to_string(now) +
                                      ", not " + std::to_string(held)};
}

Status checkOwner(const Head& before, const DatabaseWrite& write) {
  if (write.epoch == 0) return refused(write, "epoch 0 owns nothing; claim the database first");
  SKEP_CHECK_OK(checkEpoch(write.id, before.epoch, write.epoch));
  if (write.expectedTxid != before.txid) {
    return refused(write, "the head is at txid " + std::to_string(before.txid) + ", not " +
                              std::to_string(write.expectedTxid));
  }
  return {};
}

// The one txid above `headTxid` that the write's chunks have, 0 when it stages nothing.
Result<Txid> stagedTxid(const DatabaseWrite& write, Txid headTxid) {
  Txid staged = 0;
  for (const StoredChunk& chunk : write.chunks) {
    if (chunk.bytes.size() > kChunkBytesMax) {
      return refused(write, "chunk " + std::to_string(chunk.chunk) + " has " +
                                std::to_string(chunk.bytes.size()) + " bytes, more than " +
                                std::to_string(kChunkBytesMax));
    }
    if (chunk.txid <= headTxid) {
      if (write.dropChunksFrom && chunk.chunk >= *write.dropChunksFrom) {
        return refused(write, "it puts and drops chunk " + std::to_string(chunk.chunk));
      }
      continue;
    }
    if (staged != 0 && staged != chunk.txid) return refused(write, "it stages two txids at once");
    staged = chunk.txid;
  }
  return staged;
}

// A flip needs something staged at its txid: by earlier writes, or by this one.
Status checkFlip(const Head& before, const DatabaseWrite& write) {
  bool staged = before.stagingTxid == write.commit->txid;
  if (before.stagingTxid == 0) {
    for (const StoredChunk& chunk : write.chunks) staged |= chunk.txid == write.commit->txid;
  }
  if (staged) return {};
  return refused(write, "nothing is staged at txid " + std::to_string(write.commit->txid) +
                            " that it could flip to");
}

Status checkCommit(const Head& before, const DatabaseWrite& write) {
  if (!write.commit) {
    if (!write.record.empty()) return refused(write, "a record without a commit");
    if (write.flip) return refused(write, "a flip without a commit");
    return {};
  }
  if (write.record.empty()) return refused(write, "a commit without a record");
  if (write.commit->txid <= before.txid) {
    return refused(write, "commit to txid " + std::to_string(write.commit->txid) +
                              ", which is not above the head");
  }
  if (write.flip) return checkFlip(before, write);
  if (before.stagingTxid != 0) {
    return refused(write, "chunks are staged at txid " + std::to_string(before.stagingTxid) +
                              "; flip or discard them before another commit");
  }
  return {};
}

Status applyStaging(const Head& before, const DatabaseWrite& write, Head& after) {
  SKEP_TRY(const Txid staged, stagedTxid(write, after.txid));
  if (write.discardStaging) {
    if (write.commit || staged != 0) {
      return refused(write, "discardStaging together with a commit or with staging");
    }
    after.stagingTxid = 0;
    return {};
  }
  if (write.flip) after.stagingTxid = 0;
  if (staged == 0) return {};
  if (after.stagingTxid != 0 && after.stagingTxid != staged) {
    return refused(write, "it stages txid " + std::to_string(staged) + " while txid " +
                              std::to_string(before.stagingTxid) + " is staged");
  }
  after.stagingTxid = staged;
  return {};
}

Status applyTrim(const DatabaseWrite& write, Head& after) {
  if (write.trimLogThrough > after.txid) return refused(write, "a trim past the head");
  if (write.trimLogThrough > after.logStart) after.logStart = write.trimLogThrough;
  if (after.logStart == after.txid) after.logBytes = 0;
  if (write.expireThrough > after.logStart) {
    return refused(write, "expiry of records that are needed to read the head");
  }
  for (const SupersededChunk& superseded : write.superseded) {
    if (superseded.txid > after.txid) return refused(write, "a chunk superseded past the head");
  }
  return {};
}

}  // namespace

Result<Head> headAfter(const Head& before, const DatabaseWrite& write) {
  SKEP_CHECK_OK(checkOwner(before, write));
  SKEP_CHECK_OK(checkCommit(before, write));
  if (write.properties) SKEP_CHECK_OK(checkProperties(*write.properties));
  Head after = before;
  if (write.sweepDone) after.sweepTxid = 0;
  if (write.commit) {
    after.txid = write.commit->txid;
    after.pageCount = write.commit->pageCount;
    after.digest = write.commit->digest;
    after.commitId = write.commit->commitId;
    after.logBytes += write.record.size();
    if (write.flip) after.sweepTxid = write.commit->txid;
  }
  if (write.sweepDue) after.sweepTxid = after.txid;
  SKEP_CHECK_OK(applyStaging(before, write, after));
  SKEP_CHECK_OK(applyTrim(write, after));
  if (write.alarmChanged) after.alarmMs = write.alarmMs;
  return after;
}

Status checkRetake(const OpenRequest& request, DatabaseId id, Epoch epoch) {
  if (request.claim != Claim::Retake) return {};
  if (request.retakeId != id) {
    return Error{ErrorCode::NotFound,
                 "database " + std::to_string(request.retakeId.value) + " is gone: '" +
                     request.name + "' is now the name of database " + std::to_string(id.value)};
  }
  return checkEpoch(id, epoch, request.retakeEpoch);
}

Error ownedElsewhere(std::string_view name, Incarnation owner) {
  Error error{
      ErrorCode::OwnedElsewhere,
      "'" + std::string(name) + "' is owned by another node, incarnation " + std::to_string(owner)};
  error.owner = owner;
  return error;
}

Error claimantEnded(std::string_view name, Incarnation claimant) {
  return Error{ErrorCode::Fenced, "'" + std::string(name) + "' cannot be claimed by incarnation " +
                                      std::to_string(claimant) + ", which has ended"};
}

Status checkTake(const OpenRequest& request, Incarnation owner, bool hasEnded) {
  if (request.claim != Claim::Take || owner == 0 || owner == request.owner || hasEnded) return {};
  return ownedElsewhere(request.name, owner);
}

Status checkReader(const ChunkReadRequest& request, Epoch epoch) {
  return request.epoch == 0 ? Status{} : checkEpoch(request.id, epoch, request.epoch);
}

Error notToDestroy(std::string_view name) {
  return Error{ErrorCode::Fenced, "'" + std::string(name) +
                                      "' has another owner by now, or is another database of that "
                                      "name: it is not removed"};
}

Status checkDestroyer(std::string_view name, const std::optional<Ownership>& onlyAs, DatabaseId id,
                      Epoch epoch) {
  if (!onlyAs || (onlyAs->id == id && onlyAs->epoch == epoch)) return {};
  return notToDestroy(name);
}

bool isPartlyTrimmed(const Head& before, const Head& after) {
  return after.logStart > before.logStart && after.logStart < after.txid;
}

Status checkProperties(const Properties& properties) {
  const auto tooMuch = [](const char* what, std::size_t have, std::size_t most) {
    return Error{ErrorCode::InvalidArgument, std::string(what) + ": " + std::to_string(have) +
                                                 ", more than " + std::to_string(most)};
  };
  if (properties.metadata.size() > kMetadataBytesMax) {
    return tooMuch("bytes of metadata", properties.metadata.size(), kMetadataBytesMax);
  }
  if (properties.hotChunks.size() > kHotChunksMax) {
    return tooMuch("hot chunks", properties.hotChunks.size(), kHotChunksMax);
  }
  if (properties.retentionMs < 0) {
    return Error{ErrorCode::InvalidArgument, "a retention must not be negative"};
  }
  return {};
}

}  // namespace skep::store
