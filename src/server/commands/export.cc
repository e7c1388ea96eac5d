// skep export NAME FILE: a database as an ordinary SQLite file.

#include <unistd.h>

#include <atomic>

#include "skep/server/command.h"
#include "skep/server/progress.h"
#include "skep/sql/transfer.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(The file is a plain SQLite database that sqlite3 and every other tool opens. It holds the version that was newest when
the export began; the database's owner goes on undisturbed. The file appears when it is complete.

Examples:
  skep export tenant/acme acme.sqlite
  skep export tenant/acme - | gzip > acme.sqlite.gz)";

constexpr int kTriesMax = 3;  // when the store loses the snapshot

struct ExportOptions {
  std::string name;
  std::string file;
  bool force = false;
};

Status exportToStandardOutput(CommandContext& context, vfs::Environment& environment,
                              const std::string& name, const sql::Progress& progress) {
  const auto sink = [&context](ByteView bytes) -> Status {
    context.out.write(asText(bytes));
    if (context.out.error()) return *context.out.error();
    return {};
  };
  // What went out cannot be taken back, so there is one try only.
  return sql::exportDatabase(environment, name, sink, progress);
}

Status exportToFile(vfs::Environment& environment, const ExportOptions& options,
                    const sql::Progress& progress) {
  const auto overwrite = options.force ? sql::Overwrite::Replace : sql::Overwrite::Never;
  Status exported;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    exported = sql::exportToFile(environment, options.name, options.file, overwrite, progress);
    if (exported.ok() || exported.error().code != ErrorCode::SnapshotGone) break;
  }
  return exported;
}

int runExport(CommandContext& context, const ExportOptions& options) {
  if (!areNames(context, {&options.name, 1})) return kExitUsage;
  const bool toStandardOutput = options.file == "-";
  if (toStandardOutput && ::isatty(STDOUT_FILENO) == 1) {
    context.errors.write(
        "error: a database is not text for a terminal: give a file, or pipe the output\n");
    return kExitUsage;
  }
  return withEngine(context, [&](fiber::Loop&, Engine& engine) {
    std::atomic<bool> interrupted = false;
    InterruptScope scope(context.interrupts, [&] { interrupted = true; });
    Progress bar(context.clock, "exporting " + options.name);
    const sql::Progress progress = [&](std::uint64_t done, std::uint64_t total) {
      bar.update(done, total);
      return !interrupted;
    };
    const Status exported =
        toStandardOutput
            ? exportToStandardOutput(context, engine.environment(), options.name, progress)
            : exportToFile(engine.environment(), options, progress);
    bar.finish();
    return exported.ok() ? kExitOk : fail(context, exported.error());
  });
}

}  // namespace

void addExportCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<ExportOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("export", "Write a database to an ordinary SQLite file");
  command.add_option("NAME", options->name, "The database")->required();
  command.add_option("FILE", options->file, "The file; '-' is standard output")->required();
  command.add_flag("--force", options->force, "Replace the file when it exists");
  addStoreOptions(command, context);
  command.footer(kExamples);
  command.callback([&context, options] { context.exitCode = runExport(context, *options); });
}

}  // namespace skep::server
