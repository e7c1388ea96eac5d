// Store URLs: how a user says where databases are kept.
//
//   embedded:DIRECTORY     RocksDB in that directory (made when missing); one process at a time
//   postgres://…           a PostgreSQL database, in libpq's URL form; postgresql:// is the same
//   memory:                this process's memory, gone when it ends
//
//   SKEP_TRY(StoreUrl url, parseStoreUrl("embedded:./data"));
//   SKEP_TRY(auto store, openStore(url, clock));

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "skep/base/clock.h"
#include "skep/base/result.h"
#include "skep/store/page_store.h"

namespace skep::server {

inline constexpr std::string_view kDefaultStoreUrl = "embedded:./data";

struct StoreUrl {
  enum class Kind : std::uint8_t { Memory, Embedded, Postgres } kind = Kind::Memory;
  // The directory, or the whole URL of a PostgreSQL database, which may hold a password; empty for
  // memory.
  std::string location;
};

/// InvalidArgument, with a message that repeats no secret, when the text is no store URL.
Result<StoreUrl> parseStoreUrl(std::string_view text);

/// The URL that applies: the --store option if given, else the SKEP_STORE variable, else
/// kDefaultStoreUrl. Null and empty mean: not given.
std::string chooseStoreUrl(std::string_view option, const char* environmentVariable);

/// Opens the store. Suspends. The errors of the backend: Locked, Unavailable, AccessDenied,
/// VersionMismatch, …
Result<std::unique_ptr<store::PageStore>> openStore(const StoreUrl& url, Clock& clock);

}  // namespace skep::server
