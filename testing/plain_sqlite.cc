#include "skep/testing/plain_sqlite.h"

#include <sqlite3.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "skep/base/check.h"
#include "skep/vfs/sqlite_vfs.h"

namespace skep::testing {
namespace {

std::string textOf(const sql::Value& value) {
  switch (value.type()) {
    case sql::ValueType::Null:
      return "null";
    case sql::ValueType::Integer:
      return "i" + std::to_string(value.integer());
    case sql::ValueType::Real: {
      char text[40];
      std::snprintf(text, sizeof text, "r%.17g", value.real());
      return text;
    }
    case sql::ValueType::Text:
      return "t" + value.text();
    case sql::ValueType::Blob:
      return "b" + std::string(asText(value.blob()));
  }
  return {};
}

sql::Value valueOf(sqlite3_stmt* statement, int column) {
  const auto bytes = [&] {
    return static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
  };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(statement, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      return std::string(text, bytes());
    }
    case SQLITE_BLOB: {
      const auto* blob = static_cast<const std::byte*>(sqlite3_column_blob(statement, column));
      return blob == nullptr ? Bytes{} : Bytes(blob, blob + bytes());
    }
    default:
      return {};
  }
}

std::string dumpWith(const std::function<std::string(const std::string&)>& query) {
  constexpr const char* kTables =
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name";
  std::string all =
      query("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
  std::string names = query(kTables);
  for (std::size_t start = 0; start < names.size();) {
    const std::size_t end = names.find('\n', start);
    const std::string name =
        names.substr(start + 1, end - start - 2);  // without the type and the separator
    all += "table " + name + "\n" + query("SELECT * FROM \"" + name + "\" ORDER BY 1, 2");
    start = end + 1;
  }
  return all;
}

}  // namespace

PlainSqlite::PlainSqlite(const std::string& path) {
  vfs::registerVfs();  // configures the process's SQLite: before anyone else uses it
  const int rc =
      sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix");
  SKEP_CHECK(rc == SQLITE_OK, "%s: %s", path.c_str(), sqlite3_errmsg(handle_));
}

PlainSqlite::~PlainSqlite() {
  sqlite3_close(handle_);
}

bool PlainSqlite::run(const std::string& sql) {
  return sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

std::string PlainSqlite::lastError() const {
  return sqlite3_errmsg(handle_);
}

std::string PlainSqlite::query(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  int rc = sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr);
  sql::Rows rows;
  while (rc == SQLITE_OK || rc == SQLITE_ROW) {
    rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW) break;
    auto& row = rows.rows.emplace_back();
    for (int i = 0; i < sqlite3_column_count(statement); ++i) row.push_back(valueOf(statement, i));
  }
  std::string text = rc == SQLITE_DONE ? skep::testing::textOf(Result<sql::Rows>(std::move(rows)))
                                       : "error: " + lastError();
  sqlite3_finalize(statement);
  return text;
}

std::string textOf(const Result<sql::Rows>& rows) {
  if (!rows) return "error: " + rows.error().message;
  std::string text;
  for (const auto& row : rows->rows) {
    for (const sql::Value& value : row) text += textOf(value) + "|";
    text += "\n";
  }
  return text;
}

std::string dump(sql::Database& database) {
  return dumpWith([&](const std::string& sql) { return textOf(database.execute(sql)); });
}

std::string dump(PlainSqlite& database) {
  return dumpWith([&](const std::string& sql) { return database.query(sql); });
}

std::uint32_t seedOf(const std::string& name, std::uint32_t seed) {
  std::string variable = "SKEP_SEED_" + name;
  for (char& c : variable) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (const char* given = std::getenv(variable.c_str()))
    seed = static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10));
  std::printf("%s=%u\n", variable.c_str(), seed);
  return seed;
}

}  // namespace skep::testing
