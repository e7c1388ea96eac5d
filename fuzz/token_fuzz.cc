// JSON Web Tokens and the files of keys: any bytes.
//
// As a token; as header and claims of one that is well signed, so that damage reaches what stands behind the
// signature; and as each kind of file. A token that is taken was signed, and says when it expires.

#include <openssl/hmac.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "skep/access/token.h"
#include "skep/base/base64.h"
#include "skep/base/check.h"

namespace skep::access {
namespace {

constexpr std::string_view kSecret = "the secret of a fuzz target, long enough";
constexpr std::int64_t kNowMs = 1'700'000'000'000;

const Keys& keys() {
  static const Keys all = [] {
    Keys made = *parseSecret(kSecret);
    const auto set = parseKeySet(
        R"({"keys":[{"kty":"EC","kid":"curve","crv":"P-256",
           "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
           "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})");
    made.push_back(set->front());
    return made;
  }();
  return all;
}

enum class Signature { Any, Good };

void check(std::string_view token, Signature signature) {
  for (const TokenRules& rules :
       {TokenRules{}, TokenRules{.issuer = "joe", .audiences = {"chat"}}}) {
    const auto checked = checkToken(token, keys(), rules, kNowMs);
    if (const auto* failure = std::get_if<call::Failure>(&checked)) {
      SKEP_CHECK(failure->group == "access" && failure->httpStatus == 401);
      continue;
    }
    SKEP_CHECK(signature == Signature::Good, "a token that nobody signed was taken");
    SKEP_CHECK(std::get<CheckedToken>(checked).expiresMs > kNowMs);
  }
}

/// The input is a header, a zero byte and claims.
void checkSigned(std::string_view input) {
  const std::size_t zero = input.find('\0');
  if (zero == input.npos) return;
  const std::string text = encodeBase64Url(asBytes(input.substr(0, zero))) + "." +
                           encodeBase64Url(asBytes(input.substr(zero + 1)));
  std::array<std::byte, 32> mac{};
  HMAC(EVP_sha256(), kSecret.data(), static_cast<int>(kSecret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(mac.data()), nullptr);
  check(text + "." + encodeBase64Url(mac), Signature::Good);
}

void parseFiles(std::string_view input) {
  for (const auto parse : {&parseSecret, &parsePem, &parseKeySet}) {
    const auto parsed = parse(input);
    SKEP_CHECK(parsed.ok() ? !parsed->empty() && parsed->size() <= kKeysMax
                           : !parsed.error().message.empty());
  }
}

}  // namespace
}  // namespace skep::access

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  skep::access::check(input, skep::access::Signature::Any);
  skep::access::checkSigned(input);
  skep::access::parseFiles(input);
  (void)skep::access::bearerToken(input);
  return 0;
}
