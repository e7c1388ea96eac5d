#include "skep/access/token_check.h"

#include <utility>

namespace skep::access {

Result<std::unique_ptr<TokenCheck>> TokenCheck::open(TokenOptions options, Clock& clock) {
  SKEP_TRY(std::unique_ptr<KeyFiles> keys, KeyFiles::open(options.keys));
  return std::unique_ptr<TokenCheck>(new TokenCheck(std::move(options), std::move(keys), clock));
}

call::Outcome<CheckedToken> TokenCheck::check(std::string_view token) {
  const std::shared_ptr<const Keys> keys = keys_->keys(clock_.monotonic());
  const std::int64_t nowMs = clock_.wallMs();
  std::string text(token);
  if (const auto known = recall(text, keys)) {
    if (nowMs < known->expiresMs) return *known;
  }
  ++verifiedCount_;
  auto checked = checkToken(token, *keys, options_.rules, nowMs);
  if (const auto* good = std::get_if<CheckedToken>(&checked)) {
    remember(std::move(text), keys, *good);
  }
  return checked;
}

std::shared_ptr<const CheckedToken> TokenCheck::recall(const std::string& token,
                                                       const std::shared_ptr<const Keys>& keys) {
  const std::lock_guard lock(mutex_);
  if (rememberedFor_ != keys) return nullptr;
  const auto found = remembered_.find(token);
  return found == remembered_.end() ? nullptr : found->second;
}

void TokenCheck::remember(std::string token, const std::shared_ptr<const Keys>& keys,
                          const CheckedToken& checked) {
  if (options_.rememberedMax == 0) return;
  auto kept = std::make_shared<const CheckedToken>(checked);
  const std::lock_guard lock(mutex_);
  if (rememberedFor_ != keys) {
    // A check that began before the keys changed must not bring the old ones back.
    if (keys_->keys(clock_.monotonic()) != keys) return;
    remembered_.clear();
    rememberedFor_ = keys;
  }
  // Whichever comes first makes room: those that are used again are soon back.
  if (remembered_.size() >= options_.rememberedMax) remembered_.erase(remembered_.begin());
  remembered_.insert_or_assign(std::move(token), std::move(kept));
}

}  // namespace skep::access
