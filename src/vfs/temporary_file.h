// What SQLite keeps outside of a database's pages: the rollback journal of a large transaction,
// temporary tables, the runs of a large sort. Anonymous files of the operating system, gone when
// they are closed or the process ends; nothing in them is needed after a crash.
//
// SQLite says SQLITE_FULL when such a file cannot grow, and the same when a database is at its
// quota: the account that is charged (sqlite_memory.h) remembers which it was, as `diskWasFull`.

#pragma once

#include <cstddef>

#include "skep/base/error.h"

struct sqlite3_file;

namespace skep::vfs {

/// What xOpen must allocate for such a file.
std::size_t temporaryFileBytes();

/// Opens one into `file`; `flags` and `outFlags` as in xOpen. A result code of SQLite.
int openTemporaryFile(sqlite3_file* file, int flags, int* outFlags);

/// StoreFull, naming the folder in which SQLite makes these files.
Error temporaryFilesFull();

}  // namespace skep::vfs
