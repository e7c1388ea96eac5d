// Tokens: what is believed, and what is not.

#include "skep/access/token.h"
#include "skep/base/base64.h"
#include "skep/testing/tokens/token_maker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace skep::access {
namespace {

using call::Failure;
using ::testing::HasSubstr;
using testing::Json;
using testing::kTestSecret;
using testing::makeToken;
using testing::SigningKey;

constexpr std::int64_t kNowMs = 1'700'000'000'000;
constexpr std::int64_t kNow = kNowMs / 1000;

const SigningKey& rsaKey() {
  static const SigningKey key = SigningKey::rsa();
  return key;
}
const SigningKey& curveKey() {
  static const SigningKey key = SigningKey::p256();
  return key;
}

Keys keysOf(const Result<Keys>& parsed) {
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  return parsed.ok() ? *parsed : Keys();
}

Keys allKeys() {
  Keys keys = keysOf(parseSecret(kTestSecret));
  for (const std::string& pem : {rsaKey().publicPem(), curveKey().publicPem()}) {
    for (VerificationKey& key : keysOf(parsePem(pem))) keys.push_back(std::move(key));
  }
  return keys;
}

Json goodClaims() {
  return {{"sub", "ada"}, {"exp", kNow + 60}};
}

/// "ok", or the failure's code.
std::string outcomeOf(const std::string& token, const Keys& keys = allKeys(),
                      const TokenRules& rules = {}, std::int64_t nowMs = kNowMs) {
  const auto checked = checkToken(token, keys, rules, nowMs);
  const auto* failure = std::get_if<Failure>(&checked);
  if (failure == nullptr) return "ok";
  EXPECT_EQ(failure->group, "access");
  EXPECT_EQ(failure->httpStatus, 401);
  EXPECT_FALSE(failure->message.empty());
  return failure->code;
}

std::string withClaims(Json more, const TokenRules& rules = {}) {
  Json claims = goodClaims();
  claims.update(more);
  return outcomeOf(makeToken(claims), allKeys(), rules);
}

// ---- Signatures

TEST(Token, signed_with_any_of_the_three_algorithms_is_good) {
  for (const std::string& token : {makeToken(goodClaims()), makeToken(goodClaims(), rsaKey()),
                                   makeToken(goodClaims(), curveKey())}) {
    const auto checked = checkToken(token, allKeys(), {}, kNowMs);
    ASSERT_TRUE(std::holds_alternative<CheckedToken>(checked))
        << std::get<Failure>(checked).toString();
    EXPECT_EQ(Json::parse(std::get<CheckedToken>(checked).claims), goodClaims());
    EXPECT_EQ(std::get<CheckedToken>(checked).expiresMs, kNowMs + 60'000 + 30'000);
  }
}

// RFC 7515, appendices A.1 and A.3.
TEST(Token, the_examples_of_the_rfc_are_good) {
  const Json set = {{"keys",
                     {{{"kty", "oct"},
                       {"k",
                        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
                        "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}},
                      {{"kty", "EC"},
                       {"crv", "P-256"},
                       {"x", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"},
                       {"y", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}}}};
  const Keys keys = keysOf(parseKeySet(set.dump()));
  const std::string claims =
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ";
  const std::string tokens[] = {"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + claims +
                                    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
                                "eyJhbGciOiJFUzI1NiJ9." + claims +
                                    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
                                    "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"};
  for (const std::string& token : tokens) {
    EXPECT_EQ(outcomeOf(token, keys, {.issuer = "joe"}, 1'300'819'379'000), "ok");
    EXPECT_EQ(outcomeOf(token, keys, {.issuer = "joe"}, 1'300'819'411'000), "token_expired");
  }
}

TEST(Token, of_another_key_is_refused) {
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), "another secret that is long enough too")),
            "token_invalid");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), SigningKey::rsa())), "token_invalid");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), SigningKey::p256())), "token_invalid");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims()), Keys()), "token_invalid");
}

TEST(Token, with_any_bit_changed_is_refused) {
  std::mt19937_64 random(7);
  for (const std::string& token : {makeToken(goodClaims()), makeToken(goodClaims(), curveKey())}) {
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string damaged = token;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << random() % 7));
      EXPECT_NE(outcomeOf(damaged), "ok") << "at " << i;
    }
  }
}

// The public key is known to everybody: taken for a shared secret, anyone could sign with it.
TEST(Token, signed_with_the_text_of_a_public_key_as_secret_is_refused) {
  for (const SigningKey* key : {&rsaKey(), &curveKey()}) {
    for (const char* algorithm : {"HS256", "RS256", "ES256", "HS512"}) {
      const std::string token = makeToken(goodClaims(), key->publicPem(), Json{{"alg", algorithm}});
      EXPECT_EQ(outcomeOf(token, keysOf(parsePem(key->publicPem()))), "token_invalid");
      EXPECT_EQ(outcomeOf(token), "token_invalid");
    }
  }
}

