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
  enum class Transaction : std::uint8_t { None, Explicit, Turn };

  Connection(vfs::Environment& environment, DatabaseOptions options);
  ~Connection();
  Status open();
  /// Closes the handle; uncommitted work is rolled back. Every Statement is gone by then.
  void closeHandle();

  /// The part of `text` that starts at `offset`, for compile(). `text` is followed by a NUL when
  /// `terminated`: that saves SQLite a copy of it.
  struct Source {
    std::string_view text;
    std::size_t offset = 0;
    bool terminated = false;
    std::string_view rest() const { return text.substr(offset); }
  };
  /// Whether `text` can be given to compile(): its length, and that it has no NUL, where SQLite
  /// would stop reading.
  Status checkText(std::string_view text) const;
  /// Compiles the first statement of the source; `tailOffset` (in the whole text) is where the next
  /// one starts. An error's sqlOffset counts from the start of the whole text. Call inside an
  /// Entry, after checkText().
  Result<sqlite3_stmt*> compile(Source source, std::size_t& tailOffset, bool keep);
  /// Runs one step. Call inside an Entry. SQLITE_ROW: true, SQLITE_DONE: false.
  Result<bool> step(sqlite3_stmt* statement, StatementKind kind, StatementRun& run);
  /// Runs a fixed statement of our own (BEGIN and the like), which the authorizer lets pass. Call
  /// inside an Entry.
  Status control(const char* sql);
  /// What `code` means, with the limit or the store's error behind it. Call inside an Entry.
  Error explain(int code, int offsetBase = 0);
  /// Fails once the transaction that the API opened was rolled back by SQLite itself.
  Status checkTransaction() const;
  /// For a rollback that SQLite does not know of: of a turn that has written nothing.
  void noteFailure(bool wasInTransaction);
  void noteRollback() { rolledBack_ = true; }
  /// Runs and forgets the undo callbacks from the `first` on, newest first.
  void undoFrom(std::size_t first);
  /// Ends the statements that were dropped while they wrote. Fails when the commit of one failed.
  /// Suspends.
  Status finishReleased();

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

  /// Gives a statement back from any fiber, also while another one is inside. Does not suspend: one
  /// that still writes, whose end may be a commit, is left to the next Entry.
  void release(sqlite3_stmt* statement, CachedStatement* cached);

  sqlite3* handle = nullptr;
  DatabaseOptions options;
  std::unique_ptr<vfs::PagedFile> file;
  Transaction transaction = Transaction::None;
  bool turnOpened = false;       // the turn's implicit transaction has begun
  bool transactionLost = false;  // SQLite rolled back what the API had begun
  std::vector<std::function<void()>> undo;
  Counters counters;
  std::size_t statementCount = 0;  // handed out
  std::uint64_t savepointCount = 0;
  bool asSystem = false;  // statements that are compiled now may write `_skep_` tables
  vfs::MemoryAccount account;

  void interrupt() { interrupted_ = true; }
  bool isSystem() const { return asSystem || options.trust == DatabaseOptions::Trust::System; }

 private:
  friend class Entry;
  static int authorize(void* self, int action, const char* first, const char* second,
                       const char* database, const char* trigger);
  static int progress(void* self);
  template <class Body>
  static int wall(void* self, int refused, Body body);
  int allow(int action, std::string_view first, std::string_view second, std::string_view trigger);
  int lookUp();
  static void rolledBack(void* self);
  Status setUp();
  Status limitPages();
  Status limitTemporaryPages();
  void start(StatementRun& run);
  void finish(sqlite3_stmt* statement, CachedStatement* cached);
  void settle();

  vfs::Environment& environment_;
  fiber::Mutex lock_;
  StatementCache cache_;
  StatementCache systemCache_;  // apart: its statements may do more
  struct Released {
    sqlite3_stmt* statement;
    CachedStatement* cached;
  };
  std::vector<Released> released_;      // waiting for the next Entry
  std::optional<Error> releasedError_;  // why a statement of those could not commit
  bool internal_ = false;               // our own statement: the authorizer lets it pass
  bool inVacuum_ = false;
  bool rolledBack_ = false;
  bool altersTable_ = false;       // the statement that is being compiled does
  bool hasTemporary_ = false;      // a statement was about temporary tables
  bool temporaryLimited_ = false;  // temporary tables know the quota
  bool isStepping_ = false;        // SQLite runs a statement: what it compiles now is its own
  std::string refusal_;
  store::Txid countedTxid_ = 0;  // commits up to it are counted

  // The statement that is inside, for the limits. Times are taken at the first look at the clock,
  // not before: most runs are short.
  StatementRun* run_ = nullptr;
  bool sliceTimed_ = false;
  MonotonicTime sliceStart_;
  std::optional<Error> stopReason_;
  std::atomic<bool> interrupted_{false};

 public:
  StatementCache& cache() { return asSystem ? systemCache_ : cache_; }
  void clearCaches() {
    cache_.clear();
    systemCache_.clear();
  }
};

}  // namespace skep::sql
