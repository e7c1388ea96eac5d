// skep rm NAME…: removes databases with all that they stored.

#include <iostream>

#include "skep/server/command.h"
#include "skep/server/display_text.h"
#include "skep/server/progress.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(There is no way back: keep a copy with `skep export` first. At a terminal the command asks; in a script --yes is needed.
A process that has the database open cannot write to it any more. What a node of a cluster owns is refused: let
the node remove it, with `skep actors destroy`.

Examples:
  skep rm tenant/acme
  skep rm tenant/a tenant/b --yes)";

struct RemoveOptions {
  std::vector<std::string> names;
  bool yes = false;
};

bool isConfirmed(const std::string& name) {
  std::cerr << "Remove '" << displayText(name).text << "' with all its data? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

/// OwnedElsewhere, with the node's name: it would go on to answer from what it has in memory.
Status checkUnowned(store::PageStore& store, const std::string& name) {
  store::Membership* const membership = store.membership();
  if (membership == nullptr) return {};
  SKEP_TRY(const store::DatabaseInfo info, store.info(name));
  if (info.owner == 0) return {};
  SKEP_TRY(const std::vector<store::NodeInfo> nodes, membership->nodes());
  for (const store::NodeInfo& node : nodes) {
    if (node.incarnation != info.owner || !store::isAlive(node.state)) continue;
    return Error{ErrorCode::OwnedElsewhere,
                 "node '" + node.facts.name + "' owns '" + name +
                     "': ask any node to remove it, with `skep actors destroy`"};
  }
  return {};
}

int runRemove(CommandContext& context, const RemoveOptions& options) {
  if (!areNames(context, options.names)) return kExitUsage;
  if (!options.yes && !isInteractive()) {
    context.errors.write("error: without a terminal to ask at, rm needs --yes\n");
    return kExitUsage;
  }
  return withEngine(context, [&](fiber::Loop&, Engine& engine) {
    int exitCode = kExitOk;
    Progress bar(context.clock, "removing");
    std::uint64_t done = 0;
    for (const std::string& name : options.names) {
      if (options.yes) bar.update(done++, options.names.size());
      if (!options.yes && !isConfirmed(name)) {
        exitCode = kExitFailed;
        continue;
      }
      Status removed = checkUnowned(engine.store(), name);
      if (removed) removed = engine.store().destroy(name);
      if (!removed) {
        bar.finish();
        exitCode = fail(context, removed.error());
      }
    }
    return exitCode;
  });
}

}  // namespace

void addRemoveCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<RemoveOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("rm", "Remove databases");
  command.add_option("NAME", options->names, "The databases")->required();
  command.add_flag("--yes,-y", options->yes, "Do not ask");
  addStoreOptions(command, context);
  command.footer(kExamples);
  command.callback([&context, options] { context.exitCode = runRemove(context, *options); });
}

}  // namespace skep::server
