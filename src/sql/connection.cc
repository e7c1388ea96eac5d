#include "skep/sql/connection.h"

#include <sqlite3.h>

#include <algorithm>
#include <utility>

#include "skep/sql/authorizer.h"
#include "skep/sql/error.h"
#include "skep/sql/sql_text.h"
#include "skep/vfs/sqlite_vfs.h"
#include "skep/vfs/temporary_file.h"

namespace skep::sql {
namespace {

/// Of a parsed schema that an idle database keeps, so that its next statement needs not parse it.
constexpr int kSchemaBytesKept = 16 * 1024;

/// What SQLite can do at the most, also where our limit is 0 (none): lengths are ints in its
/// interface.
constexpr std::size_t kLengthMax = 1'000'000'000;

int lengthLimit(std::size_t limit) {
  return static_cast<int>(limit == 0 ? kLengthMax : std::min(limit, kLengthMax));
}

/// The pages that a quota allows.
std::uint64_t pagesOf(std::uint64_t quotaBytes) {
  return std::clamp<std::uint64_t>(quotaBytes / store::kPageBytes, 1, 0xfffffffe);
}

}  // namespace

StatementKind kindOf(sqlite3_stmt* statement) {
  const std::string_view sql(sqlite3_sql(statement));
  if (isTransactionStatement(sql)) return StatementKind::Transaction;
  // SQLite calls it read-only, and runs ANALYZE from within.
  if (isPragma(sql, "OPTIMIZE")) return StatementKind::Write;
  if (sqlite3_stmt_readonly(statement) != 0) {
    return startsWithWord(sql, "SAVEPOINT") ? StatementKind::Savepoint : StatementKind::Read;
  }
  return startsWithWord(sql, "VACUUM") ? StatementKind::Vacuum : StatementKind::Write;
}

Connection::Connection(vfs::Environment& environment, DatabaseOptions databaseOptions)
    : environment_(environment),
      options_(std::move(databaseOptions)),
      cache_(options_.statementCacheBytesMax),
      systemCache_(options_.statementCacheBytesMax) {}

Connection::~Connection() {
  closeHandle();
}

Status Connection::open() {
  SKEP_TRY(file_, vfs::PagedFile::open(environment_,
                                       {.name = options_.name,
                                        .create = options_.create,
                                        .mode = options_.mode == DatabaseOptions::Mode::ReadOnly
                                                    ? vfs::OpenFile::Mode::ReadOnly
                                                    : vfs::OpenFile::Mode::ReadWrite,
                                        .databaseBytesMax = options_.limits.databaseBytesMax}));
  account_.bytesMax = options_.limits.memoryBytesMax;
  Status opened = [&]() -> Status {
    vfs::AccountScope scope(account_);
    SKEP_TRY(handle_, vfs::openConnection(*file_));
    return {};
  }();
  if (opened) opened = setUp();
  if (opened) return {};
  closeHandle();
  // Nothing was written: what the close may say adds nothing to why it is closed.
  (void)file_->close();
  return opened;
}

Status Connection::setUp() {
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, lengthLimit(options_.limits.valueBytesMax));
  sqlite3_limit(handle_, SQLITE_LIMIT_SQL_LENGTH, lengthLimit(options_.limits.sqlBytesMax));
  sqlite3_limit(handle_, SQLITE_LIMIT_ATTACHED, 1);  // VACUUM needs one
  SKEP_CHECK_OK(loadExtensions());
  SKEP_CHECK_OK(limitPages());
  sqlite3_set_authorizer(handle_, authorize, this);
  sqlite3_progress_handler(handle_, kProgressSteps, progress, this);
  sqlite3_rollback_hook(handle_, rolledBack, this);
  countedTxid_ = file_->committedTxid();
  return {};
}

