#include "skep/sql/database.h"

#include <sqlite3.h>

#include <cstring>
#include <utility>

#include "skep/sql/connection.h"
#include "skep/sql/sql_text.h"

namespace skep::sql {
Database::Database(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

Database::~Database() {
  SKEP_CHECK(connection_->handle() == nullptr || brokenBy() != nullptr,
             "database '%s' was not closed", name().c_str());
  connection_->closeHandle();
}

Result<std::unique_ptr<Database>> Database::open(vfs::Environment& environment,
                                                 DatabaseOptions options) {
  auto connection = std::make_unique<Connection>(environment, std::move(options));
  SKEP_CHECK_OK(connection->open());
  return std::unique_ptr<Database>(new Database(std::move(connection)));
}

Result<Statement> Database::prepare(std::string_view sql, std::size_t* tailOffset) {
  Connection::Entry entry(*connection_);
  SKEP_CHECK_OK(connection_->checkText(sql));
  std::size_t tail = 0;
  SKEP_TRY(sqlite3_stmt * statement, connection_->compile({.text = sql}, tail, false));
  if (tailOffset != nullptr) *tailOffset = tail;
  if (statement != nullptr) connection_->lend();
  return Statement(*connection_, statement);
}

Result<Statement> Database::cached(std::string_view sql) {
  sql = trimEnd(sql);  // SQLite keeps the text of a statement up to its semicolon
  Connection::Entry entry(*connection_);
  SKEP_CHECK_OK(connection_->checkTransaction());
  StatementCache& cache = connection_->cache();
  if (CachedStatement* cached = cache.take(sql)) {
    connection_->lend();
    return Statement(*connection_, *cached);
  }
  SKEP_CHECK_OK(connection_->checkText(sql));
  std::size_t tail = 0;
  SKEP_TRY(sqlite3_stmt * statement, connection_->compile({.text = sql}, tail, true));
  if (!isBlank(sql.substr(tail))) {
    sqlite3_finalize(statement);
    return Error{ErrorCode::InvalidArgument, "one statement at a time: use run() for a script", 0,
                 static_cast<int>(tail)};
  }
  if (statement == nullptr) return Statement(*connection_, statement);
  connection_->lend();
  CachedStatement* cached = cache.add(statement, kindOf(statement));
  return cached != nullptr ? Statement(*connection_, *cached) : Statement(*connection_, statement);
}

Result<Rows> Database::execute(std::string_view sql, std::initializer_list<Value> parameters) {
  return execute(sql, std::span<const Value>(parameters.begin(), parameters.size()));
}

Result<Rows> Database::execute(std::string_view sql, std::span<const Value> parameters) {
  SKEP_TRY(Statement statement, cached(sql));
  Rows result;
  if (!statement) return result;
  SKEP_CHECK_OK(statement.bindAll(parameters));
  std::vector<Value> row;
  SKEP_TRY(bool isRow, statement.stepInto(row));
  // Columns are asked for after the first step: it compiles the statement anew when the schema has
  // changed.
  const int columns = statement.columnCount();
  for (int i = 0; i < columns; ++i) result.columns.emplace_back(statement.columnName(i));
  while (isRow) {
    result.rows.push_back(std::move(row));
    row = {};
    row.reserve(static_cast<std::size_t>(columns));
    SKEP_TRY(isRow, statement.stepInto(row));
  }
  return result;
}

Status Database::run(std::string_view script) {
  {
    Connection::Entry entry(*connection_);
    SKEP_CHECK_OK(connection_->checkText(script));
  }
  const std::string text(
      script);  // with a NUL behind it, so that SQLite does not copy the rest for each statement
  for (std::size_t offset = 0; offset < text.size();) {
    Statement statement;
    {
      Connection::Entry entry(*connection_);
      SKEP_TRY(sqlite3_stmt * compiled,
               connection_->compile({.text = text, .offset = offset, .terminated = true}, offset,
                                    false));
      if (compiled == nullptr) continue;
      connection_->lend();
      statement = Statement(*connection_, compiled);
    }
    for (bool row = true; row;) {
      SKEP_TRY(row, statement.step());
    }
  }
  return {};
}

Status Database::asSystem(FunctionRef<Status()> body) {
  return connection_->asSystem(body);
}
Status Database::begin() {
  return connection_->begin();
}
Result<store::Txid> Database::commit() {
  return connection_->commit();
}
Status Database::rollback() {
  return connection_->rollback();
}
bool Database::inTransaction() const {
  return connection_->inTransaction();
}
Status Database::beginTurn() {
  return connection_->beginTurn();
}
Result<store::Txid> Database::commitTurn() {
  return connection_->commitTurn();
}
Status Database::rollbackTurn() {
  return connection_->rollbackTurn();
}
Status Database::savepoint(const std::function<Status()>& body) {
  return connection_->savepoint(body);
}
void Database::onRollback(std::function<void()> undo) {
  connection_->onRollback(std::move(undo));
}

Status Database::waitDurable() {
  SKEP_CHECK_OK(connection_->finishReleased());
  return connection_->file().waitDurable();
}
Status Database::checkLease() {
  return connection_->file().checkLease();
}
Status Database::waitDurable(store::Txid txid) {
  return connection_->file().waitDurable(txid);
}
store::Txid Database::committedTxid() const {
  return connection_->file().committedTxid();
}
store::Txid Database::durableTxid() const {
  return connection_->file().durableTxid();
}
void Database::interrupt() {
  connection_->interrupt();
}
std::int64_t Database::lastInsertRowid() const {
  sqlite3* handle = connection_->handle();
  return handle == nullptr ? 0 : sqlite3_last_insert_rowid(handle);
}
std::int64_t Database::changes() const {
  sqlite3* handle = connection_->handle();
  return handle == nullptr ? 0 : sqlite3_changes64(handle);
}
const Counters& Database::counters() const {
  return connection_->counters();
}

void Database::releaseMemory() {
  Connection::Entry entry(*connection_);
  if (connection_->handle() == nullptr) return;
  connection_->clearCaches();
  connection_->forgetLargeSchema();
  sqlite3_db_release_memory(connection_->handle());
  connection_->file().releaseMemory();
}

std::size_t Database::memoryBytes() const {
  return connection_->account().bytes;
}

Status Database::close() {
  if (connection_->handle() == nullptr) return {};
  Status ended = connection_->finishReleased();
  Status closed;
  {
    Connection::Entry entry(*connection_);
    closed = connection_->endTransaction();
  }
  connection_->closeHandle();
  Status durable = connection_->file().close();
  if (!ended) return ended;
  return closed ? durable : closed;
}

Status Database::setAlarm(std::optional<std::int64_t> alarmMs) {
  SKEP_CHECK_OK(connection_->checkTransaction());
  if (connection_->file().isReadOnly())
    return Error{ErrorCode::ReadOnly, "database '" + name() + "' is open for reading only"};
  connection_->file().setAlarm(alarmMs);
  if (connection_->isBetweenTransactions()) connection_->file().flushAlarm();
  return {};
}

const std::string& Database::name() const {
  return connection_->options().name;
}
const store::Head& Database::head() const {
  return connection_->file().head();
}
const Error* Database::brokenBy() const {
  return connection_->file().brokenBy();
}
vfs::PagedFile& Database::file() {
  return connection_->file();
}
sqlite3* Database::handle() {
  return connection_->handle();
}

}  // namespace skep::sql
