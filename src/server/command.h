// What the commands share: their surroundings, the options that many take, and how they end.
//
// Each command stands in commands/NAME.cc and adds itself to the CLI11 application: its options and
// examples, and a function that runs when the command line is good. Exit codes: kExitOk,
// kExitFailed, kExitUsage, kExitInterrupted.

#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string>
#include <utility>

#include "skep/base/clock.h"
#include "skep/base/error.h"
#include "skep/server/engine.h"
#include "skep/server/interrupts.h"
#include "skep/server/result_writer.h"
#include "skep/server/text_sink.h"

namespace skep::server {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // SQL, the store or a file said no
inline constexpr int kExitUsage = 2;   // the command line is wrong; nothing was done
inline constexpr int kExitNotChecked =
    3;  // skep check found no problem, but could not check every database
inline constexpr int kExitNoReader =
    141;  // the reader of the output went away, as if SIGPIPE had ended the process

/// The process around a command. Lives in main.
struct CommandContext {
  Clock& clock;
  Interrupts& interrupts;
  TextSink& out;
  TextSink& errors;
  std::string storeOption;     // --store
  std::size_t cacheMiB = 256;  // --cache
  int exitCode = kExitOk;      // set by the command that ran
};

/// Adds --store and --cache.
void addStoreOptions(CLI::App& command, CommandContext& context);
/// Adds --mode; `mode` must outlive the application.
void addModeOption(CLI::App& command, OutputMode& mode);

/// Adds --max-size, the largest size of a database: a number of bytes, or of a unit (20GiB), 0 for
/// none. `bytes` must outlive the application; it gets the default.
void addMaxSizeOption(CLI::App& command, std::uint64_t& bytes);

/// Whether databases can have these names; says what is wrong otherwise. Asked before the store is
/// opened, so that a wrong name leaves no trace.
bool areNames(CommandContext& context, std::span<const std::string> names);

/// Opens the store and runs `body` as a fiber; returns the exit code. Errors of the store are
/// printed.
int withEngine(CommandContext& context, const std::function<int(fiber::Loop&, Engine&)>& body);

/// Prints the error and returns the exit code that fits.
int fail(CommandContext& context, const Error& error);

/// The code for an error: kExitUsage for a bad name or URL is decided by the caller; this gives
/// kExitInterrupted for Aborted by Ctrl-C, kExitFailed otherwise.
int exitCodeOf(const Error& error);

/// What is known of one thing, each fact under its name: a line each in a table, else one row.
void writeFacts(std::span<const std::pair<const char*, Cell>> facts, OutputMode mode,
                TextSink& out);

/// "2026-01-31T08:15:00.000Z"; empty for 0.
std::string formatTimeMs(std::int64_t wallMs);

/// Whether both standard input and output are a terminal.
bool isInteractive();

// One for each file in commands/.
void addSqlCommand(CLI::App& app, CommandContext& context);
void addListCommand(CLI::App& app, CommandContext& context);
void addNodesCommand(CLI::App& app, CommandContext& context);
void addInfoCommand(CLI::App& app, CommandContext& context);
void addRemoveCommand(CLI::App& app, CommandContext& context);
void addExportCommand(CLI::App& app, CommandContext& context);
void addImportCommand(CLI::App& app, CommandContext& context);
void addCheckCommand(CLI::App& app, CommandContext& context);
void addActorsCommand(CLI::App& app, CommandContext& context);
void addCallCommand(CLI::App& app, CommandContext& context);
void addWatchCommand(CLI::App& app, CommandContext& context);
void addVersionCommand(CLI::App& app, CommandContext& context);

/// Parses the command line, runs the command and returns the process's exit code.
int runCommandLine(int argumentCount, const char* const* arguments);

}  // namespace skep::server
