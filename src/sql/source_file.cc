#include "skep/sql/source_file.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>

#include "skep/sql/file_error.h"
#include "skep/vfs/sqlite_vfs.h"

namespace skep::sql {
namespace {

// How often SQLite looks up from its work: in virtual machine instructions (some 20 to 50 µs), or,
// within integrity_check, in pages.
constexpr int kProgressSteps = 1000;

Error sqliteSays(sqlite3* connection, const std::string& path, int rc) {
  const int primary = rc & 0xff;
  if (primary == SQLITE_INTERRUPT) return givenUp();
  const ErrorCode code = primary == SQLITE_CORRUPT ? ErrorCode::Corrupt
                         : primary == SQLITE_FULL  ? ErrorCode::StoreFull
                                                   : ErrorCode::InvalidArgument;
  std::string message = "'" + path + "': " +
                        (connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(rc));
  if (primary == SQLITE_NOTADB) message += " (not a SQLite database, or an encrypted one)";
  return Error{code, std::move(message), rc};
}

/// While it lives, SQLite reports to `phases` from within a statement, and ends the statement when
/// the work is given up.
class ReportingScope {
 public:
  ReportingScope(sqlite3* connection, Phases& phases, std::uint64_t pages)
      : connection_(connection), phases_(phases), pages_(pages), missesBefore_(misses()) {
    sqlite3_progress_handler(connection_, kProgressSteps, report, this);
  }
  ~ReportingScope() { sqlite3_progress_handler(connection_, 0, nullptr, nullptr); }
  ReportingScope(const ReportingScope&) = delete;
  ReportingScope& operator=(const ReportingScope&) = delete;

 private:
  /// Pages that were read from the file, those twice that were read twice: near enough for a bar.
  std::uint64_t misses() const {
    int current = 0;
    int highest = 0;
    sqlite3_db_status(connection_, SQLITE_DBSTATUS_CACHE_MISS, &current, &highest, 0);
    return static_cast<std::uint64_t>(current);
  }
  static int report(void* self) {
    auto& scope = *static_cast<ReportingScope*>(self);
    try {
      return scope.phases_.report(scope.misses() - scope.missesBefore_, scope.pages_) ? 0 : 1;
    } catch (...) {  // nothing is thrown through SQLite
      return 1;
    }
  }

