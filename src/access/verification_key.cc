#include "skep/access/verification_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "skep/base/base64.h"
#include "skep/base/raw_value.h"

namespace skep::access {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kSecretBytesMin = 32;  // RFC 7518 section 3.2
constexpr int kRsaBitsMin = 2048;            // section 3.3
constexpr int kRsaBitsMax = 8192;
constexpr std::size_t kCoordinateBytes = 32;  // of P-256, and half of a signature with it

template <auto function>
struct Free {
  template <class T>
  void operator()(T* object) const {
    function(object);
  }
};
template <class T, auto function>
using Owned = std::unique_ptr<T, Free<function>>;
using Bignum = Owned<BIGNUM, BN_free>;
using KeyPtr = std::shared_ptr<EVP_PKEY>;

Error invalid(std::string message) {
  ERR_clear_error();
  return {ErrorCode::InvalidArgument, std::move(message)};
}

const unsigned char* bytesOf(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

KeyPtr share(EVP_PKEY* key) {
  return KeyPtr(key, &EVP_PKEY_free);
}

bool isOnP256(EVP_PKEY* key) {
  std::array<char, 64> group{};
  std::size_t size = 0;
  return EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
         OBJ_txt2nid(std::string(group.data(), size).c_str()) == NID_X9_62_prime256v1;
}

// ---- Signatures

/// RFC 7518 section 3.4: two numbers side by side, which OpenSSL wants as DER.
std::optional<std::string> ecSignatureAsDer(std::string_view signature) {
  if (signature.size() != 2 * kCoordinateBytes) return std::nullopt;
  const Owned<ECDSA_SIG, ECDSA_SIG_free> parts(ECDSA_SIG_new());
  Bignum r(BN_bin2bn(bytesOf(signature), kCoordinateBytes, nullptr));
  Bignum s(BN_bin2bn(bytesOf(signature) + kCoordinateBytes, kCoordinateBytes, nullptr));
  if (!parts || !r || !s) return std::nullopt;
  if (ECDSA_SIG_set0(parts.get(), r.get(), s.get()) != 1) return std::nullopt;
  (void)r.release();
  (void)s.release();
  const int size = i2d_ECDSA_SIG(parts.get(), nullptr);
  if (size <= 0) return std::nullopt;
  std::string der(static_cast<std::size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  i2d_ECDSA_SIG(parts.get(), &out);
  return der;
}

bool verifiesWith(EVP_PKEY* key, std::string_view text, std::string_view signature) {
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  const bool isGood =
      context && EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
      EVP_DigestVerify(context.get(), bytesOf(signature), signature.size(), bytesOf(text),
                       text.size()) == 1;
  if (!isGood) ERR_clear_error();
  return isGood;
}

bool verifiesWithSecret(std::string_view secret, std::string_view text,
                        std::string_view signature) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mine{};
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytesOf(text), text.size(),
           mine.data(), &size) == nullptr) {
    return false;
  }
  return signature.size() == size && CRYPTO_memcmp(mine.data(), signature.data(), size) == 0;
}

// ---- JSON Web Keys

/// A member that is text; empty when it is none.
std::string textIn(const Json& key, const char* name) {
  const auto found = key.find(name);
  return found != key.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::string> bytesIn(const Json& key, const char* name) {
  auto bytes = decodeBase64Url(textIn(key, name));
  if (bytes && bytes->empty()) bytes.reset();
  return bytes;
}

KeyPtr makeKey(const char* kind, OSSL_PARAM_BLD* parts) {
  const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(parts));
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  return share(key);
}

KeyPtr rsaKey(const Json& key) {
  const auto modulus = bytesIn(key, "n");
  const auto exponent = bytesIn(key, "e");
  if (!modulus || !exponent || modulus->size() > kRsaBitsMax / 8 || exponent->size() > 8) {
    return nullptr;
  }
  const Bignum n(BN_bin2bn(bytesOf(*modulus), static_cast<int>(modulus->size()), nullptr));
  const Bignum e(BN_bin2bn(bytesOf(*exponent), static_cast<int>(exponent->size()), nullptr));
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> parts(OSSL_PARAM_BLD_new());
  if (!parts || OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  return makeKey("RSA", parts.get());
}

KeyPtr curveKey(const Json& key) {
  const auto x = bytesIn(key, "x");
  const auto y = bytesIn(key, "y");
  if (!x || !y || x->size() != kCoordinateBytes || y->size() != kCoordinateBytes) return nullptr;
  const std::string point = "\x04" + *x + *y;  // uncompressed
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> parts(OSSL_PARAM_BLD_new());
  if (!parts ||
      OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  return makeKey("EC", parts.get());
}

/// Whether it is of a kind that is known here, and meant for signatures.
bool isUsable(const Json& key) {
  const std::string use = textIn(key, "use");
  if (!use.empty() && use != "sig") return false;
  const auto operations = key.find("key_ops");
  if (operations != key.end()) {
    if (!operations->is_array()) return false;
    bool verifies = false;
    for (const Json& each : *operations) verifies = verifies || each == "verify";
    if (!verifies) return false;
  }
  const std::string kind = textIn(key, "kty");
  const std::string algorithm = textIn(key, "alg");
  const auto isFor = [&](Algorithm only) {
    return algorithm.empty() || algorithm == algorithmName(only);
  };
  if (kind == "RSA") return isFor(Algorithm::Rs256);
  if (kind == "oct") return isFor(Algorithm::Hs256);
  return kind == "EC" && textIn(key, "crv") == "P-256" && isFor(Algorithm::Es256);
}

Result<VerificationKey> parseWebKey(const Json& key) {
  const std::string kind = textIn(key, "kty");
  std::string id = textIn(key, "kid");
  if (kind == "oct") {
    auto secret = bytesIn(key, "k");
    if (!secret) return invalid("'k' is no base64url text");
    return VerificationKey::ofSecret(*std::move(secret), std::move(id));
  }
  KeyPtr made = kind == "RSA" ? rsaKey(key) : curveKey(key);
  if (made == nullptr) {
    return invalid(kind == "RSA" ? "'n' and 'e' are no RSA key"
                                 : "'x' and 'y' are no point of P-256");
  }
  return VerificationKey::ofPublicKey(std::move(made), std::move(id));
}

}  // namespace

std::string_view algorithmName(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::Hs256:
      return "HS256";
    case Algorithm::Rs256:
      return "RS256";
    case Algorithm::Es256:
      return "ES256";
  }
  SKEP_UNREACHABLE();
}

