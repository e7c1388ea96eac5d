#include "skep/server/shell.h"

#include <algorithm>
#include <array>

#include "skep/server/display_text.h"
#include "skep/server/dot_commands.h"
#include "skep/server/error_text.h"

namespace skep::server {
namespace {

constexpr std::array kKeywords = {
    "ALTER TABLE", "AND",        "AS",        "ASC",          "BEGIN",       "BETWEEN",
    "BY",          "CASE",       "CHECK",     "COLLATE",      "COMMIT",      "CONFLICT",
    "CREATE",      "CROSS JOIN", "DEFAULT",   "DELETE FROM",  "DESC",        "DISTINCT",
    "DROP",        "ELSE",       "END",       "EXCEPT",       "EXISTS",      "EXPLAIN",
    "FOREIGN KEY", "FROM",       "GROUP BY",  "HAVING",       "INDEX",       "INNER JOIN",
    "INSERT INTO", "INTEGER",    "INTERSECT", "IS",           "JOIN",        "KEY",
    "LEFT JOIN",   "LIKE",       "LIMIT",     "NOT",          "NULL",        "OFFSET",
    "ON",          "OR",         "ORDER BY",  "PRAGMA",       "PRIMARY KEY", "QUERY PLAN",
    "REFERENCES",  "REPLACE",    "RETURNING", "ROLLBACK",     "SELECT",      "SET",
    "STRICT",      "TABLE",      "TEXT",      "THEN",         "TRIGGER",     "UNION",
    "UNIQUE",      "UPDATE",     "USING",     "VACUUM",       "VALUES",      "VIEW",
    "WHEN",        "WHERE",      "WITH",      "WITHOUT ROWID"};

constexpr const char* kWordsQuery =
    "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' UNION "
    "SELECT c.name FROM sqlite_schema s, pragma_table_info(s.name) c WHERE s.type IN ('table', "
    "'view')";

}  // namespace

Shell::Shell(sql::Database& database, CommandContext& context, fiber::ThreadPool& editorThread,
             ScriptOptions options)
    : database_(database),
      context_(context),
      editorThread_(editorThread),
      runner_(database, context.out, context.errors, context.interrupts, context.clock, options) {}

Status Shell::run() {
  // Ctrl-C must not end the shell.
  InterruptScope ignored(
      context_.interrupts, [] {}, InterruptScope::OnRepeat::Ignore);
  LineEditor editor({.historyPath = historyPath()});
  context_.out.write("Skep shell on " + displayText(database_.name()).text +
                     (database_.head().txid == 0 ? ", a new database" : "") +
                     ". Statements end with ';'. Try .help; leave with .quit or Ctrl-D.\n");
  refreshWords(editor);
  std::string line;
  std::string typed;
  while (database_.brokenBy() == nullptr) {
    (void)context_.out.flush();
    (void)context_.errors.flush();
    const std::string promptText = prompt();
    const auto event =
        fiber::offload(editorThread_, [&] { return editor.readLine(promptText, line); });
    if (event == LineEditor::Event::End) {
      context_.out.write("\n");
      break;
    }
    if (event == LineEditor::Event::Cancelled) {
      splitter_.clear();
      typed.clear();
      continue;
    }
    if (splitter_.isBlank() && line.starts_with('.')) {
      editor.remember(line);
      if (runDotCommand(line, {database_, context_, runner_, editorThread_}) == DotOutcome::Leave)
        break;
      continue;
    }
    typed += typed.empty() ? line : "\n" + line;
    splitter_.append(line + "\n");
    SKEP_CHECK_OK(runStatements());
    if (!splitter_.isBlank()) continue;
    editor.remember(typed);
    typed.clear();
    splitter_.clear();
    refreshWords(editor);
  }
  if (database_.brokenBy() != nullptr) return *database_.brokenBy();
  if (database_.inTransaction()) {
    context_.errors.write("The open transaction is rolled back.\n");
    SKEP_CHECK_OK(database_.run("ROLLBACK"));
  }
  return {};
}

Status Shell::runStatements() {
  // Ctrl-C between two statements of a line means those that have not begun.
  InterruptScope between(
      context_.interrupts, [] {}, InterruptScope::OnRepeat::Ignore);
  while (std::optional<SqlPiece> piece = splitter_.next()) {
    Status ran = Error{ErrorCode::Aborted, "interrupted"};
    if (between.wasInterrupted()) {
      context_.errors.write(errorText(ran.error()));
    } else {
      ran = runner_.runStatement(*piece);
    }
    if (!ran.ok()) {
      // What was typed behind a failed statement was meant to follow its success.
      splitter_.clear();
      break;
    }
  }
  if (splitter_.pendingBytes() > kStatementBytesMax) {
    context_.errors.write("error: the statement is too long\n");
    splitter_.clear();
  }
  return {};
}

// "tenant/acme> ", "tenant/acme*> " inside a transaction, "        ...> " for a line that goes on.
std::string Shell::prompt() const {
  DisplayText name = displayText(database_.name(), 40);
  if (database_.inTransaction()) name.text += "*", ++name.width;
  if (splitter_.isBlank()) return name.text + "> ";
  const std::string dots = "...";
  return std::string(name.width > dots.size() ? name.width - dots.size() : 0, ' ') + dots + "> ";
}

void Shell::refreshWords(LineEditor& editor) {
  std::vector<std::string> words(kKeywords.begin(), kKeywords.end());
  for (std::string_view command : dotCommandNames()) words.emplace_back(command);
  // Completion is a convenience: when the names cannot be read there are keywords alone.
  if (Result<sql::Rows> names = database_.execute(kWordsQuery); names.ok()) {
    for (const std::vector<sql::Value>& row : names->rows) {
      if (row[0].type() == sql::ValueType::Text) words.push_back(row[0].text());
    }
  }
  editor.setWords(std::move(words));
}

}  // namespace skep::server
