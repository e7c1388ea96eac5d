#include "skep/testing/cluster/sim_store.h"

#include <utility>

namespace skep::testing {

using store::Claim;
using store::DatabaseWrite;
using store::OpenedDatabase;
using store::OpenRequest;

namespace {

constexpr Duration kAnswerTime = std::chrono::seconds(2);

}  // namespace

/// Nothing: it is not known what became of it. On a fiber of the node; `apply` runs when the request has
/// arrived, on behalf of nobody.
template <class T>
std::optional<T> SimStore::ask(std::function<T()> apply) {
  if (line_->isDead) return std::nullopt;
  const auto answer = std::make_shared<SimAnswer<T>>();
  toStore.send(time_, random_, [this, line = line_, answer, apply = std::move(apply)] {
    T result = apply();
    if (line->isDead) return;
    fromStore.send(time_, random_, [line, answer, result = std::move(result)] {
      if (!line->isDead) answer->give(result);
    });
  });
  std::optional<T> given = answer->wait(kAnswerTime);
  return line_->isDead ? std::nullopt : std::move(given);
}

template <class T>
Result<T> SimStore::read(std::function<Result<T>()> apply) {
  if (std::optional<Result<T>> answer = ask<Result<T>>(std::move(apply))) return std::move(*answer);
  return Error{ErrorCode::Unavailable, "the store does not answer"};
}

template <class T>
Result<T> SimStore::change(std::function<Result<T>()> apply) {
  if (std::optional<Result<T>> answer = ask<Result<T>>(std::move(apply))) return std::move(*answer);
  if (line_->isDead) return Error{ErrorCode::Unavailable, "the process is dead"};
  return Error{ErrorCode::UnknownOutcome, "the store's answer did not come"};
}

Result<OpenedDatabase> SimStore::open(const OpenRequest& request) {
  const bool mayRunTwice =
      request.claim != Claim::Retake && request.create != store::Create::MustBeNew;
  const std::function<Result<OpenedDatabase>()> apply = [this, request] {
    return openShared(request);
  };
  return mayRunTwice ? read<OpenedDatabase>(apply) : change<OpenedDatabase>(apply);
}

Result<OpenedDatabase> SimStore::openShared(OpenRequest request) {
  if (broken_ == Broken::NoFence && request.claim == Claim::Take) {
    const auto now = shared_.info(request.name);
    // As if the owner had released it.
    if (now && now->owner != 0 && now->owner != request.owner) {
      DatabaseWrite release;
      release.id = now->id;
      release.epoch = now->head.epoch;
      release.expectedTxid = now->head.txid;
      release.release = true;
      (void)shared_.write({&release, 1});
    }
  }
  return shared_.open(request);
}

std::vector<Status> SimStore::write(std::span<const DatabaseWrite> writes) {
  const std::vector<DatabaseWrite> copies(writes.begin(), writes.end());
  const auto answer = ask<std::vector<Status>>([this, copies] { return writeShared(copies); });
  if (answer) return *answer;
  const ErrorCode code = line_->isDead ? ErrorCode::Unavailable : ErrorCode::UnknownOutcome;
  return std::vector<Status>(writes.size(), Error{code, "the store's answer did not come"});
}

std::vector<Status> SimStore::writeShared(std::vector<DatabaseWrite> writes) {
  if (broken_ == Broken::NoEpochCheck) {
    for (DatabaseWrite& write : writes) {
      const auto head = shared_.readHead(write.id);
      if (!head) continue;
      write.epoch = head->epoch;
      if (write.commit) write.commit->txid += head->txid - write.expectedTxid;
      write.expectedTxid = head->txid;
    }
  }
  return shared_.write(writes);
}

Result<store::ChunkRead> SimStore::readChunks(const store::ChunkReadRequest& request) {
  store::ChunkReadRequest asked = request;
  if (broken_ == Broken::NoEpochCheck) asked.epoch = 0;
  return read<store::ChunkRead>([this, asked] { return shared_.readChunks(asked); });
}

Result<store::Head> SimStore::readHead(store::DatabaseId id) {
  return read<store::Head>([this, id] { return shared_.readHead(id); });
}

Result<store::DatabaseInfo> SimStore::info(std::string_view name) {
  return read<store::DatabaseInfo>([this, copy = std::string(name)] { return shared_.info(copy); });
}

Result<store::ListPage> SimStore::list(std::string_view prefix, std::string_view after,
                                       std::size_t limit) {
  return read<store::ListPage>([this, from = std::string(prefix), behind = std::string(after),
                                limit] { return shared_.list(from, behind, limit); });
}

Result<std::vector<store::StoredRecord>> SimStore::readLog(store::DatabaseId id,
                                                           store::Txid afterTxid,
                                                           std::size_t bytesMax) {
  return read<std::vector<store::StoredRecord>>(
      [this, id, afterTxid, bytesMax] { return shared_.readLog(id, afterTxid, bytesMax); });
}

Result<std::vector<store::ChunkVersion>> SimStore::listChunkVersions(
    store::DatabaseId id, std::optional<store::ChunkVersion> after, std::size_t limit) {
  return read<std::vector<store::ChunkVersion>>(
      [this, id, after, limit] { return shared_.listChunkVersions(id, after, limit); });
}

Result<store::VersionAt> SimStore::versionAt(store::DatabaseId id, std::int64_t timeMs) {
  return read<store::VersionAt>([this, id, timeMs] { return shared_.versionAt(id, timeMs); });
}

Status SimStore::destroy(std::string_view name, std::optional<store::Ownership> onlyAs) {
  return change<void>(
      [this, copy = std::string(name), onlyAs] { return shared_.destroy(copy, onlyAs); });
}

Result<std::vector<store::DueAlarm>> SimStore::dueAlarms(std::int64_t nowMs, std::size_t limit) {
  return read<std::vector<store::DueAlarm>>(
      [this, nowMs, limit] { return shared_.dueAlarms(nowMs, limit); });
}

Result<std::unique_ptr<store::PageStore>> SimStore::snapshot() {
  return Error{ErrorCode::Unsupported, "nobody asks for a snapshot here"};
}

Result<store::Incarnation> SimStore::join(const store::NodeFacts& facts, Duration lease,
                                          std::uint64_t nonce) {
  return change<store::Incarnation>(
      [this, facts, lease, nonce] { return shared_.membership()->join(facts, lease, nonce); });
}

Result<store::Renewal> SimStore::renew(const store::RenewRequest& request) {
  return change<store::Renewal>([this, request] { return shared_.membership()->renew(request); });
}

Result<bool> SimStore::declareDead(store::Incarnation incarnation, std::uint64_t beat) {
  return change<bool>(
      [this, incarnation, beat] { return shared_.membership()->declareDead(incarnation, beat); });
}

Status SimStore::advance(store::Incarnation incarnation, store::NodeState state) {
  return change<void>(
      [this, incarnation, state] { return shared_.membership()->advance(incarnation, state); });
}

Result<std::vector<store::NodeInfo>> SimStore::nodes() {
  return read<std::vector<store::NodeInfo>>([this] { return shared_.membership()->nodes(); });
}

}  // namespace skep::testing
