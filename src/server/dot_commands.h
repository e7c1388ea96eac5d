// The shell's commands that are not SQL: .help, .tables, .schema and so on.

#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "skep/fiber/thread_pool.h"
#include "skep/server/command.h"
#include "skep/server/script_runner.h"

namespace skep::server {

struct DotEnvironment {
  sql::Database& database;
  CommandContext& context;
  ScriptRunner& runner;
  fiber::ThreadPool& inputThread;
};

enum class DotOutcome : std::uint8_t { Continue, Leave };

/// Runs a line that begins with a dot. Mistakes are printed. Suspends.
DotOutcome runDotCommand(std::string_view line, const DotEnvironment& environment);

/// ".help", ".indexes", …
std::vector<std::string_view> dotCommandNames();

/// The words of a command line, separated by blanks; quotes ('' or "") keep blanks within a word.
std::vector<std::string> splitWords(std::string_view line);

}  // namespace skep::server
