// ActorAddress: which actor is meant: the name of its type and its key.
//
// A key is a list of strings, never joined: {"a,b"} and {"a", "b"} are two actors. An actor's
// database is named by the type and the parts with '/' between them; inside a part '/', '%' and
// control characters are percent-encoded (RFC 3986 section 2.1), so that every address has exactly
// one name and `skep ls chatRoom/` lists the actors of a type. Plain values, any thread.
//
//   SKEP_TRY(ActorAddress address, ActorAddress::make("chatRoom", {"eu", "lobby"}));
//   address.databaseName();   // "chatRoom/eu/lobby"

#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/result.h"

namespace skep::call {

inline constexpr std::size_t kTypeBytesMax = 64;
inline constexpr std::size_t kKeyPartsMax = 16;
inline constexpr std::size_t kKeyPartBytesMax = 256;
inline constexpr std::size_t kDatabaseNameBytesMax = 1024;

struct ActorAddress {
  std::string type;
  std::vector<std::string> key;

  /// Checks both. A type is a letter followed by letters, digits, '_' or '-', at most
  /// kTypeBytesMax; a key has 1 to kKeyPartsMax parts of 1 to kKeyPartBytesMax bytes of UTF-8.
  /// InvalidArgument otherwise, also when the database's name would be longer than
  /// kDatabaseNameBytesMax.
  static Result<ActorAddress> make(std::string type, std::vector<std::string> key);
  /// The address behind a database's name; InvalidArgument when it is no actor's.
  static Result<ActorAddress> ofDatabase(std::string_view name);

  std::string databaseName() const;
  /// For messages: `chatRoom["eu","lobby"]`.
  std::string toString() const;

  friend auto operator<=>(const ActorAddress&, const ActorAddress&) = default;
};

}  // namespace skep::call
