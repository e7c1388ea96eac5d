// skep sql NAME [SQL]: runs SQL on one database, from the command line, a file, standard input or a
// shell.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "skep/server/command.h"
#include "skep/server/script_runner.h"
#include "skep/server/shell.h"
#include "skep/sql/database.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(Without SQL and --file, statements come from standard input; when that is a terminal, a shell opens.
A database that does not exist is created. Each statement is its own transaction unless BEGIN says otherwise.
The command ends, and tells of success, after everything it wrote is durable.

Examples:
  skep sql tenant/acme "INSERT INTO t VALUES (1, 'x') RETURNING rowid"
  skep sql tenant/acme "SELECT * FROM t" --mode json
  skep sql tenant/acme --file seed.sql
  cat tables.sql rows.sql | skep sql tenant/acme
  skep sql tenant/acme --read-only --timer)";

struct SqlOptions {
  std::string name;
  std::string text;
  bool hasText = false;  // an empty text is one, too: there is nothing to run
  std::string file;
  OutputMode mode = OutputMode::Table;
  bool readOnly = false;
  bool mustExist = false;
  bool timer = false;
  std::uint64_t bytesMax = 0;
};

class FileDescriptor {
 public:
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor() {
    if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

sql::DatabaseOptions databaseOptions(const SqlOptions& options) {
  using Mode = sql::DatabaseOptions::Mode;
  sql::DatabaseOptions database;
  database.name = options.name;
  database.mode = options.readOnly ? Mode::ReadOnly : Mode::ReadWrite;
  database.create =
      options.readOnly || options.mustExist ? store::Create::Never : store::Create::IfMissing;
  database.limits.sqlBytesMax = kStatementBytesMax;
  database.limits.databaseBytesMax = options.bytesMax;
  return database;
}

/// Of a file; 0 for what has no size, a pipe say.
std::uint64_t sizeOf(int descriptor) {
  struct stat status {};
  const bool isFile = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  return isFile ? static_cast<std::uint64_t>(status.st_size) : 0;
}

Status runInput(CommandContext& context, const SqlOptions& options, int descriptor,
                sql::Database& database) {
  fiber::ThreadPool input("skep-input", 1);
  if (!options.hasText && options.file.empty() && isInteractive()) {
    Shell shell(database, context, input,
                {.mode = options.mode, .timer = options.timer, .durableEach = true});
    return shell.run();
  }
  Progress progress(context.clock, "running " + (options.file.empty() ? "SQL" : options.file));
  ScriptRunner runner(database, context.out, context.errors, context.interrupts, context.clock,
                      {.mode = options.mode,
                       .timer = options.timer,
                       .durableEach = false,
                       .progress = &progress,
                       .inputBytes = sizeOf(descriptor)});
  if (options.hasText) {
    ScriptInput script{std::string_view(options.text)};
    return runner.run(script, {});
  }
  ScriptInput script(descriptor, input);
  return runner.run(script, options.file.empty() ? "<stdin>" : options.file);
}

int runOn(vfs::Environment& environment, CommandContext& context, const SqlOptions& options,
          int input) {
  Result<std::unique_ptr<sql::Database>> database =
      sql::Database::open(environment, databaseOptions(options));
  if (!database) return fail(context, database.error());
  const Status ran = runInput(context, options, input, **database);
  // Why it broke while it ran was told then.
  const bool wasBroken = (*database)->brokenBy() != nullptr;
  const Status closed = (*database)->close();
  const int closeCode = closed.ok() || wasBroken ? kExitOk : fail(context, closed.error());
  return ran.ok() ? closeCode : exitCodeOf(ran.error());
}

int runSql(CommandContext& context, const SqlOptions& options) {
  // A wrong name or file must leave no trace, so they are looked at before the store is opened.
  if (!areNames(context, {&options.name, 1})) return kExitUsage;
  FileDescriptor input(options.file.empty() || options.file == "-"
                           ? STDIN_FILENO
                           : ::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (input.get() < 0) {
    context.errors.write("error: cannot open " + options.file + ": " + std::strerror(errno) + "\n");
    return kExitUsage;
  }
  return withEngine(context, [&](fiber::Loop&, Engine& engine) {
    if (!options.readOnly) return runOn(engine.environment(), context, options, input.get());
    Result<std::unique_ptr<store::PageStore>> snapshot = engine.store().snapshot();
    if (!snapshot) return fail(context, snapshot.error());
    vfs::Environment reading = engine.environment().withStore(**snapshot);
    return runOn(reading, context, options, input.get());
  });
}

}  // namespace

void addSqlCommand(CLI::App& app, CommandContext& context) {
  auto options = std::make_shared<SqlOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("sql", "Run SQL on one database, or open a shell on it");
  command.add_option("NAME", options->name, "The database")->required();
  CLI::Option* text =
      command.add_option("SQL", options->text, "Statements, separated by semicolons");
  command
      .add_option("--file,-f", options->file,
                  "Run the statements in this file; '-' is standard input")
      ->type_name("FILE")
      ->excludes(text);
  addModeOption(command, options->mode);
  command.add_flag("--read-only", options->readOnly,
                   "Read the version that is newest now, beside an owner that goes on writing");
  command.add_flag("--must-exist", options->mustExist,
                   "Do not create the database when it does not exist");
  addMaxSizeOption(command, options->bytesMax);
  command.add_flag("--timer", options->timer, "Tell how long each statement took");
  addStoreOptions(command, context);
  command.footer(kExamples);
  command.callback([&context, options, text] {
    options->hasText = text->count() > 0;
    context.exitCode = runSql(context, *options);
  });
}

}  // namespace skep::server
