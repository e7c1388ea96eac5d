#include "skep/base/raw_value.h"

#include <cstdint>

namespace skep {
namespace {

// ---- JSON

/// Behind the string that begins at `at`; npos when it does not end.
std::size_t endOfJsonString(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return text.npos;
}

std::size_t endOfJsonNest(std::string_view text) {
  std::size_t depth = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = endOfJsonString(text, at);
      if (at == text.npos) return at;
      continue;
    }
    ++at;
    if (c == '[' || c == '{') {
      if (++depth > kNestingMax) return text.npos;
    } else if (c == ']' || c == '}') {
      if (--depth == 0) return at;
    }
  }
  return text.npos;
}

// ---- CBOR

enum class CborMajor : std::uint8_t { Array = 4, Map = 5, Tag = 6, Simple = 7 };
constexpr std::uint8_t kCborIndefinite = 31;
constexpr char kCborBreak = '\xff';

struct CborHead {
  std::uint8_t major = 0;
  bool isIndefinite = false;
  std::uint64_t argument = 0;
};

std::optional<CborHead> takeCborHead(std::string_view& bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto first = static_cast<std::uint8_t>(bytes.front());
  bytes.remove_prefix(1);
  CborHead head{.major = static_cast<std::uint8_t>(first >> 5)};
  const std::uint8_t info = first & 31;
  if (info < 24) {
    head.argument = info;
  } else if (info <= 27) {
    const std::size_t size = std::size_t{1} << (info - 24);
    if (bytes.size() < size) return std::nullopt;
    for (std::size_t i = 0; i < size; ++i) {
      head.argument = head.argument << 8 | static_cast<std::uint8_t>(bytes[i]);
    }
    bytes.remove_prefix(size);
  } else if (info == kCborIndefinite) {
    head.isIndefinite = true;
  } else {
    return std::nullopt;
  }
  return head;
}

bool skipCbor(std::string_view& bytes, std::size_t depth);

bool skipCborItems(std::string_view& bytes, const CborHead& head, std::uint64_t perEntry,
                   std::size_t depth) {
  if (head.isIndefinite) {
    while (!bytes.empty() && bytes.front() != kCborBreak) {
      if (!skipCbor(bytes, depth)) return false;
    }
    if (bytes.empty()) return false;
    bytes.remove_prefix(1);
    return true;
  }
  // Each item takes a byte at least: what claims to have more is cut short.
  if (head.argument > bytes.size() / perEntry) return false;
  for (std::uint64_t i = 0; i < head.argument * perEntry; ++i) {
    if (!skipCbor(bytes, depth)) return false;
  }
  return true;
}

bool skipCbor(std::string_view& bytes, std::size_t depth) {
  if (depth > kNestingMax) return false;
  const std::optional<CborHead> head = takeCborHead(bytes);
  if (!head) return false;
  switch (head->major) {
    case 0:
    case 1:
      return !head->isIndefinite;
    case 2:
    case 3:
      if (head->isIndefinite) return skipCborItems(bytes, *head, 1, depth + 1);
      if (head->argument > bytes.size()) return false;
      bytes.remove_prefix(head->argument);
      return true;
    case static_cast<std::uint8_t>(CborMajor::Array):
      return skipCborItems(bytes, *head, 1, depth + 1);
    case static_cast<std::uint8_t>(CborMajor::Map):
      return skipCborItems(bytes, *head, 2, depth + 1);
    case static_cast<std::uint8_t>(CborMajor::Tag):
      return !head->isIndefinite && skipCbor(bytes, depth + 1);
    default:
      return !head->isIndefinite;
  }
}

}  // namespace

void skipJsonSpace(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.front() == '\n' ||
                           text.front() == '\r')) {
    text.remove_prefix(1);
  }
}

std::optional<std::string_view> takeRawJson(std::string_view& text) {
  skipJsonSpace(text);
  if (text.empty()) return std::nullopt;
  std::size_t end = 0;
  if (text.front() == '"') {
    end = endOfJsonString(text, 0);
  } else if (text.front() == '[' || text.front() == '{') {
    end = endOfJsonNest(text);
  } else {
    end = text.find_first_of(",]}: \t\n\r\"[{");
    if (end == 0) return std::nullopt;
    if (end == text.npos) end = text.size();
  }
  if (end == text.npos) return std::nullopt;
  const std::string_view value = text.substr(0, end);
  text.remove_prefix(end);
  return value;
}

std::optional<std::string_view> takeRawCbor(std::string_view& bytes) {
  const std::string_view whole = bytes;
  if (!skipCbor(bytes, 0)) return std::nullopt;
  return whole.substr(0, whole.size() - bytes.size());
}

}  // namespace skep
