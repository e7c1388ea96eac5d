// skep version: what is running.

#include <sqlite3.h>

#include "skep/server/command.h"

namespace skep::server {

void addVersionCommand(CLI::App& app, CommandContext& context) {
  CLI::App& command =
      *app.add_subcommand("version", "Print the versions of Skep and of its SQLite");
  command.callback([&context] {
    context.out.write(std::string("skep ") + SKEP_VERSION + " (SQLite " + sqlite3_libversion() +
                      ")\n");
  });
}

}  // namespace skep::server
