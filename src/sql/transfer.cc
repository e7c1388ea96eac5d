#include "skep/sql/transfer.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "skep/sql/database.h"
#include "skep/vfs/paged_file.h"
#include "skep/vfs/sqlite_vfs.h"

namespace skep::sql {
namespace {

constexpr int kBackupPages = 1024;  // copied between two calls of the progress function
constexpr std::uint64_t kProgressPages = 1024;

struct CloseConnection {
  void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
using PlainConnection = std::unique_ptr<sqlite3, CloseConnection>;

Error aborted() {
  return Error{ErrorCode::Aborted, "given up"};
}

Error fileError(const std::string& what, const std::string& path) {
  const int number = errno;
  const ErrorCode code = number == ENOENT   ? ErrorCode::NotFound
                         : number == EEXIST ? ErrorCode::AlreadyExists
                         : number == ENOSPC ? ErrorCode::StoreFull
                                            : ErrorCode::InvalidArgument;
  return Error{code, what + " '" + path + "': " + std::strerror(number)};
}

/// What SQLite says of the file that is being imported.
Error sourceError(sqlite3* connection, const std::string& path, int rc) {
  const bool foreign = (rc & 0xff) == SQLITE_NOTADB;
  const ErrorCode code = foreign                         ? ErrorCode::InvalidArgument
                         : (rc & 0xff) == SQLITE_CORRUPT ? ErrorCode::Corrupt
                         : (rc & 0xff) == SQLITE_FULL    ? ErrorCode::StoreFull
                                                         : ErrorCode::InvalidArgument;
  std::string message = "'" + path + "': " +
                        (connection != nullptr ? sqlite3_errmsg(connection) : sqlite3_errstr(rc));
  if (foreign) message += " (not a SQLite database, or an encrypted one)";
  return Error{code, std::move(message), rc};
}

Result<PlainConnection> openPlain(const std::string& path) {
  if (access(path.c_str(), R_OK) != 0) return fileError("cannot read", path);
  sqlite3* raw = nullptr;
  // Read-write, so that a hot journal can be rolled back; SQLite falls back to read-only by itself.
  const int rc =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, "unix");
  PlainConnection connection(raw);
  if (rc != SQLITE_OK) return sourceError(raw, path, rc);
  // A write-ahead log stays beside the file as it was.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  return connection;
}

/// The first column of the first row, as text.
Result<std::string> queryText(sqlite3* connection, const std::string& path, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  int rc = sqlite3_prepare_v2(connection, sql, -1, &statement, nullptr);
  std::string text;
  if (rc == SQLITE_OK) {
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
      const auto* value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
      text = value == nullptr ? "" : value;
    }
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) rc = SQLITE_OK;
  }
  Error error = rc == SQLITE_OK ? Error{} : sourceError(connection, path, rc);
  sqlite3_finalize(statement);
  if (rc != SQLITE_OK) return error;
  return text;
}

