#include "skep/sql/sql_text.h"

#include <algorithm>
#include <cstddef>

namespace skep::sql {
namespace {

constexpr std::string_view kSpace = " \t\r\n\f";

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// The word that `sql` starts with; empty when that is no word.
std::string_view wordAt(std::string_view sql) {
  return sql.substr(
      0, static_cast<std::size_t>(std::find_if_not(sql.begin(), sql.end(), isWordCharacter) -
                                  sql.begin()));
}

/// Takes a name off the front of `text`, which may be quoted in any of SQLite's ways; without the
/// quotes.
std::string_view takeName(std::string_view& text) {
  text = skipBlank(text);
  std::string_view name = wordAt(text);
  if (name.empty() && !text.empty()) {
    const char close = text.front() == '[' ? ']' : text.front();
    const std::size_t end = std::min(text.find(close, 1), text.size() - 1);
    name = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
  } else {
    text.remove_prefix(name.size());
  }
  return name;
}

}  // namespace

bool isWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

std::string lowerCase(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool equalsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view skipBlank(std::string_view sql) {
  while (!sql.empty()) {
    if (sql.front() == ';' || kSpace.find(sql.front()) != std::string_view::npos) {
      sql.remove_prefix(1);
    } else if (sql.starts_with("--")) {
      sql.remove_prefix(std::min(sql.find('\n'), sql.size()));
    } else if (sql.starts_with("/*")) {
      const std::size_t end = sql.find("*/", 2);
      sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 2);
    } else {
      break;
    }
  }
  return sql;
}

std::string_view trimEnd(std::string_view sql) {
  const std::size_t last = sql.find_last_not_of(kSpace);
  return sql.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

bool startsWithWord(std::string_view sql, std::string_view word) {
  return equalsIgnoringCase(wordAt(skipBlank(sql)), word);
}

bool isPragma(std::string_view sql, std::string_view name) {
  std::string_view text = skipBlank(sql);
  if (!equalsIgnoringCase(wordAt(text), "PRAGMA")) return false;
  text.remove_prefix(wordAt(text).size());
  std::string_view found = takeName(text);
  text = skipBlank(text);
  if (text.starts_with('.')) {  // what came was the schema
    text.remove_prefix(1);
    found = takeName(text);
  }
  return equalsIgnoringCase(found, name);
}

bool isTransactionStatement(std::string_view sql) {
  const std::string_view text = skipBlank(sql);
  const std::string_view word = wordAt(text);
  if (equalsIgnoringCase(word, "BEGIN") || equalsIgnoringCase(word, "COMMIT") ||
      equalsIgnoringCase(word, "END"))
    return true;
  if (!equalsIgnoringCase(word, "ROLLBACK")) return false;
  // ROLLBACK [TRANSACTION [name]] [TO …]
  std::string_view rest = text.substr(word.size());
  while (true) {
    rest = skipBlank(rest);
    const std::string_view next = wordAt(rest);
    if (next.empty()) return true;
    if (equalsIgnoringCase(next, "TO")) return false;
    rest.remove_prefix(next.size());
  }
}

}  // namespace skep::sql