/// Only here, and only by the C function: the SQL function load_extension() stays off.
Status Connection::loadExtensions() {
  if (options_.extensions == nullptr || options_.extensions->empty()) return {};
  vfs::AccountScope scope(account_);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, nullptr);
  Status loaded;
  for (const std::string& file : *options_.extensions) {
    char* message = nullptr;
    const int rc = sqlite3_load_extension(handle_, file.c_str(), nullptr, &message);
    if (rc == SQLITE_OK) continue;
    loaded =
        Error{ErrorCode::InvalidArgument, "the SQLite extension '" + file + "' cannot be loaded: " +
                                              (message != nullptr ? message : sqlite3_errstr(rc))};
    sqlite3_free(message);
    break;
  }
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  return loaded;
}

/// Lets SQLite refuse growth past the quota at once, not only at the commit; and write a
/// transaction's pages out before they use up the memory limit.
Status Connection::limitPages() {
  std::string pragmas;
  if (const std::uint64_t bytes = options_.limits.databaseBytesMax; bytes != 0) {
    pragmas += "PRAGMA max_page_count = " + std::to_string(pagesOf(bytes)) + ";";
  }
  if (const std::size_t bytes = options_.limits.memoryBytesMax;
      bytes != 0 && bytes / 4 < environment_.options.dirtyPagesMax * store::kPageBytes) {
    pragmas += "PRAGMA cache_spill = " +
               std::to_string(std::max<std::size_t>(bytes / 4 / store::kPageBytes, 1)) + ";";
  }
  vfs::AccountScope scope(account_);
  const int rc = sqlite3_exec(handle_, pragmas.c_str(), nullptr, nullptr, nullptr);
  return rc == SQLITE_OK ? Status{} : Status(explain(rc));
}

/// The same for the database of temporary tables, once there is one: asking earlier would make it.
Status Connection::limitTemporaryPages() {
  if (temporaryLimited_ || options_.limits.databaseBytesMax == 0) return {};
  const std::string pragma =
      "PRAGMA temp.max_page_count = " + std::to_string(pagesOf(options_.limits.databaseBytesMax));
  internal_ = true;
  const int rc = sqlite3_exec(handle_, pragma.c_str(), nullptr, nullptr, nullptr);
  internal_ = false;
  if (rc != SQLITE_OK) return explain(rc);
  temporaryLimited_ = true;
  return {};
}

void Connection::closeHandle() {
  if (handle_ == nullptr) return;
  SKEP_CHECK(statementCount_ == 0, "%zu statements outlive their database '%s'", statementCount_,
             options_.name.c_str());
  vfs::AccountScope scope(account_);
  for (const Released& each : released_) sqlite3_finalize(each.statement);
  released_.clear();
  clearCaches();
  const int rc = sqlite3_close(handle_);
  SKEP_CHECK(rc == SQLITE_OK, "sqlite3_close: %s", sqlite3_errstr(rc));
  handle_ = nullptr;
}

Connection::Entry::Entry(Connection& connection)
    : connection_((connection.lock_.lock(), connection)), account_(connection.account_) {
  if (connection_.handle_ == nullptr)
    return;  // closed while this fiber waited: checkTransaction() says so
  if (!connection_.released_.empty()) {
    for (const Released& each : std::exchange(connection_.released_, {}))
      connection_.finish(each.statement, each.cached);
    connection_.settle();
  }
  if (connection_.file_->journalResetDue() && sqlite3_get_autocommit(connection_.handle_) != 0) {
    connection_.internal_ = true;
    vfs::resetJournal(connection_.handle_, *connection_.file_);
    connection_.internal_ = false;
  }
}

Connection::Entry::~Entry() {
  connection_.settle();
  connection_.lock_.unlock();
}

