// skep watch TYPE/KEY… [EVENT…]: prints an actor's events as they come.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "skep/server/display_text.h"
#include "skep/server/remote_options.h"

namespace skep::server {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr const char* kExamples =
    R"(One JSON object a line: {"name", "value"}, with "stream" and "seq" for events that are broadcast; and
{"missed": {"stream", "seq"}} when events before that place are not there any more. Without EVENT all of the actor's
events are printed. A connection that breaks is opened again, and goes on where it was. Ctrl-C ends the command.

Examples:
  skep watch chatRoom/lobby
  skep watch chatRoom/lobby message --params '{"name": "watcher"}' | jq .value.text)";

constexpr milliseconds kBackoffFirst{250};
constexpr milliseconds kBackoffLongest{30'000};

struct WatchOptions {
  RemoteOptions remote;
  std::string actor;
  std::vector<std::string> events;
  std::string parameters;
};

class Watch {
 public:
  Watch(CommandContext& context, RemoteClient& client, std::string target, Json connect)
      : context_(context),
        client_(client),
        target_(std::move(target)),
        connect_(std::move(connect)) {}

  /// Until Ctrl-C, or an end from which nobody comes back; the exit code.
  int run() {
    while (true) {
      const End end = watchOnce();
      if (end.exitCode) return *end.exitCode;
      const milliseconds wait = nextWait();
      context_.errors.write("connection lost (" + displayText(end.reason).text +
                            "); trying again in " + std::to_string(wait.count()) + " ms\n");
      (void)context_.errors.flush();
      if (Status slept = client_.sleepFor(wait); !slept) return kExitInterrupted;
    }
  }

 private:
  /// How one connection ended: for good, or to be tried again.
  struct End {
    std::optional<int> exitCode = {};
    std::string reason = {};
  };

  End watchOnce() {
    const Result<RemoteReply> opened = client_.openSocket(target_);
    if (!opened) return ended(opened.error());
    if (!opened->isGood()) {
      if (opened->status >= 500 || opened->status == 429) {
        return wasConnected_ ? End{.reason = "status " + std::to_string(opened->status)}
                             : End{.exitCode = failWith(context_, *opened)};
      }
      return {.exitCode = failWith(context_, *opened)};
    }
    if (const Status sent = client_.send(connect_.dump()); !sent) return ended(sent.error());
    while (true) {
      const Result<std::optional<std::string>> received = client_.receive();
      if (!received) return ended(received.error());
      if (!*received) return closed();
      take(Json::parse(**received, nullptr, false));
      if (Status written = context_.out.flush(); !written) {
        client_.closeSocket();
        return {.exitCode = kExitFailed};
      }
    }
  }

  /// What cannot be reached at all is told at once; what was there before may come back.
  End ended(const Error& error) {
    if (error.code == ErrorCode::Aborted) {
      client_.closeSocket();
      return {.exitCode = kExitInterrupted};
    }
    if (wasConnected_ && error.code != ErrorCode::AccessDenied) return {.reason = error.message};
    return {.exitCode = fail(context_, error)};
  }

  /// docs/formats/websocket.md says after which codes a client comes back.
  End closed() {
    static const std::set<unsigned> kPassing = {1000, 1001, 1005, 1006, 1011,
                                                1012, 1013, 1014, 4002};
    const unsigned code = client_.closeCode();
    std::string reason = client_.closeReason();
    if (reason.empty()) reason = "closed with code " + std::to_string(code);
    if (kPassing.contains(code)) return {.reason = std::move(reason)};
    context_.errors.write("error: " + displayText(reason).text + "\n");
    return {.exitCode = kExitFailed};
  }

  void take(Json message) {
    if (!message.is_object()) return;
    const Json type = message.value("type", Json());
    notePosition(message);
    if (type == "connected") {
      wasConnected_ = true;
      wait_ = kBackoffFirst;
      if (message.contains("connection")) connect_["resume"]["connection"] = message["connection"];
    } else if (type == "event") {
      message.erase("type");
      context_.out.write(line(message));
    } else if (type == "missed") {
      message.erase("type");
      context_.out.write(line({{"missed", message}}));
    }
  }

  void notePosition(const Json& message) {
    if (!message.contains("stream") || !message.contains("seq")) return;
    connect_["resume"]["stream"] = message["stream"];
    connect_["resume"]["seq"] = message["seq"];
  }

  static std::string line(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }

  /// Longer each time, and not for all clients at once.
  milliseconds nextWait() {
    const milliseconds longest = wait_;
    wait_ = std::min(wait_ * 2, kBackoffLongest);
    std::uniform_int_distribution<milliseconds::rep> spread(longest.count() / 2, longest.count());
    return milliseconds(spread(random_));
  }

  CommandContext& context_;
  RemoteClient& client_;
  const std::string target_;
  Json connect_;
  bool wasConnected_ = false;
  milliseconds wait_ = kBackoffFirst;
  std::mt19937_64 random_{std::random_device{}()};
};

int runWatch(CommandContext& context, const WatchOptions& options) {
  const auto actor = parseActor(context, options.actor);
  if (!actor) return kExitUsage;
  Json connect = {{"type", "connect"}, {"existence", "get"}, {"subscribe", options.events}};
  if (options.events.empty()) connect["subscribe"] = {"*"};
  if (!options.parameters.empty()) {
    connect["params"] = Json::parse(options.parameters, nullptr, false);
    if (connect["params"].is_discarded()) {
      context.errors.write("error: --params is a JSON value, as '{\"name\": \"watcher\"}'\n");
      return kExitUsage;
    }
  }
  return withRemote(context, options.remote, RemoteRole::Client, [&](RemoteClient& client) {
    return Watch(context, client, "/actors" + pathOf(*actor) + "/connect", std::move(connect))
        .run();
  });
}

}  // namespace

void addWatchCommand(CLI::App& app, CommandContext& context) {
  auto options =
      std::make_shared<WatchOptions>();  // shared: the callback that CLI11 keeps is copied
  CLI::App& command = *app.add_subcommand("watch", "Print an actor's events as they come");
  command.add_option("ACTOR", options->actor, "TYPE/KEY, or TYPE/KEY/KEY")->required();
  command.add_option("EVENT", options->events, "Names of events; without any, all");
  command.add_option("--params", options->parameters,
                     "What the client says about itself when it connects: a JSON value");
  addRemoteOptions(command, options->remote, RemoteRole::Client);
  command.footer(kExamples);
  command.callback([&context, options] { context.exitCode = runWatch(context, *options); });
}

}  // namespace skep::server
