#include "skep/sql/sql_text.h"

#include <algorithm>
#include <cstddef>

namespace skep::sql {
namespace {

constexpr std::string_view kSpace = " \t\r\n\f";

bool isWordCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

/// The word that `sql` starts with; empty when that is no word.
std::string_view wordAt(std::string_view sql) {
  return sql.substr(
      0, static_cast<std::size_t>(std::find_if_not(sql.begin(), sql.end(), isWordCharacter) -
                                  sql.begin()));
}

bool isWord(std::string_view text, std::string_view word) {
  return std::equal(text.begin(), text.end(), word.begin(), word.end(),
                    [](char a, char b) { return upper(a) == b; });
}

}  // namespace

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
  return isWord(wordAt(skipBlank(sql)), word);
}

bool isTransactionStatement(std::string_view sql) {
  const std::string_view text = skipBlank(sql);
  const std::string_view word = wordAt(text);
  if (isWord(word, "BEGIN") || isWord(word, "COMMIT") || isWord(word, "END")) return true;
  if (!isWord(word, "ROLLBACK")) return false;
  // ROLLBACK [TRANSACTION [name]] [TO …]
  std::string_view rest = text.substr(word.size());
  while (true) {
    rest = skipBlank(rest);
    const std::string_view next = wordAt(rest);
    if (next.empty()) return true;
    if (isWord(next, "TO")) return false;
    rest.remove_prefix(next.size());
  }
}

}  // namespace skep::sql
