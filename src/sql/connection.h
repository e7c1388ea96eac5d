// Connection: one sqlite3 handle and everything that guards it. The inside of Database.
//
// A fiber that wants into SQLite makes an Entry: it holds the lock, and SQLite's heap is charged to
// this database. Leaving, the Entry finishes what happened inside: a rollback discards the file's
// uncommitted pages and runs the undo callbacks. Statements that were dropped while another fiber
// was inside are finalized by the next Entry.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "skep/base/function_ref.h"
#include "skep/base/result.h"
#include "skep/fiber/sync.h"
#include "skep/sql/database.h"
#include "skep/sql/statement_cache.h"
#include "skep/vfs/paged_file.h"
#include "skep/vfs/sqlite_memory.h"

struct sqlite3;
struct sqlite3_stmt;

namespace skep::sql {

StatementKind kindOf(sqlite3_stmt* statement);

class Connection {
 public:
  /// The part of `text` that starts at `offset`, for compile(). `text` is followed by a NUL when
  /// `terminated`: that saves SQLite a copy of it.
  struct Source {
    std::string_view text;
    std::size_t offset = 0;
    bool terminated = false;
    std::string_view rest() const { return text.substr(offset); }
  };

  /// The time that a fiber is inside SQLite.
  class Entry {
   public:
    explicit Entry(Connection& connection);  // suspends
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    Connection& connection_;
    vfs::AccountScope account_;
  };

  Connection(vfs::Environment& environment, DatabaseOptions options);
  ~Connection();
  Status open();
  /// Closes the handle; uncommitted work is rolled back. Every Statement is gone by then.
  void closeHandle();

  sqlite3* handle() const { return handle_; }  // null once it is closed
  vfs::PagedFile& file() { return *file_; }
  const DatabaseOptions& options() const { return options_; }
  const Counters& counters() const { return counters_; }
  vfs::MemoryAccount& account() { return account_; }

  // --- Statements. ---

  /// Whether `text` can be given to compile(): its length, and that it has no NUL, where SQLite
  /// would stop reading.
  Status checkText(std::string_view text) const;
  /// Compiles the first statement of the source; `tailOffset` (in the whole text) is where the next
  /// one starts. An error's sqlOffset counts from the start of the whole text. Call inside an
  /// Entry, after checkText().
  Result<sqlite3_stmt*> compile(Source source, std::size_t& tailOffset, bool keep);
  /// Runs one step. Call inside an Entry. SQLITE_ROW: true, SQLITE_DONE: false.
  Result<bool> step(sqlite3_stmt* statement, StatementKind kind, StatementRun& run);
  /// A Statement goes out, which will be given back by release().
  void lend() { ++statementCount_; }
  /// Ends the run of a statement, which may be a commit: finishReleased() tells when that failed.
  /// Call inside an Entry.
  void endRun(sqlite3_stmt* statement);
  /// Gives a statement back from any fiber, also while another one is inside. Does not suspend: one
  /// that still writes, whose end may be a commit, is left to the next Entry.
  void release(sqlite3_stmt* statement, CachedStatement* cached);
  /// Ends the statements that were dropped while they wrote. Fails, once, when the commit of one
  /// failed, or that of a run that was ended. Suspends.
  Status finishReleased();
  /// Of the trust that statements are compiled under now.
  StatementCache& cache() { return asSystem_ ? systemCache_ : cache_; }
  /// Frees the memory of a parsed schema that is large, unless a statement or transaction is under
  /// way: the next statement parses it again.
  void forgetLargeSchema();
  void clearCaches() {
    cache_.clear();
    systemCache_.clear();
  }
  /// As Database::asSystem().
  Status asSystem(FunctionRef<Status()> body);
  /// Ends the statement that is inside with Aborted. Any thread.
  void interrupt() { interrupted_ = true; }
  /// What `code` means, with the limit or the store's error behind it. Call inside an Entry.
  Error explain(int code, int offsetBase = 0);
  Error memoryLimitReached() const;
  Error resultTooLarge() const;

