#include "skep/server/command.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <optional>

#include "skep/fiber/loop.h"
#include "skep/server/error_text.h"
#include "skep/sql/limits.h"

namespace skep::server {

void addStoreOptions(CLI::App& command, CommandContext& context) {
  command
      .add_option("--store", context.storeOption,
                  "Where the databases are: embedded:DIRECTORY, postgres://…, memory:.\n"
                  "Without it $SKEP_STORE, and without that embedded:./data")
      ->type_name("URL");
  command.add_option("--cache", context.cacheMiB, "Memory for pages, in MiB")
      ->type_name("MIB")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
}

void addModeOption(CLI::App& command, OutputMode& mode) {
  const auto choose = [&mode](const std::string& name) {
    const std::optional<OutputMode> chosen = parseOutputMode(name);
    if (!chosen) throw CLI::ValidationError("--mode", "the modes are table, json, csv and list");
    mode = *chosen;
  };
  command
      .add_option_function<std::string>("--mode", choose,
                                        "How rows are printed: table, json, csv or list")
      ->type_name("MODE");
}

void addMaxSizeOption(CLI::App& command, std::uint64_t& bytes) {
  bytes = sql::Limits{}.databaseBytesMax;
  const auto choose = [&bytes](const std::string& text) {
    std::string size = text;
    // CLI11 takes -1 for the largest number.
    const std::string refused = text.find('-') != std::string::npos ? "a size is not negative"
                                                                    : CLI::AsSizeValue(false)(size);
    if (!refused.empty()) throw CLI::ValidationError("--max-size", refused);
    bytes = std::stoull(size);
  };
  command
      .add_option_function<std::string>(
          "--max-size", choose,
          "How large the database may become, in bytes or with a unit (500MiB, 20GiB);\n"
          "0: no limit. 10GiB unless it is given")
      ->type_name("SIZE");
}

bool areNames(CommandContext& context, std::span<const std::string> names) {
  for (const std::string& name : names) {
    const Status valid = store::checkName(name);
    if (valid.ok()) continue;
    context.errors.write(errorText(valid.error()));
    return false;
  }
  return true;
}

int withEngine(CommandContext& context, const std::function<int(fiber::Loop&, Engine&)>& body) {
  Result<StoreUrl> url =
      parseStoreUrl(chooseStoreUrl(context.storeOption, std::getenv("SKEP_STORE")));
  if (!url) {
    context.errors.write(errorText(url.error()));
    return kExitUsage;
  }
  int exitCode = kExitFailed;
  fiber::runOnFreshLoop(context.clock, [&](fiber::Loop& loop) {
    Result<std::unique_ptr<Engine>> engine =
        Engine::open(loop, *url, {.cacheBytes = context.cacheMiB * 1024 * 1024});
    if (!engine) {
      exitCode = fail(context, engine.error());
      return;
    }
    exitCode = body(loop, **engine);
    (*engine)->close();
  });
  return exitCode;
}

int fail(CommandContext& context, const Error& error) {
  (void)context.out.flush();
  if (!context.out.error()) context.errors.write(errorText(error));
  return exitCodeOf(error);
}

int exitCodeOf(const Error& error) {
  return error.code == ErrorCode::Aborted ? kExitInterrupted : kExitFailed;
}

void writeFacts(std::span<const std::pair<const char*, Cell>> facts, OutputMode mode,
                TextSink& out) {
  const std::unique_ptr<ResultWriter> writer = makeResultWriter(mode, out);
  if (mode == OutputMode::Table) {  // one fact a line reads better than one long row
    writer->begin({"property", "value"});
    for (const auto& [name, value] : facts) {
      const std::string text =
          value.isNumber() ? plainText(value) : std::string();  // all on the left
      writer->row(std::array<Cell, 2>{name, value.isNumber() ? Cell(text) : value});
    }
    writer->end();
    return;
  }
  std::vector<std::string> columns;
  std::vector<Cell> row;
  for (const auto& [name, value] : facts) {
    columns.emplace_back(name);
    row.push_back(value);
  }
  writer->begin(columns);
  writer->row(row);
  writer->end();
}

std::string formatTimeMs(std::int64_t wallMs) {
  if (wallMs == 0) return {};
  const std::time_t seconds = static_cast<std::time_t>(wallMs / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char date[32];
  char text[48];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(wallMs % 1000));
  return text;
}

bool isInteractive() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace skep::server
