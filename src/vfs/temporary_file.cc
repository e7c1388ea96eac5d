#include "skep/vfs/temporary_file.h"

#include <sqlite3.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "skep/vfs/sqlite_memory.h"

namespace skep::vfs {
namespace {

sqlite3_vfs* systemVfs() {
  static sqlite3_vfs* const found = sqlite3_vfs_find("unix");
  return found;
}

struct TemporaryFile {
  sqlite3_file base;
  // The system VFS's file object follows.
  sqlite3_file* inner() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

sqlite3_file* innerFile(sqlite3_file* file) {
  return reinterpret_cast<TemporaryFile*>(file)->inner();
}

/// Remembers that the disk is full, for whoever explains the error.
int noteFull(int code) {
  MemoryAccount* account = chargedAccount;
  if ((code & 0xff) == SQLITE_FULL && account != nullptr) account->diskWasFull = true;
  return code;
}

int closeFile(sqlite3_file* f) {
  return innerFile(f)->pMethods->xClose(innerFile(f));
}
int readFile(sqlite3_file* f, void* to, int amount, sqlite3_int64 offset) {
  return innerFile(f)->pMethods->xRead(innerFile(f), to, amount, offset);
}
int writeFile(sqlite3_file* f, const void* from, int amount, sqlite3_int64 offset) {
  return noteFull(innerFile(f)->pMethods->xWrite(innerFile(f), from, amount, offset));
}
int truncateFile(sqlite3_file* f, sqlite3_int64 size) {
  return innerFile(f)->pMethods->xTruncate(innerFile(f), size);
}
int syncFile(sqlite3_file*, int) {
  return SQLITE_OK;
}
int fileSize(sqlite3_file* f, sqlite3_int64* size) {
  return innerFile(f)->pMethods->xFileSize(innerFile(f), size);
}
// Nobody else can open the file.
int lockFile(sqlite3_file*, int) {
  return SQLITE_OK;
}
int checkReservedLock(sqlite3_file*, int* reserved) {
  *reserved = 0;
  return SQLITE_OK;
}
int controlFile(sqlite3_file* f, int operation, void* argument) {
  return noteFull(innerFile(f)->pMethods->xFileControl(innerFile(f), operation, argument));
}
int controlJournal(sqlite3_file*, int, void*) {
  return SQLITE_NOTFOUND;
}
int sectorSize(sqlite3_file* f) {
  return innerFile(f)->pMethods->xSectorSize(innerFile(f));
}
int deviceCharacteristics(sqlite3_file* f) {
  return innerFile(f)->pMethods->xDeviceCharacteristics(innerFile(f));
}
int noDeviceCharacteristics(sqlite3_file*) {
  return 0;
}
int fetchPage(sqlite3_file* f, sqlite3_int64 offset, int amount, void** page) {
  return innerFile(f)->pMethods->xFetch(innerFile(f), offset, amount, page);
}
int unfetchPage(sqlite3_file* f, sqlite3_int64 offset, void* page) {
  return innerFile(f)->pMethods->xUnfetch(innerFile(f), offset, page);
}

constexpr sqlite3_io_methods kTemporaryMethods{
    3,
    closeFile,
    readFile,
    writeFile,
    truncateFile,
    syncFile,
    fileSize,
    lockFile,
    lockFile,
    checkReservedLock,
    controlFile,
    sectorSize,
    deviceCharacteristics,
    nullptr,
    nullptr,
    nullptr,
    nullptr,  // no shared memory: no WAL
    fetchPage,
    unfetchPage,
};

// The database's journal is never that of the system's file beneath: no control reaches it, and it
// is not fetched from.
constexpr sqlite3_io_methods kJournalMethods = [] {
  sqlite3_io_methods methods = kTemporaryMethods;
  methods.iVersion = 1;
  methods.xFileControl = controlJournal;
  methods.xDeviceCharacteristics = noDeviceCharacteristics;
  return methods;
}();

/// Where SQLite's "unix" VFS makes temporary files (https://www.sqlite.org/tempfiles.html).
std::string temporaryFolder() {
  for (const char* folder :
       {static_cast<const char*>(std::getenv("SQLITE_TMPDIR")),
        static_cast<const char*>(std::getenv("TMPDIR")), "/var/tmp", "/usr/tmp", "/tmp"}) {
    if (folder != nullptr && access(folder, W_OK | X_OK) == 0) return folder;
  }
  return ".";
}

}  // namespace

std::size_t temporaryFileBytes() {
  return sizeof(TemporaryFile) + static_cast<std::size_t>(systemVfs()->szOsFile);
}

int openTemporaryFile(sqlite3_file* file, int flags, int* outFlags) {
  constexpr int kAnonymous = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXCLUSIVE |
                             SQLITE_OPEN_DELETEONCLOSE;
  const bool isJournal = (flags & SQLITE_OPEN_MAIN_JOURNAL) != 0;
  const int kind = isJournal ? SQLITE_OPEN_TEMP_JOURNAL : flags & 0xfff00;
  const int code =
      systemVfs()->xOpen(systemVfs(), nullptr, innerFile(file), kAnonymous | kind, outFlags);
  if (code == SQLITE_OK) file->pMethods = isJournal ? &kJournalMethods : &kTemporaryMethods;
  return code;
}

Error temporaryFilesFull() {
  return Error{ErrorCode::StoreFull,
               "the disk of SQLite's temporary files, in '" + temporaryFolder() +
                   "', is full: SQLITE_TMPDIR chooses another place",
               SQLITE_FULL};
}

}  // namespace skep::vfs
