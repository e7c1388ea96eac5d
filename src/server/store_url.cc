#include "skep/server/store_url.h"

#include "skep/backend/embedded/embedded_store.h"
#include "skep/backend/memory/memory_store.h"
#include "skep/backend/postgres/postgres_store.h"

namespace skep::server {
namespace {

constexpr std::string_view kUsage = "use embedded:DIRECTORY, postgres://… or memory:";

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

Result<std::unique_ptr<store::PageStore>> openStore(const StoreUrl& url, Clock& clock) {
  switch (url.kind) {
    case StoreUrl::Kind::Memory:
      return std::unique_ptr<store::PageStore>(std::make_unique<backend::MemoryStore>(clock));
    case StoreUrl::Kind::Embedded: {
      backend::EmbeddedOptions options;
      options.directory = url.location;
      SKEP_TRY(std::unique_ptr<store::PageStore> store,
               backend::EmbeddedStore::open(options, clock));
      return store;
    }
    case StoreUrl::Kind::Postgres: {
      backend::PostgresOptions options;
      options.url = url.location;
      SKEP_TRY(std::unique_ptr<store::PageStore> store,
               backend::PostgresStore::open(options, clock));
      return store;
    }
  }
  SKEP_UNREACHABLE();
}

}  // namespace skep::server
