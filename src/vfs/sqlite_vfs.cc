#include "skep/vfs/sqlite_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <string>

#include "skep/vfs/sqlite_memory.h"
#include "skep/vfs/temporary_file.h"

namespace skep::vfs {
namespace {

constexpr const char* kVfsName = "skep";

/// The file that the next xOpen on this thread is for: sqlite3_open_v2 takes only a name.
thread_local PagedFile* openingFile = nullptr;

sqlite3_vfs* systemVfs() {
  static sqlite3_vfs* const found = sqlite3_vfs_find("unix");
  return found;
}

// --- The main database ---

struct MainFile {
  sqlite3_file base;
  PagedFile* file;
};

MainFile& mainFile(sqlite3_file* file) {
  return *reinterpret_cast<MainFile*>(file);
}

/// Remembers why, and gives SQLite `code`.
int fail(PagedFile& file, Error error, int code) {
  file.setLastError(std::move(error));
  return code;
}

/// Every callback runs inside this: nothing is thrown through SQLite, and while the fiber is
/// suspended SQLite's heap is not charged to this database.
template <class Body>
int wall(PagedFile& file, Body body) {
  SuspendGuard guard;
  try {
    return body();
  } catch (const std::bad_alloc&) {
    file.setLastError(Error{ErrorCode::LimitExceeded, "out of memory"});
  } catch (const std::exception& e) {
    file.setLastError(Error{ErrorCode::Internal, e.what()});
  } catch (...) {
    file.setLastError(Error{ErrorCode::Internal, "an unknown exception"});
  }
  return SQLITE_IOERR_NOMEM;
}

int mainClose(sqlite3_file*) {
  return SQLITE_OK;
}

int mainRead(sqlite3_file* base, void* out, int amount, sqlite3_int64 offset) {
  PagedFile& file = *mainFile(base).file;
  auto* to = static_cast<std::byte*>(out);
  const auto page = static_cast<PageNumber>(offset / static_cast<sqlite3_int64>(kPageBytes) + 1);
  const auto within = static_cast<std::size_t>(offset % static_cast<sqlite3_int64>(kPageBytes));
  const auto size = static_cast<std::size_t>(amount);
  if (within + size > kPageBytes) {
    return fail(file, Error{ErrorCode::Internal, "SQLite read across a page boundary"},
                SQLITE_IOERR_READ);
  }
  if (PageBuffer* found = file.findPage(page); found != nullptr && file.brokenBy() == nullptr) {
    std::memcpy(to, found->data + within, size);
    return SQLITE_OK;
  }
  return wall(file, [&]() -> int {
    Result<PageRef> read = file.readPage(page);
    if (read) {
      std::memcpy(to, (*read)->data + within, size);
      return SQLITE_OK;
    }
    if (read.error().code == ErrorCode::InvalidArgument) {
      // Past the end: SQLite wants zeros and this code. A page that is missing within the database
      // is Corrupt instead.
      std::memset(to, 0, size);
      return SQLITE_IOERR_SHORT_READ;
    }
    const int code = read.error().code == ErrorCode::Corrupt ? SQLITE_CORRUPT : SQLITE_IOERR_READ;
    return fail(file, std::move(read).error(), code);
  });
}

int mainWrite(sqlite3_file* base, const void* data, int amount, sqlite3_int64 offset) {
  PagedFile& file = *mainFile(base).file;
  return wall(file, [&]() -> int {
    if (amount != static_cast<int>(kPageBytes) ||
        offset % static_cast<sqlite3_int64>(kPageBytes) != 0) {
      return fail(file,
                  Error{ErrorCode::Unsupported, "only whole pages of 4096 bytes can be written"},
                  SQLITE_FULL);
    }
    const auto page = static_cast<PageNumber>(offset / static_cast<sqlite3_int64>(kPageBytes) + 1);
    Status written = file.writePage(page, {static_cast<const std::byte*>(data), kPageBytes});
    return written ? SQLITE_OK : fail(file, std::move(written).error(), SQLITE_FULL);
  });
}

// The database's size is what page 1 says at commit; SQLite sets that before it truncates.
int mainTruncate(sqlite3_file*, sqlite3_int64) {
  return SQLITE_OK;
}

int prepare(PagedFile& file) {
  return wall(file, [&]() -> int {
    Status prepared = file.prepareCommit();
    return prepared ? SQLITE_OK : fail(file, std::move(prepared).error(), SQLITE_FULL);
  });
}

int mainSync(sqlite3_file* base, int) {
  PagedFile& file = *mainFile(base).file;
  // After an atomic batch everything is prepared already, and an error would come too late for a
  // clean rollback.
  return file.isPrepared() ? SQLITE_OK : prepare(file);
}

int mainFileSize(sqlite3_file* base, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(mainFile(base).file->pageCount()) *
          static_cast<sqlite3_int64>(kPageBytes);
  return SQLITE_OK;
}

// One connection owns the file, and the store's epoch excludes other owners: there is nothing to
// lock here.
int mainLock(sqlite3_file*, int) {
  return SQLITE_OK;
}
int mainCheckReservedLock(sqlite3_file*, int* reserved) {
  *reserved = 0;
  return SQLITE_OK;
}

int mainFileControl(sqlite3_file* base, int operation, void*) {
  PagedFile& file = *mainFile(base).file;
  switch (operation) {
    case SQLITE_FCNTL_BEGIN_ATOMIC_WRITE:
    case SQLITE_FCNTL_ROLLBACK_ATOMIC_WRITE:
      return SQLITE_OK;
    case SQLITE_FCNTL_COMMIT_ATOMIC_WRITE:
      return prepare(file);
    case SQLITE_FCNTL_COMMIT_PHASETWO:
      return wall(file, [&] {
        file.commitLocal();
        return SQLITE_OK;
      });
    default:
      return SQLITE_NOTFOUND;
  }
}

int mainSectorSize(sqlite3_file*) {
  return static_cast<int>(kPageBytes);
}
int mainDeviceCharacteristics(sqlite3_file*) {
  return SQLITE_IOCAP_BATCH_ATOMIC | SQLITE_IOCAP_POWERSAFE_OVERWRITE | SQLITE_IOCAP_SAFE_APPEND |
         SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN;
}

/// Lets SQLite read a page in place. Null, and SQLite reads a copy, when that would suspend.
int mainFetch(sqlite3_file* base, sqlite3_int64 offset, int amount, void** data) {
  *data = nullptr;
  PagedFile& file = *mainFile(base).file;
  if (amount != static_cast<int>(kPageBytes) || file.brokenBy() != nullptr) return SQLITE_OK;
  const auto page = static_cast<PageNumber>(offset / static_cast<sqlite3_int64>(kPageBytes) + 1);
  PageBuffer* found = file.findPage(page);
  if (found == nullptr) return SQLITE_OK;
  ++found->references;
  *data = found->data;
  return SQLITE_OK;
}

int mainUnfetch(sqlite3_file*, sqlite3_int64, void* data) {
  if (data != nullptr) PageRef::release(PageBuffer::fromData(data));
  return SQLITE_OK;
}

const sqlite3_io_methods kMainMethods{
    3,
    mainClose,
    mainRead,
    mainWrite,
    mainTruncate,
    mainSync,
    mainFileSize,
    mainLock,
    mainLock,
    mainCheckReservedLock,
    mainFileControl,
    mainSectorSize,
    mainDeviceCharacteristics,
    nullptr,
    nullptr,
    nullptr,
    nullptr,  // no shared memory: no WAL
    mainFetch,
    mainUnfetch,
};

// --- The VFS ---

int vfsOpen(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* outFlags) {
  file->pMethods = nullptr;
  if ((flags & SQLITE_OPEN_MAIN_DB) != 0) {
    if (openingFile == nullptr)
      return SQLITE_CANTOPEN;  // ATTACH, or an open that did not come from openConnection()
    auto& main = mainFile(file);
    main.file = std::exchange(openingFile, nullptr);
    file->pMethods = &kMainMethods;
    if (outFlags != nullptr) *outFlags = flags;
    return SQLITE_OK;
  }
  if (name == nullptr) return openTemporaryFile(file, flags, outFlags);
  if ((flags & SQLITE_OPEN_MAIN_JOURNAL) == 0) return SQLITE_CANTOPEN;
  const int code = openTemporaryFile(file, flags, outFlags);
  mainFile(sqlite3_database_file_object(name)).file->setJournalResetDue(true);
  return code;
}

int vfsDelete(sqlite3_vfs*, const char*, int) {
  return SQLITE_OK;
}
int vfsAccess(sqlite3_vfs*, const char*, int, int* result) {
  *result = 0;
  return SQLITE_OK;
}
int vfsFullPathname(sqlite3_vfs*, const char* name, int outBytes, char* out) {
  sqlite3_snprintf(outBytes, out, "%s", name);
  return SQLITE_OK;
}
// Shared libraries, of extensions: loading one is the connection's to allow.
void* vfsDlOpen(sqlite3_vfs*, const char* file) {
  return systemVfs()->xDlOpen(systemVfs(), file);
}
void vfsDlError(sqlite3_vfs*, int bytes, char* message) {
  systemVfs()->xDlError(systemVfs(), bytes, message);
}
void (*vfsDlSym(sqlite3_vfs*, void* library, const char* symbol))(void) {
  return systemVfs()->xDlSym(systemVfs(), library, symbol);
}
void vfsDlClose(sqlite3_vfs*, void* library) {
  systemVfs()->xDlClose(systemVfs(), library);
}
int vfsRandomness(sqlite3_vfs*, int bytes, char* out) {
  return systemVfs()->xRandomness(systemVfs(), bytes, out);
}
int vfsSleep(sqlite3_vfs*, int) {
  return 0;
}
int vfsCurrentTime(sqlite3_vfs*, double* now) {
  return systemVfs()->xCurrentTime(systemVfs(), now);
}
int vfsGetLastError(sqlite3_vfs*, int, char*) {
  return 0;
}
int vfsCurrentTimeInt64(sqlite3_vfs*, sqlite3_int64* now) {
  return systemVfs()->xCurrentTimeInt64(systemVfs(), now);
}

constexpr sqlite3_int64 kAnySize = sqlite3_int64{1} << 46;  // as in openConnection()

}  // namespace

void registerVfs() {
  static std::once_flag once;
  std::call_once(once, [] {
    installSqliteMemory();
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    // Allowed, but not the default: see openConnection().
    sqlite3_config(SQLITE_CONFIG_MMAP_SIZE, 0, kAnySize);
    const int rc = sqlite3_initialize();
    SKEP_CHECK(rc == SQLITE_OK, "sqlite3_initialize: %d", rc);
    static sqlite3_vfs vfs{};
    vfs.iVersion = 2;
    vfs.szOsFile = static_cast<int>(std::max(sizeof(MainFile), temporaryFileBytes()));
    vfs.mxPathname = 512;
    vfs.zName = kVfsName;
    vfs.xOpen = vfsOpen;
    vfs.xDelete = vfsDelete;
    vfs.xAccess = vfsAccess;
    vfs.xFullPathname = vfsFullPathname;
    vfs.xDlOpen = vfsDlOpen;
    vfs.xDlError = vfsDlError;
    vfs.xDlSym = vfsDlSym;
    vfs.xDlClose = vfsDlClose;
    vfs.xRandomness = vfsRandomness;
    vfs.xSleep = vfsSleep;
    vfs.xCurrentTime = vfsCurrentTime;
    vfs.xGetLastError = vfsGetLastError;
    vfs.xCurrentTimeInt64 = vfsCurrentTimeInt64;
    sqlite3_vfs_register(&vfs, 0);
  });
}

Result<sqlite3*> openConnection(PagedFile& file) {
  registerVfs();
  sqlite3* connection = nullptr;
  openingFile = &file;
  const int access = file.isReadOnly() ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  int rc = sqlite3_open_v2("skep", &connection,
                           access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, kVfsName);
  openingFile = nullptr;
  // exclusive: no change counter to check at each read, and page 1 is not rewritten at each commit.
  // The page cache of SQLite itself stays tiny, as pages are read in place; cache_spill bounds what
  // a transaction keeps there.
  // Reading in place (xFetch) is what SQLite knows as memory-mapped I/O: on for the database, of any
  // size; off for temporary files, which would else be mapped as a whole (VACUUM copies into one).
  constexpr const char* kPragmas =
      "PRAGMA page_size = 4096;"
      "PRAGMA main.mmap_size = 70368744177664;"
      "PRAGMA locking_mode = EXCLUSIVE;"
      "PRAGMA synchronous = NORMAL;"
      "PRAGMA temp_store = FILE;"
      "PRAGMA cache_size = 8;";
  char* message = nullptr;
  if (rc == SQLITE_OK) rc = sqlite3_exec(connection, kPragmas, nullptr, nullptr, &message);
  const std::string spill =
      "PRAGMA cache_spill = " + std::to_string(file.environment().options.dirtyPagesMax);
  if (rc == SQLITE_OK) rc = sqlite3_exec(connection, spill.c_str(), nullptr, nullptr, &message);
  // An empty database's first transaction would journal to a file at once, though it has no page to
  // save: MEMORY avoids that. Later, DELETE is right: with atomic batches it keeps the journal in
  // memory until a transaction spills.
  const bool isEmpty = file.pageCount() == 0;
  const char* journal = isEmpty ? "PRAGMA journal_mode = MEMORY" : "PRAGMA journal_mode = DELETE";
  if (rc == SQLITE_OK) rc = sqlite3_exec(connection, journal, nullptr, nullptr, &message);
  file.setJournalResetDue(isEmpty);
  if (rc == SQLITE_OK) return connection;
  std::string text = message != nullptr ? message : sqlite3_errstr(rc);
  sqlite3_free(message);
  sqlite3_close_v2(connection);
  if (std::optional<Error> reason = file.takeLastError()) return std::move(*reason);
  const ErrorCode code = (rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT
                             ? ErrorCode::Corrupt
                         : (rc & 0xff) == SQLITE_NOMEM ? ErrorCode::LimitExceeded
                                                       : ErrorCode::Sql;
  return Error{code, "database '" + file.name() + "': " + text, rc};
}

void resetJournal(sqlite3* connection, PagedFile& file) {
  if (file.pageCount() == 0) return;
  // Through MEMORY: the change to it closes the journal file.
  const int rc =
      sqlite3_exec(connection, "PRAGMA journal_mode = MEMORY; PRAGMA journal_mode = DELETE",
                   nullptr, nullptr, nullptr);
  file.setJournalResetDue(rc != SQLITE_OK);
}

}  // namespace skep::vfs
