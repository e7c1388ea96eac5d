// SqlWorkload: random SQL over a few tables, the same for the same seed.
//
// Statements are made without looking at the database: some fail (constraints, missing indexes, a
// column added twice), and have to fail alike everywhere. Nothing in them depends on time or
// chance: random bytes are bound as parameters. Every table's first column is its key, so that
// content can be listed in a fixed order.

#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "skep/sql/value.h"

namespace skep::testing {

struct Operation {
  enum class Kind : std::uint8_t {
    Statement,
    Begin,
    Commit,
    Rollback,
    BeginTurn,  // ended by Commit or Rollback
    WaitDurable,
    WaitBeside,  // waits on another fiber
    ReleaseMemory,
    SetAlarm,
    SetProperties,
    CompareContent,
    Pause,
    CloseAndOpen,    // and looks, in between, at what the store says of it
    DestroyAndOpen,  // the same with another database of that name
  } kind = Kind::Statement;
  std::string sql;
  std::vector<sql::Value> parameters;
  std::optional<std::int64_t> alarmMs;
  std::uint64_t number = 0;  // of a Pause and of SetProperties: what is left to chance

  std::string describe() const;
};

/// How big what it writes is, and which parts of SQLite it uses.
struct WorkloadOptions {
  std::size_t textBytesMax = 100;
  std::size_t blobBytesMax = 20'000;
  std::size_t rowsMax = 60;  // of one statement
  bool fullText = false;
  bool retention = false;  // SetProperties turns history on and off
  bool destroys = false;   // now and then the database
  int autoVacuum = 0;      // 0: none, 1: full, 2: incremental
};

class SqlWorkload {
 public:
  SqlWorkload(std::uint64_t seed, WorkloadOptions options);

  /// What makes the tables, in one transaction or one by one.
  std::vector<Operation> createSchema();
  Operation next(bool inTransaction, bool inTurn);

 private:
  Operation statement(bool inTransaction);
  Operation insertSome();
  Operation changeSome();
  Operation bigValues();
  Operation changeSchema(bool inTransaction);
  Operation fullTextSearch();
  Operation query();
  Operation savepoint();
  sql::Value text();
  sql::Value blob();
  std::int64_t key() { return static_cast<std::int64_t>(random(150)); }
  std::uint64_t random(std::uint64_t below) { return random_() % below; }

  std::mt19937_64 random_;
  WorkloadOptions options_;
};

}  // namespace skep::testing
