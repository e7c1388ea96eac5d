#include "skep/backend/postgres/postgres_store.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "skep/backend/postgres/connection_info.h"
#include "skep/backend/postgres/connection_pool.h"
#include "skep/backend/postgres/decode.h"
#include "skep/backend/postgres/postgres_membership.h"
#include "skep/backend/postgres/write_plan.h"
#include "skep/base/log.h"
#include "skep/store/head_rules.h"
#include "skep/store/read_only_store.h"

namespace skep::backend {

using postgres::Answer;
using postgres::ArrayParameter;
using postgres::Call;
using postgres::Fate;
using postgres::IfLost;
using postgres::int8Parameter;
using postgres::Lane;
using postgres::Parameter;
using postgres::PgResult;
using postgres::PgType;
using postgres::Request;
using postgres::Row;
using postgres::rowAt;
using postgres::rowCount;
using postgres::Statement;
using postgres::WritePlan;
using store::Claim;
using store::Create;
using store::DatabaseId;
using store::DatabaseWrite;
using store::Head;
using store::Txid;

namespace {

constexpr int kRacesMax = 20;    // opens that lose against creations and removals of the same name
constexpr int kLongFactor = 10;  // a long transaction's share of time
constexpr std::size_t kBytesPerSecondMin = 4 << 20;  // of a write, beyond the time limit
constexpr std::int64_t kDoomedChunksAtOnce = 200;
constexpr std::int64_t kDoomedRecordsAtOnce = 2000;
constexpr std::int64_t kDoomedListed = 100;
constexpr std::size_t kRecordBytesExpected =
    64;  // how many records a read of so many bytes looks at
constexpr std::size_t kRecordsAtOnceMin = 1024;

// Txids and sizes as PostgreSQL has them: signed. Above that there is nothing.
std::int64_t clamped(std::uint64_t value) {
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(value, std::numeric_limits<std::int64_t>::max()));
}

Parameter countParameter(std::uint64_t count) {
  return int8Parameter(clamped(count));
}

Error notFound(std::string_view name) {
  return Error{ErrorCode::NotFound, "no database is named '" + std::string(name) + "'"};
}

Error notFound(DatabaseId id) {
  return Error{ErrorCode::NotFound, "there is no database " + std::to_string(id.value)};
}

// Behind all names that start with `prefix`. No name starts with 0xff.
std::string endOfNames(std::string_view prefix) {
  std::string end = endOfPrefix(prefix);
  return end.empty() ? "\xff" : end;
}

// Of a change that is not repeated: how the caller must see it.
Error failureOf(Answer answer, const std::string& what) {
  if (answer.fate == Fate::NotApplied) return std::move(answer.error);
  return Error{ErrorCode::UnknownOutcome,
               what + " may or may not have happened: " + answer.error.message};
}

// Whether the database is created if it is missing. A Retake asks what became of an earlier write;
// a database that is gone answers that.
bool creates(const store::OpenRequest& open) {
  return open.create != Create::Never && open.claim != Claim::Retake;
}

Call claimCall(const store::OpenRequest& open, std::int64_t nowMs) {
  // What must be new is not taken over when it is there.
  const Claim claim = open.create == Create::MustBeNew && !creates(open) ? Claim::None : open.claim;
  const Create create = creates(open) ? open.create : Create::Never;
  return {Statement::Claim,
          {postgres::bytesParameter(open.name), countParameter(static_cast<std::uint64_t>(create)),
           countParameter(static_cast<std::uint64_t>(claim)), countParameter(open.retakeEpoch),
           int8Parameter(nowMs), countParameter(open.retakeId.value), countParameter(open.owner)}};
}

// What the row that Claim returned and the rows that Load returned after it mean. Nullopt as in
// tryOpen().
Result<std::optional<store::OpenedDatabase>> judgeClaim(
    const store::OpenRequest& open, const Row& row, std::optional<store::OpenedDatabase> opened) {
  const bool found = !row.isNull(0);
  const bool made = !row.isNull(1);
  const bool claimed = !row.isNull(2);
  const bool claimantLives = row.int8(3) != 0;
  if (open.claim == Claim::Take && !claimantLives) {
    return store::claimantEnded(open.name, open.owner);
  }
  if (!found && !made && !creates(open)) return notFound(open.name);
  if (found && open.create == Create::MustBeNew) {
    return Error{ErrorCode::AlreadyExists, "there is a database named '" + open.name + "' already"};
  }
  const bool isComplete = opened && (made || found);
  if (!isComplete) return std::optional<store::OpenedDatabase>();
  if (found && !claimed && open.claim == Claim::Retake)
    SKEP_CHECK_OK(store::checkRetake(open, opened->id, opened->head.epoch));
  if (found && !claimed && open.claim == Claim::Take && opened->owner != open.owner &&
      opened->owner != 0) {
    return store::ownedElsewhere(open.name, opened->owner);
  }
  if (found && !claimed && open.claim != Claim::None) return std::optional<store::OpenedDatabase>();
  opened->created = made;
  return opened;
}

// Adds those of `planned` to `refused` that are not among the accepted ids.
void addMissing(const std::vector<std::int64_t>& accepted, std::span<const DatabaseWrite> writes,
                const std::vector<std::size_t>& planned, std::vector<std::size_t>& refused) {
  const std::set<std::int64_t> ids(accepted.begin(), accepted.end());
  for (const std::size_t index : planned) {
    if (!ids.contains(clamped(writes[index].id.value))) refused.push_back(index);
  }
}

// Whether an error may come from the rows of one database, so that the others of its batch can go
// without it.
bool mayBeOneWrites(ErrorCode code) {
  return code == ErrorCode::Corrupt || code == ErrorCode::Internal;
}

}  // namespace

