#include "skep/backend/postgres/write_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>

#include "skep/store/head_rules.h"

namespace skep::backend::postgres {
namespace {

using store::DatabaseWrite;
using store::Head;
using store::StoredChunk;
using store::Txid;

constexpr Txid kTxidMax =
    std::numeric_limits<std::int64_t>::max();  // PostgreSQL has no unsigned integers
constexpr std::size_t kChunkBytesPerCall = 8 << 20;
constexpr std::size_t kSupersededLong = 1000;
constexpr std::uint64_t kDiscardedAtOnce = 1000;  // versions of one database in one write

// A head that the write would accept: what it must be is the statement's condition.
Head acceptableHead(const DatabaseWrite& write) {
  Head head;
  head.epoch = write.epoch;
  head.txid = write.expectedTxid;
  if (write.flip && write.commit) head.stagingTxid = write.commit->txid;
  if (write.expireThrough > write.trimLogThrough) {
    head.logStart = std::min(write.expireThrough, write.expectedTxid);
  }
  return head;
}

bool fitsInt8(const DatabaseWrite& write) {
  const auto fits = [](Txid txid) { return txid <= kTxidMax; };
  return fits(write.id.value) && fits(write.epoch) && fits(write.expectedTxid) &&
         (!write.commit || fits(write.commit->txid)) &&
         std::all_of(write.chunks.begin(), write.chunks.end(),
                     [&](const StoredChunk& chunk) { return fits(chunk.txid); });
}

Result<Head> check(const DatabaseWrite& write) {
  if (!fitsInt8(write)) {
    return Error{ErrorCode::InvalidArgument, "write to database " + std::to_string(write.id.value) +
                                                 " refused: a txid, epoch or id above 2^63 - 1"};
  }
  return store::headAfter(acceptableHead(write), write);
}

bool stagesItsOwnFlip(const DatabaseWrite& write) {
  return std::any_of(write.chunks.begin(), write.chunks.end(),
                     [&](const StoredChunk& chunk) { return chunk.txid == write.commit->txid; });
}

bool isLong(const DatabaseWrite& write) {
  return write.dropChunksFrom || write.discardStaging || write.superseded.size() > kSupersededLong;
}

// A call whose first parameter is the number of rows and whose others are arrays of that length.
Call batchCall(Statement statement, std::vector<ArrayParameter*> arrays) {
  Call call{.statement = statement, .parameters = {}};
  call.parameters.push_back(int8Parameter(static_cast<std::int64_t>(arrays.front()->count())));
  for (ArrayParameter* const array : arrays) call.parameters.push_back(array->take());
  return call;
}

struct PlannedWrite {
  const DatabaseWrite* write;
  Head after;
};

// Whether it commits, and no more than that.
bool isPlainCommit(const DatabaseWrite& write) {
  return write.commit && !write.flip && !write.alarmChanged && write.chunks.empty() &&
         write.trimLogThrough == 0 && write.expireThrough == 0 && write.superseded.empty() &&
         !write.dropChunksFrom && !write.sweepDone && !write.sweepDue && !write.release &&
         !write.properties;
}

Call commitCall(std::span<const PlannedWrite> writes) {
  ArrayParameter ids(PgType::Int8, writes.size());
  ArrayParameter records(PgType::Bytea, writes.size());
  ArrayParameter numbers(PgType::Int8, writes.size() * kCommitNumbers);
  for (const auto& [write, after] : writes) {
    ids.add(write->id.value);
    records.add(ByteView(write->record));
    const store::CommitHead& commit = *write->commit;
    for (const std::uint64_t number :
         {write->epoch, write->expectedTxid, commit.txid, std::uint64_t{commit.pageCount},
          commit.digest, commit.commitId, static_cast<std::uint64_t>(commit.timeMs)}) {
      numbers.add(number);
    }
  }
  return batchCall(Statement::Commit, {&ids, &records, &numbers});
}

class WriteCall {
 public:
  explicit WriteCall(std::size_t count)
      : ids_(PgType::Int8, count),
        epochs_(PgType::Int8, count),
        expected_(PgType::Int8, count),
        txids_(PgType::Int8, count),
        pageCounts_(PgType::Int8, count),
        digests_(PgType::Int8, count),
        commitIds_(PgType::Int8, count),
        times_(PgType::Int8, count),
        records_(PgType::Bytea, count),
        logStarts_(PgType::Int8, count),
        logStartsMin_(PgType::Int8, count),
        staged_(PgType::Int8, count),
        stagingAfter_(PgType::Int8, count),
        sweepAfter_(PgType::Int8, count),
        alarms_(PgType::Int8, count),
        flags_(PgType::Int4, count) {}

  void add(const PlannedWrite& planned) {
    const DatabaseWrite& write = *planned.write;
    ids_.add(write.id.value);
    epochs_.add(write.epoch);
    expected_.add(write.expectedTxid);
    addCommit(write);
    addLog(write);
    addStaging(write, planned.after);
    const bool sweeps = write.flip || write.sweepDone || write.sweepDue;
    sweepAfter_.addOptional(sweeps ? std::optional(planned.after.sweepTxid) : std::nullopt);
    alarms_.addOptional(write.alarmMs);
  }

