#include "skep/actor/key_value.h"

#include <algorithm>
#include <limits>

#include "skep/actor/outcome.h"

namespace skep::actor {
namespace {

using call::Failure;
using call::FailureCode;

sql::Value blobOf(std::string_view bytes) {
  return toBytes(asBytes(bytes));
}

/// The end of a statement that chooses the keys of a range, and what is bound to it.
struct Choice {
  std::string where;
  std::vector<sql::Value> parameters;
  bool isEmpty = false;
};

std::int64_t limitOf(const KeyRange& range) {
  constexpr auto kMax = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(range.countMax, kMax));
}

Choice choose(const KeyRange& range) {
  const std::string first = std::max(range.prefix, range.start);
  std::optional<std::string> end = range.end;
  if (std::string behind = endOfPrefix(range.prefix); !behind.empty()) {
    end = end ? std::min(*end, behind) : behind;
  }
  Choice choice{.where = " WHERE key >= ?", .parameters = {blobOf(first)}};
  choice.isEmpty = end && *end <= first;
  if (end) {
    choice.where += " AND key < ?";
    choice.parameters.push_back(blobOf(*end));
  }
  choice.where += range.isReverse ? " ORDER BY key DESC LIMIT ?" : " ORDER BY key LIMIT ?";
  choice.parameters.push_back(limitOf(range));
  return choice;
}

}  // namespace

call::Outcome<std::optional<Bytes>> KeyValue::get(std::string_view key) {
  if (!tables_.has(LazyTable::KeyValue)) return std::optional<Bytes>();
  Result<sql::Rows> rows =
      database_.execute("SELECT value FROM _skep_kv WHERE key = ?", {blobOf(key)});
  if (!rows) return call::failureOf(rows.error(), database_.name());
  if (rows->rows.empty()) return std::optional<Bytes>();
  return std::optional<Bytes>(rows->rows[0][0].blob());
}

call::Outcome<std::monostate> KeyValue::put(std::string_view key, ByteView value) {
  if (key.empty() || key.size() > limits_.keyBytesMax) {
    return Failure(FailureCode::KeyTooLarge, "a key has 1 to " +
                                                 std::to_string(limits_.keyBytesMax) +
                                                 " bytes, this one " + std::to_string(key.size()));
  }
  if (value.size() > limits_.valueBytesMax) {
    return Failure(FailureCode::ValueTooLarge,
                   "the value of a key has at most " + std::to_string(limits_.valueBytesMax) +
                       " bytes, this one " + std::to_string(value.size()));
  }
  return outcomeOf(database_.asSystem([&]() -> Status {
    SKEP_CHECK_OK(tables_.ensure(database_, LazyTable::KeyValue));
    SKEP_CHECK_OK(
        database_.execute("INSERT INTO _skep_kv VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET "
                          "value = excluded.value",
                          {blobOf(key), toBytes(value)}));
    return {};
  }),
                   database_);
}

call::Outcome<bool> KeyValue::remove(std::string_view key) {
  if (!tables_.has(LazyTable::KeyValue)) return false;
  bool wasThere = false;
  Status removed = database_.asSystem([&]() -> Status {
    SKEP_CHECK_OK(database_.execute("DELETE FROM _skep_kv WHERE key = ?", {blobOf(key)}));
    wasThere = database_.changes() != 0;
    return {};
  });
  if (!removed) return call::failureOf(removed.error(), database_.name());
  return wasThere;
}

call::Outcome<std::vector<KeyValuePair>> KeyValue::list(const KeyRange& range) {
  std::vector<KeyValuePair> pairs;
  const Choice choice = choose(range);
  if (!tables_.has(LazyTable::KeyValue) || choice.isEmpty) return pairs;
  Result<sql::Rows> rows =
      database_.execute("SELECT key, value FROM _skep_kv" + choice.where, choice.parameters);
  if (!rows) return call::failureOf(rows.error(), database_.name());
  pairs.reserve(rows->rows.size());
  for (const auto& row : rows->rows) {
    pairs.push_back({.key = std::string(asText(row[0].blob())), .value = row[1].blob()});
  }
  return pairs;
}

call::Outcome<std::size_t> KeyValue::removeRange(const KeyRange& range) {
  const Choice choice = choose(range);
  if (!tables_.has(LazyTable::KeyValue) || choice.isEmpty) return std::size_t{0};
  std::size_t count = 0;
  Status removed = database_.asSystem([&]() -> Status {
    SKEP_CHECK_OK(database_.execute(
        "DELETE FROM _skep_kv WHERE key IN (SELECT key FROM _skep_kv" + choice.where + ")",
        choice.parameters));
    count = static_cast<std::size_t>(database_.changes());
    return {};
  });
  if (!removed) return call::failureOf(removed.error(), database_.name());
  return count;
}

}  // namespace skep::actor
