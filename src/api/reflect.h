// Names and references of the fields of a plain struct, without anything written by hand.
//
// A struct qualifies when it is an aggregate without base classes and with at most as many fields as
// Boost.PFR counts (200). The names come from the compiler's own text for a pointer to the field of a
// constant that is never defined: GCC writes `… (& sample<Message>.Holder<Message>::value.Message::id)`,
// Clang `… {&sample.value.id}`; the name is what stands last. Compile time only.

#pragma once

#include <array>
#include <boost/pfr.hpp>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace skep::api {

namespace detail {

template <class T>
struct Holder {
  const T value;
};
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"  // of a struct in an unnamed namespace
#endif
template <class T>
extern const Holder<T> sample;

template <class T>
struct FieldPointer {
  const T* pointer;
};
template <class T>
FieldPointer(const T*) -> FieldPointer<T>;

template <auto>
consteval std::string_view compilerText() {
  return __PRETTY_FUNCTION__;
}

constexpr bool isNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

template <class T, std::size_t index>
consteval std::string_view fieldName() {
  std::string_view text = compilerText<FieldPointer{&boost::pfr::get<index>(sample<T>.value)}>();
  // GCC repeats the types of its own return value behind the pointer.
  if (const std::size_t tail = text.find("; std::string_view"); tail != text.npos) {
    text = text.substr(0, tail);
  }
  while (!isNameCharacter(text.back())) text.remove_suffix(1);
  std::size_t start = text.size();
  while (isNameCharacter(text[start - 1])) --start;
  return text.substr(start);
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

template <class T, std::size_t... index>
consteval auto fieldNames(std::index_sequence<index...>) {
  return std::array<std::string_view, sizeof...(index)>{fieldName<T, index>()...};
}

}  // namespace detail

/// A struct whose fields Skep can see by itself.
template <class T>
concept PlainStruct = std::is_class_v<T> && std::is_aggregate_v<T>;

template <PlainStruct T>
inline constexpr auto fieldNamesOf =
    detail::fieldNames<T>(std::make_index_sequence<boost::pfr::tuple_size_v<T>>());

/// Calls `visit(name, field)` for each field in order.
template <class T, class Visit>
constexpr void forEachField(T& object, Visit visit) {
  boost::pfr::for_each_field(object, [&](auto& field, std::size_t index) {
    visit(fieldNamesOf<std::remove_const_t<T>>[index], field);
  });
}

}  // namespace skep::api