/// A file name of our own in the temporary directory, removed at the end.
class TemporaryFile {
 public:
  TemporaryFile() {
    const char* directory = std::getenv("TMPDIR");
    path_ = std::string(directory == nullptr ? "/tmp" : directory) + "/skep-import-XXXXXX";
    const int descriptor = mkstemp(path_.data());
    if (descriptor >= 0) {
      ::close(descriptor);
      made_ = true;
    }
  }
  ~TemporaryFile() {
    if (made_) unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  bool isMade() const { return made_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool made_ = false;
};

/// Writes `source` anew with pages of 4096 bytes and a rollback journal.
Status convert(sqlite3* source, const std::string& path, const TemporaryFile& to) {
  if (!to.isMade()) return fileError("cannot make a temporary file for the conversion of", path);
  SKEP_CHECK_OK(queryText(source, path, "PRAGMA page_size = 4096"));
  char* sql = sqlite3_mprintf("VACUUM INTO %Q", to.path().c_str());
  Result<std::string> done = queryText(source, path, sql);
  sqlite3_free(sql);
  if (!done) return std::move(done).error();
  return {};
}

Status copyInto(Database& target, std::uint64_t quotaBytes, sqlite3* source,
                const std::string& path, const Progress& progress) {
  vfs::PagedFile& file = target.file();
  sqlite3* const targetHandle = target.handle();
  sqlite3_backup* backup = sqlite3_backup_init(targetHandle, "main", source, "main");
  if (backup == nullptr) return Error{ErrorCode::Internal, sqlite3_errmsg(targetHandle)};
  int rc = SQLITE_OK;
  bool givenUp = false;
  while (rc == SQLITE_OK && !givenUp) {
    rc = sqlite3_backup_step(backup, kBackupPages);
    const int total = sqlite3_backup_pagecount(backup);
    const int done = total - sqlite3_backup_remaining(backup);
    if (progress)
      givenUp = !progress(static_cast<std::uint64_t>(done), static_cast<std::uint64_t>(total));
  }
  sqlite3_backup_finish(backup);
  if (givenUp) return aborted();
  if (rc == SQLITE_DONE) return target.waitDurable();
  if (std::optional<Error> reason = file.takeLastError()) return std::move(*reason);
  if ((rc & 0xff) == SQLITE_FULL) {
    return Error{ErrorCode::QuotaExceeded,
                 "'" + path + "' is larger than the database's quota of " +
                     std::to_string(quotaBytes) + " bytes",
                 rc};
  }
  return sourceError(source, path, rc);
}

}  // namespace

Status exportDatabase(vfs::Environment& environment, const std::string& name, const ByteSink& sink,
                      const Progress& progress) {
  SKEP_TRY(auto file, vfs::PagedFile::open(environment, {.name = name,
                                                         .create = store::Create::Never,
                                                         .mode = vfs::OpenFile::Mode::ReadOnly,
                                                         .databaseBytesMax = 0}));
  Status written = [&]() -> Status {
    for (store::PageNumber page = 1; page <= file->pageCount(); ++page) {
      SKEP_TRY(vfs::PageRef content, file->readPage(page));
      SKEP_CHECK_OK(sink(content->view()));
      const bool report = page % kProgressPages == 0 || page == file->pageCount();
      if (progress && report && !progress(page, file->pageCount())) return aborted();
    }
    return {};
  }();
  Status closed = file->close();
  return written ? closed : written;
}

Status exportToFile(vfs::Environment& environment, const std::string& name, const std::string& path,
                    const Progress& progress) {
  if (access(path.c_str(), F_OK) == 0)
    return Error{ErrorCode::AlreadyExists, "'" + path + "' exists already"};
  std::string partial = path + ".partial-XXXXXX";
  const int descriptor = mkstemp(partial.data());
  if (descriptor < 0) return fileError("cannot write", path);
  auto sink = [&](ByteView bytes) -> Status {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(descriptor, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return fileError("cannot write", path);
      bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    }
    return {};
  };
  Status done = exportDatabase(environment, name, sink, progress);
  if (done && fsync(descriptor) != 0) done = fileError("cannot sync", path);
  if (done) fchmod(descriptor, 0644);
  ::close(descriptor);
  // link(), unlike rename(), never replaces a file that appeared meanwhile.
  if (done && link(partial.c_str(), path.c_str()) != 0) done = fileError("cannot write", path);
  unlink(partial.c_str());
  return done;
}

Status importDatabase(vfs::Environment& environment, const std::string& path,
                      const std::string& name, const Limits& limits, const Progress& progress) {
  SKEP_CHECK_OK(store::checkName(name));
  vfs::registerVfs();
  SKEP_TRY(PlainConnection source, openPlain(path));
  SKEP_TRY(std::string integrity, queryText(source.get(), path, "PRAGMA integrity_check(1)"));
  if (integrity != "ok") return Error{ErrorCode::Corrupt, "'" + path + "': " + integrity};
  SKEP_TRY(std::string pageSize, queryText(source.get(), path, "PRAGMA page_size"));
  SKEP_TRY(std::string journal, queryText(source.get(), path, "PRAGMA journal_mode"));
  int reservedBytes = -1;
  sqlite3_file_control(source.get(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reservedBytes);
  TemporaryFile converted;
  if (pageSize != "4096" || journal == "wal" || reservedBytes > 0) {
    int noReserve = 0;
    sqlite3_file_control(source.get(), "main", SQLITE_FCNTL_RESERVE_BYTES, &noReserve);
    SKEP_CHECK_OK(convert(source.get(), path, converted));
    SKEP_TRY(source, openPlain(converted.path()));
  }
  DatabaseOptions options;
  options.name = name;
  options.create = store::Create::MustBeNew;
  options.limits = limits;
  SKEP_TRY(std::unique_ptr<Database> target, Database::open(environment, options));
  Status copied = copyInto(*target, limits.databaseBytesMax, source.get(), path, progress);
  Status closed = target->close();
  if (copied) copied = closed;
  if (!copied) SKEP_CHECK_OK(environment.store.destroy(name));
  return copied;
}

}  // namespace skep::sql
