// skep nodes: the nodes that share the store.

#include <array>

#include "skep/server/command.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(The lease is what is left of it by the store's clock, in milliseconds: a node that renews has more
than two thousand. Nodes that have ended are shown with --all, for a day.

Examples:
  skep nodes --store postgres://db/skep
  skep nodes --all --mode json)";

struct NodesOptions {
  bool isAll = false;
  OutputMode mode = OutputMode::Table;
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

void writeNode(ResultWriter& writer, const store::NodeInfo& node) {
  const std::string state(store::nodeStateName(node.state));
  const std::string types = joined(node.facts.types);
  const std::string since = formatTimeMs(node.joinedMs);
  const std::int64_t leaseMs = store::isAlive(node.state) ? node.leaseLeftMs : 0;
  writer.row(std::array<Cell, 10>{node.facts.name, node.incarnation, state, node.facts.address,
                                  node.facts.zone, std::uint64_t{node.load}, leaseMs,
                                  node.facts.version, types, since});
}

int runNodes(CommandContext& context, const NodesOptions& options) {
  return withEngine(context, [&](fiber::Loop&, Engine& engine) {
    store::Membership* const membership = engine.store().membership();
    if (membership == nullptr) {
      return fail(context,
                  Error{ErrorCode::Unsupported, "this store serves one process: it has no nodes"});
    }
    const Result<std::vector<store::NodeInfo>> nodes = membership->nodes();
    if (!nodes) return fail(context, nodes.error());
    const std::unique_ptr<ResultWriter> writer = makeResultWriter(options.mode, context.out);
    writer->begin({"name", "incarnation", "state", "address", "zone", "actors_awake", "lease_ms",
                   "version", "types", "joined"});
    for (const store::NodeInfo& node : *nodes) {
      if (options.isAll || store::isAlive(node.state)) writeNode(*writer, node);
    }
    writer->end();
    return kExitOk;
  });
}

}  // namespace

void addNodesCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<NodesOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("nodes", "List the nodes that share the store");
  command.add_flag("--all", options->isAll, "Also those that have ended");
  addModeOption(command, options->mode);
  addStoreOptions(command, context);
  command.footer(kExamples);
  command.callback([&context, options] { context.exitCode = runNodes(context, *options); });
}

}  // namespace skep::server
