// Export and import: any database as an ordinary SQLite file, and the other way round (I10).
//
// Call on a fiber of the environment's loop; both suspend, and both also read or write local files
// on the loop's thread: they are for tools. Files of other page sizes, in WAL mode or with a hot
// journal are converted by SQLite on the way in.

#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "skep/base/bytes.h"
#include "skep/base/result.h"
#include "skep/sql/limits.h"
#include "skep/sql/progress.h"
#include "skep/vfs/environment.h"

namespace skep::sql {

/// Receives the file's bytes in order.
using ByteSink = std::function<Status(ByteView bytes)>;

/// Gives the version of `name` that is newest now to `sink`, page by page, without disturbing its
/// owner. NotFound; SnapshotGone when the store lost what it held for the reading: start again.
Status exportDatabase(vfs::Environment& environment, const std::string& name, const ByteSink& sink,
                      const Progress& progress = {});

/// What becomes of a file that is there already.
enum class Overwrite : std::uint8_t {
  Never,    // AlreadyExists, and it stays. So too when only its -journal, -wal or -shm is there,
            // which SQLite would apply to the new file
  Replace,  // these three are removed, and it is replaced, in one step, by the complete new one
};

/// As above, into a file that appears under `path` only when it is complete and synced, with the
/// permissions that the process gives to new files (umask). A killed process leaves the part that
/// it wrote, as `path`.partial-NUMBER.
Status exportToFile(vfs::Environment& environment, const std::string& name, const std::string& path,
                    Overwrite overwrite = Overwrite::Never, const Progress& progress = {});

/// Makes a new database from a SQLite file, after PRAGMA integrity_check. Durable when it returns.
/// AlreadyExists, unless nothing was ever stored in the database of that name: such a one, which a
/// killed import leaves, is taken over. NotFound (no file); InvalidArgument (not a SQLite file, or
/// an encrypted one); Corrupt (the check's first finding); QuotaExceeded; StoreFull; Fenced when
/// somebody else took the new database over: it is theirs then. On any other error the database is
/// removed, as far as the store can be reached.
Status importDatabase(vfs::Environment& environment, const std::string& path,
                      const std::string& name, const Limits& limits = {},
                      const Progress& progress = {});

}  // namespace skep::sql
