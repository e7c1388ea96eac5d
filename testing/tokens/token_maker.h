// Makes keys and tokens for tests: what an identity provider does.

#pragma once

#include <openssl/evp.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace skep::testing {

using Json = nlohmann::json;

/// A private key, RSA or on a curve.
class SigningKey {
 public:
  static SigningKey rsa(unsigned bits = 2048);
  static SigningKey p256() { return onCurve("P-256"); }
  static SigningKey onCurve(const char* curve);

  bool isRsa() const;
  const char* algorithm() const { return isRsa() ? "RS256" : "ES256"; }

  /// As tokens have it.
  std::string sign(std::string_view text) const;
  std::string publicPem() const;
  std::string privatePem() const;
  /// The public half as a JSON Web Key; an empty id is left out.
  Json webKey(const std::string& id) const;

 private:
  explicit SigningKey(EVP_PKEY* key) : key_(key, &EVP_PKEY_free) {}
  std::string number(const char* name, int bytes) const;

  std::shared_ptr<EVP_PKEY> key_;
};

inline const std::string kTestSecret = "a secret that is long enough for everybody";

std::string hmacOf(std::string_view secret, std::string_view text);
/// What is signed, with `header` and `claims` as they are.
std::string signedText(std::string_view header, std::string_view claims);
std::string makeToken(const Json& claims, const std::string& secret = kTestSecret,
                      Json header = {{"alg", "HS256"}});
std::string makeToken(const Json& claims, const SigningKey& key, const std::string& id = {});

}  // namespace skep::testing
