// Oracle: plain SQLite in memory (the same build, nothing of ours beneath it), for what a database
// must contain.
//
// The same statements run here and on the database under test. snapshot() and restore() move the
// oracle between versions: to where a crash left the other one. One thread; nothing suspends.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skep/sql/database.h"

struct sqlite3;

namespace skep::testing {

/// What a statement did: SQLite's extended result code (0: done), and its rows.
struct OracleResult {
  int code = 0;
  std::string message;
  std::vector<std::vector<sql::Value>> rows;
};

class Oracle {
 public:
  /// An empty database.
  Oracle();
  ~Oracle();
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;

  /// Runs one statement to its end.
  OracleResult execute(const std::string& sql, std::span<const sql::Value> parameters = {});
  bool inTransaction() const;
  /// Ends a transaction, if one is open.
  void rollback();

  /// The committed content, as SQLite's own bytes.
  using Snapshot =
      std::shared_ptr<const Bytes>;  // shared: a version is the content of several txids
  Snapshot snapshot() const;
  void restore(const Snapshot& snapshot);

 private:
  sqlite3* handle_ = nullptr;
};

/// Everything that a user can see of a database, as text: schema, then each table's rows in the
/// order of their keys. `execute` runs one statement and gives its rows.
using RowsOf = std::function<Result<std::vector<std::vector<sql::Value>>>(const std::string& sql)>;
Result<std::string> describeContent(const RowsOf& rowsOf);
Result<std::string> describeContent(sql::Database& database);  // suspends
std::string describeContent(Oracle& oracle);

/// Where two descriptions differ first: a line of each.
std::string firstDifference(const std::string& expected, const std::string& actual);

}  // namespace skep::testing
