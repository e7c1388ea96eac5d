// KeyValue: an actor's key-value pairs, beside its tables.
//
// Keys are bytes, in their order; values are whatever the codec knows. What is written belongs to the
// turn, like SQL: it is committed or rolled back along with it. From c.kv(); valid as long as the Context.
// ActorError: key_too_large, value_too_large, and what the database says.
//
//   c.kv().put("user/7", User{"Ada", 36});
//   auto users = c.kv().list<User>({.prefix = "user/", .countMax = 10});

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "skep/actor/invocation.h"
#include "skep/actor/key_value.h"
#include "skep/api/stored.h"

namespace skep {

using actor::KeyRange;

class KeyValue {
 public:
  explicit KeyValue(actor::Invocation& invocation);

  /// Nothing when there is no such key; InvalidValue when its value is of another type.
  template <class T>
  std::optional<T> get(std::string_view key) {
    const std::optional<Bytes> found = api::unwrap(pairs_.get(key));
    if (!found) return std::nullopt;
    return api::fromStoredAs<T>(*found, key);
  }
  template <class T>
  void put(std::string_view key, const T& value) {
    api::unwrap(pairs_.put(key, api::toStored(api::toValue(value))));
  }
  /// Whether it was there.
  bool remove(std::string_view key) { return api::unwrap(pairs_.remove(key)); }

  /// At most 1000 pairs, unless the range says otherwise.
  template <class T>
  std::vector<std::pair<std::string, T>> list(const KeyRange& range = {}) {
    std::vector<std::pair<std::string, T>> found;
    for (actor::KeyValuePair& pair : api::unwrap(pairs_.list(range))) {
      found.emplace_back(pair.key, api::fromStoredAs<T>(pair.value, pair.key));
    }
    return found;
  }
  /// Removes what list() would give; how many there were.
  std::size_t removeRange(const KeyRange& range) { return api::unwrap(pairs_.removeRange(range)); }

 private:
  actor::KeyValue& pairs_;
};

}  // namespace skep
