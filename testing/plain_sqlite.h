// PlainSqlite: SQLite in memory, as everyone has it. What the databases of Skep are compared with.
//
//   PlainSqlite model;
//   EXPECT_EQ(db->run(sql).ok(), model.run(sql));
//   EXPECT_EQ(textOf(db->execute(query)), model.query(query));

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "skep/base/result.h"
#include "skep/sql/database.h"

struct sqlite3;

namespace skep::testing {

class PlainSqlite {
 public:
  /// An empty database in memory, or the file `path` opened with the system's VFS.
  explicit PlainSqlite(const std::string& path = ":memory:");
  ~PlainSqlite();
  PlainSqlite(const PlainSqlite&) = delete;
  PlainSqlite& operator=(const PlainSqlite&) = delete;

  /// Runs a script; false when it fails.
  bool run(const std::string& sql);
  /// The rows as textOf() writes them; the error's text when it fails.
  std::string query(const std::string& sql);
  std::string lastError() const;
  sqlite3* handle() { return handle_; }

 private:
  sqlite3* handle_ = nullptr;
};

/// Rows as text, one a line, values with their types; the error when there are none.
std::string textOf(const Result<sql::Rows>& rows);

/// The content of a database, in one text: its schema, and every row of every table, in order.
std::string dump(sql::Database& database);
std::string dump(PlainSqlite& database);

/// The seed of a random test: SKEP_SEED_<NAME> from the environment, to replay a failure, or
/// `seed`; printed.
std::uint32_t seedOf(const std::string& name, std::uint32_t seed);

}  // namespace skep::testing
