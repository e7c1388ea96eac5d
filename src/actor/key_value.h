// KeyValue: an actor's key-value pairs, in the table _skep_kv of its database.
//
// What is written belongs to the turn, like SQL (I3). Keys and values are bytes; keys are in the order of
// their bytes. Called on the actor's fiber inside a turn. Lives as long as the database.
//
//   keyValue.put("user/7", value);
//   keyValue.list({.prefix = "user/", .countMax = 10});

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "skep/actor/lazy_tables.h"
#include "skep/call/router.h"
#include "skep/sql/database.h"

namespace skep::actor {

struct KeyValueLimits {
  std::size_t keyBytesMax = 2 * 1024;
  std::size_t valueBytesMax = 128 * 1024;
};

/// Which keys: those with `prefix` that are not less than `start` and less than `end`.
struct KeyRange {
  std::string prefix;
  std::string start;               // empty: from the first
  std::optional<std::string> end;  // absent: to the last
  std::size_t countMax = 1000;
  bool isReverse = false;  // from the last one down
};

struct KeyValuePair {
  std::string key;
  Bytes value;
};

class KeyValue {
 public:
  KeyValue(sql::Database& database, LazyTables& tables, const KeyValueLimits& limits)
      : database_(database), tables_(tables), limits_(limits) {}

  call::Outcome<std::optional<Bytes>> get(std::string_view key);
  /// KeyTooLarge (an empty key too), ValueTooLarge.
  call::Outcome<std::monostate> put(std::string_view key, ByteView value);
  /// Whether it was there.
  call::Outcome<bool> remove(std::string_view key);
  call::Outcome<std::vector<KeyValuePair>> list(const KeyRange& range);
  /// Removes the first (or last) `countMax` of the range; how many there were.
  call::Outcome<std::size_t> removeRange(const KeyRange& range);

 private:
  sql::Database& database_;
  LazyTables& tables_;
  const KeyValueLimits& limits_;
};

}  // namespace skep::actor
