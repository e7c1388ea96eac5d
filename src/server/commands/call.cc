// skep call TYPE/KEY… ACTION [ARGUMENTS]: runs an action of an actor, on a server.

#include <nlohmann/json.hpp>

#include "skep/server/remote_options.h"

namespace skep::server {
namespace {

constexpr const char* kExamples =
    R"(ARGUMENTS is a JSON array; without it the action gets none. Prints the result as JSON. A slash within a part of a
key is %2F. An actor that does not exist is made, unless --must-exist says otherwise.

Examples:
  skep call counter/a increment '[5]'
  skep call chatRoom/eu/lobby history '[10, 0]' --url https://skep.example.org --token-file token.txt)";

struct CallOptions {
  RemoteOptions remote;
  std::string actor;
  std::string action;
  std::string arguments = "[]";
  bool mustExist = false;
};

int runCall(CommandContext& context, const CallOptions& options) {
  const auto actor = parseActor(context, options.actor);
  if (!actor) return kExitUsage;
  if (!nlohmann::json::parse(options.arguments, nullptr, false).is_array()) {
    context.errors.write("error: the arguments are a JSON array, as '[5, \"x\"]'\n");
    return kExitUsage;
  }
  return withRemote(context, options.remote, RemoteRole::Client, [&](RemoteClient& client) {
    // An action's name is one segment, escaped like a part of a key.
    const std::string action = pathOf({.type = {}, .key = {options.action}}).substr(1);
    std::string target = "/actors" + pathOf(*actor) + "/actions" + action;
    if (options.mustExist) target += "?existence=get";
    const Result<RemoteReply> reply = client.ask("POST", target, options.arguments);
    if (!reply) return fail(context, reply.error());
    if (!reply->isGood()) return failWith(context, *reply);
    context.out.write(reply->body + "\n");
    return kExitOk;
  });
}

}  // namespace

void addCallCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<CallOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("call", "Run an action of an actor, on a server");
  command.add_option("ACTOR", options->actor, "TYPE/KEY, or TYPE/KEY/KEY")->required();
  command.add_option("ACTION", options->action, "The action's name")->required();
  command.add_option("ARGUMENTS", options->arguments, "A JSON array");
  command.add_flag("--must-exist", options->mustExist, "Do not make an actor that does not exist");
  addRemoteOptions(command, options->remote, RemoteRole::Client);
  command.footer(kExamples);
  command.callback([&context, options] { context.exitCode = runCall(context, *options); });
}

}  // namespace skep::server
