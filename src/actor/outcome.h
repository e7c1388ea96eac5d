// From Result to Outcome: the errors of the actor's own database as its code and its callers see them; and
// what an Outcome failed with.

#pragma once

#include <optional>
#include <utility>

#include "skep/base/result.h"
#include "skep/call/router.h"
#include "skep/sql/database.h"

namespace skep::actor {

template <class T>
call::Outcome<T> outcomeOf(Result<T> result, const sql::Database& database) {
  if (!result) return call::failureOf(result.error(), database.name());
  return std::move(result).value();
}
inline call::Outcome<std::monostate> outcomeOf(Status status, const sql::Database& database) {
  if (!status) return call::failureOf(status.error(), database.name());
  return std::monostate{};
}

template <class T>
std::optional<call::Failure> failureIn(const call::Outcome<T>& outcome) {
  const auto* failure = std::get_if<call::Failure>(&outcome);
  return failure == nullptr ? std::nullopt : std::optional<call::Failure>(*failure);
}

}  // namespace skep::actor
