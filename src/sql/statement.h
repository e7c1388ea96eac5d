// Statement: one prepared SQL statement.
//
// Belongs to the fiber that uses it; the database's lock is taken inside each call, so several
// fibers of one loop may use several statements of one database at once. step() suspends on a page
// that is not in memory. A Statement must be destroyed before its Database.
//
//   SKEP_TRY(Statement find, db.prepare("SELECT name FROM user WHERE id = :id"));
//   SKEP_CHECK_OK(find.bind(":id", 7));
//   while (true) {
//     SKEP_TRY(bool row, find.step());
//     if (!row) break;
//     use(find.text(0));
//   }

#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "skep/base/clock.h"
#include "skep/base/result.h"
#include "skep/sql/value.h"

struct sqlite3_stmt;

namespace skep::sql {

class Connection;
struct CachedStatement;

/// What a statement does, as far as the database around it must know.
enum class StatementKind : std::uint8_t {
  Read,
  Write,
  Vacuum,
  Savepoint,    // opens a turn's transaction as a write does
  Transaction,  // BEGIN, COMMIT, ROLLBACK: not in a turn
};

/// What one run of a statement has used so far, for the limits.
struct StatementRun {
  std::uint64_t steps = 0;
  bool timed = false;
  MonotonicTime start;
  std::size_t keptBytes = 0;  // of the rows that whoever steps has kept
  bool isResultFull = false;  // another row is one too many
};

class Statement {
 public:
  Statement() = default;
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;

  /// Binds by position, from 1. InvalidArgument when there is no such parameter.
  Status bind(int index, const ValueView& value);
  /// Binds by name with its prefix, ":id", "@id" or "$id".
  Status bind(std::string_view name, const ValueView& value);
  /// Binds all positions in order; InvalidArgument unless the count is exactly that of the
  /// parameters.
  Status bindAll(std::span<const Value> values);
  int parameterCount() const;
  /// The name of a parameter with its prefix; empty for a positional one.
  std::string_view parameterName(int index) const;

  /// Runs to the next row: true, and the columns can be read; or to the end: false. After an error
  /// or the end the next step() starts over. Suspends.
  Result<bool> step();
  /// The step of whoever keeps the rows: appends the next one's values to `values`. LimitExceeded
  /// when a run's rows together take more than Limits::resultBytesMax.
  Result<bool> stepInto(std::vector<Value>& values);
  /// The same for whoever keeps rows in a form of its own, and tells with noteKept() what one takes.
  Result<bool> stepKept();
  void noteKept(std::size_t bytes);
  /// Ends the run; bindings stay. Suspends while another fiber is inside the database. Also done by
  /// the destructor, which never suspends. A statement that was not run to its end has written all
  /// the same. Outside a transaction that is committed now, or, after the destructor, with the
  /// database's next call: Database::waitDurable() or close() says so if it failed.
  void reset();
  void clearBindings();

  int columnCount() const;
  std::string_view columnName(int column) const;
  /// The declared type ("INTEGER"), empty for an expression.
  std::string_view columnDeclaredType(int column) const;
  /// Of the current row. Views live until the next step(), reset() or conversion of the same
  /// column.
  ValueType type(int column) const;
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string_view text(int column) const;
  ByteView blob(int column) const;
  Value value(int column) const;

  bool isReadOnly() const;
  /// 0: an ordinary statement; 1: EXPLAIN; 2: EXPLAIN QUERY PLAN.
  int explainMode() const;
  explicit operator bool() const { return statement_ != nullptr; }

 private:
  friend class Database;
  Statement(Connection& connection, sqlite3_stmt* statement);  // null: an empty one
  Statement(Connection& connection, CachedStatement& cached);
  Status bindBytes(int index, const ValueView& value);
  Error bindFailure(int index, int rc) const;
  void release();

  Connection* connection_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
  StatementKind kind_ = StatementKind::Read;
  CachedStatement* cached_ =
      nullptr;  // goes back to the database's cache instead of being finalized
  StatementRun run_;
};

}  // namespace skep::sql
