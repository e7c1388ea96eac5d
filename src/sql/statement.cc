#include "skep/sql/statement.h"

#include <sqlite3.h>

#include <utility>

#include "skep/sql/connection.h"

namespace skep::sql {
namespace {

// More than SQLite adds to a value that it copies.
constexpr std::size_t kBindSlack = 1024;

std::size_t sizeOf(const ValueView& value) {
  if (value.type() == ValueType::Text) return value.text().size();
  return value.type() == ValueType::Blob ? value.blob().size() : 0;
}

/// What a value of a result takes in memory, about.
std::size_t bytesOf(const Value& value) {
  return sizeof value + sizeOf(value);
}

}  // namespace

Statement::Statement(Connection& connection, sqlite3_stmt* statement)
    : connection_(&connection),
      statement_(statement),
      kind_(statement == nullptr ? StatementKind::Read : kindOf(statement)) {}

Statement::Statement(Connection& connection, CachedStatement& cached)
    : connection_(&connection),
      statement_(cached.statement),
      kind_(cached.kind),
      cached_(&cached) {}

Statement::~Statement() {
  release();
}

Statement::Statement(Statement&& other) noexcept
    : connection_(std::exchange(other.connection_, nullptr)),
      statement_(std::exchange(other.statement_, nullptr)),
      kind_(other.kind_),
      cached_(other.cached_),
      run_(other.run_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this == &other) return *this;
  release();
  connection_ = std::exchange(other.connection_, nullptr);
  statement_ = std::exchange(other.statement_, nullptr);
  kind_ = other.kind_;
  cached_ = other.cached_;
  run_ = other.run_;
  return *this;
}

void Statement::release() {
  if (statement_ != nullptr) connection_->release(std::exchange(statement_, nullptr), cached_);
}

Status Statement::bind(int index, const ValueView& value) {
  // Needs no lock: it touches only this statement.
  int rc = SQLITE_RANGE;
  switch (value.type()) {
    case ValueType::Null:
      rc = sqlite3_bind_null(statement_, index);
      break;
    case ValueType::Integer:
      rc = sqlite3_bind_int64(statement_, index, value.integer());
      break;
    case ValueType::Real:
      rc = sqlite3_bind_double(statement_, index, value.real());
      break;
    case ValueType::Text:
    case ValueType::Blob:
      return bindBytes(index, value);
  }
  return rc == SQLITE_OK ? Status{} : bindFailure(index, rc);
}

/// Binds a copy of what the value points to.
Status Statement::bindBytes(int index, const ValueView& value) {
  // SQLite must not run out of memory here, or it would end the statement of a fiber that waits
  // inside the database.
  const vfs::MemoryAccount& account = connection_->account();
  if (account.bytesMax != 0 && account.bytes + sizeOf(value) + kBindSlack > account.bytesMax) {
    return connection_->memoryLimitReached();
  }
  vfs::AccountScope scope(connection_->account());
  int rc = SQLITE_OK;
  if (value.type() == ValueType::Text) {
    rc = sqlite3_bind_text64(statement_, index, value.text().data(), value.text().size(),
                             SQLITE_TRANSIENT, SQLITE_UTF8);
  } else if (value.blob().empty()) {
    rc = sqlite3_bind_zeroblob(statement_, index, 0);
  } else {
    rc = sqlite3_bind_blob64(statement_, index, value.blob().data(), value.blob().size(),
                             SQLITE_TRANSIENT);
  }
  return rc == SQLITE_OK ? Status{} : bindFailure(index, rc);
}

Error Statement::bindFailure(int index, int rc) const {
  if (statement_ != nullptr && rc != SQLITE_RANGE) return connection_->explain(rc);
  return {ErrorCode::InvalidArgument, "the statement has " + std::to_string(parameterCount()) +
                                          " parameters; there is no parameter " +
                                          std::to_string(index)};
}