Result<VerificationKey> VerificationKey::ofSecret(std::string secret, std::string id) {
  if (secret.size() < kSecretBytesMin) {
    return invalid("a shared secret has at least " + std::to_string(kSecretBytesMin) + " bytes");
  }
  VerificationKey key(Algorithm::Hs256, std::move(id));
  key.secret_ = std::move(secret);
  return key;
}

Result<VerificationKey> VerificationKey::ofPublicKey(std::shared_ptr<evp_pkey_st> key,
                                                     std::string id) {
  Algorithm algorithm = Algorithm::Es256;
  if (EVP_PKEY_is_a(key.get(), "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key.get());
    if (bits < kRsaBitsMin || bits > kRsaBitsMax) {
      return invalid("an RSA key has " + std::to_string(kRsaBitsMin) + " to " +
                     std::to_string(kRsaBitsMax) + " bits, not " + std::to_string(bits));
    }
    algorithm = Algorithm::Rs256;
  } else if (EVP_PKEY_is_a(key.get(), "EC") != 1 || !isOnP256(key.get())) {
    return invalid("keys are RSA, or on the curve P-256");
  }
  VerificationKey made(algorithm, std::move(id));
  made.key_ = std::move(key);
  return made;
}

bool VerificationKey::verifies(std::string_view text, std::string_view signature) const {
  switch (algorithm_) {
    case Algorithm::Hs256:
      return verifiesWithSecret(secret_, text, signature);
    case Algorithm::Rs256:
      return verifiesWith(key_.get(), text, signature);
    case Algorithm::Es256: {
      const auto der = ecSignatureAsDer(signature);
      return der && verifiesWith(key_.get(), text, *der);
    }
  }
  SKEP_UNREACHABLE();
}

Result<Keys> parseSecret(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  SKEP_TRY(VerificationKey key, VerificationKey::ofSecret(std::string(text)));
  return Keys{std::move(key)};
}

Result<Keys> parsePem(std::string_view text) {
  if (text.empty()) return invalid("it is empty");  // for which OpenSSL makes no buffer
  const Owned<BIO, BIO_free> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  SKEP_CHECK(bio != nullptr, "no memory for keys");
  Keys keys;
  while (true) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1) break;
    const std::string kind(name);
    const unsigned char* at = data;
    EVP_PKEY* key = nullptr;
    if (kind == PEM_STRING_PUBLIC) key = d2i_PUBKEY(nullptr, &at, size);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
    if (key == nullptr) {
      return invalid(kind.find("PRIVATE") != kind.npos ? "it has a private key: give the public one"
                                                       : "a block '" + kind + "' is no public key");
    }
    SKEP_TRY(VerificationKey made, VerificationKey::ofPublicKey(share(key)));
    if (keys.size() == kKeysMax) return invalid("it has too many keys");
    keys.push_back(std::move(made));
  }
  const bool isCutShort = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
  if (keys.empty() || isCutShort) return invalid("it has no public key in PEM, or a damaged one");
  ERR_clear_error();
  return keys;
}

Result<Keys> parseKeySet(std::string_view text) {
  std::string_view rest = text;
  const Json set = takeRawJson(rest) ? Json::parse(text, nullptr, false) : Json();
  const auto members = set.is_object() ? set.find("keys") : set.end();
  if (!set.is_object() || members == set.end() || !members->is_array()) {
    return invalid("it is no JWK Set: {\"keys\": […]}");
  }
  Keys keys;
  for (std::size_t i = 0; i < members->size(); ++i) {
    const Json& member = (*members)[i];
    if (!member.is_object() || !isUsable(member)) continue;
    auto key = parseWebKey(member);
    if (!key) return invalid("key " + std::to_string(i) + ": " + key.error().message);
    if (keys.size() == kKeysMax) return invalid("it has too many keys");
    keys.push_back(*std::move(key));
  }
  if (keys.empty()) return invalid("it has no key for HS256, RS256 or ES256");
  return keys;
}

}  // namespace skep::access
