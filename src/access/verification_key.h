// VerificationKey: a key that tells whether a token was signed by who has the key's other half.
//
// A key belongs to exactly one algorithm (RFC 7518), which follows from what kind of key it is, never
// from what a token says: so no token can have a public key taken for a shared secret, and there is
// no way to write down "none".
//
//   HS256   a shared secret of at least 32 bytes
//   RS256   an RSA key of at least 2048 bits
//   ES256   a key on the curve P-256
//
// Immutable: any thread. Shared: copies are the same key.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "skep/base/result.h"

struct evp_pkey_st;

namespace skep::access {

enum class Algorithm : std::uint8_t { Hs256, Rs256, Es256 };

/// "HS256"
std::string_view algorithmName(Algorithm algorithm);

class VerificationKey {
 public:
  /// InvalidArgument when the secret is too short.
  static Result<VerificationKey> ofSecret(std::string secret, std::string id = {});
  /// InvalidArgument when it is neither RSA nor P-256, or too small.
  static Result<VerificationKey> ofPublicKey(std::shared_ptr<evp_pkey_st> key, std::string id = {});

  Algorithm algorithm() const { return algorithm_; }
  /// The `kid` that tokens name it by; empty: none.
  const std::string& id() const { return id_; }
  /// Whether `signature`, as it stands in a token, is that of `text`. Takes the same time wherever a wrong
  /// one differs.
  bool verifies(std::string_view text, std::string_view signature) const;

 private:
  VerificationKey(Algorithm algorithm, std::string id)
      : algorithm_(algorithm), id_(std::move(id)) {}

  Algorithm algorithm_;
  std::string id_;
  std::string secret_;                // HS256
  std::shared_ptr<evp_pkey_st> key_;  // the others
};

/// Keys in the forms in which files have them. InvalidArgument, with what is wrong but without the key, when
/// there is none or one is no good.
using Keys = std::vector<VerificationKey>;
/// The secret is the file; line ends behind it do not count.
Result<Keys> parseSecret(std::string_view text);
/// One public key, or several, as `openssl pkey -pubout` writes them.
Result<Keys> parsePem(std::string_view text);
/// A JWK Set (RFC 7517). Keys of kinds and for uses that are not known here are left out.
Result<Keys> parseKeySet(std::string_view text);

inline constexpr std::size_t kKeysMax = 100;  // of one file

}  // namespace skep::access
