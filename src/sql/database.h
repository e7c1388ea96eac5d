// Database: SQL on one SQLite database whose pages live in a page store.
//
// Belongs to the loop that opened it; its fibers may call it concurrently: an internal lock lets
// one at a time into SQLite, also while that one waits for a page. A commit is local at once and
// durable later: commit() returns the txid to hand to waitDurable(), which is the output gate's
// building block (I1). After a commit that failed in the store the database is broken (I5): every
// call fails, with Fenced when another owner has the database and with Broken otherwise; open it
// again.
//
//   SKEP_TRY(auto db, Database::open(environment, {.name = "tenant/acme"}));
//   SKEP_CHECK_OK(db->run("CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'x')"));
//   SKEP_TRY(Rows rows, db->execute("SELECT * FROM t WHERE a = ?", {Value(1)}));
//   SKEP_CHECK_OK(db->waitDurable());
//   SKEP_CHECK_OK(db->close());

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/function_ref.h"
#include "skep/base/result.h"
#include "skep/sql/limits.h"
#include "skep/sql/statement.h"
#include "skep/sql/value.h"
#include "skep/store/page_store.h"
#include "skep/vfs/environment.h"

struct sqlite3;

namespace skep::sql {

class Connection;

struct DatabaseOptions {
  std::string name;
  store::Create create = store::Create::IfMissing;
  /// ReadWrite claims the database and fences any earlier owner. ReadOnly reads the version that is
  /// newest at open time, beside an owner that goes on writing.
  enum class Mode : std::uint8_t { ReadWrite, ReadOnly } mode = Mode::ReadWrite;
  /// What SQL may touch. Tenant: no ATTACH, no dangerous pragmas, no writes to `_skep_` tables.
  /// System: the same, but
  /// `_skep_` tables may be written (the runtime's own statements).
  enum class Trust : std::uint8_t { Tenant, System } trust = Trust::Tenant;
  Limits limits;
  /// Called every few milliseconds while a statement runs; false ends it with Aborted. It must
  /// neither suspend nor call the database.
  std::function<bool()> keepRunning = {};
  std::size_t statementCacheBytesMax = 64 * 1024;
  /// Files of extensions (shared libraries) that are loaded first, in this order. Code of the process, as
  /// trusted as its own: SQL can load none. Null: none. Outlives the database.
  const std::vector<std::string>* extensions = nullptr;
};

struct Rows {
  std::vector<std::string> columns;
  std::vector<std::vector<Value>> rows;
};

/// Work done since the database was opened.
struct Counters {
  std::uint64_t rowsRead = 0;
  std::uint64_t rowsWritten = 0;
  std::uint64_t statements = 0;
  std::uint64_t commits = 0;
};

class Database {
 public:
  /// Suspends. Errors of PageStore::open, and of opening what is stored.
  static Result<std::unique_ptr<Database>> open(vfs::Environment& environment,
                                                DatabaseOptions options);
  /// close() must have been called, or the database be broken; uncommitted work is rolled back.
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Compiles the first statement of `sql`; `tailOffset` gets the offset of what follows it. An
  /// empty statement (only space or comments) gives a Statement that is false. InvalidArgument when
  /// there is a NUL in the text.
  Result<Statement> prepare(std::string_view sql, std::size_t* tailOffset = nullptr);
  /// As prepare(), through a cache bounded in bytes: for statements that are run again and again.
  Result<Statement> cached(std::string_view sql);
  /// Runs one statement and collects its rows. InvalidArgument when `sql` has several statements;
  /// LimitExceeded when the rows take more than Limits::resultBytesMax.
  Result<Rows> execute(std::string_view sql, std::span<const Value> parameters = {});
  Result<Rows> execute(std::string_view sql, std::initializer_list<Value> parameters);
  /// Runs every statement of a script, ignoring rows. Stops at the first error, whose sqlOffset
  /// counts from the start of the script; what ran before stays (inside a transaction until that is
  /// rolled back).
  Status run(std::string_view script);

  /// Runs `body`, whose statements may write `_skep_` tables: the runtime's own. Only one fiber uses
  /// the database meanwhile. Does not nest.
  Status asSystem(FunctionRef<Status()> body);

  /// Explicit transactions. commit() returns the txid that contains the work: 0 when nothing was
  /// written.
  Status begin();
  Result<store::Txid> commit();
  Status rollback();
  bool inTransaction() const;

  /// Starts a turn: from now on the first statement that writes opens a transaction, which gathers
  /// every write until commitTurn() or rollbackTurn(). BEGIN, COMMIT and END in SQL are refused
  /// meanwhile; savepoints work.
  Status beginTurn();
  Result<store::Txid> commitTurn();
  Status rollbackTurn();

  /// Runs `body` in a savepoint, inside the current transaction if there is one. Rolled back when
  /// it returns an error.
  Status savepoint(const std::function<Status()>& body);

  /// Calls `undo` if the transaction, turn or savepoint() that is open now is rolled back, newest
  /// first: undoes changes of in-memory state that follow it. Forgotten at commit. It must neither
  /// suspend nor call the database.
  void onRollback(std::function<void()> undo);

  /// Suspends until everything up to `txid` (default: everything committed so far, and what
  /// statements wrote that were dropped before their end) is durable.
  Status waitDurable();
  Status waitDurable(store::Txid txid);
  /// See vfs::PagedFile::checkLease(). Does not suspend.
  Status checkLease();
  store::Txid committedTxid() const;
  store::Txid durableTxid() const;

  /// Makes the statement that runs now (on another fiber) fail with Aborted. Any thread.
  void interrupt();

  /// Of the newest INSERT and of the newest statement that changed rows.
  std::int64_t lastInsertRowid() const;
  std::int64_t changes() const;
  const Counters& counters() const;

  /// Frees what can be had again cheaply: caches of SQLite, cached statements. For a database that
  /// goes idle. Suspends while another fiber is inside.
  void releaseMemory();
  /// SQLite heap in use by this database, in bytes.
  std::size_t memoryBytes() const;

  /// Waits until all is durable, folds the log if it pays, and closes. Suspends. The first error
  /// wins, also that of a commit which waitDurable() would tell; the object is closed in any case:
  /// later calls fail with Aborted, a second close() does nothing. Every Statement is gone by then.
  Status close();

  /// When the database's next timer is due (Unix ms), committed along with the current transaction
  /// or turn, else at once. ReadOnly on a database that is open for reading.
  Status setAlarm(std::optional<std::int64_t> alarmMs);

  const std::string& name() const;
  const store::Head& head() const;
  /// Null while all is well; the reason once the database is broken.
  const Error* brokenBy() const;
  /// The pages beneath, and the SQLite handle above them: for checks, export and import.
  vfs::PagedFile& file();
  sqlite3* handle();

 private:
  explicit Database(std::unique_ptr<Connection> connection);

  std::unique_ptr<Connection> connection_;
};

}  // namespace skep::sql
