#include "skep/sql/statement_cache.h"

#include <sqlite3.h>

#include <algorithm>

namespace skep::sql {

CachedStatement* StatementCache::take(std::string_view sql) {
  if (byUse_.empty()) return nullptr;
  // The same statement again and again is the usual case.
  Entry entry = byUse_.begin();
  if (entry->sql != sql) {
    auto found = bySql_.find(sql);
    if (found == bySql_.end()) return nullptr;
    entry = found->second;
  }
  if (entry->isLent) return nullptr;
  lend(entry);
  return &*entry;
}

CachedStatement* StatementCache::add(sqlite3_stmt* statement, StatementKind kind) {
  const std::string_view sql(sqlite3_sql(statement));
  if (bySql_.contains(sql)) return nullptr;
  byUse_.push_front({.cache = this, .sql = sql, .statement = statement, .kind = kind});
  bySql_.emplace(sql, byUse_.begin());
  byUse_.front().isLent = true;
  return &byUse_.front();
}

void StatementCache::lend(Entry entry) {
  entry->isLent = true;
  byUse_.splice(byUse_.begin(), byUse_, entry);
}

void StatementCache::giveBack(CachedStatement* cached) {
  cached->isLent = false;
  if (cached->isDropped) {
    sqlite3_finalize(cached->statement);
    dropped_.remove_if([&](const CachedStatement& each) { return &each == cached; });
    return;
  }
  if (cached->bytes != 0) return;
  cached->bytes = static_cast<std::size_t>(
      sqlite3_stmt_status(cached->statement, SQLITE_STMTSTATUS_MEMUSED, 0));
  bytes_ += cached->bytes;
  for (Entry entry = byUse_.end(); bytes_ > bytesMax_ && entry != byUse_.begin();) {
    const Entry oldest = std::prev(entry);
    if (oldest->isLent) {
      entry = oldest;
    } else {
      drop(oldest);
    }
  }
}

void StatementCache::drop(Entry entry) {
  bytes_ -= entry->bytes;
  bySql_.erase(entry->sql);
  sqlite3_finalize(entry->statement);
  byUse_.erase(entry);
}

void StatementCache::clear() {
  bySql_.clear();
  bytes_ = 0;
  for (CachedStatement& each : byUse_) {
    if (!each.isLent) sqlite3_finalize(each.statement);
    each.isDropped = true;
  }
  byUse_.remove_if([](const CachedStatement& each) { return !each.isLent; });
  dropped_.splice(dropped_.begin(), byUse_);
}

}  // namespace skep::sql