/// What is due once SQLite has done something: a rollback or a commit may have been among it. Does
/// not suspend.
void Connection::settle() {
  if (handle_ == nullptr) return;
  counters_.commits += file_->committedTxid() - std::exchange(countedTxid_, file_->committedTxid());
  // Pages without a transaction: SQLite does not say when it rolled back a VACUUM that failed; and
  // it puts pages back, when it next looks at the file, after a rollback that failed.
  if (file_->hasUncommitted() && sqlite3_txn_state(handle_, "main") != SQLITE_TXN_WRITE)
    file_->dropPages();
  if (std::exchange(rolledBack_, false)) {
    file_->rollback();
    if (transaction_ == Transaction::Explicit || (transaction_ == Transaction::Turn && turnOpened_))
      transactionLost_ = true;
    undoFrom(0);
  } else if (sqlite3_get_autocommit(handle_) != 0 && transaction_ != Transaction::Turn) {
    if (!undo_.empty()) undo_.clear();
    file_->flushAlarm();
  }
}

void Connection::endRun(sqlite3_stmt* statement) {
  const bool writes = sqlite3_stmt_busy(statement) != 0 && sqlite3_stmt_readonly(statement) == 0;
  const bool wasInTransaction = sqlite3_get_autocommit(handle_) == 0;
  const int rc = sqlite3_reset(statement);
  if (!writes || rc == SQLITE_OK) return;
  if (!endedError_) endedError_ = explain(rc);
  noteFailure(wasInTransaction);
}

/// Ends the run of a statement that nobody holds any more.
void Connection::finish(sqlite3_stmt* statement, CachedStatement* cached) {
  endRun(statement);
  if (cached != nullptr) {
    sqlite3_clear_bindings(statement);
    cached->cache->giveBack(cached);
  } else {
    sqlite3_finalize(statement);
  }
}

void Connection::release(sqlite3_stmt* statement, CachedStatement* cached) {
  --statementCount_;
  const bool writes = sqlite3_stmt_busy(statement) != 0 && sqlite3_stmt_readonly(statement) == 0;
  if (writes || !lock_.try_lock()) {
    released_.push_back({statement, cached});
    return;
  }
  {
    vfs::AccountScope scope(account_);
    finish(statement, cached);
  }
  lock_.unlock();
}

Status Connection::finishReleased() {
  if (!released_.empty()) Entry entry(*this);
  if (endedError_) return *std::exchange(endedError_, std::nullopt);
  return {};
}

Status Connection::checkTransaction() const {
  if (const Error* broken = file_->brokenBy()) return *broken;
  if (handle_ == nullptr)
    return Error{ErrorCode::Aborted, "database '" + options_.name + "' is closed"};
  if (!transactionLost_) return {};
  return Error{ErrorCode::Aborted,
               "the transaction was rolled back by an earlier error; roll back and start again"};
}

Status Connection::checkText(std::string_view text) const {
  const std::size_t limit =
      options_.limits.sqlBytesMax == 0 ? kLengthMax : options_.limits.sqlBytesMax;
  if (text.size() > limit) {
    return Error{ErrorCode::LimitExceeded, "the SQL text has " + std::to_string(text.size()) +
                                               " bytes; the limit is " + std::to_string(limit)};
  }
  const std::size_t nul = text.find('\0');
  if (nul == std::string_view::npos) return {};
  return Error{ErrorCode::InvalidArgument,
               "the SQL text has a NUL byte at offset " + std::to_string(nul), 0,
               static_cast<int>(nul)};
}

