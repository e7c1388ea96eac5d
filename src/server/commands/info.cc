// skep info NAME: what the store knows about one database, without opening it.

#include <array>
#include <cstdio>

#include "skep/server/command.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(Reads the store alone: a database that another process owns is not disturbed.

Examples:
  skep info tenant/acme
  skep info tenant/acme --mode json)";

struct InfoOptions {
  std::string name;
  OutputMode mode = OutputMode::Table;
};

void writeInfo(const store::DatabaseInfo& info, OutputMode mode, TextSink& out) {
  const store::Head& head = info.head;
  char digest[24];
  std::snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(head.digest));
  const std::string created = formatTimeMs(info.createdMs);
  const std::string alarm = formatTimeMs(head.alarmMs.value_or(0));
  const std::array<std::pair<const char*, Cell>, 14> facts = {{
      {"name", info.name},
      {"id", info.id.value},
      {"bytes", std::uint64_t{head.pageCount} * store::kPageBytes},
      {"pages", head.pageCount},
      {"page_bytes", store::kPageBytes},
      {"stored_bytes", info.storedBytes},
      {"log_bytes", head.logBytes},
      {"txid", head.txid},
      {"epoch", head.epoch},
      {"digest", digest},
      {"created", created},
      {"next_timer", head.alarmMs ? Cell(alarm) : Cell()},
      {"retention_ms", info.properties.retentionMs},
      {"metadata", info.properties.metadata.empty() ? Cell() : Cell(info.properties.metadata)},
  }};
  writeFacts(facts, mode, out);
}

int runInfo(CommandContext& context, const InfoOptions& options) {
  if (!areNames(context, {&options.name, 1})) return kExitUsage;
  return withEngine(context, [&](fiber::Loop&, Engine& engine) {
    const Result<store::DatabaseInfo> info = engine.store().info(options.name);
    if (!info) return fail(context, info.error());
    writeInfo(*info, options.mode, context.out);
    return kExitOk;
  });
}

}  // namespace

void addInfoCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<InfoOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("info", "Tell what the store knows about a database");
  command.add_option("NAME", options->name, "The database")->required();
  addModeOption(command, options->mode);
  addStoreOptions(command, context);
  command.footer(kExamples);
  command.callback([&context, options] { context.exitCode = runInfo(context, *options); });
}

}  // namespace skep::server
