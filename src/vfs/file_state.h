// FileState: what the parts of a PagedFile share, and who changes it.
//
// A PagedFile is made of parts with one task each (see paged_file.h). Each part keeps its own state
// to itself; what several need to see stands here. Belongs to the file's loop.

#pragma once

#include <boost/container/flat_map.hpp>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "skep/fiber/sync.h"
#include "skep/store/page_store.h"
#include "skep/vfs/compression_rate.h"
#include "skep/vfs/environment.h"
#include "skep/vfs/log_tail.h"
#include "skep/vfs/page_cache.h"

namespace skep::vfs {

struct OpenFile {
  std::string name;
  store::Create create = store::Create::Never;  // a reader never creates
  enum class Mode : std::uint8_t { ReadWrite, ReadOnly } mode = Mode::ReadWrite;
  std::uint64_t databaseBytesMax = 0;  // quota; 0: none
};

/// Work of one PagedFile since it was opened.
struct FileCounters {
  std::uint64_t storeReads = 0;  // round trips that read
  std::uint64_t chunksRead = 0;
  std::uint64_t recordsWritten = 0;
  std::uint64_t recordBytes = 0;
  std::uint64_t chunksFolded = 0;
  std::uint64_t chunkBytes = 0;
  std::uint64_t chunksStaged = 0;
  std::uint64_t outcomesResolved = 0;  // unknown outcomes that were resolved by reading the store
};

/// Ordered; most transactions change a few pages, and large ones bring theirs in order.
template <class T>
using PageMap =
    boost::container::flat_map<PageNumber, T, std::less<>,
                               boost::container::small_vector<std::pair<PageNumber, T>, 4>>;

struct FileState {
  FileState(Environment& theEnvironment, OpenFile theOptions);

  bool isReadOnly() const { return options.mode == OpenFile::Mode::ReadOnly; }
  /// "database 'name'", for messages.
  std::string described() const { return "database '" + options.name + "'"; }
  /// Damage of stored bytes, told with the database's name and the page that they were read for (0:
  /// for none); another error as it is.
  Error named(Error error, PageNumber page = 0) const;
  Status checkUsable() const { return broken ? Status(*broken) : Status{}; }
  /// Nothing is submitted any more and every call fails (I5). The first reason stays.
  void breakWith(Error error);
  /// Records up to `txid` are gone from the store.
  void logTrimmedThrough(store::Txid txid);

  Environment& environment;
  const OpenFile options;
  store::DatabaseId id;
  store::Incarnation claimedBy = 0;  // 0: by a process that is no node
  std::optional<Error> broken;

  // Durable, as the store has it: changed by whoever has written to the store.
  store::Head head;
  store::Properties properties;
  LogTail log;  // read again by PageLoader when it is needed and was dropped
  /// Grows when versions or records are removed that a load may be about to read: it starts over.
  std::uint64_t removals = 0;
  /// A staged transaction was rolled back: what it staged is removed before the next commit, and
  /// not read until then.
  bool discardDue = false;

  // The newest version in memory: changed by PagedFile's commits.
  std::uint32_t pageCount = 0;
  store::Txid committedTxid = 0;
  PageTable table;
  CompressionRate compression;

  bool isWriting = false;  // some fiber writes commits to the store (CommitWriter)
  fiber::Event progress;   // the durable txid grew, broken, or nobody writes any more
  FileCounters counters;
};

}  // namespace skep::vfs