struct PostgresStore::Impl {
  Impl(PostgresOptions storeOptions, postgres::ConnectionInfo theServer, Clock& storeClock,
       postgres::Purpose purpose)
      : options(std::move(storeOptions)),
        server(std::move(theServer)),
        clock(storeClock),
        pool(options, server, clock, purpose),
        membership(pool) {}

  Result<PgResult> read(Statement statement, std::vector<Parameter> parameters);
  Result<std::optional<store::OpenedDatabase>> tryOpen(const store::OpenRequest& request);
  void explainRefusals(std::span<const DatabaseWrite> writes,
                       const std::vector<std::size_t>& refused, std::vector<Status>& statuses);
  void sweepDoomed();
  Status sweepDoomed(DatabaseId id);
  Answer change(Statement statement, std::vector<Parameter> parameters, IfLost ifLost);

  PostgresOptions options;
  const postgres::ConnectionInfo server;
  Clock& clock;
  postgres::ConnectionPool pool;
  postgres::PostgresMembership membership;
};

PostgresStore::PostgresStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PostgresStore::~PostgresStore() = default;

Result<std::unique_ptr<PostgresStore>> PostgresStore::open(PostgresOptions options, Clock& clock) {
  SKEP_TRY(postgres::ConnectionInfo server, postgres::ConnectionInfo::parse(options.url));
  auto impl = std::make_unique<Impl>(std::move(options), std::move(server), clock,
                                     postgres::Purpose::Serve);
  SKEP_CHECK_OK(impl->pool.start());
  impl->pool.runInBackground("postgres sweep",
                             [borrowed = impl.get()] { borrowed->sweepDoomed(); });
  return std::unique_ptr<PostgresStore>(new PostgresStore(std::move(impl)));
}

// One read in one round trip; it is repeated while that helps.
Result<PgResult> PostgresStore::Impl::read(Statement statement, std::vector<Parameter> parameters) {
  Request request;
  request.calls.push_back({statement, std::move(parameters)});
  request.lane = Lane::Read;
  request.ifLost = IfLost::Repeat;
  Answer answer = pool.ask(request);
  if (answer.fate != Fate::Done) return std::move(answer.error);
  return std::move(answer.results.front());
}

Answer PostgresStore::Impl::change(Statement statement, std::vector<Parameter> parameters,
                                   IfLost ifLost) {
  Request request;
  request.calls.push_back({statement, std::move(parameters)});
  request.lane = Lane::Write;
  request.ifLost = ifLost;
  return pool.ask(request);
}

Result<store::OpenedDatabase> PostgresStore::open(const store::OpenRequest& request) {
  SKEP_CHECK_OK(store::checkName(request.name));
  for (int i = 0; i < kRacesMax; ++i) {
    SKEP_TRY(std::optional<store::OpenedDatabase> opened, impl_->tryOpen(request));
    if (opened) return std::move(*opened);
  }
  return Error{ErrorCode::Unavailable,
               "'" + request.name + "' is created and destroyed all the time"};
}

