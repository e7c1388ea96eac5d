#include "skep/sql/transfer.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <random>

#include "skep/sql/database.h"
#include "skep/sql/file_error.h"
#include "skep/sql/source_file.h"
#include "skep/vfs/paged_file.h"
#include "skep/vfs/temporary_file.h"

namespace skep::sql {
namespace {

constexpr int kBackupPages = 1024;  // copied between two calls of the progress function
constexpr std::uint64_t kProgressPages = 1024;

// --- Export ---

// What SQLite takes for a part of the database beside which it stands, and applies to it: left there
// by another database of the same name, it would damage the new file.
constexpr std::array kLogSuffixes = {"-journal", "-wal", "-shm"};

Status checkNoLogs(const std::string& path) {
  for (const char* suffix : kLogSuffixes) {
    const std::string log = path + suffix;
    struct stat status {};
    if (::lstat(log.c_str(), &status) != 0) continue;
    return Error{ErrorCode::AlreadyExists, "'" + log + "' exists: SQLite would take it for a part" +
                                               " of '" + path + "', and damage that"};
  }
  return {};
}

Status removeLogs(const std::string& path) {
  for (const char* suffix : kLogSuffixes) {
    const std::string log = path + suffix;
    if (unlink(log.c_str()) != 0 && errno != ENOENT) return fileError("cannot remove", log);
  }
  return {};
}

/// A file beside `path` that becomes `path` when it is complete, and is gone otherwise.
class PartialFile {
 public:
  explicit PartialFile(const std::string& path) : path_(path) {}
  ~PartialFile() {
    if (descriptor_ < 0) return;
    ::close(descriptor_);
    unlink(partial_.c_str());
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  Status make() {
    std::random_device random;
    do {  // not mkstemp(), whose files are for their owner alone, whatever the umask says
      partial_ = path_ + ".partial-" + std::to_string(random());
      descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && errno == EEXIST);
    return descriptor_ < 0 ? Status(fileError("cannot write", path_)) : Status{};
  }
  Status write(ByteView bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = ::write(descriptor_, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return fileError("cannot write", path_);
      bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    }
    return {};
  }
  Status publish(Overwrite overwrite) {
    if (fsync(descriptor_) != 0) return fileError("cannot sync", path_);
    SKEP_CHECK_OK(overwrite == Overwrite::Never ? checkNoLogs(path_) : removeLogs(path_));
    // link(), unlike rename(), never replaces a file that appeared meanwhile.
    const int rc = overwrite == Overwrite::Never ? link(partial_.c_str(), path_.c_str())
                                                 : rename(partial_.c_str(), path_.c_str());
    return rc == 0 ? syncFolder() : Status(fileError("cannot write", path_));
  }

 private:
  /// Makes the file's name durable, too.
  Status syncFolder() {
    const std::string parent = std::filesystem::path(path_).parent_path();
    const int folder =
        ::open(parent.empty() ? "." : parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
      // A folder in which one may make files, but not look: there is no way to sync it.
      return errno == EACCES ? Status{} : Status(fileError("cannot sync the folder of", path_));
    }
    // Some file systems (of networks, say) cannot sync a folder, and say EINVAL.
    const bool synced = fsync(folder) == 0 || errno == EINVAL;
    Status done = synced ? Status{} : Status(fileError("cannot sync the folder of", path_));
    ::close(folder);
    return done;
  }

  const std::string& path_;
  std::string partial_;
  int descriptor_ = -1;
};

// --- Import ---

/// Whether nothing was ever stored in the database: one that was only opened, or the target of an
/// import that was killed.
bool isUntouched(const store::Head& head, const store::Properties& properties) {
  return head.txid == 0 && !head.alarmMs && properties == store::Properties{};
}

Error existsAlready(const std::string& name) {
  return Error{ErrorCode::AlreadyExists, "there is a database named '" + name + "' already"};
}

/// Makes the database, or takes over one in which nothing was ever stored.
Result<std::unique_ptr<Database>> openTarget(vfs::Environment& environment, const std::string& name,
                                             const Limits& limits) {
  DatabaseOptions options;
  options.name = name;
  options.create = store::Create::MustBeNew;
  options.limits = limits;
  Result<std::unique_ptr<Database>> made = Database::open(environment, options);
  if (made || made.error().code != ErrorCode::AlreadyExists) return made;
  SKEP_TRY(const store::DatabaseInfo found, environment.store.info(name));
  if (!isUntouched(found.head, found.properties)) return existsAlready(name);
  options.create = store::Create::Never;
  SKEP_TRY(std::unique_ptr<Database> taken, Database::open(environment, options));
  // Once more: its owner may have written until it was taken over.
  if (isUntouched(taken->head(), taken->file().properties())) return taken;
  SKEP_CHECK_OK(taken->close());
  return existsAlready(name);
}

Status copyInto(Database& target, std::uint64_t quotaBytes, SourceFile& source,
                const std::string& path, Phases& phases) {
  sqlite3_backup* backup = sqlite3_backup_init(target.handle(), "main", source.handle(), "main");
  if (backup == nullptr) return Error{ErrorCode::Internal, sqlite3_errmsg(target.handle())};
  int rc = SQLITE_OK;
  bool goesOn = true;
  while (rc == SQLITE_OK && goesOn) {
    rc = sqlite3_backup_step(backup, kBackupPages);
    const auto pages = static_cast<std::uint64_t>(sqlite3_backup_pagecount(backup));
    const auto left = static_cast<std::uint64_t>(sqlite3_backup_remaining(backup));
    goesOn = phases.report(pages - left, pages);
  }
  sqlite3_backup_finish(backup);
  if (!goesOn) return givenUp();
  if (rc == SQLITE_DONE) return target.waitDurable();
  if (std::optional<Error> reason = target.file().takeLastError()) return std::move(*reason);
  if ((rc & 0xff) == SQLITE_FULL) {
    if (quotaBytes == 0 || source.pageCount() * store::kPageBytes <= quotaBytes)
      return vfs::temporaryFilesFull();
    return Error{ErrorCode::QuotaExceeded,
                 "'" + path + "' is larger than the database's quota of " +
                     std::to_string(quotaBytes) + " bytes",
                 rc};
  }
  return source.explain(rc);
}

}  // namespace

Status exportDatabase(vfs::Environment& environment, const std::string& name, const ByteSink& sink,
                      const Progress& progress) {
  SKEP_TRY(const std::unique_ptr<store::PageStore> snapshot, environment.store.snapshot());
  vfs::Environment reading = environment.withStore(*snapshot);
  SKEP_TRY(auto file, vfs::PagedFile::open(reading, {.name = name,
                                                     .create = store::Create::Never,
                                                     .mode = vfs::OpenFile::Mode::ReadOnly,
                                                     .databaseBytesMax = 0}));
  Status written = [&]() -> Status {
    for (store::PageNumber page = 1; page <= file->pageCount(); ++page) {
      SKEP_TRY(vfs::PageRef content, file->readPage(page));
      SKEP_CHECK_OK(sink(content->view()));
      const bool report = page % kProgressPages == 0 || page == file->pageCount();
      if (progress && report && !progress(page, file->pageCount())) return givenUp();
    }
    return {};
  }();
  Status closed = file->close();
  return written ? closed : written;
}

Status exportToFile(vfs::Environment& environment, const std::string& name, const std::string& path,
                    Overwrite overwrite, const Progress& progress) {
  if (overwrite == Overwrite::Never && access(path.c_str(), F_OK) == 0)
    return Error{ErrorCode::AlreadyExists, "'" + path + "' exists already"};
  if (overwrite == Overwrite::Never) SKEP_CHECK_OK(checkNoLogs(path));
  PartialFile file(path);
  SKEP_CHECK_OK(file.make());
  auto sink = [&](ByteView bytes) { return file.write(bytes); };
  SKEP_CHECK_OK(exportDatabase(environment, name, sink, progress));
  return file.publish(overwrite);
}

Status importDatabase(vfs::Environment& environment, const std::string& path,
                      const std::string& name, const Limits& limits, const Progress& progress) {
  SKEP_CHECK_OK(store::checkName(name));
  SKEP_TRY(SourceFile source, SourceFile::open(path));
  Phases phases(progress, source.mustConvert() ? 3 : 2, source.pageCount());
  SKEP_CHECK_OK(source.verify(phases));
  phases.next();
  if (source.mustConvert()) {
    SKEP_CHECK_OK(source.convert(phases));
    phases.next();
  }
  SKEP_TRY(std::unique_ptr<Database> target, openTarget(environment, name, limits));
  Status imported = copyInto(*target, limits.databaseBytesMax, source, path, phases);
  Status closed = target->close();
  if (imported) imported = closed;
  if (imported || imported.error().code == ErrorCode::Fenced) return imported;
  // Only what is still ours: whoever took the database over since may have written to it. Should
  // the removal fail, the reason of the import says more; an import of the same name cleans up.
  (void)environment.store.destroy(
      name, store::Ownership{.id = target->file().id(), .epoch = target->head().epoch});
  return imported;
}

}  // namespace skep::sql