  Call take() {
    return batchCall(Statement::Write,
                     {&ids_, &epochs_, &expected_, &txids_, &pageCounts_, &digests_, &commitIds_,
                      &times_, &records_, &logStarts_, &logStartsMin_, &staged_, &stagingAfter_,
                      &sweepAfter_, &alarms_, &flags_});
  }

 private:
  void addCommit(const DatabaseWrite& write) {
    if (!write.commit) {
      for (ArrayParameter* array :
           {&txids_, &pageCounts_, &digests_, &commitIds_, &times_, &records_}) {
        array->addNull();
      }
      return;
    }
    txids_.add(write.commit->txid);
    pageCounts_.add(std::uint64_t{write.commit->pageCount});
    digests_.add(write.commit->digest);
    commitIds_.add(write.commit->commitId);
    times_.add(static_cast<std::uint64_t>(write.commit->timeMs));
    records_.add(ByteView(write.record));
  }

  void addLog(const DatabaseWrite& write) {
    const auto unlessZero = [](Txid txid) {
      return txid == 0 ? std::nullopt : std::optional(txid);
    };
    logStarts_.addOptional(unlessZero(write.trimLogThrough));
    logStartsMin_.addOptional(
        unlessZero(write.expireThrough > write.trimLogThrough ? write.expireThrough : 0));
  }

  // See applyStaging() and checkCommit() of head_rules.cc: what may be staged before, and what is
  // after.
  void addStaging(const DatabaseWrite& write, const Head& after) {
    std::uint32_t flags = write.alarmChanged ? kSetsAlarm : 0;
    if (write.release) flags |= kReleases;
    std::optional<Txid> staged;
    std::optional<Txid> stagingAfter;
    if (write.flip) {
      staged = write.commit->txid;
      stagingAfter = after.stagingTxid;
      if (!stagesItsOwnFlip(write)) flags |= kNeedsStaged;
    } else if (after.stagingTxid != 0) {
      if (!write.commit) staged = after.stagingTxid;
      stagingAfter = after.stagingTxid;
    } else if (!write.commit) {
      flags |= kAnyStaging;
    }
    staged_.addOptional(staged);
    stagingAfter_.addOptional(stagingAfter);
    flags == 0 ? flags_.addNull() : flags_.addInt4(flags);
  }

  ArrayParameter ids_, epochs_, expected_, txids_, pageCounts_, digests_, commitIds_, times_,
      records_;
  ArrayParameter logStarts_, logStartsMin_, staged_, stagingAfter_, sweepAfter_, alarms_, flags_;
};

Call writeCall(std::span<const PlannedWrite> writes) {
  WriteCall call(writes.size());
  for (const PlannedWrite& planned : writes) call.add(planned);
  return call.take();
}

Parameter idParameter(const DatabaseWrite& write) {
  return int8Parameter(static_cast<std::int64_t>(write.id.value));
}

void addTrim(const DatabaseWrite& write, std::vector<Call>& calls) {
  if (write.trimLogThrough == 0 && write.expireThrough == 0) return;
  calls.push_back(
      {Statement::Trim,
       {idParameter(write), int8Parameter(static_cast<std::int64_t>(write.expireThrough))}});
}

// One call for each txid: a fold supersedes all of its chunks as of the same one.
void addSuperseded(const DatabaseWrite& write, std::vector<Call>& calls) {
  std::map<Txid, ArrayParameter> chunksByTxid;
  for (const store::SupersededChunk& superseded : write.superseded) {
    chunksByTxid.try_emplace(superseded.txid, PgType::Int8, write.superseded.size())
        .first->second.add(std::uint64_t{superseded.chunk});
  }
  for (auto& [txid, chunks] : chunksByTxid) {
    calls.push_back(
        {Statement::RemoveSuperseded,
         {idParameter(write), chunks.take(), int8Parameter(static_cast<std::int64_t>(txid))}});
  }
}

void addRemovals(std::span<const PlannedWrite> writes, std::vector<Call>& calls) {
  for (const auto& [write, after] : writes) {
    addTrim(*write, calls);
    addSuperseded(*write, calls);
    if (write->dropChunksFrom) {
      calls.push_back(
          {Statement::DropChunks, {idParameter(*write), int8Parameter(*write->dropChunksFrom)}});
    }
    if (write->discardStaging) {
      calls.push_back(
          {Statement::DiscardStaging, {idParameter(*write), int8Parameter(kDiscardedAtOnce)}});
    }
  }
}

// By (chunk, txid), and only the last of equal ones: one statement puts a row once.
std::vector<const StoredChunk*> sortedChunks(const DatabaseWrite& write) {
  std::vector<const StoredChunk*> sorted;
  for (const StoredChunk& chunk : write.chunks) sorted.push_back(&chunk);
  const auto key = [](const StoredChunk* chunk) { return std::pair(chunk->chunk, chunk->txid); };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const StoredChunk* a, const StoredChunk* b) { return key(a) < key(b); });
  const auto firstKept =
      std::unique(sorted.rbegin(), sorted.rend(),
                  [&](const StoredChunk* a, const StoredChunk* b) { return key(a) == key(b); });
  sorted.erase(sorted.begin(), firstKept.base());
  return sorted;
}