// One round trip. Nullopt: others created or destroyed the database meanwhile, so that it must be
// tried again.
Result<std::optional<store::OpenedDatabase>> PostgresStore::Impl::tryOpen(
    const store::OpenRequest& open) {
  const bool changes = open.create != Create::Never || open.claim != Claim::None;
  const bool mayRunTwice = open.create != Create::MustBeNew && open.claim != Claim::Retake;
  Request request;
  if (changes) request.calls.push_back(claimCall(open, clock.wallMs()));
  request.calls.push_back(
      {Statement::Load, {postgres::bytesParameter(open.name), countParameter(open.firstChunks)}});
  request.lane = changes ? Lane::Write : Lane::Read;
  request.ifLost = mayRunTwice ? IfLost::Repeat : IfLost::Report;
  Answer answer = pool.ask(request);
  if (answer.fate != Fate::Done) {
    if (mayRunTwice) return std::move(answer.error);
    return failureOf(std::move(answer), "the claim of '" + open.name + "'");
  }
  std::optional<store::OpenedDatabase> opened = postgres::decodeLoad(answer.results.back());
  if (changes) return judgeClaim(open, rowAt(answer.results.front(), 0), std::move(opened));
  if (!opened) return notFound(open.name);
  return opened;
}

std::vector<Status> PostgresStore::write(std::span<const DatabaseWrite> writes) {
  const Duration longLimit =
      std::chrono::milliseconds(impl_->options.requestTimeoutMs) * kLongFactor;
  WritePlan plan = postgres::planWrites(writes, longLimit);
  std::vector<std::size_t> refused = std::move(plan.refused);
  if (!plan.calls.empty()) {
    Request request;
    request.calls = std::move(plan.calls);
    request.lane = Lane::Write;
    request.ifLost = IfLost::Report;
    request.timeLimit =
        (plan.isLong ? longLimit
                     : Duration(std::chrono::milliseconds(impl_->options.requestTimeoutMs))) +
        std::chrono::milliseconds(plan.sizeBytes * 1000 / kBytesPerSecondMin);
    Answer answer = impl_->pool.ask(request);
    if (answer.fate == Fate::NotApplied && plan.planned.size() > 1 &&
        mayBeOneWrites(answer.error.code)) {
      for (const std::size_t index : plan.planned) {
        plan.statuses[index] = write(writes.subspan(index, 1)).front();
      }
    } else if (answer.fate != Fate::Done) {
      const Error failure = failureOf(std::move(answer), "the commit");
      for (const std::size_t index : plan.planned) plan.statuses[index] = failure;
    } else {
      const Row accepted = rowAt(answer.results[plan.headCall], 0);
      if (!accepted.isNull(0)) addMissing(accepted.int8Array(0), writes, plan.planned, refused);
    }
  }
  if (!refused.empty()) impl_->explainRefusals(writes, refused, plan.statuses);
  return std::move(plan.statuses);
}

// Reads the heads of the databases whose writes were refused, to say why.
void PostgresStore::Impl::explainRefusals(std::span<const DatabaseWrite> writes,
                                          const std::vector<std::size_t>& refused,
                                          std::vector<Status>& statuses) {
  ArrayParameter ids(PgType::Int8, refused.size());
  for (const std::size_t index : refused) {
    ids.add(static_cast<std::uint64_t>(clamped(writes[index].id.value)));
  }
  const Result<PgResult> rows = read(Statement::ReadHeads, {ids.take()});
  std::map<std::uint64_t, Head> heads;
  for (int i = 0; rows && i < rowCount(*rows); ++i) {
    const Row row = rowAt(*rows, i);
    Head& head = heads[row.uint8(0)];
    head.epoch = row.uint8(1);
    head.txid = row.uint8(2);
    head.stagingTxid = row.uint8(3);
    head.logStart = row.uint8(4);
  }
  for (const std::size_t index : refused) {
    Status& status = statuses[index];
    if (!rows) {
      if (status.ok()) status = rows.error();
      continue;
    }
    const auto head = heads.find(writes[index].id.value);
    if (head == heads.end()) {
      status = notFound(writes[index].id);
      continue;
    }
    const Result<Head> verdict = store::headAfter(head->second, writes[index]);
    if (!verdict) {
      status = verdict.error();
    } else if (status.ok()) {
      status = Error{ErrorCode::InvalidArgument, "write to database " +
                                                     std::to_string(writes[index].id.value) +
                                                     " refused: its head was at another txid"};
    }
  }
}

