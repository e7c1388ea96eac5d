// The pages that a real SQLite database goes through: for tests and benchmarks of what is stored.
//
// One private in-memory database with pages of 4096 bytes and SQLite's ordinary pager above it, so
// that its file image changes exactly as a file on disk would. One thread.
//
//   PageHistory history;
//   history.run("CREATE TABLE t(a, b)");
//   std::vector<std::byte> before = history.image();
//   history.run("INSERT INTO t VALUES (1, 2)");
//   std::vector<std::byte> after = history.image();   // a few pages differ

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "skep/base/bytes.h"

struct sqlite3;

namespace skep::testing {

class PageHistory {
 public:
  PageHistory();
  ~PageHistory();
  PageHistory(const PageHistory&) = delete;
  PageHistory& operator=(const PageHistory&) = delete;

  /// Runs statements; each commits by itself unless they say BEGIN. An error aborts the process.
  void run(const std::string& sql);
  /// The file image: whole pages, page 1 first. Empty before the first commit.
  Bytes image() const;
  std::size_t pageCount() const { return image().size() / 4096; }

 private:
  sqlite3* database_ = nullptr;
};

/// A seeded stream of SQL statements on a few tables with indexes, BLOBs and overflow pages:
/// inserts, updates that keep or change sizes, deletes, multi-statement transactions, now and then
/// DROP, VACUUM or CREATE INDEX.
class RandomSql {
 public:
  explicit RandomSql(std::uint64_t seed) : state_(seed) {}
  /// Makes the tables: run this first.
  static std::string schema();
  /// One transaction.
  std::string next();

 private:
  std::uint64_t random(std::uint64_t below);
  std::string statement();
  std::string text(std::uint64_t bytesMax);
  std::uint64_t state_;
};

}  // namespace skep::testing
