#include "skep/sql/statement_cache.h"

#include <sqlite3.h>

namespace skep::sql {

sqlite3_stmt* StatementCache::take(std::string_view sql) {
  auto found = bySql_.find(sql);
  if (found == bySql_.end()) return nullptr;
  auto entry = found->second;
  sqlite3_stmt* statement = entry->statement;
  bytes_ -= entry->bytes;
  bySql_.erase(found);
  byUse_.erase(entry);
  return statement;
}

void StatementCache::put(sqlite3_stmt* statement) {
  const std::string_view sql(sqlite3_sql(statement));
  const auto bytes = static_cast<std::size_t>(sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_MEMUSED, 0));
  if (bytes > bytesMax_ || bySql_.contains(sql)) {
    sqlite3_finalize(statement);
    return;
  }
  byUse_.push_front({.sql = sql, .statement = statement, .bytes = bytes});
  bySql_.emplace(sql, byUse_.begin());
  bytes_ += bytes;
  while (bytes_ > bytesMax_) drop(std::prev(byUse_.end()));
}

void StatementCache::drop(std::list<Entry>::iterator entry) {
  bytes_ -= entry->bytes;
  bySql_.erase(entry->sql);
  sqlite3_stmt* statement = entry->statement;
  byUse_.erase(entry);
  sqlite3_finalize(statement);
}

void StatementCache::clear() {
  while (!byUse_.empty()) drop(byUse_.begin());
}

}  // namespace skep::sql
