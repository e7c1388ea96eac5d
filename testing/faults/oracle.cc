#include "skep/testing/faults/oracle.h"

#include <sqlite3.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "skep/base/check.h"
#include "skep/vfs/sqlite_vfs.h"

namespace skep::testing {
namespace {

using sql::Value;
using sql::ValueType;

void bindTo(sqlite3_stmt* statement, int index, const Value& value) {
  switch (value.type()) {
    case ValueType::Null:
      sqlite3_bind_null(statement, index);
      return;
    case ValueType::Integer:
      sqlite3_bind_int64(statement, index, value.integer());
      return;
    case ValueType::Real:
      sqlite3_bind_double(statement, index, value.real());
      return;
    case ValueType::Text:
      sqlite3_bind_text64(statement, index, value.text().data(), value.text().size(),
                          SQLITE_TRANSIENT, SQLITE_UTF8);
      return;
    case ValueType::Blob:
      if (value.blob().empty()) {
        sqlite3_bind_zeroblob(statement, index, 0);
      } else {
        sqlite3_bind_blob64(statement, index, value.blob().data(), value.blob().size(),
                            SQLITE_TRANSIENT);
      }
      return;
  }
}

Value columnOf(sqlite3_stmt* statement, int column) {
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT:
      return std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)),
                         size);
    case SQLITE_BLOB: {
      const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement, column));
      return Bytes(data, data + size);
    }
    default:
      return {};
  }
}

void describe(const Value& value, std::string& out) {
  switch (value.type()) {
    case ValueType::Null:
      out += "null";
      return;
    case ValueType::Integer:
      out += std::to_string(value.integer());
      return;
    case ValueType::Real:
      out += std::to_string(value.real());
      return;
    case ValueType::Text:
      out += '\'' + value.text() + '\'';
      return;
    case ValueType::Blob:
      out += "blob " + std::to_string(value.blob().size()) + " " +
             std::to_string(XXH3_64bits(value.blob().data(), value.blob().size()));
      return;
  }
}

/// Tables that a virtual table keeps for itself: seen through it.
bool isShadow(const std::string& name, const std::vector<std::string>& virtualTables) {
  return std::ranges::any_of(
      virtualTables, [&](const std::string& table) { return name.starts_with(table + "_"); });
}

}  // namespace

Oracle::Oracle() {
  vfs::registerVfs();  // it configures SQLite, which has to come first
  const int rc =
      sqlite3_open_v2(":memory:", &handle_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  SKEP_CHECK(rc == SQLITE_OK, "the oracle does not open: %d", rc);
}

Oracle::~Oracle() {
  sqlite3_close_v2(handle_);
}

OracleResult Oracle::execute(const std::string& sql, std::span<const Value> parameters) {
  OracleResult result;
  sqlite3_stmt* statement = nullptr;
  result.code =
      sqlite3_prepare_v2(handle_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (result.code == SQLITE_OK && statement != nullptr) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      bindTo(statement, static_cast<int>(i) + 1, parameters[i]);
    int rc = sqlite3_step(statement);
    for (; rc == SQLITE_ROW; rc = sqlite3_step(statement)) {
      std::vector<Value>& row = result.rows.emplace_back();
      for (int i = 0; i < sqlite3_column_count(statement); ++i)
        row.push_back(columnOf(statement, i));
    }
    result.code = rc == SQLITE_DONE ? SQLITE_OK : rc;
  }
  if (result.code != SQLITE_OK) result.message = sqlite3_errmsg(handle_);
  sqlite3_finalize(statement);
  return result;
}

bool Oracle::inTransaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

void Oracle::rollback() {
  if (inTransaction()) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Oracle::Snapshot Oracle::snapshot() const {
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(handle_, "main", &size, 0);
  auto copy = std::make_shared<Bytes>();
  if (bytes != nullptr) {
    const auto* from = reinterpret_cast<const std::byte*>(bytes);
    copy->assign(from, from + size);
  }
  sqlite3_free(bytes);
  return copy;
}

void Oracle::restore(const Snapshot& snapshot) {
  rollback();
  const std::size_t size = snapshot->size();
  auto* bytes = static_cast<unsigned char*>(sqlite3_malloc64(size + 1));
  if (size != 0) std::memcpy(bytes, snapshot->data(), size);
  const int rc = sqlite3_deserialize(
      handle_, "main", bytes, static_cast<sqlite3_int64>(size), static_cast<sqlite3_int64>(size),
      SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
  SKEP_CHECK(rc == SQLITE_OK, "the oracle does not take its own snapshot: %d", rc);
}

Result<std::string> describeContent(const RowsOf& rowsOf) {
  std::string text;
  SKEP_TRY(auto schema,
           rowsOf("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"));
  std::vector<std::string> virtualTables;
  for (const auto& row : schema) {
    if (!row[3].isNull() && row[3].text().starts_with("CREATE VIRTUAL"))
      virtualTables.push_back(row[1].text());
  }
  std::vector<std::string> tables;
  for (const auto& row : schema) {
    const std::string& name = row[1].text();
    for (const Value& value : row) describe(value, text), text += ' ';
    text += '\n';
    if (row[0].text() == "table" && !isShadow(name, virtualTables)) tables.push_back(name);
  }
  for (const std::string& table : tables) {
    const bool isVirtual = std::ranges::find(virtualTables, table) != virtualTables.end();
    const char* columns = isVirtual ? "rowid, *" : "*";
    SKEP_TRY(auto rows,
             rowsOf("SELECT " + std::string(columns) + " FROM \"" + table + "\" ORDER BY 1, 2"));
    for (const auto& row : rows) {
      text += table + ": ";
      for (const Value& value : row) describe(value, text), text += ' ';
      text += '\n';
    }
  }
  return text;
}

Result<std::string> describeContent(sql::Database& database) {
  return describeContent([&](const std::string& sql) -> Result<std::vector<std::vector<Value>>> {
    SKEP_TRY(sql::Rows rows, database.execute(sql));
    return std::move(rows.rows);
  });
}

std::string describeContent(Oracle& oracle) {
  Result<std::string> text =
      describeContent([&](const std::string& sql) -> Result<std::vector<std::vector<Value>>> {
        OracleResult result = oracle.execute(sql);
        if (result.code != SQLITE_OK) return Error{ErrorCode::Sql, result.message, result.code};
        return std::move(result.rows);
      });
  SKEP_CHECK(text.ok(), "the oracle can't be read: %s", text.error().message.c_str());
  return std::move(text).value();
}

std::string firstDifference(const std::string& expected, const std::string& actual) {
  const auto differ = std::ranges::mismatch(expected, actual);
  const auto lineAt = [](const std::string& text, std::size_t place) {
    const std::size_t begin = place == 0 ? 0 : text.rfind('\n', place - 1) + 1;
    const std::size_t from = std::max(begin, place < 40 ? 0 : place - 40);
    return text.substr(begin, 20) + "…" +
           text.substr(from, std::min<std::size_t>(text.find('\n', place) - from, 100));
  };
  const auto place = static_cast<std::size_t>(differ.in1 - expected.begin());
  return "expected [" + lineAt(expected, std::min(place, expected.size())) + "] but found [" +
         lineAt(actual, std::min(place, actual.size())) + "]";
}

}  // namespace skep::testing
