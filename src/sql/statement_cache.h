// StatementCache: compiled statements for SQL that is run again and again, least recently used out first, bounded by
// the bytes that SQLite says they take. A statement that is handed out is not in the cache until it comes back; one that
// is asked for meanwhile is compiled for that one use.

#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

struct sqlite3_stmt;

namespace skep::sql {

class StatementCache {
 public:
  explicit StatementCache(std::size_t bytesMax) : bytesMax_(bytesMax) {}
  ~StatementCache() { clear(); }
  StatementCache(const StatementCache&) = delete;
  StatementCache& operator=(const StatementCache&) = delete;

  /// Takes the statement for `sql` out, or null.
  sqlite3_stmt* take(std::string_view sql);
  /// Puts a reset statement in, dropping (finalizing) the oldest ones above the bound.
  void put(sqlite3_stmt* statement);
  void clear();
  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return byUse_.size(); }

 private:
  struct Entry {
    std::string_view sql;  // owned by the statement
    sqlite3_stmt* statement;
    std::size_t bytes;
  };
  void drop(std::list<Entry>::iterator entry);

  std::size_t bytesMax_;
  std::size_t bytes_ = 0;
  std::list<Entry> byUse_;  // most recent first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> bySql_;
};

}  // namespace skep::sql
