// SharedSecret: a text that who knows it may do what is guarded by it. Any thread.

#pragma once

#include <string>
#include <string_view>

#include "skep/base/result.h"

namespace skep::access {

class SharedSecret {
 public:
  /// InvalidArgument when it could be guessed: at least 16 characters, all printable ASCII, so that a header
  /// carries it.
  static Result<SharedSecret> make(std::string text);
  /// The content of a file, line ends behind it left out.
  static Result<SharedSecret> read(const std::string& path);

  /// A key of 32 bytes for one purpose, from which nobody learns the secret or the key for another one.
  std::string keyFor(std::string_view purpose) const;

  /// Whether `text` is the secret. Takes the same time wherever it differs, whatever its length.
  bool matches(std::string_view text) const;

 private:
  explicit SharedSecret(std::string hash) : hash_(std::move(hash)) {}
  std::string hash_;  // SHA-256
};

}  // namespace skep::access