TEST(Token, that_says_it_needs_no_signature_or_another_one_is_refused) {
  for (const Json& algorithm : {Json("none"), Json("None"), Json("NONE"), Json(""), Json("hs256"),
                                Json("HS384"), Json(nullptr), Json(1), Json::array({"HS256"}),
                                Json("ES384"), Json("PS256"), Json("EdDSA")}) {
    const std::string text =
        testing::signedText(Json{{"alg", algorithm}}.dump(), goodClaims().dump());
    EXPECT_EQ(outcomeOf(text + "."), "token_invalid") << algorithm;
    EXPECT_EQ(outcomeOf(makeToken(goodClaims(), kTestSecret, Json{{"alg", algorithm}})),
              "token_invalid")
        << algorithm;
  }
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), kTestSecret, Json::object())), "token_invalid");
}

TEST(Token, a_key_that_a_token_brings_along_is_not_used) {
  const SigningKey own = SigningKey::p256();
  const Json header = {{"alg", "ES256"}, {"jwk", own.webKey("x")}, {"jku", "https://evil.example"}};
  const std::string text = testing::signedText(header.dump(), goodClaims().dump());
  EXPECT_EQ(outcomeOf(text + "." + encodeBase64Url(asBytes(own.sign(text)))), "token_invalid");
}

TEST(Token, that_needs_an_extension_is_refused) {
  const Json header = {{"alg", "HS256"}, {"crit", {"b64"}}, {"b64", false}};
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), kTestSecret, header)), "token_invalid");
}

TEST(Token, a_signature_of_zeros_or_in_der_is_refused) {
  const std::string text = testing::signedText(Json{{"alg", "ES256"}}.dump(), goodClaims().dump());
  EXPECT_EQ(outcomeOf(text + "." + encodeBase64Url(asBytes(std::string(64, '\0')))),
            "token_invalid");
  EXPECT_EQ(outcomeOf(text + "." + encodeBase64Url(asBytes(std::string(71, '\x30')))),
            "token_invalid");
}

// ---- Which key

TEST(Token, names_its_key_among_several) {
  const SigningKey first = SigningKey::p256();
  const SigningKey second = SigningKey::p256();
  const Keys keys =
      keysOf(parseKeySet(Json{{"keys", {first.webKey("one"), second.webKey("two")}}}.dump()));
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), first, "one"), keys), "ok");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), second, "two"), keys), "ok");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), second, "one"), keys), "token_invalid");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), second, "three"), keys), "token_invalid");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), second), keys), "ok") << "names none: all are tried";
}

TEST(Token, that_names_no_key_is_tried_with_few) {
  std::vector<Json> set;
  std::vector<SigningKey> signers;
  for (std::size_t i = 0; i < kKeysTriedMax + 1; ++i) {
    signers.push_back(SigningKey::p256());
    set.push_back(signers.back().webKey("k" + std::to_string(i)));
  }
  const Keys keys = keysOf(parseKeySet(Json{{"keys", set}}.dump()));
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), signers[kKeysTriedMax - 1]), keys), "ok");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), signers.back()), keys), "token_invalid");
  EXPECT_EQ(outcomeOf(makeToken(goodClaims(), signers.back(), "k8"), keys), "ok");
}

// ---- Claims

