#include "skep/backend/postgres/connection_info.h"

#include <libpq-fe.h>

#include <array>
#include <memory>
#include <string_view>

namespace skep::backend::postgres {
namespace {

// Where the URL does not say otherwise: a server that vanished from the network is noticed within
// half a minute, also by a connection that has nothing to send.
constexpr std::array<std::pair<const char*, const char*>, 4> kDefaults = {{
    {"fallback_application_name", "skep"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "4"},
}};

struct OptionsDeleter {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, OptionsDeleter>;

std::string valueOf(const PQconninfoOption* options, std::string_view keyword) {
  for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
    if (option->keyword == keyword && option->val != nullptr) return option->val;
  }
  return {};
}

std::string firstOf(std::initializer_list<std::string> values) {
  for (const std::string& value : values) {
    if (!value.empty()) return value;
  }
  return {};
}

// What the URL says, and what libpq takes for the rest.
std::string describe(const PQconninfoOption* given) {
  const Options defaults(PQconndefaults());
  const auto valueFor = [&](std::string_view keyword) {
    return firstOf({valueOf(given, keyword), defaults ? valueOf(defaults.get(), keyword) : ""});
  };
  const std::string host = firstOf({valueFor("host"), valueFor("hostaddr"), "the local socket"});
  const std::string user = valueFor("user");
  return host + ":" + valueFor("port") + "/" + firstOf({valueFor("dbname"), user}) + " as " + user;
}

}  // namespace

Result<ConnectionInfo> ConnectionInfo::parse(const std::string& url) {
  char* complaint = nullptr;
  const Options options(PQconninfoParse(url.c_str(), &complaint));
  PQfreemem(complaint);
  if (!options || url.empty()) {
    return Error{ErrorCode::InvalidArgument,
                 "the store's URL is not a PostgreSQL URL; it has the form "
                 "postgresql://user:password@host:port/database"};
  }
  // An unescaped '@' in the password ends it there: the rest would be taken, and shown, as the
  // host.
  if (valueOf(options.get(), "host").find('@') != std::string::npos) {
    return Error{
        ErrorCode::InvalidArgument,
        "the store's URL has two '@': write one within the user's name or password as %40"};
  }
  ConnectionInfo info;
  info.place = describe(options.get());
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) info.parameters.emplace_back(option->keyword, option->val);
  }
  for (const auto& [keyword, value] : kDefaults) {
    if (valueOf(options.get(), keyword).empty()) info.parameters.emplace_back(keyword, value);
  }
  return info;
}

}  // namespace skep::backend::postgres
