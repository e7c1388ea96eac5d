// What SQL may do: the authorizer's rules, kept apart from SQLite's callback so that they can be
// read and tested alone.
//
// Refused for everyone: ATTACH (two files never commit together here), pragmas that would undo what
// the VFS relies on, and with DEFENSIVE mode writes to the schema table. Refused for tenants:
// writing or making anything whose name starts with `_skep_`, which is the runtime's own. Refused
// inside a turn: BEGIN, COMMIT, ROLLBACK, as the turn is the transaction.

#pragma once

#include <string>
#include <string_view>

namespace skep::sql {

struct AuthorizerContext {
  bool isSystem =
      false;  // may write _skep_ tables; what a tenant's trigger does is the tenant's all the same
  bool inTurn = false;    // transaction statements are refused
  bool inVacuum = false;  // VACUUM's own statements: it attaches a temporary database and fills it
  bool isNested = false;  // compiled while another statement runs, which asked for it
  std::string_view trigger;  // the trigger or view whose text asks; empty for the statement itself
};

/// The reason why SQLite's action is refused, empty when it is allowed. The arguments are those of
/// https://www.sqlite.org/c3ref/c_alter_table.html; null strings come as empty views with `data()
/// == nullptr`.
std::string refusal(const AuthorizerContext& context, int action, std::string_view first,
                    std::string_view second);

/// Why the statement `sql`, which alters a table, is refused; empty when it is allowed. The new
/// name of a rename is not among the authorizer's arguments, so the text must not mention a
/// reserved name at all.
std::string alterRefusal(const AuthorizerContext& context, std::string_view sql);

/// Whether `name` is reserved for Skep's own tables: it starts with `_skep_`, in any case.
bool isReservedName(std::string_view name);

}  // namespace skep::sql