TEST(Token, is_good_until_it_expires_and_a_little_longer) {
  const std::string token = makeToken({{"exp", kNow}});
  const TokenRules rules = {.issuer = {}, .audiences = {}, .leeway = std::chrono::seconds(5)};
  EXPECT_EQ(outcomeOf(token, allKeys(), rules, kNowMs + 4'999), "ok");
  EXPECT_EQ(outcomeOf(token, allKeys(), rules, kNowMs + 5'000), "token_expired");
}

TEST(Token, is_good_from_its_beginning_and_a_little_before) {
  const std::string token = makeToken({{"exp", kNow + 60}, {"nbf", kNow}});
  const TokenRules rules = {.issuer = {}, .audiences = {}, .leeway = std::chrono::seconds(5)};
  EXPECT_EQ(outcomeOf(token, allKeys(), rules, kNowMs - 5'001), "token_not_yet_valid");
  EXPECT_EQ(outcomeOf(token, allKeys(), rules, kNowMs - 5'000), "ok");
}

TEST(Token, times_may_have_fractions_and_must_be_times) {
  EXPECT_EQ(withClaims({{"exp", static_cast<double>(kNow) + 0.5}}), "ok");
  EXPECT_EQ(outcomeOf(makeToken({{"sub", "ada"}})), "token_invalid") << "never expires";
  for (const Json& wrong : {Json("1999999999"), Json(nullptr), Json(true), Json(1e300),
                            Json(-1e300), Json::array(), Json(UINT64_MAX)}) {
    EXPECT_EQ(withClaims({{"exp", wrong}}), "token_invalid") << wrong;
    EXPECT_EQ(withClaims({{"nbf", wrong}}), "token_invalid") << wrong;
  }
  EXPECT_EQ(withClaims({{"exp", -5}}), "token_expired");
}

TEST(Token, must_be_from_the_issuer_that_is_trusted) {
  const TokenRules rules = {.issuer = "https://id.example.org"};
  EXPECT_EQ(withClaims({{"iss", "https://id.example.org"}}, rules), "ok");
  EXPECT_EQ(withClaims({{"iss", "https://id.example.org/"}}, rules), "token_not_for_here");
  EXPECT_EQ(withClaims({{"iss", Json::array({"https://id.example.org"})}}, rules),
            "token_not_for_here");
  EXPECT_EQ(withClaims(Json::object(), rules), "token_not_for_here");
  EXPECT_EQ(withClaims({{"iss", "anybody"}}), "ok") << "the key is what is trusted then";
}

TEST(Token, must_be_for_this_servers_audience) {
  const TokenRules rules = {.issuer = {}, .audiences = {"chat", "games"}};
  EXPECT_EQ(withClaims({{"aud", "games"}}, rules), "ok");
  EXPECT_EQ(withClaims({{"aud", {"mail", "chat"}}}, rules), "ok");
  EXPECT_EQ(withClaims({{"aud", "mail"}}, rules), "token_not_for_here");
  EXPECT_EQ(withClaims({{"aud", {"mail", 7}}}, rules), "token_not_for_here");
  EXPECT_EQ(withClaims({{"aud", Json::array()}}, rules), "token_not_for_here");
  EXPECT_EQ(withClaims(Json::object(), rules), "token_not_for_here");
  EXPECT_EQ(withClaims({{"aud", "chat"}}), "token_not_for_here") << "nobody said that we are chat";
}

// ---- Broken ones

TEST(Token, that_is_none_is_refused) {
  const std::string good = makeToken(goodClaims());
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("..."),
        std::string("a.b.c"), good + "x", good + ".", good + "=", " " + good, good + "\n",
        good.substr(0, good.rfind('.')), good + "." + good}) {
    EXPECT_EQ(outcomeOf(token), "token_invalid") << token;
  }
}

TEST(Token, whose_parts_are_no_objects_is_refused) {
  for (const std::string& text :
       {std::string("[]"), std::string("7"), std::string("null"), std::string("{"),
        std::string("{\"exp\":1} x"), std::string(), std::string("{\"exp\":\"\xff\"}"),
        std::string(1000, '[') + std::string(1000, ']')}) {
    const std::string bad = testing::signedText("{\"alg\":\"HS256\"}", text);
    EXPECT_EQ(outcomeOf(bad + "." + encodeBase64Url(asBytes(testing::hmacOf(kTestSecret, bad)))),
              "token_invalid")
        << text;
    const std::string header = testing::signedText(text, goodClaims().dump());
    EXPECT_EQ(
        outcomeOf(header + "." + encodeBase64Url(asBytes(testing::hmacOf(kTestSecret, header)))),
        "token_invalid")
        << text;
  }
}

TEST(Token, that_is_nested_deep_or_large_is_refused) {
  Json deep = "x";
  for (int i = 0; i < 250; ++i) deep = Json::array({deep});
  EXPECT_EQ(withClaims({{"deep", deep}}), "token_invalid");
  EXPECT_EQ(withClaims({{"large", std::string(5000, 'x')}}), "ok");
  EXPECT_EQ(withClaims({{"large", std::string(kTokenBytesMax, 'x')}}), "token_invalid");
}

TEST(Token, refusals_repeat_nothing_of_it) {
  for (const Json& claims : {Json{{"exp", kNow - 1000}, {"sub", "TELLTALE"}},
                             Json{{"exp", kNow + 60}, {"aud", "TELLTALE"}}}) {
    const auto checked = checkToken(makeToken(claims), allKeys(), {}, kNowMs);
    EXPECT_THAT(std::get<Failure>(checked).message, ::testing::Not(HasSubstr("TELLTALE")));
  }
}

// ---- Where it stands

TEST(BearerToken, is_what_stands_behind_the_scheme) {
  const auto token = [](std::string_view header) {
    const auto found = bearerToken(header);
    const auto* failure = std::get_if<Failure>(&found);
    return failure == nullptr ? std::string(std::get<std::string_view>(found))
                              : "!" + failure->code;
  };
  EXPECT_EQ(token("Bearer abc"), "abc");
  EXPECT_EQ(token("bEARER  abc "), "abc");
  EXPECT_EQ(token(""), "!token_missing");
  for (const char* wrong : {"Basic abc", "Bearer", "Bearer ", "Bearerabc", "abc", "Bearer\tabc"}) {
    EXPECT_EQ(token(wrong), "!token_invalid") << wrong;
  }
}

}  // namespace
}  // namespace skep::access
