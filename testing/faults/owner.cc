#include "skep/testing/faults/owner.h"

#include <utility>

#include "skep/vfs/paged_file.h"

namespace skep::testing {

using Kind = Operation::Kind;

Lineage::Lineage(std::string databaseName) : name(std::move(databaseName)) {
  startOver();
}

void Lineage::startOver() {
  versions.clear();
  versions[0] = {.content = std::make_shared<Bytes>(), .alarms = {std::nullopt}};
  acked = 0;
  ackedAlarm = 0;
  exactly.reset();
  id.reset();
  epoch = 0;
  mayBeGone = false;
}

Owner::Owner(RunContext& context, Process& process, Lineage& lineage, std::string label)
    : context_(context),
      process_(process),
      lineage_(lineage),
      label_(std::move(label)),
      waiters_(context.simulation.loop()) {}

Owner::~Owner() {
  SKEP_CHECK(database_ == nullptr, "an Owner is closed before it is destroyed");
}

void Owner::fail(const std::string& what) {
  context_.findings.add("database " + lineage_.name + ", owner " + label_ + ": " + what);
}

bool Owner::isUsable() const {
  return database_ != nullptr && database_->brokenBy() == nullptr &&
         !process_.store().hasCrashed() && !context_.findings.any();
}

/// Whether an error comes from beneath SQLite: the oracle knows nothing of it.
bool Owner::isOutside(const Error& error) const {
  return error.code != ErrorCode::Sql;
}

void Owner::note(const std::string& what) {
  if (context_.trace == nullptr) return;
  *context_.trace << label_ << ' ' << lineage_.name << '@';
  if (database_) *context_.trace << database_->committedTxid() << '/' << database_->durableTxid();
  *context_.trace << ": " << what << std::endl;
}

/// An error needs a reason: a fault that fired in this process, or another owner.
void Owner::expectCause(const Error& error, const std::string& doing) {
  note("  " + doing + ": " + error.toString());
  if (database_ != nullptr) ++context_.laterErrors;
  if (context_.expectsErrors || process_.store().hasFired() || process_.store().hasCrashed() ||
      lineage_.wasShared)
    return;
  fail(doing + " failed without a cause: " + error.toString());
}

// --- Opening
// -------------------------------------------------------------------------------------------------------

bool Owner::open() {
  Result<std::unique_ptr<sql::Database>> opened = sql::Database::open(
      process_.environment(), {.name = lineage_.name, .limits = context_.limits});
  if (!opened) {
    expectCause(opened.error(), "open");
    lineage_.exactly.reset();
    return false;
  }
  database_ = std::move(opened).value();
  ++context_.opened;
  if (!adopt()) return false;
  checkDigest();
  compareContent();
  return isUsable();
}

/// Takes what the store has for the truth, if it may have it. False when this owner has lost it
/// again already.
bool Owner::adopt() {
  const store::DatabaseId id = database_->file().id();
  if (lineage_.id && lineage_.id != id) {
    if (!lineage_.mayBeGone) fail("another database has its name");
    lineage_.startOver();
  }
  lineage_.id = id;
  lineage_.mayBeGone = false;
  if (database_->head().epoch < lineage_.epoch) {
    lostAt_ = database_->committedTxid();
    return false;
  }
  const store::Txid txid = database_->committedTxid();
  const std::string at = "opened at txid " + std::to_string(txid);
  if (txid < lineage_.acked)
    fail(at + ", but txid " + std::to_string(lineage_.acked) + " was acknowledged");
  if (lineage_.exactly && *lineage_.exactly != txid) {
    fail(at + ", but the last owner knew the store to be at " + std::to_string(*lineage_.exactly));
  }
  auto version = lineage_.versions.find(txid);
  if (version == lineage_.versions.end()) {
    fail(at + ", which nobody has committed");
    return false;
  }
  std::vector<std::optional<std::int64_t>>& alarms = version->second.alarms;
  const std::size_t oldest = txid == lineage_.acked ? lineage_.ackedAlarm : 0;
  const auto found = std::find(alarms.begin() + static_cast<std::ptrdiff_t>(oldest), alarms.end(),
                               database_->head().alarmMs);
  if (found == alarms.end()) {
    const auto name = [](std::optional<std::int64_t> ms) {
      return ms ? std::to_string(*ms) : std::string("none");
    };
    fail(at + " with the alarm " + name(database_->head().alarmMs) + " instead of " +
         name(alarms.back()));
    return false;
  }
  alarm_ = *found;
  if (lineage_.current != nullptr) lineage_.current->lostAt_ = txid;
  lineage_.current = this;
  lineage_.epoch = database_->head().epoch;
  lostAt_.reset();
  lineage_.versions.erase(lineage_.versions.upper_bound(txid), lineage_.versions.end());
  lineage_.versions.erase(lineage_.versions.begin(), version);
  alarms = {alarm_};
  lineage_.acked = txid;  // it is in the store, so nobody may lose it
  lineage_.ackedAlarm = 0;
  lineage_.exactly.reset();
  oracle_.restore(version->second.content);
  note("opened");
  return isUsable();
}

void Owner::compareContent() {
  Result<std::string> actual = describeContent(*database_);
  if (!actual) return afterOutsideError(actual.error(), "reading all content");
  const std::string expected = describeContent(oracle_);
  if (*actual != expected) {
    fail("at txid " + std::to_string(database_->committedTxid()) +
         " the content differs: " + firstDifference(expected, *actual));
  }
}

/// The pages, as they were just opened, have the digest that the head names.
void Owner::checkDigest() {
  vfs::PagedFile& file = database_->file();
  const std::uint64_t expected = file.head().digest;
  std::uint64_t digest = 0;
  for (store::PageNumber page = 1; page <= file.pageCount(); ++page) {
    Result<vfs::PageRef> content = file.readPage(page);
    if (!content) return expectCause(content.error(), "reading page " + std::to_string(page));
    digest += (*content)->contentHash();
  }
  if (digest != expected)
    fail("the pages do not have the digest of txid " + std::to_string(file.head().txid));
}

// --- Working
// -------------------------------------------------------------------------------------------------------

bool Owner::createSchema(SqlWorkload& workload) {
  if (lineage_.versions.begin()->first != 0) return isUsable();
  for (const Operation& operation : workload.createSchema()) {
    if (!isUsable()) return false;
    // A transaction that a fault has ended leaves the rest to be done one by one.
    if (operation.kind == Kind::Commit && !inTransaction()) continue;
    perform(operation);
  }
  return isUsable();
}

void Owner::work(SqlWorkload& workload, std::size_t steps) {
  for (std::size_t i = 0; i < steps && isUsable(); ++i) {
    const Operation operation = workload.next(state_ != State::None, state_ == State::Turn);
    if (operation.kind == Kind::CloseAndOpen || operation.kind == Kind::DestroyAndOpen) {
      if (!openAgain(operation.kind)) return;
      if (operation.kind == Kind::DestroyAndOpen && !createSchema(workload)) return;
    } else {
      perform(operation);
    }
  }
}

void Owner::follow(const std::vector<Operation>& script, std::size_t& next) {
  while (next < script.size() && isUsable()) {
    const Operation& operation = script[next++];
    const bool ends = operation.kind == Kind::Commit || operation.kind == Kind::Rollback;
    const bool begins = operation.kind == Kind::Begin || operation.kind == Kind::BeginTurn;
    if (ends && state_ == State::None) continue;
    if (begins && state_ != State::None) continue;
    if (operation.kind == Kind::CloseAndOpen || operation.kind == Kind::DestroyAndOpen) {
      if (!openAgain(operation.kind)) return;
    } else {
      perform(operation);
    }
  }
}

void Owner::perform(const Operation& operation) {
  if (context_.trace != nullptr) note(operation.describe());
  switch (operation.kind) {
    case Kind::Statement:
      return statement(operation);
    case Kind::Begin:
      return begin(false);
    case Kind::BeginTurn:
      return begin(true);
    case Kind::Commit:
      return commit();
    case Kind::Rollback:
      return rollback();
    case Kind::WaitDurable:
      return waitDurable();
    case Kind::WaitBeside:
      return waitBeside();
    case Kind::ReleaseMemory:
      return database_->releaseMemory();
    case Kind::SetAlarm:
      return setAlarm(operation.alarmMs);
    case Kind::SetProperties:
      return setProperties(operation.number);
    case Kind::CompareContent:
      return compareContent();
    case Kind::Pause:
      if (operation.number % 3 == 0) return fiber::yield();
      return fiber::sleepFor(std::chrono::microseconds(operation.number % 30'000));
    case Kind::CloseAndOpen:
    case Kind::DestroyAndOpen:
      return;
  }
}

void Owner::statement(const Operation& operation) {
  const store::Txid before = database_->committedTxid();
  Result<sql::Rows> actual = database_->execute(operation.sql, operation.parameters);
  if (!actual && isOutside(actual.error())) {
    if (database_->committedTxid() != before) fail("'" + operation.sql + "' failed, but committed");
    return afterOutsideError(actual.error(), "'" + operation.sql + "'");
  }
  // VACUUM changes nothing that can be seen, and would cost the oracle a copy.
  OracleResult expected = operation.sql == "VACUUM"
                              ? OracleResult{}
                              : oracle_.execute(operation.sql, operation.parameters);
  const int code = actual ? 0 : actual.error().sqliteCode;
  if (code != expected.code) {
    return fail("'" + operation.describe() + "' gave " +
                (actual ? "ok" : actual.error().toString()) + " (" + std::to_string(code) +
                ") instead of " + std::to_string(expected.code) + " " + expected.message);
  }
  // How many rows that pragma gives depends on the free list.
  const bool anyRows =
      operation.sql.starts_with("PRAGMA incremental_vacuum") || operation.sql == "VACUUM";
  if (actual && !anyRows && actual->rows != expected.rows)
    return fail("'" + operation.describe() + "' gave other rows");
  if (state_ != State::None && !oracle_.inTransaction()) leaveTransaction();  // OR ROLLBACK
  noteCommit(before);
}

void Owner::begin(bool turn) {
  Status begun = turn ? database_->beginTurn() : database_->begin();
  if (!begun && (!isOutside(begun.error()) || begun.error().code == ErrorCode::InvalidArgument)) {
    return fail("begin: " + begun.error().toString());
  }
  if (!begun) return afterOutsideError(begun.error(), "begin");
  state_ = turn ? State::Turn : State::Explicit;
  oracle_.execute("BEGIN");
}

void Owner::commit() {
  const store::Txid before = database_->committedTxid();
  const bool turn = state_ == State::Turn;
  state_ = State::None;
  Result<store::Txid> committed = turn ? database_->commitTurn() : database_->commit();
  if (!committed) {
    if (database_->committedTxid() != before) fail("a commit failed, but committed");
    transactionAlarm_.reset();
    if (isOutside(committed.error())) {
      oracle_.rollback();
      return expectCause(committed.error(), "commit");
    }
    return fail("commit: " + committed.error().toString());
  }
  const OracleResult expected = oracle_.execute("COMMIT");
  if (expected.code != 0) return fail("the oracle does not commit: " + expected.message);
  noteCommit(before);
}

void Owner::rollback() {
  Status rolledBack = state_ == State::Turn ? database_->rollbackTurn() : database_->rollback();
  state_ = State::None;
  transactionAlarm_.reset();
  oracle_.rollback();
  if (!rolledBack) expectCause(rolledBack.error(), "rollback");
}

/// SQLite has ended the transaction by itself: the API is told so.
void Owner::leaveTransaction() {
  if (database_->inTransaction()) fail("the transaction should be over");
  rollback();
}

/// A statement that failed beneath SQLite has changed nothing, or took the whole transaction with
/// it.
void Owner::afterOutsideError(const Error& error, const std::string& doing) {
  expectCause(error, doing);
  if (state_ == State::Turn || (state_ == State::Explicit && !database_->inTransaction()))
    return rollback();
  if (!database_->inTransaction()) oracle_.rollback();
}

void Owner::noteCommit(store::Txid before) {
  const store::Txid after = database_->committedTxid();
  if (state_ != State::None) {
    if (after != before) fail("a statement inside a transaction committed");
    return;
  }
  if (after == before) return noteAlarm();
  if (after != before + 1)
    return fail("one commit took txid " + std::to_string(before) + " to " + std::to_string(after));
  if (transactionAlarm_) alarm_ = *std::exchange(transactionAlarm_, std::nullopt);
  if (lineage_.current != this) return;
  lineage_.versions[after] = {.content = oracle_.snapshot(), .alarms = {alarm_}};
}

/// An alarm without a commit belongs to the version that is newest.
void Owner::noteAlarm() {
  if (!transactionAlarm_) return;
  alarm_ = *std::exchange(transactionAlarm_, std::nullopt);
  if (lineage_.current == this)
    lineage_.versions[database_->committedTxid()].alarms.push_back(alarm_);
}

void Owner::setAlarm(std::optional<std::int64_t> alarmMs) {
  Status set = database_->setAlarm(alarmMs);
  if (!set) return afterOutsideError(set.error(), "set alarm");
  transactionAlarm_ = alarmMs;
  if (state_ == State::None) noteAlarm();
}

void Owner::setProperties(std::uint64_t number) {
  store::Properties properties;
  properties.metadata = std::string(number % 40, 'm');
  for (std::uint32_t i = 0; i < number % 4; ++i) properties.hotChunks.push_back(3 + i * 2);
  if (lineage_.hadRetention && number % 3 == 0) properties.retentionMs = 1000;
  database_->file().setProperties(std::move(properties));
}

// --- Durability
// ----------------------------------------------------------------------------------------------------

void Owner::waitDurable() {
  const store::Txid txid = database_->committedTxid();
  std::optional<std::size_t> alarm;
  if (lineage_.current == this) alarm = lineage_.versions[txid].alarms.size() - 1;
  Status durable = database_->waitDurable();
  if (!durable) return afterOutsideError(durable.error(), "waiting");
  acknowledge(txid, alarm);
}

/// As several requests do that wait for the same database.
void Owner::waitBeside() {
  const store::Txid txid = database_->committedTxid();
  waiters_.spawn([this, txid] {
    Status durable = database_->waitDurable(txid);
    if (durable) return acknowledge(txid, std::nullopt);
    expectCause(durable.error(), "waiting beside");
  });
}

void Owner::acknowledge(store::Txid txid, std::optional<std::size_t> alarm) {
  if (lineage_.current != this) {
    if (lostAt_ && txid > *lostAt_) {
      fail("txid " + std::to_string(txid) + " was acknowledged after another owner took over at " +
           std::to_string(*lostAt_));
    }
    return;
  }
  if (txid > lineage_.acked) {
    lineage_.acked = txid;
    lineage_.ackedAlarm = 0;
    lineage_.versions.erase(lineage_.versions.begin(), lineage_.versions.lower_bound(txid));
  }
  if (alarm && txid == lineage_.acked) lineage_.ackedAlarm = std::max(lineage_.ackedAlarm, *alarm);
}

void Owner::close() {
  if (database_ == nullptr) return;
  const store::Txid committed = database_->committedTxid();
  std::optional<std::size_t> alarm;
  state_ = State::None;
  transactionAlarm_.reset();
  oracle_.rollback();
  if (lineage_.current == this) alarm = lineage_.versions[committed].alarms.size() - 1;
  Status closed = database_->close();
  if (closed) {
    acknowledge(committed, alarm);
  } else {
    expectCause(closed.error(), "close");
    if (!context_.simulation.network().mayHaveBroken() && !process_.store().hasCrashed() &&
        !lineage_.wasShared) {
      fail("a fault that has to be survived broke the database: " + closed.error().toString());
    }
  }
  waiters_.join();
  if (lineage_.current == this) {
    lineage_.current = nullptr;
    if (closed) lineage_.exactly = committed;
    if (!closed && process_.store().isCertain() && !lineage_.wasShared)
      lineage_.exactly = database_->durableTxid();
  }
  database_.reset();
}

}  // namespace skep::testing
