#include "skep/actor/last_errors.h"

#include <algorithm>
#include <utility>

namespace skep::actor {

void LastErrors::note(const std::string& databaseName, std::string_view message,
                      std::int64_t timeMs) {
  std::size_t size = std::min(message.size(), kMessageBytesMax);
  // Not in the middle of a character.
  while (size < message.size() && size > 0 && (message[size] & '\xc0') == '\x80') --size;
  errors_.insert_or_assign(
      databaseName,
      Entry{.error = {.message = std::string(message.substr(0, size)), .timeMs = timeMs},
            .number = ++lastNumber_});
  order_.emplace_back(lastNumber_, databaseName);
  // At most two places for each actor that is kept, so that one that fails all the time costs no more.
  while (errors_.size() > actorsMax_ || order_.size() > 2 * actorsMax_) {
    const auto [number, name] = std::move(order_.front());
    order_.pop_front();
    const auto found = errors_.find(name);
    if (found == errors_.end()) continue;
    if (found->second.number == number) errors_.erase(found);
  }
}

std::optional<call::LastError> LastErrors::find(const std::string& databaseName) const {
  const auto found = errors_.find(databaseName);
  if (found == errors_.end()) return std::nullopt;
  return found->second.error;
}

}  // namespace skep::actor
