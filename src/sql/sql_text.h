// Looking at SQL text without compiling it: what a statement begins with, and where meaningless
// text ends.
//
// Pure functions on views, any thread. They follow SQLite's tokenizer
// (https://www.sqlite.org/lang_comment.html): space,
// `-- …` to the end of the line, and `/* … */`.

#pragma once

#include <string>
#include <string_view>

namespace skep::sql {

/// Whether the character may stand in a name or keyword that is not quoted.
bool isWordCharacter(char c);

/// ASCII letters in lower case; SQLite folds no others.
std::string lowerCase(std::string_view text);

/// Whether the texts are equal but for the case of ASCII letters.
bool equalsIgnoringCase(std::string_view a, std::string_view b);

/// `sql` from its first token on: without the space, comments and semicolons in front.
std::string_view skipBlank(std::string_view sql);

/// Whether there is no statement in `sql`.
inline bool isBlank(std::string_view sql) {
  return skipBlank(sql).empty();
}

/// `sql` without the space at its end.
std::string_view trimEnd(std::string_view sql);

/// Whether the first word of `sql` is `word`, in any case.
bool startsWithWord(std::string_view sql, std::string_view word);

/// Whether `sql` is PRAGMA `name`, of whatever schema and with whatever argument.
bool isPragma(std::string_view sql, std::string_view name);

/// Whether `sql` begins, commits or rolls back a transaction. ROLLBACK TO, which is about a
/// savepoint, does not.
bool isTransactionStatement(std::string_view sql);

}  // namespace skep::sql
