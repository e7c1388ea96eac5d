// LastErrors: what went wrong last with which actor, for whoever runs the server.
//
// Of the actors that had an error lately, a bounded number. Not stored: gone with the process. Belongs to its
// loop.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "skep/call/router.h"

namespace skep::actor {

class LastErrors {
 public:
  explicit LastErrors(std::size_t actorsMax = 1'000) : actorsMax_(actorsMax) {}

  /// `message` is cut after kMessageBytesMax.
  void note(const std::string& databaseName, std::string_view message, std::int64_t timeMs);
  void forget(const std::string& databaseName) { errors_.erase(databaseName); }
  std::optional<call::LastError> find(const std::string& databaseName) const;

  static constexpr std::size_t kMessageBytesMax = 1'000;

 private:
  struct Entry {
    call::LastError error;
    std::uint64_t number = 0;  // of the place in order_ that counts
  };

  const std::size_t actorsMax_;
  std::unordered_map<std::string, Entry> errors_;
  std::deque<std::pair<std::uint64_t, std::string>>
      order_;  // oldest first; some do not count any more
  std::uint64_t lastNumber_ = 0;
};

}  // namespace skep::actor