Result<store::ChunkRead> PostgresStore::readChunks(const store::ChunkReadRequest& request) {
  ArrayParameter chunks(PgType::Int8, request.chunks.size());
  for (const store::ChunkNumber chunk : request.chunks) chunks.add(std::uint64_t{chunk});
  SKEP_TRY(
      const PgResult result,
      impl_->read(Statement::ReadChunks,
                  {countParameter(request.id.value), countParameter(request.atTxid), chunks.take(),
                   request.logAfter ? countParameter(*request.logAfter) : Parameter()}));
  std::optional<postgres::DecodedChunkRead> decoded = postgres::decodeChunkRead(result);
  if (!decoded) return notFound(request.id);
  SKEP_CHECK_OK(store::checkReader(request, decoded->epoch));
  if (request.logAfter && *request.logAfter < std::min(decoded->expiredTxid, request.atTxid)) {
    return Error{ErrorCode::SnapshotGone, "the records of database " +
                                              std::to_string(request.id.value) + " after txid " +
                                              std::to_string(*request.logAfter) +
                                              " are gone; the newest that was deleted is txid " +
                                              std::to_string(decoded->expiredTxid)};
  }
  return std::move(decoded->read);
}

Result<Head> PostgresStore::readHead(DatabaseId id) {
  SKEP_TRY(const PgResult result, impl_->read(Statement::ReadHead, {countParameter(id.value)}));
  if (rowCount(result) == 0) return notFound(id);
  return postgres::decodeHead(rowAt(result, 0));
}

Result<store::DatabaseInfo> PostgresStore::info(std::string_view name) {
  SKEP_CHECK_OK(store::checkName(name));
  SKEP_TRY(const PgResult result, impl_->read(Statement::Info, {postgres::bytesParameter(name)}));
  if (rowCount(result) == 0) return notFound(name);
  return postgres::decodeInfo(rowAt(result, 0));
}

Result<store::ListPage> PostgresStore::list(std::string_view prefix, std::string_view after,
                                            std::size_t limit) {
  store::ListPage page;
  if (limit == 0) return page;
  // One more than asked for tells whether there is a next page.
  SKEP_TRY(const PgResult result,
           impl_->read(Statement::List,
                       {postgres::bytesParameter(prefix), postgres::bytesParameter(after),
                        postgres::bytesParameter(endOfNames(prefix)),
                        countParameter(std::uint64_t{limit} + (limit == SIZE_MAX ? 0 : 1))}));
  const auto rows = static_cast<std::size_t>(rowCount(result));
  for (std::size_t i = 0; i < std::min(rows, limit); ++i) {
    page.databases.push_back(postgres::decodeInfo(rowAt(result, static_cast<int>(i))));
  }
  if (rows > limit) page.next = page.databases.back().name;
  return page;
}

Result<std::vector<store::StoredRecord>> PostgresStore::readLog(DatabaseId id, Txid afterTxid,
                                                                std::size_t bytesMax) {
  const std::size_t recordsMax = std::max(kRecordsAtOnceMin, bytesMax / kRecordBytesExpected);
  std::vector<store::StoredRecord> records;
  std::size_t total = 0;
  for (;;) {
    SKEP_TRY(const PgResult result,
             impl_->read(Statement::ReadLog,
                         {countParameter(id.value), countParameter(afterTxid),
                          countParameter(bytesMax - total), countParameter(recordsMax)}));
    if (rowCount(result) == 0) return notFound(id);
    if (rowAt(result, 0).isNull(0)) return records;
    for (int i = 0; i < rowCount(result); ++i) {
      const Row row = rowAt(result, i);
      records.push_back({.txid = row.uint8(0), .bytes = toBytes(asBytes(row.bytes(1)))});
      total += records.back().bytes.size();
    }
    const bool isEnd = static_cast<std::size_t>(rowCount(result)) < recordsMax;
    if (isEnd || total > bytesMax) return records;
    afterTxid = records.back().txid;
  }
}

Result<std::vector<store::ChunkVersion>> PostgresStore::listChunkVersions(
    DatabaseId id, std::optional<store::ChunkVersion> after, std::size_t limit) {
  SKEP_TRY(const PgResult result,
           impl_->read(
               Statement::ListChunkVersions,
               {countParameter(id.value), int8Parameter(after ? std::int64_t{after->chunk} : -1),
                after ? countParameter(after->txid) : int8Parameter(-1), countParameter(limit)}));
  if (rowCount(result) == 0) return notFound(id);
  std::vector<store::ChunkVersion> versions;
  if (rowAt(result, 0).isNull(0)) return versions;
  for (int i = 0; i < rowCount(result); ++i) {
    const Row row = rowAt(result, i);
    versions.push_back({.chunk = static_cast<store::ChunkNumber>(row.int8(0)),
                        .txid = row.uint8(1),
                        .bytes = static_cast<std::uint32_t>(row.int8(2))});
  }
  return versions;
}

