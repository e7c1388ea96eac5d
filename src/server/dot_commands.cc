#include "skep/server/dot_commands.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "skep/server/error_text.h"

namespace skep::server {
namespace {

using Words = std::vector<std::string>;

struct DotCommand {
  std::string_view name;
  std::string_view arguments;
  std::string_view help;
  std::size_t wordsMax;
  DotOutcome (*run)(const Words& words, const DotEnvironment& environment);
};

void complain(const DotEnvironment& environment, std::string_view message) {
  (void)environment.context.out.flush();
  environment.context.errors.write("error: " + std::string(message) + "\n");
}

// Runs a query of the shell's own and prints its only column, a value a line.
DotOutcome printColumn(const DotEnvironment& environment, std::string_view query,
                       std::vector<sql::Value> parameters, std::string_view lineEnd) {
  const Result<sql::Rows> rows = environment.database.execute(query, parameters);
  if (!rows) {
    complain(environment, rows.error().toString());
    return DotOutcome::Continue;
  }
  for (const std::vector<sql::Value>& row : rows->rows) {
    if (row[0].type() == sql::ValueType::Text)
      environment.context.out.write(row[0].text() + std::string(lineEnd));
  }
  return DotOutcome::Continue;
}

DotOutcome help(const Words&, const DotEnvironment& environment);

DotOutcome tables(const Words& words, const DotEnvironment& environment) {
  return printColumn(environment,
                     "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT "
                     "LIKE 'sqlite\\_%' "
                     "ESCAPE '\\' AND name LIKE ? ORDER BY name",
                     {sql::Value(words.size() > 1 ? words[1] : "%")}, "\n");
}

DotOutcome schema(const Words& words, const DotEnvironment& environment) {
  return printColumn(environment,
                     "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE "
                     "'sqlite\\_%' ESCAPE '\\' "
                     "AND tbl_name LIKE ? ORDER BY tbl_name, type = 'table' DESC, name",
                     {sql::Value(words.size() > 1 ? words[1] : "%")}, ";\n");
}

DotOutcome indexes(const Words& words, const DotEnvironment& environment) {
  return printColumn(environment,
                     "SELECT name || '  on ' || tbl_name FROM sqlite_schema WHERE type = 'index' "
                     "AND tbl_name LIKE ? "
                     "ORDER BY name",
                     {sql::Value(words.size() > 1 ? words[1] : "%")}, "\n");
}

DotOutcome mode(const Words& words, const DotEnvironment& environment) {
  OutputMode& current = environment.runner.options().mode;
  if (words.size() == 1) {
    environment.context.out.write(std::string(outputModeName(current)) + "\n");
  } else if (const std::optional<OutputMode> chosen = parseOutputMode(words[1])) {
    current = *chosen;
  } else {
    complain(environment, "the modes are table, json, csv and list");
  }
  return DotOutcome::Continue;
}

DotOutcome timer(const Words& words, const DotEnvironment& environment) {
  bool& current = environment.runner.options().timer;
  if (words.size() == 1) {
    environment.context.out.write(current ? "on\n" : "off\n");
  } else if (words[1] == "on" || words[1] == "off") {
    current = words[1] == "on";
  } else {
    complain(environment, "say .timer on or .timer off");
  }
  return DotOutcome::Continue;
}

DotOutcome read(const Words& words, const DotEnvironment& environment) {
  if (words.size() < 2) {
    complain(environment, ".read needs a file");
    return DotOutcome::Continue;
  }
  const int file = ::open(words[1].c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    complain(environment, "cannot open " + words[1] + ": " + std::strerror(errno));
    return DotOutcome::Continue;
  }
  ScriptInput input(file, environment.inputThread);
  while (true) {
    const Result<std::optional<SqlPiece>> piece = input.next();
    if (!piece.ok()) complain(environment, piece.error().toString());
    if (!piece.ok() || !piece->has_value()) break;
    if (!environment.runner.runStatement(**piece, words[1]).ok()) break;
  }
  ::close(file);
  return DotOutcome::Continue;
}

DotOutcome quit(const Words&, const DotEnvironment&) {
  return DotOutcome::Leave;
}

constexpr std::array<DotCommand, 9> kCommands = {{
    {".help", "", "this list", 1, help},
    {".tables", "[PATTERN]", "tables and views; PATTERN as in LIKE", 2, tables},
    {".schema", "[TABLE]", "the CREATE statements", 2, schema},
    {".indexes", "[TABLE]", "indexes, with their tables", 2, indexes},
    {".mode", "[MODE]", "how rows are printed: table, json, csv, list", 2, mode},
    {".timer", "[on|off]", "tell how long each statement took", 2, timer},
    {".read", "FILE", "run the statements in a file", 2, read},
    {".quit", "", "leave; so does Ctrl-D", 1, quit},
    {".exit", "", "leave", 1, quit},
}};

DotOutcome help(const Words&, const DotEnvironment& environment) {
  for (const DotCommand& command : kCommands) {
    std::string line(command.name);
    line.append(" ").append(command.arguments);
    line.resize(std::max<std::size_t>(line.size(), 20), ' ');
    environment.context.out.write(line + std::string(command.help) + "\n");
  }
  environment.context.out.write("Ctrl-C stops a statement or drops a line; Tab completes.\n");
  return DotOutcome::Continue;
}

}  // namespace

DotOutcome runDotCommand(std::string_view line, const DotEnvironment& environment) {
  Words words = splitWords(line);
  if (words.empty()) return DotOutcome::Continue;
  // As in other SQL shells a semicolon at the end does no harm.
  if (words.back().ends_with(';')) words.back().pop_back();
  if (words.back().empty()) words.pop_back();
  for (const DotCommand& command : kCommands) {
    if (words.empty() || command.name != words[0]) continue;
    if (words.size() > command.wordsMax) {
      complain(environment,
               "usage: " + std::string(command.name) + " " + std::string(command.arguments));
      return DotOutcome::Continue;
    }
    return command.run(words, environment);
  }
  complain(environment, "no such command; .help lists them");
  return DotOutcome::Continue;
}

std::vector<std::string_view> dotCommandNames() {
  std::vector<std::string_view> names;
  for (const DotCommand& command : kCommands) names.push_back(command.name);
  return names;
}

std::vector<std::string> splitWords(std::string_view line) {
  std::vector<std::string> words;
  bool inWord = false;
  char quote = 0;
  for (char c : line) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        words.back() += c;
      }
      continue;
    }
    if (c == ' ' || c == '\t') {
      inWord = false;
      continue;
    }
    if (!inWord) words.emplace_back();
    inWord = true;
    if (c == '\'' || c == '"') {
      quote = c;
    } else {
      words.back() += c;
    }
  }
  return words;
}

}  // namespace skep::server
