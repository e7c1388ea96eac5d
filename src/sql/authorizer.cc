#include "skep/sql/authorizer.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>

#include "skep/sql/sql_text.h"

namespace skep::sql {
namespace {

constexpr std::string_view kReservedPrefix = "_skep_";

/// Pragmas that only report, or that change nothing beyond this connection's behaviour.
constexpr std::array kFreePragmas = {
    "analysis_limit",
    "application_id",
    "auto_vacuum",
    "automatic_index",
    "case_sensitive_like",
    "cell_size_check",
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "freelist_count",
    "full_column_names",
    "function_list",
    "ignore_check_constraints",
    "incremental_vacuum",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "legacy_alter_table",
    "module_list",
    "optimize",
    "page_count",
    "pragma_list",
    "query_only",
    "quick_check",
    "recursive_triggers",
    "reverse_unordered_selects",
    "secure_delete",
    "short_column_names",
    "stats",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
};
/// Pragmas whose value may be read but not set: the VFS, the quota or the store's formats rest on
/// it.
constexpr std::array kReadOnlyPragmas = {
    "busy_timeout",       "cache_size",     "cache_spill",    "encoding",  "journal_mode",
    "journal_size_limit", "locking_mode",   "max_page_count", "mmap_size", "page_size",
    "synchronous",        "schema_version", "temp_store",     "threads",   "trusted_schema",
    "writable_schema",
};

template <std::size_t Size>
bool contains(const std::array<const char*, Size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string refusePragma(std::string_view pragma, std::string_view argument) {
  const std::string name = lowerCase(pragma);
  if (contains(kFreePragmas, name)) return {};
  if (!contains(kReadOnlyPragmas, name)) return "PRAGMA " + name + " is not available";
  if (argument.data() == nullptr) return {};
  return "PRAGMA " + name + " can be read but not changed: Skep sets it";
}

bool isTrusted(const AuthorizerContext& context) {
  return context.isSystem && (context.trigger.empty() || isReservedName(context.trigger));
}

std::string refuseReserved(std::string_view name) {
  if (!isReservedName(name)) return {};
  return "'" + std::string(name) + "': names that start with _skep_ are reserved";
}

}  // namespace

bool isReservedName(std::string_view name) {
  return name.size() >= kReservedPrefix.size() &&
         lowerCase(name.substr(0, kReservedPrefix.size())) == kReservedPrefix;
}

std::string refusal(const AuthorizerContext& context, int action, std::string_view first,
                    std::string_view second) {
  if (context.inVacuum) {
    const bool toFile = action == SQLITE_ATTACH && !first.empty();
    return toFile ? "VACUUM INTO is not available: use skep export" : std::string();
  }
  switch (action) {
    case SQLITE_ATTACH:
      return "ATTACH is not available: a transaction covers one database";
    case SQLITE_DETACH:
      return "DETACH is not available";
    case SQLITE_PRAGMA:
      // As a table-valued function it would write from within what counts as a read.
      if (context.isNested && lowerCase(first) == "optimize")
        return "pragma_optimize is not available: say PRAGMA optimize";
      return refusePragma(first, second);
    case SQLITE_TRANSACTION:
      return context.inTurn
                 ? std::string(first) + " is not available here: the turn is the transaction"
                 : std::string();
    default:
      break;
  }
  if (isTrusted(context)) return {};
  switch (action) {
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_VTABLE:
      return refuseReserved(first);
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TRIGGER: {
      std::string reason = refuseReserved(first);
      return reason.empty() ? refuseReserved(second) : reason;
    }
    case SQLITE_SAVEPOINT:
      return refuseReserved(second);
    default:
      return {};
  }
}

std::string alterRefusal(const AuthorizerContext& context, std::string_view sql) {
  if (isTrusted(context) || lowerCase(sql).find(kReservedPrefix) == std::string::npos) return {};
  return "ALTER TABLE with a name that starts with _skep_: such names are reserved";
}

}  // namespace skep::sql
