#include "skep/access/shared_secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "skep/access/key_files.h"

namespace skep::access {
namespace {

constexpr std::size_t kSecretBytesMin = 16;
constexpr std::size_t kHashBytes = 32;

/// Hashes have one length, so that comparing them tells nothing of the secret's.
std::string hashOf(std::string_view text) {
  std::string hash(kHashBytes, '\0');
  const int done =
      EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(hash.data()), nullptr,
                 EVP_sha256(), nullptr);
  SKEP_CHECK(done == 1, "no memory for a hash");
  return hash;
}

}  // namespace

Result<SharedSecret> SharedSecret::make(std::string text) {
  const bool isPrintable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (text.size() < kSecretBytesMin || !isPrintable) {
    return Error{ErrorCode::InvalidArgument,
                 "it must have at least " + std::to_string(kSecretBytesMin) +
                     " printable characters without spaces, as `openssl rand -hex 32` makes them"};
  }
  return SharedSecret(hashOf(text));
}

Result<SharedSecret> SharedSecret::read(const std::string& path) {
  SKEP_TRY(std::string text, readSmallFile(path));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  auto made = make(std::move(text));
  if (!made) {
    return Error{ErrorCode::InvalidArgument,
                 "the token in " + path + " cannot be used: " + made.error().message};
  }
  return made;
}

std::string SharedSecret::keyFor(std::string_view purpose) const {
  return hashOf(hash_ + ":" + std::string(purpose));
}

bool SharedSecret::matches(std::string_view text) const {
  return CRYPTO_memcmp(hashOf(text).data(), hash_.data(), kHashBytes) == 0;
}

}  // namespace skep::access
