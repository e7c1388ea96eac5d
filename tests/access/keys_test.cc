// Keys in files: in which forms they come, which are no good, and how they change.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "skep/access/shared_secret.h"
#include "skep/access/token_check.h"
#include "skep/base/base64.h"
#include "skep/testing/temp_directory.h"
#include "skep/testing/tokens/token_maker.h"

namespace skep::access {
namespace {

using ::testing::HasSubstr;
using testing::Json;
using testing::kTestSecret;
using testing::makeToken;
using testing::SigningKey;

std::string errorOf(const Result<Keys>& parsed) {
  return parsed.ok() ? "ok" : parsed.error().message;
}
std::string keySet(const std::vector<Json>& keys) {
  return Json{{"keys", keys}}.dump();
}
std::vector<std::string> algorithmsOf(const Result<Keys>& parsed) {
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
  std::vector<std::string> names;
  for (const VerificationKey& key : *parsed) names.emplace_back(algorithmName(key.algorithm()));
  return names;
}

TEST(Keys, a_secret_is_long_and_line_ends_behind_it_do_not_count) {
  EXPECT_EQ(algorithmsOf(parseSecret(kTestSecret)), std::vector<std::string>{"HS256"});
  const std::string token = makeToken({{"exp", 4'000'000'000}});
  EXPECT_TRUE(std::holds_alternative<CheckedToken>(
      checkToken(token, *parseSecret(kTestSecret + "\r\n"), {}, 1'700'000'000'000)));
  EXPECT_THAT(errorOf(parseSecret("too short")), HasSubstr("at least 32 bytes"));
  EXPECT_THAT(errorOf(parseSecret("")), HasSubstr("at least 32 bytes"));
}

TEST(Keys, pem_has_public_keys_of_both_kinds) {
  const std::string pem = SigningKey::rsa().publicPem() + SigningKey::p256().publicPem();
  EXPECT_EQ(algorithmsOf(parsePem(pem)), (std::vector<std::string>{"RS256", "ES256"}));
}

TEST(Keys, pem_that_is_no_good_is_refused) {
  const std::string good = SigningKey::p256().publicPem();
  EXPECT_THAT(errorOf(parsePem({})), HasSubstr("empty"));
  EXPECT_THAT(errorOf(parsePem(kTestSecret)), HasSubstr("no public key"));
  EXPECT_THAT(errorOf(parsePem(good + good.substr(0, 60))), HasSubstr("damaged"));
  EXPECT_THAT(errorOf(parsePem(SigningKey::p256().privatePem())), HasSubstr("private key"));
  EXPECT_THAT(errorOf(parsePem(SigningKey::rsa(1024).publicPem())), HasSubstr("1024"));
  EXPECT_THAT(errorOf(parsePem(SigningKey::onCurve("P-384").publicPem())), HasSubstr("P-256"));
}

TEST(Keys, a_key_set_has_keys_of_all_kinds) {
  const Json secret = {{"kty", "oct"}, {"kid", "s"}, {"k", encodeBase64Url(asBytes(kTestSecret))}};
  const auto parsed =
      parseKeySet(keySet({SigningKey::rsa().webKey("r"), SigningKey::p256().webKey("e"), secret}));
  EXPECT_EQ(algorithmsOf(parsed), (std::vector<std::string>{"RS256", "ES256", "HS256"}));
  EXPECT_EQ((*parsed)[1].id(), "e");
}

TEST(Keys, what_is_not_meant_for_us_is_left_out_of_a_key_set) {
  const Json good = SigningKey::p256().webKey("good");
  const auto with = [&](const char* name, const Json& value) {
    Json key = good;
    key["kid"] = "other";
    key[name] = value;
    return key;
  };
  const auto parsed = parseKeySet(keySet(
      {with("use", "enc"), with("alg", "ES384"), with("alg", "HS256"), with("kty", "OKP"),
       with("crv", "P-521"), with("key_ops", {"sign"}), with("key_ops", "verify"), Json(7), good}));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  ASSERT_EQ(parsed->size(), 1u);
  EXPECT_EQ(parsed->front().id(), "good");
}

TEST(Keys, a_key_set_with_a_damaged_key_is_refused) {
  Json offCurve = SigningKey::p256().webKey("e");
  offCurve["x"] = encodeBase64Url(asBytes(std::string(32, '\x01')));
  Json cut = SigningKey::p256().webKey("e");
  cut["y"] = "AAAA";
  Json small = SigningKey::rsa(1024).webKey("r");
  Json huge = SigningKey::rsa().webKey("r");
  huge["n"] = encodeBase64Url(asBytes(std::string(4096, '\xff')));
  Json shortSecret = {{"kty", "oct"}, {"k", "AAAA"}};
  for (const Json& bad : {offCurve, cut, small, huge, shortSecret, Json{{"kty", "RSA"}},
                          Json{{"kty", "oct"}, {"k", "not base64url!"}}}) {
    EXPECT_THAT(errorOf(parseKeySet(keySet({bad}))), HasSubstr("key 0")) << bad;
  }
  for (const char* text :
       {"", "{}", "[]", "{\"keys\":7}", "{\"keys\":[]}", "{\"keys\":[{}]}", "nonsense"}) {
    EXPECT_NE(errorOf(parseKeySet(text)), "ok") << text;
  }
}

// ---- Files

class KeyFilesTest : public ::testing::Test {
 protected:
  /// Replaces the file as a careful program does: at once.
  void write(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / "new", std::ios::binary) << content;
    std::filesystem::rename(directory_ / "new", directory_ / name);
  }
  std::unique_ptr<TokenCheck> open(KeyFilePaths paths, std::size_t rememberedMax = 4096) {
    auto opened = TokenCheck::open(
        {.keys = std::move(paths), .rules = {}, .rememberedMax = rememberedMax}, clock_);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  std::string failsToOpen(KeyFilePaths paths) {
    auto opened = TokenCheck::open({.keys = std::move(paths), .rules = {}}, clock_);
    return opened.ok() ? "ok" : opened.error().message;
  }
  std::string outcomeOf(TokenCheck& check, const std::string& token) {
    const auto checked = check.check(token);
    const auto* failure = std::get_if<call::Failure>(&checked);
    return failure == nullptr ? "ok" : failure->code;
  }
  Json claims(int seconds = 3600) { return {{"exp", clock_.wallMs() / 1000 + seconds}}; }

  testing::TempDirectory directory_;
  ManualClock clock_;
};

TEST_F(KeyFilesTest, keys_of_several_files_count_together) {
  const SigningKey pem = SigningKey::p256();
  const SigningKey set = SigningKey::rsa();
  write("secret", kTestSecret);
  write("pem", pem.publicPem());
  write("set", keySet({set.webKey("a")}));
  const auto check = open(
      {.secret = directory_ / "secret", .pem = directory_ / "pem", .keySet = directory_ / "set"});
  EXPECT_EQ(outcomeOf(*check, makeToken(claims())), "ok");
  EXPECT_EQ(outcomeOf(*check, makeToken(claims(), pem)), "ok");
  EXPECT_EQ(outcomeOf(*check, makeToken(claims(), set, "a")), "ok");
}

TEST_F(KeyFilesTest, a_file_that_cannot_be_used_is_named) {
  write("short", "short");
  EXPECT_THAT(failsToOpen({.secret = directory_ / "short"}), HasSubstr(directory_ / "short"));
  EXPECT_THAT(failsToOpen({.secret = directory_ / "absent"}), HasSubstr("No such file"));
  EXPECT_THAT(failsToOpen({.secret = directory_.path()}), HasSubstr(directory_.path()));
  write("large", std::string(2'000'000, 'x'));
  EXPECT_THAT(failsToOpen({.secret = directory_ / "large"}), HasSubstr("1 MiB"));
}

TEST_F(KeyFilesTest, a_key_set_that_changes_is_read_again) {
  const SigningKey before = SigningKey::p256();
  const SigningKey after = SigningKey::p256();
  write("set", keySet({before.webKey("1")}));
  const auto check = open({.keySet = directory_ / "set"});
  const std::string old = makeToken(claims(), before, "1");
  const std::string fresh = makeToken(claims(), after, "2");
  EXPECT_EQ(outcomeOf(*check, old), "ok");
  EXPECT_EQ(outcomeOf(*check, fresh), "token_invalid");

  write("set", keySet({before.webKey("1"), after.webKey("2")}));
  clock_.advance(std::chrono::seconds(2));
  EXPECT_EQ(outcomeOf(*check, old), "ok");
  EXPECT_EQ(outcomeOf(*check, fresh), "ok");

  write("set", keySet({after.webKey("2")}));
  clock_.advance(std::chrono::seconds(2));
  EXPECT_EQ(outcomeOf(*check, old), "token_invalid") << "although it was good before";
  EXPECT_EQ(outcomeOf(*check, fresh), "ok");
}

TEST_F(KeyFilesTest, a_change_that_is_no_good_leaves_the_keys_as_they_were) {
  write("secret", kTestSecret);
  const auto check = open({.secret = directory_ / "secret"});
  write("secret", "short");
  clock_.advance(std::chrono::seconds(2));
  EXPECT_EQ(outcomeOf(*check, makeToken(claims())), "ok");
  std::filesystem::remove(directory_ / "secret");
  clock_.advance(std::chrono::seconds(2));
  EXPECT_EQ(outcomeOf(*check, makeToken(claims())), "ok");
  const std::string next = "the next secret, which is long enough";
  write("secret", next);
  clock_.advance(std::chrono::seconds(2));
  EXPECT_EQ(outcomeOf(*check, makeToken(claims(), next)), "ok");
  EXPECT_EQ(outcomeOf(*check, makeToken(claims())), "token_invalid");
}

TEST_F(KeyFilesTest, a_token_is_verified_once_until_it_expires) {
  write("secret", kTestSecret);
  const auto check = open({.secret = directory_ / "secret"});
  const std::string token = makeToken(claims(60));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(outcomeOf(*check, token), "ok");
  EXPECT_EQ(check->verifiedCount(), 1u);
  EXPECT_EQ(outcomeOf(*check, token + "A"), "token_invalid");
  clock_.advance(std::chrono::seconds(91));
  EXPECT_EQ(outcomeOf(*check, token), "token_expired");
}

TEST_F(KeyFilesTest, only_so_many_tokens_are_remembered) {
  write("secret", kTestSecret);
  const auto check = open({.secret = directory_ / "secret"}, 2);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(outcomeOf(*check, makeToken(claims(60 + i))), "ok");
  const auto none = open({.secret = directory_ / "secret"}, 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(outcomeOf(*none, makeToken(claims(60))), "ok");
  EXPECT_EQ(none->verifiedCount(), 3u);
}

// ---- The admin's

TEST(SharedSecretTest, matches_itself_alone) {
  const auto secret = SharedSecret::make("0123456789abcdef");
  ASSERT_TRUE(secret.ok());
  EXPECT_TRUE(secret->matches("0123456789abcdef"));
  for (const char* other : {"", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeg"}) {
    EXPECT_FALSE(secret->matches(other)) << other;
  }
}

TEST(SharedSecretTest, that_could_be_guessed_or_fits_in_no_header_is_refused) {
  for (const char* bad : {"", "0123456789abcde", "0123456789 abcdef", "0123456789\nabcdef"}) {
    EXPECT_FALSE(SharedSecret::make(bad).ok()) << bad;
  }
  const testing::TempDirectory directory;
  std::ofstream(directory / "token") << "0123456789abcdef\n";
  const auto read = SharedSecret::read(directory / "token");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_TRUE(read->matches("0123456789abcdef"));
  EXPECT_FALSE(SharedSecret::read(directory / "absent").ok());
}

}  // namespace
}  // namespace skep::access
