#include "skep/server/store_url.h"

#include <algorithm>

namespace skep::server {
namespace {

constexpr std::string_view kUsage = "use embedded:DIRECTORY, postgres://… or memory:";

// postgres://user:SECRET@host/database?password=SECRET
std::string redactPostgres(std::string_view url) {
  const std::size_t authority = url.find("://") + 3;
  std::string result(url.substr(0, authority));
  std::string_view rest = url.substr(authority);

  // The last '@' anywhere ends the password: one that was not percent-encoded may hold '/', '?' and
  // '@'.
  const std::size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    const std::size_t colon = rest.find(':');
    result += rest.substr(0, std::min(colon, at));
    if (colon < at) result += ":***";
    rest.remove_prefix(at);
  }
  const std::size_t queryAt = std::min(rest.find('?'), rest.size());
  result += rest.substr(0, queryAt);

  std::string_view query = rest.substr(queryAt);
  while (!query.empty()) {  // begins with '?' or '&'
    const std::size_t end = std::min(query.find('&', 1), query.size());
    const std::string_view parameter = query.substr(1, end - 1);
    const std::string_view name = parameter.substr(0, parameter.find('='));
    result += query[0];
    result += name == "password" || name == "sslpassword" ? std::string(name) + "=***"
                                                          : std::string(parameter);
    query.remove_prefix(end);
  }
  return result;
}

Error unknownScheme(std::string_view text) {
  // Only the scheme is repeated: the rest may hold a password.
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) {
    return Error{ErrorCode::InvalidArgument,
                 "a store URL begins with its kind: " + std::string(kUsage) +
                     ". For a directory: embedded:" +
                     (text.find('@') == std::string_view::npos ? std::string(text) : "DIRECTORY")};
  }
  return Error{ErrorCode::InvalidArgument, "unknown kind of store '" +
                                               std::string(text.substr(0, colon)) + ":'; " +
                                               std::string(kUsage)};
}

}  // namespace

std::string StoreUrl::redacted() const {
  switch (kind) {
    case Kind::Memory:
      return "memory:";
    case Kind::Embedded:
      return "embedded:" + location;
    case Kind::Postgres:
      return redactPostgres(location);
  }
  return {};
}

Result<StoreUrl> parseStoreUrl(std::string_view text) {
  if (text.empty())
    return Error{ErrorCode::InvalidArgument, "the store URL is empty; " + std::string(kUsage)};
  if (text.find('\0') != std::string_view::npos) {
    return Error{ErrorCode::InvalidArgument, "a store URL must not contain a NUL character"};
  }
  if (text.starts_with("memory:")) {
    if (text != "memory:") {
      return Error{ErrorCode::InvalidArgument,
                   "nothing may follow 'memory:': such a store has no name"};
    }
    return StoreUrl{.kind = StoreUrl::Kind::Memory, .location = {}};
  }
  if (text.starts_with("embedded:")) {
    const std::string_view directory = text.substr(std::string_view("embedded:").size());
    if (directory.empty()) {
      return Error{ErrorCode::InvalidArgument,
                   "'embedded:' needs a directory, for example embedded:./data"};
    }
    return StoreUrl{.kind = StoreUrl::Kind::Embedded, .location = std::string(directory)};
  }
  if (text.starts_with("postgres:") || text.starts_with("postgresql:")) {
    if (!text.starts_with("postgres://") && !text.starts_with("postgresql://")) {
      return Error{ErrorCode::InvalidArgument,
                   "a PostgreSQL store is written postgres://USER@HOST:PORT/DATABASE"};
    }
    return StoreUrl{.kind = StoreUrl::Kind::Postgres, .location = std::string(text)};
  }
  return unknownScheme(text);
}

std::string chooseStoreUrl(std::string_view option, const char* environmentVariable) {
  if (!option.empty()) return std::string(option);
  if (environmentVariable != nullptr && *environmentVariable != '\0') return environmentVariable;
  return std::string(kDefaultStoreUrl);
}

}  // namespace skep::server
