// Export and import: any database as an ordinary SQLite file, and the other way round (I10).
//
// Call on a fiber of the environment's loop; both suspend, and both also read or write local files
// on the loop's thread: they are for tools. Files of other page sizes, in WAL mode or with a hot
// journal are converted by SQLite on the way in.

#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "skep/base/result.h"
#include "skep/sql/limits.h"
#include "skep/vfs/environment.h"

namespace skep::sql {

/// Called now and then with the pages done and the pages in all. Returning false gives the work up
/// (Aborted).
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;
/// Receives the file's bytes in order.
using ByteSink = std::function<Status(ByteView bytes)>;

/// Gives the version of `name` that is newest now to `sink`, page by page, without disturbing its
/// owner. NotFound; SnapshotGone when the owner folded that version away meanwhile: start again.
Status exportDatabase(vfs::Environment& environment, const std::string& name, const ByteSink& sink,
                      const Progress& progress = {});

/// As above, into a file that appears under `path` only when it is complete and synced.
/// AlreadyExists when there is one.
Status exportToFile(vfs::Environment& environment, const std::string& name, const std::string& path,
                    const Progress& progress = {});

/// Makes a new database from a SQLite file, after PRAGMA integrity_check. Durable when it returns.
/// AlreadyExists; NotFound (no file); InvalidArgument (not a SQLite file, or an encrypted one);
/// Corrupt (the check's first finding); QuotaExceeded. Nothing is left behind on an error.
Status importDatabase(vfs::Environment& environment, const std::string& path,
                      const std::string& name, const Limits& limits = {},
                      const Progress& progress = {});

}  // namespace skep::sql