Result<sqlite3_stmt*> Connection::compile(Source source, std::size_t& tailOffset, bool keep) {
  SKEP_CHECK_OK(checkTransaction());
  const std::string_view sql = source.rest();
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  refusal_.clear();
  altersTable_ = false;
  StatementRun run;
  start(run);
  run_ = &run;
  const unsigned flags = keep ? SQLITE_PREPARE_PERSISTENT : 0;
  const int bytes = static_cast<int>(sql.size()) + (source.terminated ? 1 : 0);
  const int rc = sqlite3_prepare_v3(handle_, sql.data(), bytes, flags, &statement, &tail);
  run_ = nullptr;
  if (rc != SQLITE_OK) return explain(rc, static_cast<int>(source.offset));
  const std::size_t length =
      tail == nullptr ? sql.size() : static_cast<std::size_t>(tail - sql.data());
  tailOffset = source.offset + length;
  if (altersTable_) {
    std::string refused = alterRefusal({.isSystem = isSystem()}, sql.substr(0, length));
    if (!refused.empty()) {
      sqlite3_finalize(statement);
      return Error{ErrorCode::Sql, std::move(refused), SQLITE_AUTH};
    }
  }
  if (hasTemporary_) {
    if (Status limited = limitTemporaryPages(); !limited) {
      sqlite3_finalize(statement);
      return std::move(limited).error();
    }
  }
  return statement;
}

Result<bool> Connection::step(sqlite3_stmt* statement, StatementKind kind, StatementRun& run) {
  SKEP_CHECK_OK(checkTransaction());
  if (sqlite3_stmt_busy(statement) == 0) {
    if (transaction_ == Transaction::Turn && kind != StatementKind::Read) {
      // The authorizer refused this when it was compiled, unless that was before the turn.
      if (kind == StatementKind::Transaction) {
        return Error{ErrorCode::Sql, "not available here: the turn is the transaction",
                     SQLITE_AUTH};
      }
      if (sqlite3_get_autocommit(handle_) != 0) {
        SKEP_CHECK_OK(control("BEGIN"));
        turnOpened_ = true;
      }
    }
    start(run);
    ++counters_.statements;
  }
  const std::int64_t changesBefore = sqlite3_total_changes64(handle_);
  const bool wasInTransaction = sqlite3_get_autocommit(handle_) == 0;
  inVacuum_ = kind == StatementKind::Vacuum;
  isStepping_ = true;
  run_ = &run;
  sliceTimed_ = false;
  // Then SQLite looks up before it makes the next row, or commits what RETURNING tells of.
  if (run.isResultFull) sqlite3_progress_handler(handle_, 1, progress, this);
  const int rc = sqlite3_step(statement);
  if (run.isResultFull) sqlite3_progress_handler(handle_, kProgressSteps, progress, this);
  run_ = nullptr;
  isStepping_ = false;
  inVacuum_ = false;
  counters_.rowsWritten +=
      static_cast<std::uint64_t>(sqlite3_total_changes64(handle_) - changesBefore);
  if (rc == SQLITE_ROW) {
    ++counters_.rowsRead;
    return true;
  }
  if (rc == SQLITE_DONE) {
    sqlite3_reset(statement);
    return false;
  }
  Error error = explain(rc);
  sqlite3_reset(statement);
  noteFailure(wasInTransaction);
  return error;
}

Status Connection::control(const char* sql) {
  const bool wasInTransaction = sqlite3_get_autocommit(handle_) == 0;
  internal_ = true;
  sqlite3_stmt* statement = nullptr;
  int rc = sqlite3_prepare_v2(handle_, sql, -1, &statement, nullptr);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  Status result;
  if (rc != SQLITE_DONE) result = explain(rc);
  sqlite3_finalize(statement);
  if (!result) noteFailure(wasInTransaction);
  internal_ = false;
  return result;
}

void Connection::forgetLargeSchema() {
  if (sqlite3_get_autocommit(handle_) == 0) return;
  for (sqlite3_stmt* each = sqlite3_next_stmt(handle_, nullptr); each != nullptr;
       each = sqlite3_next_stmt(handle_, each)) {
    if (sqlite3_stmt_busy(each) != 0) return;
  }
  int bytes = 0;
  int highest = 0;
  sqlite3_db_status(handle_, SQLITE_DBSTATUS_SCHEMA_USED, &bytes, &highest, 0);
  if (bytes < kSchemaBytesKept) return;
  // It only forgets what was parsed. A failure (no memory) leaves it as it was.
  (void)control("PRAGMA writable_schema = RESET");
}

}  // namespace skep::sql