  sqlite3* connection_;
  Phases& phases_;
  std::uint64_t pages_;
  std::uint64_t missesBefore_;
};

/// A file of our own in the temporary directory, removed at the end.
class TemporaryFile {
 public:
  TemporaryFile() {
    const char* directory = std::getenv("TMPDIR");
    const bool isChosen = directory != nullptr && *directory != '\0';
    path_ = std::string(isChosen ? directory : "/tmp") + "/skep-import-XXXXXX";
    const int descriptor = mkstemp(path_.data());
    isMade_ = descriptor >= 0;
    if (isMade_) ::close(descriptor);
  }
  ~TemporaryFile() {
    if (isMade_) unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  bool isMade() const { return isMade_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool isMade_ = false;
};

}  // namespace

void SourceFile::CloseConnection::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}

SourceFile::SourceFile(SourceFile&& other) noexcept = default;
SourceFile::~SourceFile() = default;

Result<SourceFile> SourceFile::open(const std::string& path) {
  vfs::registerVfs();
  SourceFile source(path);
  SKEP_TRY(source.connection_, connect(path));
  SKEP_CHECK_OK(source.look());
  return source;
}

Result<SourceFile::Connection> SourceFile::connect(const std::string& path) {
  if (access(path.c_str(), R_OK) != 0) return fileError("cannot read", path);
  const bool hasLog = access((path + "-wal").c_str(), F_OK) == 0;
  sqlite3* raw = nullptr;
  // Read-write, so that a hot journal can be rolled back; SQLite falls back to read-only by itself.
  const int rc =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, "unix");
  Connection connection(raw);
  if (rc != SQLITE_OK) return sqliteSays(raw, path, rc);
  // A write-ahead log with content stays beside the file as it was. Where there was none, SQLite
  // itself takes away at the close, under its locks, the empty one that it made to read the file.
  if (hasLog) sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // Not mapped into memory: a file that another process cuts meanwhile would end this one.
  sqlite3_int64 noMapping = 0;
  sqlite3_file_control(raw, "main", SQLITE_FCNTL_MMAP_SIZE, &noMapping);
  return connection;
}

Status SourceFile::look() {
  SKEP_CHECK_OK(queryText("BEGIN"));  // nobody else changes the file while it is measured
  SKEP_TRY(std::string pageSize, queryText("PRAGMA page_size"));
  SKEP_TRY(std::string journal, queryText("PRAGMA journal_mode"));
  SKEP_TRY(std::string pages, queryText("PRAGMA page_count"));
  std::uint64_t pageBytes = 0;
  std::from_chars(pageSize.data(), pageSize.data() + pageSize.size(), pageBytes);
  std::from_chars(pages.data(), pages.data() + pages.size(), pageCount_);
  SKEP_CHECK_OK(checkLength(pageBytes, journal == "wal"));
  SKEP_CHECK_OK(queryText("COMMIT"));
  int reservedBytes = -1;
  sqlite3_file_control(handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reservedBytes);
  mustConvert_ = pageSize != "4096" || journal == "wal" || reservedBytes > 0;
  return {};
}

/// SQLite reads zeros where a file ends within a page, and a value may well end in zeros:
/// integrity_check finds no fault. What is behind the last page SQLite ignores, and so does the
/// import. Call within a transaction: a hot journal is rolled back by then.
Status SourceFile::checkLength(std::uint64_t pageBytes, bool hasWriteAheadLog) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  sqlite3_int64 size = 0;
  if (file == nullptr || file->pMethods == nullptr) return {};
  if (const int rc = file->pMethods->xFileSize(file, &size); rc != SQLITE_OK) return explain(rc);
  const auto bytes = static_cast<std::uint64_t>(size);
  if (bytes >= pageCount_ * pageBytes) return {};
  // Whole pages may be in the write-ahead log alone, where integrity_check reads them; a part of one
  // is nothing that SQLite writes.
  struct stat log {};
  const bool mayBeInLog = hasWriteAheadLog && ::stat((path_ + "-wal").c_str(), &log) == 0 &&
                          log.st_size > 0 && bytes % pageBytes == 0;
  if (mayBeInLog) return {};
  return Error{ErrorCode::Corrupt, "'" + path_ + "' was cut off: it has " + std::to_string(bytes) +
                                       " of " + std::to_string(pageCount_ * pageBytes) + " bytes"};
}

Error SourceFile::explain(int code) const {
  return sqliteSays(connection_.get(), path_, code);
}

/// The first column of the first row, as text.
Result<std::string> SourceFile::queryText(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int rc = sqlite3_prepare_v2(handle(), sql, -1, &statement, nullptr);
  std::string text;
  if (rc == SQLITE_OK) {
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
      const auto* value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      text = value == nullptr ? "" : value;
    }
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) rc = SQLITE_OK;
  }
  Error error = rc == SQLITE_OK ? Error{} : explain(rc);
  sqlite3_finalize(statement);
  if (rc != SQLITE_OK) return error;
  return text;
}

Status SourceFile::verify(Phases& phases) {
  ReportingScope reporting(handle(), phases, pageCount_);
  SKEP_TRY(std::string integrity, queryText("PRAGMA integrity_check(1)"));
  if (integrity != "ok") return Error{ErrorCode::Corrupt, "'" + path_ + "': " + integrity};
  return {};
}

Status SourceFile::convert(Phases& phases) {
  TemporaryFile file;
  if (!file.isMade()) return fileError("cannot make the temporary file", file.path());
  int noReserve = 0;
  sqlite3_file_control(handle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &noReserve);
  SKEP_CHECK_OK(queryText("PRAGMA page_size = 4096"));
  char* sql = sqlite3_mprintf("VACUUM INTO %Q", file.path().c_str());
  Result<std::string> done = [&] {
    ReportingScope reporting(handle(), phases, pageCount_);
    return queryText(sql);
  }();
  sqlite3_free(sql);
  if (!done && done.error().code == ErrorCode::StoreFull) {
    return Error{ErrorCode::StoreFull, "no room for the converted copy of '" + path_ +
                                           "' in the temporary file '" + file.path() +
                                           "': TMPDIR chooses another place"};
  }
  if (!done) return std::move(done).error();
  // Open, it needs no name any more: nothing is left when the process is killed.
  SKEP_TRY(Connection converted, connect(file.path()));
  connection_ = std::move(converted);
  return look();
}

}  // namespace skep::sql
