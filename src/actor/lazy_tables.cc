#include "skep/actor/lazy_tables.h"

namespace skep::actor {
namespace {

// Ids are never given twice: whoever holds one that is gone must not meet another's.
constexpr std::array<std::string_view, kLazyTables> kScripts = {
    R"sql(
CREATE TABLE _skep_kv(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE _skep_timer(
  id INTEGER PRIMARY KEY AUTOINCREMENT, is_job INTEGER NOT NULL, name TEXT, action TEXT NOT NULL,
  arguments BLOB NOT NULL, slot_ms INTEGER NOT NULL, due_ms INTEGER, tries INTEGER NOT NULL DEFAULT 0,
  error TEXT, expression TEXT, time_zone TEXT, interval_ms INTEGER, UNIQUE (is_job, name));
CREATE INDEX _skep_timer_due ON _skep_timer(due_ms) WHERE due_ms IS NOT NULL;
)sql",
    R"sql(
CREATE TABLE _skep_job_run(
  job TEXT NOT NULL, number INTEGER NOT NULL, slot_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL, error TEXT, PRIMARY KEY (job, number)) WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE _skep_queue(
  id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, body BLOB NOT NULL,
  sent_ms INTEGER NOT NULL, due_ms INTEGER, tries INTEGER NOT NULL DEFAULT 0, error TEXT);
CREATE INDEX _skep_queue_due ON _skep_queue(queue, due_ms);
)sql"};
constexpr std::array<std::string_view, kLazyTables> kNames = {"_skep_kv", "_skep_timer",
                                                              "_skep_job_run", "_skep_queue"};

}  // namespace

Status LazyTables::ensure(sql::Database& database, LazyTable table) {
  if (has(table)) return {};
  const auto index = static_cast<std::size_t>(table);
  SKEP_CHECK_OK(database.run(kScripts[index]));
  exists_[index] = true;
  database.onRollback([this, index] { exists_[index] = false; });
  return {};
}

void LazyTables::note(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) exists_[i] = true;
  }
}

}  // namespace skep::actor