  // --- Transactions (transactions.cc), as Database has them. ---

  Status begin();
  Result<store::Txid> commit();
  Status rollback();
  Status beginTurn();
  Result<store::Txid> commitTurn();
  Status rollbackTurn();
  Status savepoint(const std::function<Status()>& body);
  void onRollback(std::function<void()> undo);
  /// Whether SQLite is in one, whoever began it.
  bool inTransaction() const;
  /// Whether no transaction or turn is open.
  bool isBetweenTransactions() const;
  /// Rolls back what is open. Call inside an Entry.
  Status endTransaction();
  /// Fails when the database is broken or closed, and once the transaction that the API opened was
  /// rolled back by SQLite itself.
  Status checkTransaction() const;

 private:
  enum class Transaction : std::uint8_t { None, Explicit, Turn };
  struct Released {
    sqlite3_stmt* statement;
    CachedStatement* cached;
  };

  Status setUp();
  Status loadExtensions();
  Status limitPages();
  Status limitTemporaryPages();
  bool isSystem() const { return asSystem_ || options_.trust == DatabaseOptions::Trust::System; }
  void start(StatementRun& run);
  void finish(sqlite3_stmt* statement, CachedStatement* cached);
  void settle();

  // SQLite's callbacks (connection_callbacks.cc).
  // How often SQLite looks up from its work, in virtual machine instructions: some 20 to 50 µs.
  static constexpr int kProgressSteps = 1000;
  static int authorize(void* self, int action, const char* first, const char* second,
                       const char* database, const char* trigger);
  static int progress(void* self);
  static void rolledBack(void* self);
  template <class Body>
  static int wall(void* self, int refused, Body body);
  int allow(int action, std::string_view first, std::string_view second, std::string_view trigger);
  int lookUp();

  /// Runs a fixed statement of our own (BEGIN and the like), which the authorizer lets pass. Call
  /// inside an Entry.
  Status control(const char* sql);
  Result<store::Txid> finishTransaction();
  Status endByRollback();
  void noteFailure(bool wasInTransaction);
  /// Runs and forgets the undo callbacks from the `first` on, newest first.
  void undoFrom(std::size_t first);

  vfs::Environment& environment_;
  DatabaseOptions options_;
  vfs::MemoryAccount account_;
  std::unique_ptr<vfs::PagedFile> file_;
  sqlite3* handle_ = nullptr;
  fiber::Mutex lock_;
  Counters counters_;
  store::Txid countedTxid_ = 0;  // commits up to it are counted

  Transaction transaction_ = Transaction::None;
  bool turnOpened_ = false;       // the turn's implicit transaction has begun
  bool transactionLost_ = false;  // SQLite rolled back what the API had begun
  bool rolledBack_ = false;       // and has just done so: settle() is due
  std::vector<std::function<void()>> undo_;
  std::uint64_t savepointCount_ = 0;

  StatementCache cache_;
  StatementCache systemCache_;       // apart: its statements may do more
  std::size_t statementCount_ = 0;   // handed out
  std::vector<Released> released_;   // waiting for the next Entry
  std::optional<Error> endedError_;  // why a run that nobody stepped to its end has not committed

  // What the authorizer goes by, and what it has seen.
  bool asSystem_ = false;  // statements that are compiled now may write `_skep_` tables
  bool internal_ = false;  // our own statement: it passes
  bool inVacuum_ = false;
  bool isStepping_ = false;        // SQLite runs a statement: what it compiles now is its own
  bool altersTable_ = false;       // the statement that is being compiled does
  bool hasTemporary_ = false;      // a statement was about temporary tables
  bool temporaryLimited_ = false;  // temporary tables know the quota
  std::string refusal_;

  // The statement that is inside, for the limits. Times are taken at the first look at the clock,
  // not before: most runs are short.
  StatementRun* run_ = nullptr;
  bool sliceTimed_ = false;
  MonotonicTime sliceStart_;
  std::optional<Error> stopReason_;
  std::atomic<bool> interrupted_{false};
};

}  // namespace skep::sql
