#include "skep/testing/faults/faulty_store.h"

#include <algorithm>
#include <utility>

#include "skep/fiber/fiber.h"

namespace skep::testing {
namespace {

using store::DatabaseId;
using store::DatabaseWrite;

// A store that is away for longer may outlast the patience of a commit
// (PagedFileOptions::commitRetry).
constexpr std::uint32_t kRepeatSurvivedMax = 5;

Error crashedError() {
  return Error{ErrorCode::Aborted, "this process has crashed"};
}
Error unavailable() {
  return Error{ErrorCode::Unavailable, "injected: the store does not answer"};
}
Error storeFull() {
  return Error{ErrorCode::StoreFull, "injected: the store's disk is full"};
}
Error readOnly() {
  return Error{ErrorCode::ReadOnly, "injected: the store is read-only"};
}
Error unknown() {
  return Error{ErrorCode::UnknownOutcome, "injected: the answer was lost"};
}

/// Counts a call that is inside the real store, which may suspend there.
class Inside {
 public:
  explicit Inside(std::size_t& count) : count_(count) { ++count_; }
  ~Inside() { --count_; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  std::size_t& count_;
};

}  // namespace

std::string FaultShot::describe() const {
  std::string text(kind ? callKindName(*kind) : std::string_view("any"));
  text += "." + std::string(faultActionName(action)) + "#" + std::to_string(nth);
  if (repeat > 1) text += "x" + std::to_string(repeat);
  return text;
}

std::string FaultPlan::describe() const {
  std::string text;
  for (const FaultShot& shot : shots) text += (text.empty() ? "" : " ") + shot.describe();
  return text.empty() ? "none" : text;
}

FaultyStore::FaultyStore(store::PageStore& inner, Network& network, FaultPlan plan,
                         std::uint64_t seed)
    : inner_(inner), network_(network), process_(std::make_shared<SimulatedProcess>()) {
  process_->random.seed(seed);
  for (FaultShot& shot : plan.shots) process_->plan.push_back({.shot = shot});
}

FaultyStore::FaultyStore(std::unique_ptr<store::PageStore> snapshot, Network& network,
                         std::shared_ptr<SimulatedProcess> process)
    : snapshot_(std::move(snapshot)),
      inner_(*snapshot_),
      network_(network),
      process_(std::move(process)) {}

/// A call takes a while: others run meanwhile.
void FaultyStore::travel() {
  switch (random(8)) {
    case 0:
    case 1:
    case 2:
      return;
    case 3:
    case 4:
      return fiber::yield();
    case 5:
      fiber::yield();
      return fiber::yield();
    case 6:
      return fiber::sleepFor(std::chrono::microseconds(random(200)));
    default:
      return fiber::sleepFor(std::chrono::microseconds(random(20'000)));
  }
}

/// The fault that this call meets, if any. Counts the call for every shot that could have hit it.
std::optional<FaultAction> FaultyStore::pass(CallKind kind) {
  ++process_->calls;
  std::optional<FaultAction> hit;
  for (Countdown& countdown : process_->plan) {
    const FaultShot& shot = countdown.shot;
    if (shot.kind ? *shot.kind != kind : !isFaultPoint(kind, shot.action)) continue;
    ++countdown.seen;
    if (hit || countdown.seen < shot.nth || countdown.seen >= shot.nth + shot.repeat) continue;
    hit = shot.action;
    network_.mayHaveBroken_ |= shot.repeat > kRepeatSurvivedMax;
  }
  if (!hit) return hit;
  const FaultPoint point{kind, *hit};
  if (network_.trace != nullptr) *network_.trace << "    fault " << point.name() << std::endl;
  SKEP_CHECK(isFaultPoint(kind, *hit), "%s is no fault point", point.name().c_str());
  ++network_.fired_[point.index()];
  ++network_.firedCount_;
  network_.mayHaveBroken_ |= point.mayBreakOwner();
  process_->hasFired = true;
  const FaultClass faultClass = point.faultClass();
  process_->isCertain &=
      faultClass != FaultClass::Ambiguous && faultClass != FaultClass::AfterDurable;
  return hit;
}

void FaultyStore::traceWrite(const DatabaseWrite& write, const Status& outcome,
                             std::string_view how) {
  if (network_.trace == nullptr) return;
  std::ostream& out = *network_.trace;
  out << "    " << callKindName(kindOf(write)) << how << " id " << write.id.value << " epoch "
      << write.epoch << " at " << write.expectedTxid;
  if (write.commit) out << " to " << write.commit->txid << " pages " << write.commit->pageCount;
  for (const store::StoredChunk& chunk : write.chunks)
    out << " +" << chunk.chunk << '@' << chunk.txid;
  for (const auto& superseded : write.superseded)
    out << " -" << superseded.chunk << "<" << superseded.txid;
  if (write.dropChunksFrom) out << " drop " << *write.dropChunksFrom << "…";
  if (write.trimLogThrough != 0) out << " trim " << write.trimLogThrough;
  out << ": " << (outcome.ok() ? "ok" : outcome.error().toString()) << std::endl;
}

void FaultyStore::deliverDelayed() {
  if (snapshot_) return;
  while (!network_.delayed_.empty()) {
    const DatabaseWrite write = std::move(network_.delayed_.front());
    network_.delayed_.erase(network_.delayed_.begin());
    Inside inside(network_.callsInside_);
    // Applied, or refused because its owner lost the database: both happen.
    const Status outcome = std::move(inner_.write({&write, 1}).front());
    traceWrite(write, outcome, " (delayed)");
  }
}

/// Database `id` was claimed: what was on its way to the store arrives now, and must be shut out.
void FaultyStore::deliverLate(DatabaseId id) {
  std::vector<DatabaseWrite> due;
  for (DatabaseWrite& write : network_.late_) {
    if (write.id == id) due.push_back(std::move(write));
  }
  std::erase_if(network_.late_, [&](const DatabaseWrite& write) { return write.id == id; });
  for (const DatabaseWrite& write : due) {
    Inside inside(network_.callsInside_);
    const Status outcome = std::move(inner_.write({&write, 1}).front());
    traceWrite(write, outcome, " (late)");
    if (outcome.ok() || outcome.error().code != ErrorCode::Fenced) {
      network_.violation_ = "a late " + std::string(callKindName(kindOf(write))) + " of epoch " +
                            std::to_string(write.epoch) + " was not fenced but got " +
                            (outcome.ok() ? "accepted" : outcome.error().toString());
    }
  }
}

// --- Writes
// --------------------------------------------------------------------------------------------------------

/// The writes of one call that reach the store, and what is to happen to each.
struct FaultyStore::Batch {
  std::vector<DatabaseWrite> through;
  std::vector<std::size_t> places;                 // of `through` in the call
  std::vector<std::optional<FaultAction>> faults;  // in step with `through`
  std::vector<Status> answers;
};

/// Decides what becomes of one write of a call, on its way to the store.
void FaultyStore::meet(const DatabaseWrite& write, std::size_t index, Batch& batch) {
  const std::optional<FaultAction> fault = pass(kindOf(write));
  switch (fault.value_or(FaultAction::After)) {
    case FaultAction::Before:
      batch.answers[index] = unavailable();
      return;
    case FaultAction::Refused:
      batch.answers[index] = storeFull();
      return;
    case FaultAction::ReadOnly:
      batch.answers[index] = readOnly();
      return;
    case FaultAction::Lost:
      batch.answers[index] = unknown();
      return;
    case FaultAction::Delayed:
      network_.delayed_.push_back(write);
      batch.answers[index] = unknown();
      return;
    case FaultAction::CrashLate:
      process_->crashed = true;
      [[fallthrough]];
    case FaultAction::Late:
      network_.late_.push_back(write);
      batch.answers[index] = unknown();
      return;
    case FaultAction::CrashBefore:
      process_->crashed = true;
      return;
    default:
      batch.through.push_back(write);
      batch.places.push_back(index);
      batch.faults.push_back(fault);
  }
}

void FaultyStore::conclude(const Batch& batch, std::size_t place, Status outcome, Status& answer) {
  if (batch.faults[place] == FaultAction::CrashAfter) process_->crashed = true;
  answer = batch.faults[place] == FaultAction::After ? Status(unknown()) : std::move(outcome);
}

std::vector<Status> FaultyStore::write(std::span<const DatabaseWrite> writes) {
  travel();
  Batch batch;
  batch.answers.resize(writes.size());
  if (!process_->crashed) {
    deliverDelayed();
    for (std::size_t i = 0; i < writes.size() && !process_->crashed; ++i) meet(writes[i], i, batch);
  }
  const bool sent = !process_->crashed && !batch.through.empty();
  if (sent) {
    Inside inside(network_.callsInside_);
    std::vector<Status> outcomes = inner_.write(batch.through);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      traceWrite(batch.through[i], outcomes[i], "");
      conclude(batch, i, std::move(outcomes[i]), batch.answers[batch.places[i]]);
    }
  }
  travel();
  if (process_->crashed) {
    if (sent) process_->isCertain = false;  // the process died while the answer was under way
    std::fill(batch.answers.begin(), batch.answers.end(), Status(crashedError()));
  }
  return std::move(batch.answers);
}

// --- Claims
// --------------------------------------------------------------------------------------------------------

Result<store::OpenedDatabase> FaultyStore::openInner(const store::OpenRequest& request) {
  Result<store::OpenedDatabase> opened = [&] {
    Inside inside(network_.callsInside_);
    return inner_.open(request);
  }();
  if (opened && request.claim != store::Claim::None) deliverLate(opened->id);
  return opened;
}

Result<store::OpenedDatabase> FaultyStore::open(const store::OpenRequest& request) {
  travel();
  if (process_->crashed) return crashedError();
  deliverDelayed();
  const std::optional<FaultAction> fault = pass(kindOf(request));
  if (fault == FaultAction::Before) return unavailable();
  if (fault == FaultAction::Lost) return unknown();
  if (fault == FaultAction::CrashBefore) process_->crashed = true;
  if (process_->crashed) return crashedError();
  Result<store::OpenedDatabase> opened = openInner(request);
  if (fault == FaultAction::CrashAfter) process_->crashed = true;
  travel();
  if (process_->crashed) return crashedError();
  if (fault == FaultAction::After) return unknown();
  if (fault == FaultAction::Corrupt && opened) flipBit(opened->log, opened->chunks);
  if (fault == FaultAction::LostRecord && opened) loseRecord(opened->log);
  return opened;
}

// --- Reads
// ---------------------------------------------------------------------------------------------------------

void FaultyStore::flipBit(std::vector<store::StoredRecord>& log,
                          std::vector<store::StoredChunk>& chunks) {
  if (log.empty() && chunks.empty()) return;
  const std::size_t which = random(log.size() + chunks.size());
  Bytes& bytes = which < log.size() ? log[which].bytes : chunks[which - log.size()].bytes;
  bytes[random(bytes.size())] ^= static_cast<std::byte>(1u << random(8));
}

void FaultyStore::loseRecord(std::vector<store::StoredRecord>& log) {
  if (log.empty()) return;
  log.erase(log.begin() + static_cast<std::ptrdiff_t>(random(log.size())));
}

template <class T, class Call>
Result<T> FaultyStore::read(CallKind kind, Call call, std::optional<FaultAction>* met) {
  travel();
  if (process_->crashed) return crashedError();
  deliverDelayed();
  const std::optional<FaultAction> fault = pass(kind);
  if (fault == FaultAction::CrashBefore) process_->crashed = true;
  if (process_->crashed) return crashedError();
  if (fault == FaultAction::Fail) return unavailable();
  if (met != nullptr) *met = fault;
  Result<T> answer = [&] {
    Inside inside(network_.callsInside_);
    return call();
  }();
  travel();
  if (process_->crashed) return crashedError();
  return answer;
}

Result<store::ChunkRead> FaultyStore::readChunks(const store::ChunkReadRequest& request) {
  std::optional<FaultAction> fault;
  Result<store::ChunkRead> answer = read<store::ChunkRead>(
      CallKind::Read, [&] { return inner_.readChunks(request); }, &fault);
  if (answer && fault == FaultAction::Corrupt) flipBit(answer->log, answer->chunks);
  if (answer && fault == FaultAction::LostRecord) loseRecord(answer->log);
  return answer;
}

Result<store::Head> FaultyStore::readHead(DatabaseId id) {
  return read<store::Head>(CallKind::Head, [&] { return inner_.readHead(id); });
}

Result<std::vector<store::ChunkVersion>> FaultyStore::listChunkVersions(
    DatabaseId id, std::optional<store::ChunkVersion> after, std::size_t limit) {
  return read<std::vector<store::ChunkVersion>>(
      CallKind::List, [&] { return inner_.listChunkVersions(id, after, limit); });
}

Result<std::vector<store::StoredRecord>> FaultyStore::readLog(DatabaseId id, store::Txid afterTxid,
                                                              std::size_t bytesMax) {
  return read<std::vector<store::StoredRecord>>(
      CallKind::Log, [&] { return inner_.readLog(id, afterTxid, bytesMax); });
}

Result<store::VersionAt> FaultyStore::versionAt(DatabaseId id, std::int64_t timeMs) {
  return read<store::VersionAt>(CallKind::VersionAt, [&] { return inner_.versionAt(id, timeMs); });
}

Result<store::ListPage> FaultyStore::list(std::string_view prefix, std::string_view after,
                                          std::size_t limit) {
  return read<store::ListPage>(CallKind::Names, [&] { return inner_.list(prefix, after, limit); });
}

Result<std::vector<store::DueAlarm>> FaultyStore::dueAlarms(std::int64_t nowMs, std::size_t limit) {
  return read<std::vector<store::DueAlarm>>(CallKind::DueAlarms,
                                            [&] { return inner_.dueAlarms(nowMs, limit); });
}

Result<std::unique_ptr<store::PageStore>> FaultyStore::snapshot() {
  SKEP_TRY(auto taken, read<std::unique_ptr<store::PageStore>>(CallKind::Snapshot,
                                                               [&] { return inner_.snapshot(); }));
  return std::unique_ptr<store::PageStore>(new FaultyStore(std::move(taken), network_, process_));
}

/// For whoever looks from outside: passes no fault points.
Result<store::DatabaseInfo> FaultyStore::info(std::string_view name) {
  return read<store::DatabaseInfo>(CallKind::Info, [&] { return inner_.info(name); });
}

// --- Removal
// -------------------------------------------------------------------------------------------------------

Status FaultyStore::destroy(std::string_view name, std::optional<store::Ownership> onlyAs) {
  travel();
  if (process_->crashed) return crashedError();
  deliverDelayed();
  const std::optional<FaultAction> fault = pass(CallKind::Destroy);
  if (fault == FaultAction::Before) return unavailable();
  if (fault == FaultAction::Refused) return storeFull();
  if (fault == FaultAction::ReadOnly) return readOnly();
  if (fault == FaultAction::Lost) return unknown();
  if (fault == FaultAction::CrashBefore) process_->crashed = true;
  if (process_->crashed) return crashedError();
  Status outcome = [&] {
    Inside inside(network_.callsInside_);
    return inner_.destroy(name, onlyAs);
  }();
  if (fault == FaultAction::CrashAfter) process_->crashed = true;
  travel();
  if (process_->crashed) return crashedError();
  return fault == FaultAction::After ? Status(unknown()) : outcome;
}

}  // namespace skep::testing
