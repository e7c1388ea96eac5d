// Cell: one value on its way to the output, borrowed. What a result writer is given, whether it
// comes from a SQL statement, from the list of databases or from a check.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "skep/base/bytes.h"

namespace skep::server {

/// Null, integer, real, text or blob. The bytes of text and blob must outlive the cell.
class Cell {
 public:
  Cell() = default;
  template <std::integral Integer>
  Cell(Integer v) : value_(static_cast<std::int64_t>(v)) {}  // NOLINT(google-explicit-constructor)
  Cell(double v) : value_(v) {}                              // NOLINT(google-explicit-constructor)
  Cell(std::string_view v) : value_(v) {}                    // NOLINT(google-explicit-constructor)
  Cell(const std::string& v)
      : value_(std::string_view(v)) {}                  // NOLINT(google-explicit-constructor)
  Cell(const char* v) : value_(std::string_view(v)) {}  // NOLINT(google-explicit-constructor)
  Cell(ByteView v) : value_(v) {}                       // NOLINT(google-explicit-constructor)

  bool isNull() const { return value_.index() == 0; }
  bool isNumber() const { return value_.index() == 1 || value_.index() == 2; }

  template <class Visitor>
  decltype(auto) visit(Visitor&& visitor) const {
    return std::visit(std::forward<Visitor>(visitor), value_);
  }

 private:
  std::variant<std::monostate, std::int64_t, double, std::string_view, ByteView> value_;
};

/// The shortest text that reads back as the same double, always with a point or an exponent: "1.0",
/// "0.1", "1e+300". Infinities are "Inf" and "-Inf".
std::string formatReal(double value);

/// The value where types are not shown: NULL is empty, a blob its hexadecimal digits.
std::string plainText(const Cell& cell);

/// Lower-case hexadecimal digits, two a byte.
std::string toHex(ByteView bytes);

}  // namespace skep::server
