// Environment: what a database needs from the process around it. One for each loop; wired by the
// program.

#pragma once

#include "skep/base/clock.h"
#include "skep/fiber/loop.h"
#include "skep/store/commit_pipeline.h"
#include "skep/store/membership.h"
#include "skep/store/page_store.h"
#include "skep/vfs/commit_scheduler.h"
#include "skep/vfs/page_cache.h"
#include "skep/vfs/paged_file_options.h"

namespace skep::vfs {

class PagedFile;

/// References outlive every database that is opened through it.
struct Environment {
  fiber::Loop& loop;
  store::PageStore& store;
  store::CommitPipeline& pipeline;
  PageCache& cache;
  PagedFileOptions options;
  store::Lease* lease = nullptr;  // of the node that claims databases here; null: it is no node
  CommitScheduler scheduler{loop};

  /// The same for reading from another store: a snapshot of this one.
  Environment withStore(store::PageStore& other) const {
    return {.loop = loop, .store = other, .pipeline = pipeline, .cache = cache, .options = options};
  }
};

}  // namespace skep::vfs
