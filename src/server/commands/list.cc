// skep ls [PREFIX]: the databases in the store, by name.

#include <unistd.h>

#include <array>

#include "skep/server/command.h"
#include "skep/server/progress.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(Names are printed in byte order, one a line; --long and --mode give more.

Examples:
  skep ls
  skep ls tenant/ --limit 100
  skep ls --long --mode json)";

constexpr std::size_t kPageRows = 1000;  // asked of the store at a time

struct ListOptions {
  std::string prefix;
  std::string after;
  std::uint64_t limit = 0;  // 0: all
  bool isLong = false;
  OutputMode mode = OutputMode::Table;
  bool modeGiven = false;
};

OutputMode modeOf(const ListOptions& options) {
  return options.modeGiven || options.isLong ? options.mode : OutputMode::List;
}

void writeDatabase(ResultWriter& writer, const ListOptions& options,
                   const store::DatabaseInfo& database) {
  if (!options.isLong) {
    writer.row(std::array<Cell, 1>{database.name});
    return;
  }
  const store::Head& head = database.head;
  const std::string created = formatTimeMs(database.createdMs);
  writer.row(std::array<Cell, 6>{database.name, std::uint64_t{head.pageCount} * store::kPageBytes,
                                 head.txid, head.epoch, head.logBytes, created});
}

Status writeList(CommandContext& context, const ListOptions& options, store::PageStore& store,
                 ResultWriter& writer) {
  std::uint64_t left = options.limit == 0 ? UINT64_MAX : options.limit;
  std::string after = options.after;
  // Names that appear one by one show how far it is by themselves.
  const bool showsItself = modeOf(options) != OutputMode::Table && ::isatty(STDOUT_FILENO) == 1;
  Progress bar(context.clock, "listing");
  std::uint64_t listed = 0;
  while (left > 0) {
    SKEP_TRY(const store::ListPage page,
             store.list(options.prefix, after,
                        static_cast<std::size_t>(std::min<std::uint64_t>(left, kPageRows))));
    for (const store::DatabaseInfo& database : page.databases)
      writeDatabase(writer, options, database);
    listed += page.databases.size();
    if (!showsItself) bar.update(listed, 0);
    left -= std::min<std::uint64_t>(left, page.databases.size());
    if (context.out.error()) return *context.out.error();
    if (page.next.empty()) break;
    after = page.next;
  }
  bar.finish();
  writer.end();
  return {};
}

int runList(CommandContext& context, const ListOptions& options) {
  return withEngine(context, [&](fiber::Loop&, Engine& engine) {
    const std::unique_ptr<ResultWriter> writer = makeResultWriter(modeOf(options), context.out);
    if (options.isLong) {
      writer->begin({"name", "bytes", "txid", "epoch", "log_bytes", "created"});
    } else {
      writer->begin({"name"});
    }
    const Status listed = writeList(context, options, engine.store(), *writer);
    return listed.ok() ? kExitOk : fail(context, listed.error());
  });
}

}  // namespace

void addListCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<ListOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("ls", "List the databases in the store");
  command.add_option("PREFIX", options->prefix, "Only names that begin with this");
  command.add_option("--limit", options->limit, "At most this many")
      ->type_name("COUNT")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}));
  command
      .add_option("--after", options->after,
                  "Begin behind this name, to go on with an earlier list")
      ->type_name("NAME");
  command.add_flag("--long,-l", options->isLong, "With size, version and time of creation");
  addModeOption(command, options->mode);
  addStoreOptions(command, context);
  command.footer(kExamples);
  command.callback([&context, &command, options] {
    options->modeGiven = command.count("--mode") > 0;
    context.exitCode = runList(context, *options);
  });
}

}  // namespace skep::server
