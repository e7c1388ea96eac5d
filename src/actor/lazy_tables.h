// LazyTables: tables of the runtime that an actor gets when it first writes to them.
//
// So an actor that does not use timers, say, has neither their pages in the store nor their schema in
// memory. Their layout is in docs/formats/actor-tables.md. Called on the actor's fiber inside a turn; lives
// as long as the database.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "skep/base/result.h"
#include "skep/sql/database.h"

namespace skep::actor {

enum class LazyTable : std::uint8_t { KeyValue, Timer, JobRun, Queue };
inline constexpr std::size_t kLazyTables = 4;

class LazyTables {
 public:
  bool has(LazyTable table) const { return exists_[static_cast<std::size_t>(table)]; }
  /// Makes what belongs to `table` if it is missing. Within asSystem().
  Status ensure(sql::Database& database, LazyTable table);
  /// The database has a table of this name.
  void note(std::string_view name);

 private:
  std::array<bool, kLazyTables> exists_{};
};

}  // namespace skep::actor
