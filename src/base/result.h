// Result<T>: a value, or the Error that stood in its way.
//
// Expected failures are returned, never thrown. A Result must be looked at: it is [[nodiscard]],
// and value() of a failed one aborts the process.
//
//   Result<Head> head = store.readHead(id);
//   if (!head) return head.error();
//   use(head->txid);
//
//   SKEP_TRY(Head head, store.readHead(id));   // the same in one line
//   SKEP_CHECK_OK(file.close());               // for Result<void>: return the error, if any

#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "skep/base/check.h"
#include "skep/base/error.h"

namespace skep {

template <class T = void>
class [[nodiscard]] Result {
 public:
  using Value = T;

  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    SKEP_CHECK(ok(), "value() of a failed result: %s", std::get<1>(state_).message.c_str());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& { return const_cast<Result*>(this)->value(); }
  T&& value() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }

  const Error& error() const& {
    SKEP_CHECK(!ok(), "error() of a successful result");
    return *std::get_if<1>(&state_);
  }
  Error&& error() && { return std::move(const_cast<Error&>(error())); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using Value = void;

  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  void value() const {
    SKEP_CHECK(ok(), "value() of a failed result: %s", error_->message.c_str());
  }
  const Error& error() const& {
    SKEP_CHECK(!ok(), "error() of a successful result");
    return *error_;
  }
  Error&& error() && { return std::move(const_cast<Error&>(error())); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace skep

#define SKEP_CONCAT_(a, b) a##b
#define SKEP_CONCAT(a, b) SKEP_CONCAT_(a, b)

/// Declares `declaration` with the value of `expression`, or returns its error from this function.
#define SKEP_TRY(declaration, ...) \
  SKEP_TRY_(SKEP_CONCAT(skepTry, __COUNTER__), declaration, __VA_ARGS__)
#define SKEP_TRY_(temporary, declaration, ...)              \
  auto temporary = (__VA_ARGS__);                           \
  if (!temporary.ok()) return std::move(temporary).error(); \
  declaration = std::move(temporary).value()

/// Returns the error of `expression` (any Result) from this function, if there is one.
#define SKEP_CHECK_OK(...) SKEP_CHECK_OK_(SKEP_CONCAT(skepStatus, __COUNTER__), __VA_ARGS__)
#define SKEP_CHECK_OK_(temporary, ...)                        \
  do {                                                        \
    auto temporary = (__VA_ARGS__);                           \
    if (!temporary.ok()) return std::move(temporary).error(); \
  } while (false)
