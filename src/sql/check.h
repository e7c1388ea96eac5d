// Verifies a database down to the last byte: what the store holds, and what SQLite makes of it.
//
//   1. every record that is kept, of the history too, and every chunk version decodes (checksums),
//      and names the database, chunk and txid it is kept under
//   2. the records that are kept form one chain up to the head: no gap, no foreign epoch, digests
//      that follow
//   3. every chunk version is of a txid at which a commit ended; none lies past the end; those above
//      the head are told of (Kind::Staging)
//   4. every page can be rebuilt, and all of them together have the head's digest
//   5. PRAGMA integrity_check and foreign_key_check
//
// Reads only, all of it from one snapshot of the store: the owner goes on undisturbed.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "skep/base/result.h"
#include "skep/sql/progress.h"
#include "skep/vfs/environment.h"

namespace skep::sql {

struct Finding {
  enum class Kind : std::uint8_t {
    Record,
    Chunk,
    Staging,  // no damage: a large transaction that is under way or ended in a crash; the store
              // holds the same for both
    Page,
    Digest,
    Integrity,
  } kind;
  std::string message;
  bool isDamage() const { return kind != Kind::Staging; }
};

std::string_view findingKindName(Finding::Kind kind);

struct CheckReport {
  std::string name;
  store::Head head;
  std::uint64_t records = 0;
  std::uint64_t chunkVersions = 0;
  std::uint64_t pages = 0;
  std::vector<Finding> findings;

  /// Whether nothing is damaged.
  bool ok() const;
};

/// The report, also when it has findings; an error only when the check could not be made: NotFound,
/// SnapshotGone (the store lost the snapshot), Unavailable, Aborted. Suspends.
Result<CheckReport> checkDatabase(vfs::Environment& environment, const std::string& name,
                                  const Progress& progress = {});

/// The same in an environment whose store is a snapshot: for many databases at one moment.
Result<CheckReport> checkInSnapshot(vfs::Environment& snapshot, const std::string& name,
                                    const Progress& progress = {});

}  // namespace skep::sql
