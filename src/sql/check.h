// Verifies a database down to the last byte: what the store holds, and what SQLite makes of it.
//
//   1. every record and every chunk version decodes (checksums), and names the database, chunk and
//   txid it is kept under
//   2. the records form one chain up to the head: no gap, no foreign epoch, digests that follow
//   3. no chunk version lies above the head (a torn staging) or past the end
//   4. every page can be rebuilt, and all of them together have the head's digest
//   5. PRAGMA integrity_check and foreign_key_check
//
// Reads only; the owner is not disturbed. A version that the owner folds away meanwhile is reported
// as SnapshotGone.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "skep/base/result.h"
#include "skep/sql/progress.h"
#include "skep/vfs/environment.h"

namespace skep::sql {

struct Finding {
  enum class Kind : std::uint8_t { Record, Chunk, TornStaging, Page, Digest, Integrity } kind;
  std::string message;
};

std::string_view findingKindName(Finding::Kind kind);

struct CheckReport {
  std::string name;
  store::Head head;
  std::uint64_t records = 0;
  std::uint64_t chunkVersions = 0;
  std::uint64_t pages = 0;
  std::vector<Finding> findings;

  bool ok() const { return findings.empty(); }
};

/// The report, also when it has findings; an error only when the check could not be made. Suspends.
Result<CheckReport> checkDatabase(vfs::Environment& environment, const std::string& name,
                                  const Progress& progress = {});

}  // namespace skep::sql
