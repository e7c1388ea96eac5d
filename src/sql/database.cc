#include "skep/sql/database.h"

#include <sqlite3.h>

#include <cstring>
#include <utility>

#include "skep/sql/connection.h"

namespace skep::sql {
namespace {

bool isBlank(std::string_view sql) {
  return sql.find_first_not_of(" \t\r\n\f;") == std::string_view::npos;
}

}  // namespace

Database::Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

Database::~Database() {
  SKEP_CHECK(connection_->handle == nullptr || brokenBy() != nullptr, "database '%s' was not closed", name().c_str());
  connection_->closeHandle();
}

Result<std::unique_ptr<Database>> Database::open(vfs::Environment& environment, DatabaseOptions options) {
  auto connection = std::make_unique<Connection>(environment, std::move(options));
  SKEP_CHECK_OK(connection->open());
  return std::unique_ptr<Database>(new Database(std::move(connection)));
}

Result<Statement> Database::prepare(std::string_view sql, std::size_t* tailOffset) {
  Connection::Entry entry(*connection_);
  SKEP_TRY(sqlite3_stmt* statement, connection_->compile(sql, 0, tailOffset, false));
  if (statement != nullptr) ++connection_->statementCount;
  return Statement(*connection_, statement, false);
}

Result<Statement> Database::cached(std::string_view sql) {
  Connection::Entry entry(*connection_);
  sqlite3_stmt* statement = connection_->cache().take(sql);
  if (statement == nullptr) {
    std::size_t tail = 0;
    SKEP_TRY(statement, connection_->compile(sql, 0, &tail, true));
    if (!isBlank(sql.substr(tail))) {
      sqlite3_finalize(statement);
      return Error{ErrorCode::InvalidArgument, "one statement at a time: use run() for a script", 0, static_cast<int>(tail)};
    }
  }
  if (statement != nullptr) ++connection_->statementCount;
  return Statement(*connection_, statement, true);
}

Result<Rows> Database::execute(std::string_view sql, std::initializer_list<Value> parameters) {
  return execute(sql, std::span<const Value>(parameters.begin(), parameters.size()));
}

Result<Rows> Database::execute(std::string_view sql, std::span<const Value> parameters) {
  SKEP_TRY(Statement statement, cached(sql));
  Rows result;
  if (!statement) return result;
  SKEP_CHECK_OK(statement.bindAll(parameters));
  SKEP_TRY(bool row, statement.step());
  // Only now: a cached statement is compiled again by its first step when the schema has changed.
  const int columns = statement.columnCount();
  for (int i = 0; i < columns; ++i) result.columns.emplace_back(statement.columnName(i));
  while (row) {
    std::vector<Value>& values = result.rows.emplace_back();
    values.reserve(static_cast<std::size_t>(columns));
    for (int i = 0; i < columns; ++i) values.push_back(statement.value(i));
    SKEP_TRY(row, statement.step());
  }
  return result;
}

Status Database::run(std::string_view script) {
  std::size_t offset = 0;
  while (offset < script.size()) {
    std::size_t tail = 0;
    Result<Statement> statement = prepare(script.substr(offset), &tail);
    if (!statement) {
      Error error = std::move(statement).error();
      if (error.sqlOffset >= 0) error.sqlOffset += static_cast<int>(offset);
      return error;
    }
    offset += tail;
    while (*statement) {
      SKEP_TRY(bool row, statement->step());
      if (!row) break;
    }
  }
  return {};
}

Status Database::begin() {
  Connection::Entry entry(*connection_);
  SKEP_CHECK_OK(connection_->checkTransaction());
  if (connection_->transaction != Connection::Transaction::None) {
    return Error{ErrorCode::InvalidArgument, "a transaction is open already"};
  }
  SKEP_CHECK_OK(connection_->control("BEGIN"));
  connection_->transaction = Connection::Transaction::Explicit;
  return {};
}

Result<store::Txid> Database::finishTransaction() {
  SKEP_CHECK_OK(connection_->checkTransaction());
  const store::Txid before = connection_->file->committedTxid();
  Status committed = connection_->control("COMMIT");
  if (!committed) {
    // Nothing of it stays, whatever SQLite had done about it by itself.
    if (sqlite3_get_autocommit(connection_->handle) == 0) SKEP_CHECK_OK(connection_->control("ROLLBACK"));
    return std::move(committed).error();
  }
  connection_->file->flushAlarm();
  const store::Txid after = connection_->file->committedTxid();
  if (after != before) ++connection_->counters.commits;
  return after == before ? store::Txid{0} : after;
}

Result<store::Txid> Database::commit() {
  Connection::Entry entry(*connection_);
  if (connection_->transaction != Connection::Transaction::Explicit) {
    return Error{ErrorCode::InvalidArgument, "no transaction is open"};
  }
  Result<store::Txid> committed = finishTransaction();
  connection_->transaction = Connection::Transaction::None;
  connection_->transactionLost = false;
  return committed;
}

Status Database::endByRollback() {
  Status result;
  connection_->transaction = Connection::Transaction::None;
  if (sqlite3_get_autocommit(connection_->handle) == 0) result = connection_->control("ROLLBACK");
  connection_->transactionLost = false;
  connection_->turnOpened = false;
  connection_->file->rollback();
  return result;
}

Status Database::rollback() {
  Connection::Entry entry(*connection_);
  if (connection_->transaction != Connection::Transaction::Explicit) {
    return Error{ErrorCode::InvalidArgument, "no transaction is open"};
  }
  return endByRollback();
}

bool Database::inTransaction() const { return sqlite3_get_autocommit(connection_->handle) == 0; }

Status Database::beginTurn() {
  Connection::Entry entry(*connection_);
  SKEP_CHECK_OK(connection_->checkTransaction());
  if (connection_->transaction != Connection::Transaction::None || sqlite3_get_autocommit(connection_->handle) == 0) {
    return Error{ErrorCode::InvalidArgument, "a transaction is open already"};
  }
  connection_->transaction = Connection::Transaction::Turn;
  connection_->turnOpened = false;
  return {};
}

Result<store::Txid> Database::commitTurn() {
  Connection::Entry entry(*connection_);
  if (connection_->transaction != Connection::Transaction::Turn) {
    return Error{ErrorCode::InvalidArgument, "no turn is open"};
  }
  Result<store::Txid> committed = store::Txid{0};
  if (connection_->turnOpened || connection_->transactionLost) {
    committed = finishTransaction();
  } else {
    connection_->file->flushAlarm();
  }
  connection_->transaction = Connection::Transaction::None;
  connection_->transactionLost = false;
  connection_->turnOpened = false;
  return committed;
}

Status Database::rollbackTurn() {
  Connection::Entry entry(*connection_);
  if (connection_->transaction != Connection::Transaction::Turn) {
    return Error{ErrorCode::InvalidArgument, "no turn is open"};
  }
  return endByRollback();
}

Status Database::savepoint(const std::function<Status()>& body) {
  std::string name;
  {
    Connection::Entry entry(*connection_);
    SKEP_CHECK_OK(connection_->checkTransaction());
    if (connection_->transaction == Connection::Transaction::Turn && sqlite3_get_autocommit(connection_->handle) != 0) {
      SKEP_CHECK_OK(connection_->control("BEGIN"));
      connection_->turnOpened = true;
    }
    name = "_skep_savepoint_" + std::to_string(++connection_->savepointCount);
    SKEP_CHECK_OK(connection_->control(("SAVEPOINT " + name).c_str()));
  }
  Status done = body();
  Connection::Entry entry(*connection_);
  SKEP_CHECK_OK(connection_->checkTransaction());
  if (sqlite3_get_autocommit(connection_->handle) != 0) {
    if (!done) return done;
    return Error{ErrorCode::Aborted, "the transaction around the savepoint ended before it"};
  }
  if (!done) SKEP_CHECK_OK(connection_->control(("ROLLBACK TO " + name).c_str()));
  Status released = connection_->control(("RELEASE " + name).c_str());
  return done ? released : done;
}

void Database::onRollback(std::function<void()> undo) { connection_->undo.push_back(std::move(undo)); }

Status Database::waitDurable() { return waitDurable(committedTxid()); }
Status Database::waitDurable(store::Txid txid) { return connection_->file->waitDurable(txid); }
store::Txid Database::committedTxid() const { return connection_->file->committedTxid(); }
store::Txid Database::durableTxid() const { return connection_->file->durableTxid(); }
void Database::interrupt() { connection_->interrupt(); }
std::int64_t Database::lastInsertRowid() const { return sqlite3_last_insert_rowid(connection_->handle); }
std::int64_t Database::changes() const { return sqlite3_changes64(connection_->handle); }
const Counters& Database::counters() const { return connection_->counters; }

void Database::releaseMemory() {
  Connection::Entry entry(*connection_);
  connection_->cache().clear();
  sqlite3_db_release_memory(connection_->handle);
  connection_->file->releaseMemory();
}

std::size_t Database::memoryBytes() const { return connection_->account.bytes; }

Status Database::close() {
  Status closed;
  {
    Connection::Entry entry(*connection_);
    if (connection_->transaction != Connection::Transaction::None || inTransaction()) closed = endByRollback();
  }
  connection_->closeHandle();
  Status durable = connection_->file->close();
  return closed ? durable : closed;
}

Status Database::setAlarm(std::optional<std::int64_t> alarmMs) {
  SKEP_CHECK_OK(connection_->checkTransaction());
  connection_->file->setAlarm(alarmMs);
  if (connection_->transaction == Connection::Transaction::None && !inTransaction()) connection_->file->flushAlarm();
  return {};
}

const std::string& Database::name() const { return connection_->options.name; }
const store::Head& Database::head() const { return connection_->file->head(); }
const Error* Database::brokenBy() const { return connection_->file->brokenBy(); }
vfs::PagedFile& Database::file() { return *connection_->file; }
sqlite3* Database::handle() { return connection_->handle; }

}  // namespace skep::sql
