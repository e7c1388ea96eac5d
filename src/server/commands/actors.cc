// skep actors ls|info|wake|sleep|destroy: what whoever runs a server may ask of it.

#include <array>
#include <iostream>
#include <nlohmann/json.hpp>

#include "skep/server/display_text.h"
#include "skep/server/remote_options.h"

namespace skep::server {
namespace {

using Json = nlohmann::json;

constexpr const char* kExamples =
    R"(All of these need the server's admin token. None but wake and destroy wakes an actor.

Examples:
  skep actors ls                              all actors of the server's store
  skep actors ls chatRoom --long --limit 100
  skep actors info chatRoom/lobby
  skep actors sleep chatRoom/lobby
  skep actors destroy chatRoom/lobby --yes)";

constexpr std::uint64_t kPageRows = 1000;  // asked of the server at a time

struct ActorsOptions {
  RemoteOptions remote;
  std::string actor;
  std::string type;
  std::uint64_t limit = 0;  // 0: all
  bool isLong = false;
  bool yes = false;
  OutputMode mode = OutputMode::Table;
  bool modeGiven = false;
};

/// The server's JSON; nothing when it is not what such a server sends, and that is said.
std::optional<Json> parseObject(CommandContext& context, const RemoteReply& reply) {
  Json value = Json::parse(reply.body, nullptr, false);
  if (value.is_object()) return value;
  context.errors.write("error: the server's answer makes no sense: is it a Skep server?\n");
  return std::nullopt;
}

std::uint64_t numberIn(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string nameOf(const Json& actor) {
  const auto type = actor.find("type");
  const auto key = actor.find("key");
  if (type == actor.end() || !type->is_string() || key == actor.end() || !key->is_array())
    return {};
  call::ActorAddress address{.type = type->get<std::string>(), .key = {}};
  for (const Json& part : *key) {
    if (part.is_string()) address.key.push_back(part.get<std::string>());
  }
  return address.databaseName();
}

// ---- ls

void writeActor(ResultWriter& writer, bool isLong, const Json& actor) {
  const std::string name = nameOf(actor);
  if (!isLong) return writer.row(std::array<Cell, 1>{name});
  const std::string created = formatTimeMs(static_cast<std::int64_t>(numberIn(actor, "createdMs")));
  const bool isAwake = actor.value("awake", Json()) == Json(true);
  writer.row(
      std::array<Cell, 4>{name, isAwake ? "awake" : "asleep", numberIn(actor, "bytes"), created});
}

/// "?after=…" with every byte escaped.
std::string pageQuery(std::uint64_t limit, const std::string& after) {
  std::string query = "?limit=" + std::to_string(limit);
  if (after.empty()) return query;
  query += "&after=";
  for (const char c : after) {
    char escaped[4];
    std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned char>(c));
    query += escaped;
  }
  return query;
}

int listActors(CommandContext& context, const ActorsOptions& options, RemoteClient& client) {
  const OutputMode mode = options.modeGiven || options.isLong ? options.mode : OutputMode::List;
  const std::unique_ptr<ResultWriter> writer = makeResultWriter(mode, context.out);
  std::uint64_t left = options.limit == 0 ? UINT64_MAX : options.limit;
  std::string after;
  bool isBegun = false;
  do {
    const std::string target = "/admin/actors" + (options.type.empty() ? "" : "/" + options.type) +
                               pageQuery(std::min(left, kPageRows), after);
    const Result<RemoteReply> reply = client.ask("GET", target);
    if (!reply) return fail(context, reply.error());
    if (!reply->isGood()) return failWith(context, *reply);
    const auto page = parseObject(context, *reply);
    if (!page || !page->value("actors", Json()).is_array()) return kExitFailed;
    if (!std::exchange(isBegun, true)) {
      writer->begin(options.isLong ? std::vector<std::string>{"actor", "state", "bytes", "created"}
                                   : std::vector<std::string>{"actor"});
    }
    const Json& actors = (*page)["actors"];
    for (const Json& actor : actors) writeActor(*writer, options.isLong, actor);
    left -= std::min<std::uint64_t>(left, actors.size());
    if (context.out.error()) return kExitFailed;
    const Json next = page->value("next", Json());
    after = next.is_string() ? next.get<std::string>() : std::string();
  } while (left > 0 && !after.empty());
  writer->end();
  return kExitOk;
}

// ---- info

int writeInfo(CommandContext& context, const ActorsOptions& options, const Json& info) {
  const auto time = [&](const Json& object, const char* name) {
    return formatTimeMs(static_cast<std::int64_t>(numberIn(object, name)));
  };
  const Json error = info.value("lastError", Json::object());
  const std::string name = nameOf(info);
  const std::string created = time(info, "createdMs");
  const std::string alarm = time(info, "alarmMs");
  const std::string errorTime = time(error, "timeMs");
  const std::string errorText =
      error.is_object() && error.value("message", Json()).is_string() ? error["message"] : "";
  const bool isAwake = info.value("awake", Json()) == Json(true);
  const auto orNull = [](const std::string& text) { return text.empty() ? Cell() : Cell(text); };
  const std::array<std::pair<const char*, Cell>, 12> facts = {{
      {"actor", name},
      {"state", isAwake ? "awake" : "asleep"},
      {"bytes", numberIn(info, "bytes")},
      {"stored_bytes", numberIn(info, "storedBytes")},
      {"txid", numberIn(info, "txid")},
      {"created", created},
      {"connections", numberIn(info, "connections")},
      {"calls_under_way", numberIn(info, "callsUnderWay")},
      {"memory_bytes", numberIn(info, "memoryBytes")},
      {"next_timer", orNull(alarm)},
      {"last_error", orNull(errorText)},
      {"last_error_at", orNull(errorTime)},
  }};
  writeFacts(facts, options.mode, context.out);
  return kExitOk;
}

int showActor(CommandContext& context, const ActorsOptions& options, RemoteClient& client,
              const call::ActorAddress& actor) {
  const Result<RemoteReply> reply = client.ask("GET", "/admin/actors" + pathOf(actor));
  if (!reply) return fail(context, reply.error());
  if (!reply->isGood()) return failWith(context, *reply);
  const auto info = parseObject(context, *reply);
  return info ? writeInfo(context, options, *info) : kExitFailed;
}

// ---- wake, sleep, destroy

int command(CommandContext& context, RemoteClient& client, const char* method,
            const std::string& target) {
  const Result<RemoteReply> reply = client.ask(method, target);
  if (!reply) return fail(context, reply.error());
  return reply->isGood() ? kExitOk : failWith(context, *reply);
}

bool isConfirmed(const std::string& name) {
  std::cerr << "Destroy '" << displayText(name).text << "' with all its data? [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

using Body = int (*)(CommandContext&, const ActorsOptions&, RemoteClient&,
                     const call::ActorAddress&);

int wakeActor(CommandContext& context, const ActorsOptions&, RemoteClient& client,
              const call::ActorAddress& actor) {
  return command(context, client, "POST", "/admin/wake" + pathOf(actor));
}
int sleepActor(CommandContext& context, const ActorsOptions&, RemoteClient& client,
               const call::ActorAddress& actor) {
  return command(context, client, "POST", "/admin/sleep" + pathOf(actor));
}
int destroyActor(CommandContext& context, const ActorsOptions& options, RemoteClient& client,
                 const call::ActorAddress& actor) {
  if (!options.yes && !isInteractive()) {
    context.errors.write("error: without a terminal to ask at, destroy needs --yes\n");
    return kExitUsage;
  }
  if (!options.yes && !isConfirmed(options.actor)) return kExitFailed;
  return command(context, client, "DELETE", "/admin/actors" + pathOf(actor));
}

int runWithActor(CommandContext& context, const ActorsOptions& options, Body body) {
  const auto actor = parseActor(context, options.actor);
  if (!actor) return kExitUsage;
  return withRemote(context, options.remote, RemoteRole::Admin,
                    [&](RemoteClient& client) { return body(context, options, client, *actor); });
}

CLI::App& addActorCommand(CLI::App& actors, CommandContext& context,
                          const std::shared_ptr<ActorsOptions>& options, const char* name,
                          const char* help, Body body) {
  CLI::App& added = *actors.add_subcommand(name, help);
  added.add_option("ACTOR", options->actor, "TYPE/KEY, or TYPE/KEY/KEY")->required();
  addRemoteOptions(added, options->remote, RemoteRole::Admin);
  added.callback(
      [&context, options, body] { context.exitCode = runWithActor(context, *options, body); });
  return added;
}

void addListCommandOfActors(CLI::App& actors, CommandContext& context,
                            const std::shared_ptr<ActorsOptions>& options) {
  CLI::App& list = *actors.add_subcommand("ls", "List the actors");
  list.add_option("TYPE", options->type, "Only actors of this type");
  list.add_option("--limit", options->limit, "At most this many")
      ->type_name("COUNT")
      ->check(CLI::Range(std::size_t{1}, std::size_t{1'000'000}));
  list.add_flag("--long,-l", options->isLong, "With state, size and time of creation");
  addModeOption(list, options->mode);
  addRemoteOptions(list, options->remote, RemoteRole::Admin);
  list.callback([&context, &list, options] {
    options->modeGiven = list.count("--mode") > 0;
    context.exitCode =
        withRemote(context, options->remote, RemoteRole::Admin,
                   [&](RemoteClient& client) { return listActors(context, *options, client); });
  });
}

}  // namespace

void addActorsCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<ActorsOptions>();  // shared: the callbacks that CLI11 keeps are copied
  CLI::App& actors = *app.add_subcommand("actors", "Look after the actors of a server");
  actors.require_subcommand(1);
  actors.footer(kExamples);
  addListCommandOfActors(actors, context, options);
  addModeOption(addActorCommand(actors, context, options, "info",
                                "Tell what is known of an actor, without waking it", &showActor),
                options->mode);
  addActorCommand(actors, context, options, "wake", "Wake an actor", &wakeActor);
  addActorCommand(actors, context, options, "sleep", "Put an actor to sleep", &sleepActor);
  addActorCommand(actors, context, options, "destroy", "Remove an actor with all that it stored",
                  &destroyActor)
      .add_flag("--yes,-y", options->yes, "Do not ask");
}

}  // namespace skep::server
