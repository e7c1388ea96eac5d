// TokenCheck: who a client is, by the token that it shows.
//
// A token that was verified once is remembered, so that a client that asks again and again costs one
// verification (an ES256 signature takes longer than most actions): by all its bytes, until it
// expires, until the keys change, and as long as there is room. Any thread.
//
//   SKEP_TRY(auto check, TokenCheck::open({.keys = {.secret = "secret.txt"}}, clock));
//   auto checked = check->check(token);

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "skep/access/key_files.h"
#include "skep/access/token.h"
#include "skep/base/clock.h"
#include "skep/base/result.h"
#include "skep/call/message.h"

namespace skep::access {

struct TokenOptions {
  KeyFilePaths keys;
  TokenRules rules;
  std::size_t rememberedMax = 4096;  // tokens
};

class TokenCheck {
 public:
  /// The clock outlives it. Errors: those of KeyFiles::open().
  static Result<std::unique_ptr<TokenCheck>> open(TokenOptions options, Clock& clock);

  /// The failures of checkToken().
  call::Outcome<CheckedToken> check(std::string_view token);
  std::uint64_t verifiedCount() const { return verifiedCount_; }

 private:
  TokenCheck(TokenOptions options, std::unique_ptr<KeyFiles> keys, Clock& clock)
      : options_(std::move(options)), keys_(std::move(keys)), clock_(clock) {}
  std::shared_ptr<const CheckedToken> recall(const std::string& token,
                                             const std::shared_ptr<const Keys>& keys);
  void remember(std::string token, const std::shared_ptr<const Keys>& keys,
                const CheckedToken& checked);

  const TokenOptions options_;
  const std::unique_ptr<KeyFiles> keys_;
  Clock& clock_;
  std::atomic<std::uint64_t> verifiedCount_{0};

  std::mutex mutex_;  // for what follows
  std::shared_ptr<const Keys> rememberedFor_;
  // Shared: copied outside of the lock.
  std::unordered_map<std::string, std::shared_ptr<const CheckedToken>> remembered_;
};

}  // namespace skep::access