void addPuts(std::span<const PlannedWrite> writes, std::vector<Call>& calls) {
  ArrayParameter ids(PgType::Int8, 0);
  ArrayParameter numbers(PgType::Int8, 0);
  ArrayParameter txids(PgType::Int8, 0);
  ArrayParameter bytes(PgType::Bytea, 0);
  const auto finishCall = [&] {
    if (ids.count() == 0) return;
    calls.push_back(
        {Statement::PutChunks, {ids.take(), numbers.take(), txids.take(), bytes.take()}});
    ids = numbers = txids = ArrayParameter(PgType::Int8, 0);
    bytes = ArrayParameter(PgType::Bytea, 0);
  };
  for (const auto& [write, after] : writes) {
    for (const StoredChunk* const chunk : sortedChunks(*write)) {
      ids.add(write->id.value);
      numbers.add(std::uint64_t{chunk->chunk});
      txids.add(chunk->txid);
      bytes.add(ByteView(chunk->bytes));
      if (bytes.sizeBytes() >= kChunkBytesPerCall) finishCall();
    }
  }
  finishCall();
}

void addAlarms(std::span<const PlannedWrite> writes, std::vector<Call>& calls) {
  ArrayParameter changed(PgType::Int8, 0);
  ArrayParameter set(PgType::Int8, 0);
  ArrayParameter alarms(PgType::Int8, 0);
  for (const auto& [write, after] : writes) {
    if (!write->alarmChanged) continue;
    changed.add(write->id.value);
    if (!write->alarmMs) continue;
    set.add(write->id.value);
    alarms.add(static_cast<std::uint64_t>(*write->alarmMs));
  }
  if (changed.count() > 0) calls.push_back({Statement::ClearAlarms, {changed.take()}});
  if (set.count() > 0) calls.push_back({Statement::SetAlarms, {set.take(), alarms.take()}});
}

void addProperties(std::span<const PlannedWrite> writes, std::vector<Call>& calls) {
  for (const auto& [write, after] : writes) {
    if (!write->properties) continue;
    const store::Properties& properties = *write->properties;
    ArrayParameter hotChunks(PgType::Int8, properties.hotChunks.size());
    for (const store::ChunkNumber chunk : properties.hotChunks) hotChunks.add(std::uint64_t{chunk});
    calls.push_back({Statement::SetProperties,
                     {idParameter(*write), int8Parameter(properties.retentionMs),
                      bytesParameter(properties.metadata), hotChunks.take()}});
  }
}

// The writes that pass the checks, by database id; the others get their status.
std::vector<PlannedWrite> select(std::span<const DatabaseWrite> writes, WritePlan& plan) {
  std::vector<std::size_t> order(writes.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return writes[a].id < writes[b].id; });
  std::vector<PlannedWrite> selected;
  for (std::size_t n = 0; n < order.size(); ++n) {
    const DatabaseWrite& write = writes[order[n]];
    if (n > 0 && writes[order[n - 1]].id == write.id) {
      plan.statuses[order[n]] =
          Error{ErrorCode::InvalidArgument,
                "two writes to database " + std::to_string(write.id.value) + " in one batch"};
      continue;
    }
    Result<Head> after = check(write);
    if (!after) {
      plan.statuses[order[n]] = std::move(after).error();
      plan.refused.push_back(order[n]);
      continue;
    }
    plan.planned.push_back(order[n]);
    selected.push_back({&write, *after});
  }
  return selected;
}

}  // namespace

WritePlan planWrites(std::span<const DatabaseWrite> writes, Duration longTimeLimit) {
  WritePlan plan;
  plan.statuses.resize(writes.size());
  const std::vector<PlannedWrite> selected = select(writes, plan);
  if (selected.empty()) return plan;
  bool isPlain = true;
  for (const PlannedWrite& planned : selected) {
    isPlain &= isPlainCommit(*planned.write);
    plan.sizeBytes += planned.write->sizeBytes();
    plan.isLong |= isLong(*planned.write);
  }
  if (plan.isLong) {
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(longTimeLimit);
    plan.calls.push_back({Statement::AllowLong, {int8Parameter(limit.count())}});
  }
  plan.headCall = plan.calls.size();
  plan.calls.push_back(isPlain ? commitCall(selected) : writeCall(selected));
  if (isPlain) return plan;
  addRemovals(selected, plan.calls);
  addPuts(selected, plan.calls);
  addAlarms(selected, plan.calls);
  addProperties(selected, plan.calls);
  return plan;
}

}  // namespace skep::backend::postgres