Result<store::VersionAt> PostgresStore::versionAt(DatabaseId id, std::int64_t timeMs) {
  SKEP_TRY(const PgResult result,
           impl_->read(Statement::VersionAt, {countParameter(id.value), int8Parameter(timeMs)}));
  if (rowCount(result) == 0) {
    return Error{ErrorCode::NotFound,
                 "no kept version of database " + std::to_string(id.value) + " is that old"};
  }
  const Row row = rowAt(result, 0);
  return store::VersionAt{.txid = row.uint8(0), .timeMs = row.int8(1)};
}

Status PostgresStore::destroy(std::string_view name, std::optional<store::Ownership> onlyAs) {
  SKEP_CHECK_OK(store::checkName(name));
  Answer answer = impl_->change(
      Statement::Destroy,
      {postgres::bytesParameter(name), onlyAs ? countParameter(onlyAs->id.value) : Parameter(),
       onlyAs ? countParameter(onlyAs->epoch) : Parameter()},
      IfLost::Report);
  if (answer.fate != Fate::Done) {
    return failureOf(std::move(answer), "the removal of '" + std::string(name) + "'");
  }
  const Row outcome = rowAt(answer.results.front(), 0);
  if (outcome.isNull(0)) {
    const bool isThere = onlyAs && !outcome.isNull(1);
    return isThere ? store::notToDestroy(name) : notFound(name);
  }
  // The database is gone. Its rows follow; should that fail, the next store to open finds them in
  // `doomed`.
  const Status swept = impl_->sweepDoomed({outcome.uint8(0)});
  if (!swept) {
    logWarn("postgres", "rows of a destroyed database remain",
            {{"database", name}, {"error", swept.error().message}});
  }
  return {};
}

Status PostgresStore::Impl::sweepDoomed(DatabaseId id) {
  for (;;) {
    Answer removed = change(Statement::RemoveDoomedRows,
                            {countParameter(id.value), int8Parameter(kDoomedChunksAtOnce),
                             int8Parameter(kDoomedRecordsAtOnce)},
                            IfLost::Repeat);
    if (removed.fate != Fate::Done) return std::move(removed.error);
    const Row counts = rowAt(removed.results.front(), 0);
    if (counts.int8(0) < kDoomedChunksAtOnce && counts.int8(1) < kDoomedRecordsAtOnce) break;
  }
  Answer forgotten = change(Statement::ForgetDoomed, {countParameter(id.value)}, IfLost::Repeat);
  if (forgotten.fate != Fate::Done) return std::move(forgotten.error);
  return {};
}

// What a crash left of databases that were being destroyed.
void PostgresStore::Impl::sweepDoomed() {
  DatabaseId last;
  for (;;) {
    const Result<PgResult> doomed =
        read(Statement::ListDoomed, {countParameter(last.value), int8Parameter(kDoomedListed)});
    if (!doomed || rowCount(*doomed) == 0) return;
    for (int i = 0; i < rowCount(*doomed); ++i) {
      last = {rowAt(*doomed, i).uint8(0)};
      if (!sweepDoomed(last)) return;
    }
  }
}

Result<std::vector<store::DueAlarm>> PostgresStore::dueAlarms(std::int64_t nowMs,
                                                              std::size_t limit) {
  SKEP_TRY(const PgResult result,
           impl_->read(Statement::DueAlarms, {int8Parameter(nowMs), countParameter(limit)}));
  std::vector<store::DueAlarm> due;
  for (int i = 0; i < rowCount(result); ++i) {
    const Row row = rowAt(result, i);
    due.push_back(
        {.name = std::string(row.bytes(2)), .id = {row.uint8(0)}, .alarmMs = row.int8(1)});
  }
  return due;
}

Result<std::unique_ptr<store::PageStore>> PostgresStore::snapshot() {
  auto impl = std::make_unique<Impl>(impl_->options, impl_->server, impl_->clock,
                                     postgres::Purpose::Snapshot);
  SKEP_CHECK_OK(impl->pool.start());
  return std::unique_ptr<store::PageStore>(std::make_unique<store::ReadOnlyStore>(
      std::unique_ptr<store::PageStore>(new PostgresStore(std::move(impl)))));
}

store::Membership* PostgresStore::membership() {
  return &impl_->membership;
}

PostgresStore::Counters PostgresStore::counters() {
  const postgres::PoolCounters counters = impl_->pool.counters();
  return {.roundTrips = counters.requestsSent,
          .repeats = counters.requestsRepeated,
          .connectionsMade = counters.connectionsMade,
          .connectionsLost = counters.connectionsLost};
}

}  // namespace skep::backend
