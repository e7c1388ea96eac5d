// History: what clients asked of lists that only grow, what they were told, and whether that can be true.
//
// Each append has a value of its own. Told once that it is done, it must be there for ever; told that it
// certainly was not done, it must never be there; and a read gives all that was done before it began, and all
// that any earlier read has given. For lists that only grow, that is linearizability. What a timer shall append,
// once it was set, is there at the end, and once.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "skep/base/clock.h"

namespace skep::testing {

struct Operation {
  enum class Kind : std::uint8_t { Append, AppendLater, Read };
  enum class Outcome : std::uint8_t { Unknown, Done, NotDone };

  Kind kind = Kind::Append;
  std::string list;
  std::int64_t value = 0;    // of an append
  std::int64_t delayMs = 0;  // of one by a timer
  MonotonicTime begin;
  std::optional<MonotonicTime> end;  // when the client was told; none: never
  Outcome outcome = Outcome::Unknown;
  std::int64_t place = 0;             // that a done append was told: 1 for the first
  std::vector<std::int64_t> content;  // that a done read was given
  std::string note;                   // for people: by whom, what was said
};

class History {
 public:
  /// A new operation; valid until the next one.
  std::size_t begin(Operation operation) {
    operations_.push_back(std::move(operation));
    return operations_.size() - 1;
  }
  Operation& at(std::size_t index) { return operations_[index]; }
  const std::vector<Operation>& operations() const { return operations_; }

  /// Why this cannot have happened on one copy of each list, if it cannot. `final`: the lists at the end.
  std::optional<std::string> violation(
      const std::map<std::string, std::vector<std::int64_t>>& final) const;
  /// A line for each operation.
  std::string describe() const;

 private:
  std::vector<Operation> operations_;
};

}  // namespace skep::testing
