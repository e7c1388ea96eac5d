// The SQLite VFS "skep": connects a sqlite3 connection to a PagedFile.
//
// openConnection() gives an ordinary sqlite3 handle whose main database is the PagedFile. Its
// journal, should a large transaction need one, and SQLite's temporary files live in anonymous
// files of the operating system: what they hold is never needed after a crash, because nothing of
// an unfinished transaction is visible in the store.
//
// How SQLite's callbacks become commits
// (https://www.sqlite.org/c3ref/c_fcntl_begin_atomic_write.html):
//   xWrite                      a page into the transaction's overlay
//   COMMIT_ATOMIC_WRITE, xSync  prepareCommit(): all that can fail
//   COMMIT_PHASETWO             commitLocal()
// Errors inside the atomic batch are returned as SQLITE_FULL: SQLite answers an IOERR there by
// quietly doing the commit again through a journal. The real reason is PagedFile::takeLastError().

#pragma once

#include <cstddef>

#include "skep/base/result.h"
#include "skep/vfs/paged_file.h"

struct sqlite3;

namespace skep::vfs {

/// Registers the VFS and SQLite's process-wide configuration, once. Any thread.
void registerVfs();

/// Opens a connection to `file`, which outlives it, with the pragmas that the VFS relies on. Close
/// it with sqlite3_close_v2(). Suspends (it reads page 1).
Result<sqlite3*> openConnection(PagedFile& file);

/// Goes back to a journal in memory. SQLite opens a real journal file for a transaction that
/// spills, and in exclusive locking mode keeps writing every later transaction to it; and it begins
/// an empty database in another journal mode (see openConnection). Call outside a transaction when
/// file.journalResetDue(). Does not suspend.
void resetJournal(sqlite3* connection, PagedFile& file);

}  // namespace skep::vfs
