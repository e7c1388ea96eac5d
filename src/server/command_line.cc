// The skep command line: its subcommands, its surroundings, and its exit code.

#include <langinfo.h>
#include <unistd.h>
#include <clocale>
#include <csignal>
#include <cstring>

#include "skep/server/command.h"

namespace skep::server {
namespace {

constexpr const char* kExamples = R"help(Examples:
  skep sql tenant/acme "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'x')"
  skep sql tenant/acme                    an interactive shell
  skep ls tenant/ --long                  the databases whose names begin with tenant/
  skep export tenant/acme acme.sqlite     an ordinary SQLite file
  SKEP_STORE=postgres://localhost/skep skep ls
  skep call counter/a increment '[5]'     an action of an actor, on a server
  skep watch chatRoom/lobby               its events, as they come

Exit status: 0 done, 1 failed, 2 wrong usage, 3 not all checked (skep check), 130 interrupted.
`skep COMMAND --help` tells more about each command.)help";

void prepareProcess() {
  // A write to a pipe that nobody reads is an error to handle, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  // For the line editor: text is UTF-8 here, whatever the locale; numbers keep their point.
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
}

int parseAndRun(CLI::App& app, CommandContext& context, int argumentCount,
                const char* const* arguments) {
  try {
    app.parse(argumentCount, arguments);
    return context.exitCode;
  } catch (const CLI::Success& wish) {  // --help
    return app.exit(wish);
  } catch (const CLI::ParseError& error) {
    app.exit(error);
    return kExitUsage;
  }
}

}  // namespace

int runCommandLine(int argumentCount, const char* const* arguments) {
  prepareProcess();
  SystemClock clock;
  Interrupts interrupts;
  TextSink out(STDOUT_FILENO);
  TextSink errors(STDERR_FILENO);
  CommandContext context{
      .clock = clock, .interrupts = interrupts, .out = out, .errors = errors, .storeOption = {}};

  CLI::App app("Skep keeps many small SQLite databases in one page store.", "skep");
  app.require_subcommand(1);
  app.footer(kExamples);
  addStoreOptions(app, context);
  addSqlCommand(app, context);
  addListCommand(app, context);
  addNodesCommand(app, context);
  addInfoCommand(app, context);
  addRemoveCommand(app, context);
  addExportCommand(app, context);
  addImportCommand(app, context);
  addCheckCommand(app, context);
  addActorsCommand(app, context);
  addCallCommand(app, context);
  addWatchCommand(app, context);
  addVersionCommand(app, context);

  int exitCode = parseAndRun(app, context, argumentCount, arguments);
  const Status flushed = out.flush();
  if (!flushed.ok()) {
    const bool readerGone = flushed.error().code == ErrorCode::Aborted;
    if (!readerGone) errors.write("error: " + flushed.error().message + "\n");
    exitCode = readerGone ? kExitNoReader : kExitFailed;
  }
  (void)errors.flush();
  return exitCode;
}

}  // namespace skep::server
