// What the commands share that speak to a server: which one, and as whom.

#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "skep/call/address.h"
#include "skep/server/command.h"
#include "skep/server/remote_client.h"

namespace skep::server {

/// As whom a command speaks: a client of actors, or the server's admin.
enum class RemoteRole : std::uint8_t { Client, Admin };

struct RemoteOptions {
  std::string url;
  std::string tokenFile;  // of the role
};

/// Adds --url, and --token-file or --admin-token-file; `options` outlives the application.
void addRemoteOptions(CLI::App& command, RemoteOptions& options, RemoteRole role);

/// Makes the client that the options, and the environment, say, and runs `body` with it such that Ctrl-C
/// interrupts what it waits for; returns the exit code. Prints what is wrong with the options.
int withRemote(CommandContext& context, const RemoteOptions& options, RemoteRole role,
               const std::function<int(RemoteClient&)>& body);

/// "TYPE/KEY…": a slash within a part of the key is %2F. Prints what is wrong.
std::optional<call::ActorAddress> parseActor(CommandContext& context, const std::string& text);

/// Prints the failure in the body of a reply that is not good: "error: actor.not_found: …".
int failWith(CommandContext& context, const RemoteReply& reply);

}  // namespace skep::server
