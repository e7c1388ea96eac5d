// skep import FILE NAME: a new database out of a SQLite file.

#include <atomic>

#include "skep/server/command.h"
#include "skep/server/progress.h"
#include "skep/sql/transfer.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(The file is checked (PRAGMA integrity_check) before anything is stored; it is not changed. Other page sizes and files in
WAL mode are converted. An encrypted or damaged file is refused. NAME must not exist yet.

Examples:
  skep import other.sqlite tenant/other)";

struct ImportOptions {
  std::string file;
  std::string name;
  std::uint64_t bytesMax = 0;
};

int runImport(CommandContext& context, const ImportOptions& options) {
  if (!areNames(context, {&options.name, 1})) return kExitUsage;
  return withEngine(context, [&](fiber::Loop&, Engine& engine) {
    std::atomic<bool> interrupted = false;
    InterruptScope scope(context.interrupts, [&] { interrupted = true; });
    Progress bar(context.clock, "importing " + options.name);
    sql::Limits limits;
    limits.databaseBytesMax = options.bytesMax;
    const Status imported =
        sql::importDatabase(engine.environment(), options.file, options.name, limits,
                            [&](std::uint64_t done, std::uint64_t total) {
                              bar.update(done, total);
                              return !interrupted;
                            });
    bar.finish();
    return imported.ok() ? kExitOk : fail(context, imported.error());
  });
}

}  // namespace

void addImportCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<ImportOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("import", "Make a database out of a SQLite file");
  command.add_option("FILE", options->file, "The SQLite file")->required();
  command.add_option("NAME", options->name, "The new database")->required();
  addMaxSizeOption(command, options->bytesMax);
  addStoreOptions(command, context);
  command.footer(kExamples);
  command.callback([&context, options] { context.exitCode = runImport(context, *options); });
}

}  // namespace skep::server
