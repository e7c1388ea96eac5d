// Value: one SQL value, owned. Null, 64-bit integer, double, text (UTF-8) or blob.
//
//   db.execute("INSERT INTO t VALUES (?, ?)", {Value(7), Value("seven")});

#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "skep/base/bytes.h"

namespace skep::sql {

enum class ValueType : std::uint8_t { Null, Integer, Real, Text, Blob };

std::string_view valueTypeName(ValueType type);

class Value {
 public:
  Value() = default;
  Value(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  template <std::integral Integer>
  Value(Integer v) : value_(static_cast<std::int64_t>(v)) {}  // NOLINT(google-explicit-constructor)
  Value(double v) : value_(v) {}                              // NOLINT(google-explicit-constructor)
  Value(std::string v) : value_(std::move(v)) {}              // NOLINT(google-explicit-constructor)
  Value(std::string_view v) : value_(std::string(v)) {}       // NOLINT(google-explicit-constructor)
  Value(const char* v) : value_(std::string(v)) {}            // NOLINT(google-explicit-constructor)
  Value(Bytes v) : value_(std::move(v)) {}                    // NOLINT(google-explicit-constructor)

  ValueType type() const { return static_cast<ValueType>(value_.index()); }
  bool isNull() const { return type() == ValueType::Null; }
  /// Each aborts the process when the value has another type: look at type() first.
  std::int64_t integer() const { return std::get<1>(value_); }
  double real() const { return std::get<2>(value_); }
  const std::string& text() const { return std::get<3>(value_); }
  const Bytes& blob() const { return std::get<4>(value_); }

  friend bool operator==(const Value&, const Value&) = default;

 private:
  std::variant<std::monostate, std::int64_t, double, std::string, Bytes> value_;
};

/// A borrowed value: what is bound to a statement. Text and blobs are copied by the bind.
class ValueView {
 public:
  ValueView(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  template <std::integral Integer>
  ValueView(Integer v)
      : value_(static_cast<std::int64_t>(v)) {}  // NOLINT(google-explicit-constructor)
  ValueView(double v) : value_(v) {}             // NOLINT(google-explicit-constructor)
  ValueView(std::string_view v) : value_(v) {}   // NOLINT(google-explicit-constructor)
  ValueView(const std::string& v)
      : value_(std::string_view(v)) {}                       // NOLINT(google-explicit-constructor)
  ValueView(const char* v) : value_(std::string_view(v)) {}  // NOLINT(google-explicit-constructor)
  ValueView(ByteView v) : value_(v) {}                       // NOLINT(google-explicit-constructor)
  ValueView(const Bytes& v) : value_(ByteView(v)) {}         // NOLINT(google-explicit-constructor)
  ValueView(const Value& v);                                 // NOLINT(google-explicit-constructor)

  ValueType type() const { return static_cast<ValueType>(value_.index()); }
  std::int64_t integer() const { return std::get<1>(value_); }
  double real() const { return std::get<2>(value_); }
  std::string_view text() const { return std::get<3>(value_); }
  ByteView blob() const { return std::get<4>(value_); }

 private:
  std::variant<std::monostate, std::int64_t, double, std::string_view, ByteView> value_;
};

}  // namespace skep::sql
