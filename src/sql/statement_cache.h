// StatementCache: compiled statements for SQL that is run again and again, least recently used out
// first, bounded by the bytes that SQLite says they take. A statement is lent to one user at a
// time; who asks for one that is lent compiles it for that one use.

#pragma once

#include <cstddef>
#include <list>
#include <string_view>
#include <unordered_map>

#include "skep/sql/statement.h"

namespace skep::sql {

class StatementCache;

struct CachedStatement {
  StatementCache* cache;
  std::string_view sql;  // owned by the statement
  sqlite3_stmt* statement;
  StatementKind kind;
  std::size_t bytes = 0;  // counted when it first comes back: it grows while it runs
  bool isLent = false;
  bool isDropped = false;  // the cache was cleared meanwhile: finalized when it comes back
};

class StatementCache {
 public:
  explicit StatementCache(std::size_t bytesMax) : bytesMax_(bytesMax) {}
  ~StatementCache() { clear(); }
  StatementCache(const StatementCache&) = delete;
  StatementCache& operator=(const StatementCache&) = delete;

  /// Lends the statement for `sql`; null when there is none that is free.
  CachedStatement* take(std::string_view sql);
  /// Takes a statement in and lends it at once; null, and the statement stays the caller's, when
  /// its text is here already.
  CachedStatement* add(sqlite3_stmt* statement, StatementKind kind);
  /// Takes a lent one back, reset, and finalizes the oldest ones above the bound.
  void giveBack(CachedStatement* cached);
  void clear();
  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return byUse_.size(); }

 private:
  using Entry = std::list<CachedStatement>::iterator;
  void lend(Entry entry);
  void drop(Entry entry);

  std::size_t bytesMax_;
  std::size_t bytes_ = 0;
  std::list<CachedStatement> byUse_;    // most recent first
  std::list<CachedStatement> dropped_;  // lent still
  std::unordered_map<std::string_view, Entry> bySql_;
};

}  // namespace skep::sql
