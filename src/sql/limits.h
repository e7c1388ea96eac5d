// Limits on what SQL may use. Zero means: no limit of that kind.

#pragma once

#include <cstddef>
#include <cstdint>

namespace skep::sql {

struct Limits {
  std::size_t sqlBytesMax = 1'000'000;      // length of one SQL text
  std::size_t valueBytesMax = 256'000'000;  // one string, blob or row
  // The rows that Database::execute() gathers, in memory. Beyond it the statement fails and is undone:
  // what is larger is read row by row with a Statement, which has no such limit.
  std::size_t resultBytesMax = 256 * 1024 * 1024;
  std::size_t memoryBytesMax = 256 * 1024 * 1024;  // SQLite heap of one database
  std::uint64_t stepsMax = 0;  // virtual machine instructions of one statement run
  std::int64_t timeMsMax = 0;  // wall time of one statement run, by the loop's clock
  // Quota of one database: QuotaExceeded above it. Its temporary tables have another one of the same
  // size. The journal of a large transaction and the runs of a large sort have none: they are files
  // in SQLite's temporary folder, and StoreFull says when its disk is full.
  std::uint64_t databaseBytesMax = 10ULL << 30;
};

}  // namespace skep::sql
