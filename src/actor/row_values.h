// Small conversions between rows of the runtime's tables and values.

#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "skep/sql/value.h"

namespace skep::actor {

// What is kept of an error's text.
inline constexpr std::size_t kErrorBytesMax = 1000;

/// For LIMIT.
inline std::int64_t countOf(std::size_t count) {
  constexpr auto kMax = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(count, kMax));
}

inline std::string textOr(const sql::Value& value) {
  return value.isNull() ? std::string() : value.text();
}
inline sql::Value nullIfEmpty(const std::string& text) {
  return text.empty() ? sql::Value() : sql::Value(text);
}

/// As long as is kept, in whole characters (UTF-8).
inline std::string shortened(const std::string& text) {
  if (text.size() <= kErrorBytesMax) return text;
  std::size_t size = kErrorBytesMax;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

}  // namespace skep::actor
