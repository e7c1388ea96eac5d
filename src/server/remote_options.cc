#include "skep/server/remote_options.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "skep/access/key_files.h"
#include "skep/server/display_text.h"
#include "skep/server/error_text.h"

namespace skep::server {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

/// The option's file, else the variable's file, else the variable.
Result<std::string> readToken(const RemoteOptions& options, RemoteRole role) {
  const std::string variable = role == RemoteRole::Admin ? "SKEP_ADMIN_TOKEN" : "SKEP_TOKEN";
  std::string file = options.tokenFile;
  if (file.empty()) file = environment((variable + "_FILE").c_str());
  if (file.empty()) return environment(variable.c_str());
  SKEP_TRY(std::string token, access::readSmallFile(file));
  while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
  return token;
}

}  // namespace

void addRemoteOptions(CLI::App& command, RemoteOptions& options, RemoteRole role) {
  command
      .add_option("--url", options.url,
                  "The server. Without it $SKEP_URL, and without that http://127.0.0.1:6420")
      ->type_name("URL");
  if (role == RemoteRole::Admin) {
    command
        .add_option("--admin-token-file", options.tokenFile,
                    "File with the server's admin token. Without it $SKEP_ADMIN_TOKEN_FILE or\n"
                    "$SKEP_ADMIN_TOKEN")
        ->type_name("FILE");
  } else {
    command
        .add_option("--token-file", options.tokenFile,
                    "File with the token to show. Without it $SKEP_TOKEN_FILE or $SKEP_TOKEN")
        ->type_name("FILE");
  }
}

int withRemote(CommandContext& context, const RemoteOptions& options, RemoteRole role,
               const std::function<int(RemoteClient&)>& body) {
  std::string text = options.url.empty() ? environment("SKEP_URL") : options.url;
  if (text.empty()) text = kDefaultRemoteUrl;
  Result<RemoteUrl> url = parseRemoteUrl(text);
  Result<std::string> token = readToken(options, role);
  if (!url || !token) {
    context.errors.write(errorText(url ? token.error() : url.error()));
    return kExitUsage;
  }
  RemoteClient client(*std::move(url), *std::move(token));
  const InterruptScope scope(context.interrupts, [&client] { client.interrupt(); });
  return body(client);
}

std::optional<call::ActorAddress> parseActor(CommandContext& context, const std::string& text) {
  auto address = call::ActorAddress::ofDatabase(text);
  if (address) return *std::move(address);
  context.errors.write("error: '" + displayText(text).text +
                       "' is no actor: write TYPE/KEY, or TYPE/KEY/KEY (" +
                       address.error().message + ")\n");
  return std::nullopt;
}

int failWith(CommandContext& context, const RemoteReply& reply) {
  const auto failure = nlohmann::json::parse(reply.body, nullptr, false);
  const auto text = [&](const char* name) {
    const auto found = failure.is_object() ? failure.find(name) : failure.end();
    const bool isText = failure.is_object() && found != failure.end() && found->is_string();
    return isText ? found->get<std::string>() : std::string();
  };
  std::string message = text("group") + "." + text("code") + ": " + text("message");
  if (text("code").empty()) {
    message =
        "the server answers with status " + std::to_string(reply.status) + ": is it a Skep server?";
  }
  (void)context.out.flush();
  context.errors.write("error: " + displayText(message).text + "\n");
  return kExitFailed;
}

}  // namespace skep::server
