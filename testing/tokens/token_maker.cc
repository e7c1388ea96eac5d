#include "skep/testing/tokens/token_maker.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <array>

#include "skep/base/base64.h"

namespace skep::testing {
namespace {

/// The two numbers of a signature one behind the other (RFC 7518 section 3.4).
std::string withoutDer(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  std::string signature(64, '\0');
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(parts), out, 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(parts), out + 32, 32);
  ECDSA_SIG_free(parts);
  return signature;
}

template <class Write>
std::string pem(Write write) {
  BIO* bio = BIO_new(BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

}  // namespace

SigningKey SigningKey::rsa(unsigned bits) {
  return SigningKey(EVP_RSA_gen(bits));
}

SigningKey SigningKey::onCurve(const char* curve) {
  return SigningKey(EVP_EC_gen(curve));
}

bool SigningKey::isRsa() const {
  return EVP_PKEY_is_a(key_.get(), "RSA") == 1;
}

std::string SigningKey::sign(std::string_view text) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        &EVP_MD_CTX_free);
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
  std::size_t size = 0;
  EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size());
  std::string signature(size, '\0');
  auto* out = reinterpret_cast<unsigned char*>(signature.data());
  EVP_DigestSign(context.get(), out, &size, bytes, text.size());
  signature.resize(size);
  return isRsa() ? signature : withoutDer(signature);
}

std::string SigningKey::publicPem() const {
  return pem([&](BIO* bio) { PEM_write_bio_PUBKEY(bio, key_.get()); });
}

std::string SigningKey::privatePem() const {
  return pem([&](BIO* bio) {
    PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

Json SigningKey::webKey(const std::string& id) const {
  Json key = isRsa() ? Json{{"kty", "RSA"},
                            {"n", number(OSSL_PKEY_PARAM_RSA_N, 0)},
                            {"e", number(OSSL_PKEY_PARAM_RSA_E, 0)}}
                     : Json{{"kty", "EC"},
                            {"crv", "P-256"},
                            {"x", number(OSSL_PKEY_PARAM_EC_PUB_X, 32)},
                            {"y", number(OSSL_PKEY_PARAM_EC_PUB_Y, 32)}};
  key["use"] = "sig";
  key["alg"] = algorithm();
  if (!id.empty()) key["kid"] = id;
  return key;
}

/// A number of the key in base64url, filled up to `bytes` (0: as many as it has).
std::string SigningKey::number(const char* name, int bytes) const {
  BIGNUM* value = nullptr;
  EVP_PKEY_get_bn_param(key_.get(), name, &value);
  if (bytes == 0) bytes = BN_num_bytes(value);
  std::string big(static_cast<std::size_t>(bytes), '\0');
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(big.data()), bytes);
  BN_free(value);
  return encodeBase64Url(asBytes(big));
}

std::string hmacOf(std::string_view secret, std::string_view text) {
  std::array<unsigned char, 32> mac{};
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), nullptr);
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

std::string signedText(std::string_view header, std::string_view claims) {
  return encodeBase64Url(asBytes(header)) + "." + encodeBase64Url(asBytes(claims));
}

std::string makeToken(const Json& claims, const std::string& secret, Json header) {
  const std::string text = signedText(header.dump(), claims.dump());
  return text + "." + encodeBase64Url(asBytes(hmacOf(secret, text)));
}

std::string makeToken(const Json& claims, const SigningKey& key, const std::string& id) {
  Json header = {{"alg", key.algorithm()}};
  if (!id.empty()) header["kid"] = id;
  const std::string text = signedText(header.dump(), claims.dump());
  return text + "." + encodeBase64Url(asBytes(key.sign(text)));
}

}  // namespace skep::testing