Status Statement::bind(std::string_view name, const ValueView& value) {
  const int index = sqlite3_bind_parameter_index(statement_, std::string(name).c_str());
  if (index == 0) {
    return Error{ErrorCode::InvalidArgument,
                 "the statement has no parameter named '" + std::string(name) + "'"};
  }
  return bind(index, value);
}

Status Statement::bindAll(std::span<const Value> values) {
  if (static_cast<int>(values.size()) != parameterCount()) {
    return Error{ErrorCode::InvalidArgument,
                 "the statement has " + std::to_string(parameterCount()) + " parameters; " +
                     std::to_string(values.size()) + " were given"};
  }
  for (std::size_t i = 0; i < values.size(); ++i)
    SKEP_CHECK_OK(bind(static_cast<int>(i) + 1, values[i]));
  return {};
}

int Statement::parameterCount() const {
  return sqlite3_bind_parameter_count(statement_);
}

std::string_view Statement::parameterName(int index) const {
  const char* name = sqlite3_bind_parameter_name(statement_, index);
  return name == nullptr ? std::string_view() : std::string_view(name);
}

Result<bool> Statement::step() {
  Connection::Entry entry(*connection_);
  return connection_->step(statement_, kind_, run_);
}

Result<bool> Statement::stepKept() {
  SKEP_TRY(const bool isRow, step());
  if (!isRow) return false;
  // Some, which write nothing, do not look up between two rows.
  if (run_.isResultFull) {
    reset();
    return connection_->resultTooLarge();
  }
  return true;
}

void Statement::noteKept(std::size_t bytes) {
  run_.keptBytes += bytes;
  const std::size_t bytesMax = connection_->options().limits.resultBytesMax;
  run_.isResultFull = bytesMax != 0 && run_.keptBytes > bytesMax;
}

Result<bool> Statement::stepInto(std::vector<Value>& values) {
  SKEP_TRY(const bool isRow, stepKept());
  if (!isRow) return false;
  const int columns = columnCount();
  std::size_t bytes = 0;
  for (int i = 0; i < columns; ++i) {
    values.push_back(value(i));
    bytes += bytesOf(values.back());
  }
  noteKept(bytes);
  return true;
}

void Statement::reset() {
  if (statement_ == nullptr) return;
  Connection::Entry entry(*connection_);
  connection_->endRun(statement_);
}

void Statement::clearBindings() {
  sqlite3_clear_bindings(statement_);
}

int Statement::columnCount() const {
  return sqlite3_column_count(statement_);
}
std::string_view Statement::columnName(int column) const {
  const char* name = sqlite3_column_name(statement_, column);
  return name == nullptr ? std::string_view() : std::string_view(name);
}
std::string_view Statement::columnDeclaredType(int column) const {
  const char* type = sqlite3_column_decltype(statement_, column);
  return type == nullptr ? std::string_view() : std::string_view(type);
}

ValueType Statement::type(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER:
      return ValueType::Integer;
    case SQLITE_FLOAT:
      return ValueType::Real;
    case SQLITE_TEXT:
      return ValueType::Text;
    case SQLITE_BLOB:
      return ValueType::Blob;
    default:
      return ValueType::Null;
  }
}
std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_, column);
}
double Statement::real(int column) const {
  return sqlite3_column_double(statement_, column);
}
std::string_view Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}
ByteView Statement::blob(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

Value Statement::value(int column) const {
  switch (type(column)) {
    case ValueType::Null:
      return {};
    case ValueType::Integer:
      return integer(column);
    case ValueType::Real:
      return real(column);
    case ValueType::Text:
      return text(column);
    case ValueType::Blob:
      return toBytes(blob(column));
  }
  SKEP_UNREACHABLE();
}

bool Statement::isReadOnly() const {
  return sqlite3_stmt_readonly(statement_) != 0 && kind_ != StatementKind::Write;
}
int Statement::explainMode() const {
  return sqlite3_stmt_isexplain(statement_);
}

}  // namespace skep::sql
